//! The executor of `concurrent-futures` over many machines: a [`RedisExecutor`] puts tasks into a queue on a Redis or Valkey
//! server, and each [`RedisNode`], which is the same program started on another machine, runs them in worker processes.
//!
//! ```no_run
//! use concurrent_futures::prelude::*;
//! use concurrent_futures_redis::{RedisExecutor, RedisNode};
//!
//! fn square(n: u64) -> u64 {
//!     n * n
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // `program redis-node redis://host --queue squares` makes this program a node.
//!     if let Some(node) = RedisNode::from_args()? {
//!         return Ok(node.serve()?);
//!     }
//!     let pool = RedisExecutor::builder("redis://host").queue("squares").build()?;
//!     for result in pool.map(square, 1..=100) {
//!         println!("{}", result?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! | you want to | see |
//! |---|---|
//! | submit tasks | [`RedisExecutor`], and the verbs of [`ExecutorExt`](concurrent_futures::ExecutorExt) |
//! | start a node | [`RedisNode::from_args`], or [`RedisNode::builder`] for more options |
//! | see what runs where | [`RedisExecutor::stats`], [`NodeHandle::stats`] |
//! | know what holds when machines fail | `PROTOCOL.md` in the package |
//!
//! The feature `tls` adds servers at `rediss://`. Without it, or without TLS, only a server on this machine is used, unless
//! [`allow_plaintext`](RedisExecutorBuilder::allow_plaintext) says that the network is trusted.

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
#[cfg(unix)]
mod faults;
#[cfg(test)]
mod gate;
mod identity;
mod logging;
mod node;
#[cfg(all(test, unix, feature = "tls"))]
mod recipes;
#[cfg(test)]
mod reports;
#[cfg(test)]
#[cfg(unix)]
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
