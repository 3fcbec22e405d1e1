//! [`NodeError`]: a node that can't be, or has ended before it was told to.

use crate::engine::Fault;
use concurrent_futures::BuildError;
use std::io;

/// Why a node could not be made, or has ended.
///
/// # Examples
///
/// ```
/// use concurrent_futures_redis::{NodeError, RedisNode};
///
/// let error = RedisNode::builder("redis://127.0.0.1").slots(0).build().unwrap_err();
/// assert!(matches!(error, NodeError::Option(_)));
/// assert_eq!(error.to_string(), "slots can't be 0: a node without slots runs nothing");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The program's arguments are not those of a node.
    #[error("{0}\nusage: PROGRAM redis-node URL [--queue NAME] [--slots N]")]
    Arguments(String),
    /// An option has a value that nothing can be done with.
    #[error("{0}")]
    Option(String),
    /// The local pool of processes can't be built.
    #[error("the node's pool of processes: {0}")]
    Pool(#[from] BuildError),
    /// The server refuses the node, or its URL can't be used.
    #[error("{0}")]
    Refused(String),
    /// The server was out of reach for a whole lease when the node began.
    #[error("the server at {address} can't be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the last try gave.
        reason: String,
    },
    /// The local pool of processes broke, so that the node has left.
    #[error("the node has ended: {0}")]
    Broken(String),
    /// The system refused what the node needs: a thread, or to hear of signals.
    #[error("the system refused the node a {what}: {error}")]
    System {
        /// What it is.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// It was told to end at once, by a second signal: what ran is lost.
    #[error("the node was ended at once: what it ran is lost")]
    Interrupted,
}

impl NodeError {
    pub(super) fn of_fault(address: &str, fault: Fault) -> Self {
        match fault {
            Fault::Refused(why) => NodeError::Refused(why),
            other => NodeError::Unreachable { address: address.to_owned(), reason: other.to_string() },
        }
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| NodeError::System { what, error }
    }
}
