//! [`Signals`]: SIGTERM and SIGINT drain a node, and the second of them ends it at once.

use super::{NodeError, NodeHandle};

#[cfg(unix)]
mod unix {
    use super::{NodeError, NodeHandle};
    use crate::logging;
    use signal_hook::SigId;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::low_level::{pipe, unregister};
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    /// While it exists the signals are the node's.
    pub(in super::super) struct Signals {
        ids: Vec<SigId>,
        heard: UnixStream,
    }

    impl Signals {
        pub(in super::super) fn new() -> Result<Self, NodeError> {
            let hear = || {
                let (heard, told) = UnixStream::pair()?;
                let ids = vec![pipe::register(SIGTERM, told.try_clone()?)?, pipe::register(SIGINT, told)?];
                Ok(Signals { ids, heard })
            };
            hear().map_err(NodeError::system("to hear of signals"))
        }

        /// Has a thread act on them. It ends when this is dropped, which closes the other end of its pipe.
        pub(in super::super) fn watch(&self, node: &NodeHandle) -> Result<(), NodeError> {
            let mut heard = self.heard.try_clone().map_err(NodeError::system("to hear of signals"))?;
            let shared = node.shared().clone();
            let watch = move || {
                let mut byte = [0];
                if heard.read_exact(&mut byte).is_ok() {
                    logging::info(format_args!(
                        "the node was told to end; it lets what runs end, and takes nothing more"
                    ));
                    shared.drain();
                }
                if heard.read_exact(&mut byte).is_ok() {
                    logging::warn(format_args!("the node was told to end a second time: it ends at once"));
                    shared.abort();
                }
            };
            let thread = thread::Builder::new().name("redis-node-signals".to_owned()).spawn(watch);
            thread.map(drop).map_err(NodeError::system("a thread"))
        }
    }

    impl Drop for Signals {
        fn drop(&mut self) {
            for id in self.ids.drain(..) {
                unregister(id);
            }
        }
    }
}

#[cfg(unix)]
pub(super) use unix::Signals;

/// Where there are no such signals.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> Result<Self, NodeError> {
        Ok(Signals)
    }

    pub(super) fn watch(&self, _: &NodeHandle) -> Result<(), NodeError> {
        Ok(())
    }
}
