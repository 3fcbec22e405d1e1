//! `RedisExecutor`: the executor of `concurrent-futures` over many machines, on a Redis or Valkey server.
#![deny(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]
// A test ends by panicking.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod engine;
mod error;
mod executor;
#[cfg(test)]
#[macro_use]
mod executors;
#[cfg(test)]
mod faults;
mod identity;
mod logging;
mod node;
#[cfg(all(test, feature = "tls"))]
mod recipes;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod roles;
mod secret;
#[cfg(test)]
mod shared_data;
#[cfg(test)]
#[path = "../../tests/it/suite.rs"]
mod suite;
#[cfg(test)]
#[expect(dead_code, reason = "what the suite doesn't use")]
#[path = "../../tests/it/support.rs"]
mod support;
mod wire;

pub use error::ConnectError;
pub use executor::{NodeStats, RedisExecutor, RedisExecutorBuilder, RedisStats};
pub use node::{NodeError, NodeHandle, RedisNode, RedisNodeBuilder, RedisNodeStats};

/// By which a worker knows that it works for a node of this queue.
pub(crate) fn node_purpose(queue: &str) -> String {
    format!("redis queue {queue}")
}
