//! [`NodeError`]: a node that can't be, or has ended before it was told to.

use crate::engine::Fault;
use crate::error::ConnectError;
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
/// assert!(matches!(error, NodeError::Connect(_)));
/// assert_eq!(error.to_string(), "`slots` can't have this value: a node without slots runs nothing");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The program's arguments are not those of a node.
    #[error("{0}\nusage: PROGRAM redis-node URL [--queue NAME] [--slots N] [--lease SECONDS]")]
    Arguments(String),
    /// An option has a value that it can't have, or the server can't be reached or refuses.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The local pool of processes can't be built.
    #[error("the node's pool of processes: {0}")]
    Pool(#[from] BuildError),
    /// The local pool of processes broke, so that the node has left.
    #[error("the node has ended: {0}")]
    Broken(String),
    /// It was told to end at once, by a second signal: what ran is lost.
    #[error("the node was ended at once: what it ran is lost")]
    Interrupted,
}

impl NodeError {
    pub(super) fn invalid(option: &'static str, why: String) -> Self {
        NodeError::Connect(ConnectError::Invalid { option, why })
    }

    pub(super) fn of_fault(server: String, fault: Fault) -> Self {
        NodeError::Connect(match fault {
            Fault::Refused(why) => ConnectError::Refused { server, why },
            other => ConnectError::Unreachable { server, why: other.to_string() },
        })
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            NodeError::Connect(ConnectError::System(format!("the system refused the node {what}: {error}")))
        }
    }
}
