//! [`RedisNodeBuilder`]: every option of a node.

use super::shared::{Settings, Shared};
use super::{NodeError, NodeHandle, RedisNode};
use crate::engine::Engine;
use crate::engine::redis::RedisServer;
use crate::executor::options::{Hidden, beat, check_lease, check_queue, check_secret};
use crate::identity::host;
use crate::node_purpose;
use crate::secret::Secret;
use crate::wire::MOST_BYTES;
use concurrent_futures::{ProcessPoolBuilder, ProcessPoolExecutor, remote};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(30);

type Change = Box<dyn FnOnce(ProcessPoolBuilder) -> ProcessPoolBuilder + Send>;

/// Builds a [`RedisNode`].
///
/// # Examples
///
/// ```no_run
/// use concurrent_futures_redis::RedisNode;
/// use std::time::Duration;
///
/// RedisNode::builder("redis://127.0.0.1:6379")
///     .queue("thumbs")
///     .slots(8)
///     .drain_timeout(Duration::from_secs(300))
///     .process_pool(|pool| pool.max_tasks_per_child(1000))
///     .serve()?;
/// # Ok::<(), concurrent_futures_redis::NodeError>(())
/// ```
#[must_use = "a builder does nothing until `build` or `serve`"]
pub struct RedisNodeBuilder {
    url: String,
    queue: String,
    slots: Option<usize>,
    lease: Duration,
    drain_timeout: Duration,
    read_ahead: Option<usize>,
    self_fence: bool,
    secret: Option<Hidden>,
    allow_plaintext: bool,
    most_bytes: u64,
    changes: Vec<Change>,
}

impl RedisNodeBuilder {
    pub(super) fn new(url: &str) -> Self {
        RedisNodeBuilder {
            url: url.to_owned(),
            queue: "default".to_owned(),
            slots: None,
            lease: LEASE,
            drain_timeout: DRAIN,
            read_ahead: None,
            self_fence: true,
            secret: None,
            allow_plaintext: false,
            most_bytes: MOST_BYTES,
            changes: Vec::new(),
        }
    }

    /// The queue that it serves, `default` by default. Clients name the same.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = name.into();
        self
    }

    /// How many tasks run at once at most, each in a process of its own. By default as many as there are processors for this
    /// process, which takes its affinity and its cgroup's quota into account.
    pub fn slots(mut self, n: usize) -> Self {
        self.slots = Some(n);
        self
    }

    /// How long the node may be silent before it counts as gone; 30 s by default. It reports to the server 15 times as often,
    /// and at least every 2 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a node that was told to end waits for its running tasks; 30 s by default. Then it ends them, and their
    /// clients are told.
    ///
    /// For a server that does not answer it waits 5 s from the end of what runs, if it has something to tell; with nothing to
    /// tell it ends as soon as the server has been silent for 5 s, which may be at once. What it could not answer, its
    /// clients learn as lost when its lease has run out.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// How many tasks the node takes ahead of its free slots, so that a slot need not wait for the server. By default as many
    /// as it ran in the last 5 ms, and none if that is not more than one per slot; those that wait 50 ms for a slot then go
    /// back to the queue. With a number set here they stay. Those that it has not begun when it ends run elsewhere in any
    /// case.
    pub fn read_ahead(mut self, n: usize) -> Self {
        self.read_ahead = Some(n);
        self
    }

    /// Whether the node ends its running tasks when, by its own clock, it has not reached the server for a lease; it does by
    /// default. By then the server may have answered them as lost, and they may run elsewhere: so no task runs in two places
    /// at once. A machine that is frozen can't do this, and goes on later.
    pub fn self_fence(mut self, is_on: bool) -> Self {
        self.self_fence = is_on;
        self
    }

    /// The queue's secret, as its clients have it: what is not sealed with it is not run. See
    /// [`RedisExecutorBuilder::secret`](crate::RedisExecutorBuilder::secret).
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(Hidden(secret.into()));
        self
    }

    /// Lets this node talk to a server on another machine without TLS. See
    /// [`RedisExecutorBuilder::allow_plaintext`](crate::RedisExecutorBuilder::allow_plaintext).
    pub fn allow_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// Changes the local pool of processes: an initializer, limits on memory, an environment. Its number of workers and the
    /// name for which it works are the node's own. Workers have process groups of their own, so that Ctrl-C drains the node
    /// and doesn't end what it runs.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use concurrent_futures_redis::RedisNode;
    ///
    /// fn load_model(_path: String) {}
    ///
    /// RedisNode::builder("redis://127.0.0.1")
    ///     .process_pool(|pool| pool.initializer(load_model, "model.bin".into()).env("OMP_NUM_THREADS", "1"))
    ///     .serve()?;
    /// # Ok::<(), concurrent_futures_redis::NodeError>(())
    /// ```
    pub fn process_pool(
        mut self,
        f: impl FnOnce(ProcessPoolBuilder) -> ProcessPoolBuilder + Send + 'static,
    ) -> Self {
        self.changes.push(Box::new(f));
        self
    }

    /// Builds the node. It connects to nothing yet, and no process is started.
    ///
    /// # Errors
    ///
    /// [`NodeError::Connect`] if an option has a value that it can't have, [`NodeError::Pool`] where pools of processes
    /// can't run.
    #[track_caller]
    pub fn build(self) -> Result<RedisNode, NodeError> {
        self.check()?;
        let build = remote::build_id().to_string();
        let server = RedisServer::new(&self.url, &self.queue, &build);
        let server = server.map_err(|fault| NodeError::invalid("url", fault.to_string()))?;
        if !self.allow_plaintext {
            server.check_plaintext()?;
        }
        self.build_on(Arc::new(server))
    }

    /// Builds the node and has it [serve](RedisNode::serve).
    ///
    /// # Errors
    ///
    /// As [`build`](RedisNodeBuilder::build) and [`RedisNode::serve`].
    #[track_caller]
    pub fn serve(self) -> Result<(), NodeError> {
        self.build()?.serve()
    }

    /// Builds the node and has it serve in threads of this program: see [`RedisNode::spawn`].
    ///
    /// # Errors
    ///
    /// As [`build`](RedisNodeBuilder::build) and [`RedisNode::spawn`].
    #[track_caller]
    pub fn spawn(self) -> Result<NodeHandle, NodeError> {
        self.build()?.spawn()
    }

    /// [`build`](Self::build) over any engine.
    #[track_caller]
    pub(crate) fn build_on(self, engine: Arc<dyn Engine>) -> Result<RedisNode, NodeError> {
        self.check()?;
        let pool = ProcessPoolExecutor::builder().name_prefix("node").own_process_group();
        let mut pool = self.changes.into_iter().fold(pool, |pool, change| change(pool));
        if let Some(slots) = self.slots {
            pool = pool.max_workers(slots);
        }
        let pool = pool.on_behalf_of(node_purpose(&self.queue)).build()?;
        let build = remote::build_id().to_string();
        let secret = self.secret.as_ref().and_then(|secret| Secret::new(&secret.0, &self.queue, &build));
        let settings = Settings {
            queue: self.queue,
            build: build.into(),
            secret,
            host: host(),
            slots: u32::try_from(pool.max_workers()).unwrap_or(u32::MAX),
            lease: self.lease,
            beat: beat(self.lease),
            drain_timeout: self.drain_timeout,
            read_ahead: self.read_ahead,
            has_fence: self.self_fence,
            most_bytes: self.most_bytes,
        };
        Ok(RedisNode { shared: Shared::new(settings, engine, pool) })
    }

    /// For tests, as if the server took no more.
    #[cfg(test)]
    pub(crate) fn most_bytes(mut self, most: u64) -> Self {
        self.most_bytes = most;
        self
    }

    fn check(&self) -> Result<(), NodeError> {
        if self.slots == Some(0) {
            return Err(NodeError::invalid("slots", "a node without slots runs nothing".to_owned()));
        }
        check_queue(&self.queue)?;
        self.secret.as_ref().map_or(Ok(()), check_secret)?;
        check_lease(self.lease)?;
        Ok(())
    }
}

impl fmt::Debug for RedisNodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("RedisNodeBuilder")
            .field("queue", &self.queue)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
