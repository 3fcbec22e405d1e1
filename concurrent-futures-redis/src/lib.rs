//! `RedisExecutor`: the executor of `concurrent-futures` over many machines, on a Redis or Valkey server.
#![deny(unsafe_code)]
#![cfg_attr(not(test), expect(dead_code))]
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod engine;
mod node;
mod wire;

pub use node::{NodeError, NodeHandle, NodeStats, RedisNode, RedisNodeBuilder};
