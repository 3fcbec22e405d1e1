//! [`ConnectError`]: why an executor or a node could not be built.

use std::fmt;

/// Why an executor or a node could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// An option can't have this value.
    Invalid {
        /// The option.
        option: &'static str,
        /// Why not.
        why: String,
    },
    /// The server refuses the connection, or is set up in a way that would lose tasks.
    Refused {
        /// The server, without user and password.
        server: String,
        /// What it says, and what to do.
        why: String,
    },
    /// The server could not be reached.
    Unreachable {
        /// The server, without user and password.
        server: String,
        /// What happened.
        why: String,
    },
    /// A task of this queue builds an executor for the same queue, and would wait for itself.
    Recursive {
        /// The queue.
        queue: String,
    },
    /// The system refuses something, for example a thread.
    System(String),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Invalid { option, why } => write!(f, "`{option}` can't have this value: {why}"),
            ConnectError::Refused { server, why } => write!(f, "the server at {server} refuses: {why}"),
            ConnectError::Unreachable { server, why } => write!(
                f,
                "the server at {server} could not be reached: {why}; is it running (`redis-server`, `valkey-server`), and \
                 is this its address?"
            ),
            ConnectError::Recursive { queue } => write!(
                f,
                "a task of queue `{queue}` builds an executor for that queue: once every slot waits for such a task, none \
                 is left to run it; submit follow-up work from the client, or build with `recursive()` if it is meant"
            ),
            ConnectError::System(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ConnectError {}
