//! [`NodeHandle`]: a node that serves in threads of this program.

use super::NodeError;
use super::fetcher::Fetcher;
use super::keeper::Keeper;
use super::loader::Loader;
use super::orders::Orders;
use super::shared::{Phase, Shared};
use super::stepper::Stepper;
use super::warden::Warden;
use concurrent_futures::Shutdown;
use std::fmt;
use std::sync::Arc;
use std::thread;

/// A node that serves, by [`RedisNode::spawn`](super::RedisNode::spawn). Dropped, it drains and waits for the end.
///
/// # Examples
///
/// ```no_run
/// use concurrent_futures_redis::RedisNode;
///
/// let node = RedisNode::builder("redis://127.0.0.1").spawn()?;
/// node.stop();
/// node.join()?;
/// # Ok::<(), concurrent_futures_redis::NodeError>(())
/// ```
#[must_use = "dropped, the node ends"]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

/// A node at one moment, by [`NodeHandle::stats`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RedisNodeStats {
    /// Its name at present: host, process, and a random number.
    pub name: String,
    /// How many tasks run at once at most.
    pub slots: usize,
    /// Tasks that have begun and not ended.
    pub running: usize,
    /// Tasks that it was given and has not begun.
    pub ready: usize,
    /// Tasks whose answers the server has taken.
    pub finished: u64,
    /// How often its lease ran out while it lived.
    pub lost_names: u64,
    /// How often one of its connections was made anew.
    pub reconnects: u64,
}

/// Tells of the end of a thread. One that panics ends the node: without it the others would wait for ever.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abort();
        }
        self.0.thread_ends();
    }
}

impl NodeHandle {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, NodeError> {
        let mut keeper = Keeper::new(shared.clone());
        keeper.join_first()?;
        let (fetcher, stepper) = (Fetcher::new(shared.clone()), Stepper::new(shared.clone()));
        let (orders, loader) = (Orders::new(shared.clone()), Loader::new(shared.clone()));
        let warden = Warden::new(shared.clone());
        let node = NodeHandle { shared };
        let started = node
            .thread("keep", move || keeper.run())
            .and_then(|()| node.thread("fetch", move || fetcher.run()))
            .and_then(|()| node.thread("step", move || stepper.run()))
            .and_then(|()| node.thread("orders", move || orders.run()))
            .and_then(|()| node.thread("load", move || loader.run()))
            .and_then(|()| node.thread("warden", move || warden.run()));
        match started {
            Ok(()) => Ok(node),
            Err(error) => {
                node.shared.abort();
                Err(error)
            }
        }
    }

    fn thread(&self, what: &str, run: impl FnOnce() + Send + 'static) -> Result<(), NodeError> {
        self.shared.thread_begins();
        let alarm = Alarm(self.shared.clone());
        let body = move || {
            let _alarm = alarm;
            run();
        };
        let thread = thread::Builder::new().name(format!("redis-node-{what}")).spawn(body);
        thread.map(drop).map_err(NodeError::system("a thread"))
    }

    /// Tells the node to drain and returns at once: nothing more begins, what has not begun is given back, and what runs may
    /// end within the [drain timeout](super::RedisNodeBuilder::drain_timeout). May be called again.
    pub fn stop(&self) {
        self.shared.drain();
    }

    /// Waits until the node has ended, without telling it to end.
    ///
    /// # Errors
    ///
    /// [`NodeError::Broken`] if the local pool broke; [`NodeError::Interrupted`] if it was ended at once, or could not
    /// say its last answers because the server was out of reach.
    pub fn join(self) -> Result<(), NodeError> {
        self.wait();
        let mut state = self.shared.lock();
        match (state.broken.take(), state.phase) {
            (Some(why), _) => Err(NodeError::Broken(why)),
            (None, Phase::Aborted) if !state.has_told_all => Err(NodeError::Interrupted),
            (None, _) => Ok(()),
        }
    }

    /// The node in numbers.
    pub fn stats(&self) -> RedisNodeStats {
        self.shared.stats()
    }

    /// Ends the node where it is, as if its process had died: nothing more is answered, and it stays on the server's list until
    /// its lease runs out.
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        self.shared.abort();
    }

    /// What signals act on.
    #[cfg(unix)]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn wait(&self) {
        self.shared.wait();
        self.shared.pool.shutdown(Shutdown::CancelQueued);
        self.shared.pool.join();
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        self.shared.drain();
        self.wait();
    }
}

impl fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHandle").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
