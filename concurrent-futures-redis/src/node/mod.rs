//! [`RedisNode`]: the agent on a machine that runs the tasks of a queue.
//!
//! ```text
//!  server --FETCH--> fetcher --> Ahead --begins--> pool of processes --ends--> Work --answers--> stepper --STEP--> server
//!            orders: kill         ^ granted, credit                                                |
//!            keeper: JOIN, BEAT, BURY      warden: what the clock ends      +----------------------+
//! ```
//!
//! The rules are those of `PROTOCOL.md`. `ahead.rs` says what may begin, `work.rs` what has begun and is not answered,
//! `recent.rs` what was answered; none of them does I/O, and `shared.rs` has them under one lock. A thread a file talks to
//! the server, each over a `line.rs` of its own. The agent runs no code of the user's: that is done by the pool's workers.

mod ahead;
mod args;
mod awaited;
mod blobs;
mod builder;
mod error;
mod fetcher;
#[expect(unsafe_code, reason = "a parcel names code by its address: argued in the file")]
mod forward;
mod handle;
mod keeper;
mod line;
mod loader;
mod orders;
mod pace;
mod recent;
mod runner;
mod shared;
mod signals;
mod stepper;
#[cfg(test)]
mod tests;
mod warden;
mod work;

pub use builder::RedisNodeBuilder;
pub use error::NodeError;
pub use handle::{NodeHandle, RedisNodeStats};

use shared::Shared;
use std::fmt;
use std::sync::Arc;

/// A node: runs the tasks that clients submit to a queue, each in a worker process of a pool of its own.
///
/// It is the same program as its clients, started on another machine with other arguments: tasks are named by where their
/// code lies in the executable. Programs that differ never meet, even on the same queue.
///
/// **A crash costs one task**, as in a [`ProcessPoolExecutor`](concurrent_futures::ProcessPoolExecutor). The node itself runs
/// no code of the tasks.
///
/// **When the node is gone**, what it had begun is answered as lost once its lease has run out, and what it had only been
/// given runs elsewhere.
///
/// **When the server is gone**, what runs goes on, and is answered once the server is back, for as long as a lease; see
/// [`self_fence`](RedisNodeBuilder::self_fence).
///
/// **The end.** SIGTERM and SIGINT, or [`NodeHandle::stop`], have it drain: nothing more begins, what it has not begun is
/// given back, and what runs may end within [`drain_timeout`](RedisNodeBuilder::drain_timeout). A server that does not answer is
/// not waited for beyond 5 s.
///
/// # Examples
///
/// ```no_run
/// use concurrent_futures_redis::RedisNode;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // `program redis-node redis://10.0.0.1 --queue thumbs` makes this program a node.
///     if let Some(node) = RedisNode::from_args()? {
///         return Ok(node.serve()?);
///     }
///     // Otherwise it does its own work.
///     Ok(())
/// }
/// ```
#[must_use = "a node does nothing until `serve` or `spawn`"]
pub struct RedisNode {
    shared: Arc<Shared>,
}

impl RedisNode {
    /// A builder, which has every option. The URL is that of a Redis or Valkey server, as in `redis://user:password@host:6379/0`.
    pub fn builder(url: &str) -> RedisNodeBuilder {
        RedisNodeBuilder::new(url)
    }

    /// The node that the program's arguments ask for: `PROGRAM redis-node URL [--queue NAME] [--slots N] [--lease SECONDS]
    /// [--allow-plaintext]`. None if the first argument is not `redis-node`; the others are the program's own then.
    ///
    /// # Errors
    ///
    /// [`NodeError::Arguments`] says which argument can't be understood; else as [`build`](RedisNodeBuilder::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures_redis::RedisNode;
    ///
    /// // This program was started with no such argument.
    /// assert!(RedisNode::from_args()?.is_none());
    /// # Ok::<(), concurrent_futures_redis::NodeError>(())
    /// ```
    pub fn from_args() -> Result<Option<RedisNode>, NodeError> {
        args::read(std::env::args_os().skip(1))?.map(RedisNodeBuilder::build).transpose()
    }

    /// Serves until SIGTERM or SIGINT, then drains. A second signal ends it at once.
    ///
    /// Meanwhile the node alone handles these signals: handlers that were set before are not called.
    ///
    /// # Errors
    ///
    /// [`NodeError::Connect`] if the server refuses, or can't be reached within a lease;
    /// [`NodeError::Broken`] if the local pool broke, [`NodeError::Interrupted`] after a second signal.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use concurrent_futures_redis::RedisNode;
    ///
    /// RedisNode::builder("redis://127.0.0.1").queue("thumbs").slots(4).serve()?;
    /// # Ok::<(), concurrent_futures_redis::NodeError>(())
    /// ```
    pub fn serve(self) -> Result<(), NodeError> {
        let signals = signals::Signals::new()?;
        let node = self.spawn()?;
        signals.watch(&node)?;
        node.join()
    }

    /// Serves in threads of this program, and leaves signals alone.
    ///
    /// # Errors
    ///
    /// As [`serve`](RedisNode::serve), where joining fails.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use concurrent_futures_redis::RedisNode;
    ///
    /// let node = RedisNode::builder("redis://127.0.0.1").slots(2).build()?.spawn()?;
    /// println!("{} serves", node.stats().name);
    /// node.stop();
    /// node.join()?;
    /// # Ok::<(), concurrent_futures_redis::NodeError>(())
    /// ```
    pub fn spawn(self) -> Result<NodeHandle, NodeError> {
        NodeHandle::start(self.shared)
    }
}

impl fmt::Debug for RedisNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.shared.settings;
        f.debug_struct("RedisNode")
            .field("queue", &settings.queue)
            .field("slots", &settings.slots)
            .finish_non_exhaustive()
    }
}
