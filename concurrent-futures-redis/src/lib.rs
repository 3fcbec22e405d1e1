//! `RedisExecutor`: the executor of `concurrent-futures` over many machines, on a Redis or Valkey server.
#![deny(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod engine;
mod error;
mod executor;
mod identity;
mod node;
mod secret;
mod wire;

pub use error::ConnectError;
pub use executor::{NodeStats, RedisExecutor, RedisExecutorBuilder, RedisStats};
pub use node::{NodeError, NodeHandle, RedisNode, RedisNodeBuilder, RedisNodeStats};

/// By which a worker knows that it works for a node of this queue.
pub(crate) fn node_purpose(queue: &str) -> String {
    format!("redis queue {queue}")
}
