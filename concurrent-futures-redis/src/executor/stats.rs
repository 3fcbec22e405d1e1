//! [`RedisStats`]: the executor in numbers.

use super::client::Client;
use std::sync::Arc;

/// A [`RedisExecutor`](crate::RedisExecutor) in numbers, as of its last beat.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RedisStats {
    /// Tasks that wait in this process.
    pub queued: usize,
    /// Tasks on the server or with nodes.
    pub dispatched: usize,
    /// Tasks that ran to their end, with a result or an error of their own.
    pub finished: u64,
    /// Tasks that ended without that: their worker died, their node was lost, their time was up, nothing could run them.
    pub failed: u64,
    /// Tasks that were cancelled before they began.
    pub cancelled: u64,
    /// How often a worker process died with a task of this client.
    pub deaths: u64,
    /// How often a task was lost with its node, or the server's memory.
    pub lost: u64,
    /// How often a task was submitted again, by its `retries`.
    pub resubmitted: u64,
    /// Answers that came after their task had ended.
    pub late_replies: u64,
    /// How often the connection was made anew.
    pub reconnects: u64,
    /// How often the server began another life: it started again, or its data was removed.
    pub lives: u64,
    /// Whether there is a connection.
    pub is_connected: bool,
    /// The nodes of this queue, of other builds too.
    pub nodes: Vec<NodeStats>,
}

/// A node, as of its last beat.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct NodeStats {
    /// Its name.
    pub name: Arc<str>,
    /// The machine it runs on.
    pub host: Arc<str>,
    /// Its process there.
    pub pid: u32,
    /// How many tasks it runs at once at most.
    pub slots: u32,
    /// How many it runs.
    pub running: u32,
    /// Whether it is of this build; else it sees none of this client's tasks.
    pub is_same_build: bool,
}

impl Client {
    pub(super) fn stats(&self) -> RedisStats {
        let state = self.lock();
        let totals = state.book.totals;
        let nodes = state.nodes.iter().map(|node| NodeStats {
            name: node.name.clone(),
            host: node.host.clone(),
            pid: node.pid,
            slots: node.slots,
            running: node.running,
            is_same_build: node.build == *self.build(),
        });
        RedisStats {
            queued: state.book.queued(),
            dispatched: state.book.dispatched(),
            finished: totals.finished,
            failed: totals.failed,
            cancelled: totals.cancelled,
            deaths: totals.deaths,
            lost: totals.lost,
            resubmitted: totals.resubmitted,
            late_replies: totals.late,
            reconnects: state.reconnects,
            lives: state.lives,
            is_connected: state.up().is_some(),
            nodes: nodes.collect(),
        }
    }
}
