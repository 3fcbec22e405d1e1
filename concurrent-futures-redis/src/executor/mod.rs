//! [`RedisExecutor`]: the client.
//!
//! ```text
//!  submit --> Book --ship--> stream ..nodes.. --> replies --hear--> Book --> Future
//!               ^                                                     |
//!               +------------ keep: connects, beats, settles ---------+
//! ```
//!
//! `book.rs` is the table and the rules, without input or output. Three threads talk to the server, each by a connection of
//! its own (`ship.rs`, `hear.rs`, `keep.rs`), and meet in `client.rs`.

mod blobs;
mod book;
mod carrier;
mod client;
mod hear;
mod keep;
pub(crate) mod options;
mod out;
mod ship;
mod stats;
#[cfg(test)]
mod tests;

pub(crate) use ship::INLINE;
pub use stats::{NodeStats, RedisStats};

use crate::engine::redis::RedisServer;
use crate::engine::{Engine, Fault};
use crate::error::ConnectError;
use crate::identity::unique_name;
use crate::logging;
use book::Ended;
use client::Client;
use concurrent_futures::{
    Broken, BusyWorker, Executor, Shutdown, StillBusy, Task, WhenFull, is_worker, remote, works_for,
};
use keep::Keeper;
use options::Options;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// An executor whose tasks run on any number of machines: it puts them into a queue on a Redis or Valkey server, from which
/// [nodes](crate::RedisNode), which are the same program, take them.
///
/// The verbs are those of [`ExecutorExt`](concurrent_futures::ExecutorExt), and what a task must be is the same as for
/// [`ProcessPoolExecutor`](concurrent_futures::ProcessPoolExecutor): a `fn` or a closure that captures nothing, with an argument
/// and a result of serde types.
///
/// **No task begins twice, unless it has retries.** A task whose worker dies fails with
/// [`WorkerDied`](concurrent_futures::TaskError::WorkerDied), one whose node is no longer heard from with
/// [`WorkerLost`](concurrent_futures::TaskError::WorkerLost), unless it has
/// [`retries`](concurrent_futures::TaskOptions::retries) left. What such a node had not begun runs elsewhere, exactly once. The same
/// holds when connections break, when the server starts again, and when its data is gone: `PROTOCOL.md` says why.
///
/// **State.** A future's [`state`](concurrent_futures::Future::state) is `Queued` while the task waits here, and `Dispatched` from then on:
/// it is on the server or with a node, and may run. Reading it asks no server. How many run, and where, is in [`stats`](RedisExecutor::stats).
///
/// **The end.** Dropping the executor runs what is queued and waits for it, for ever if there is no node; see
/// [`join_timeout`](RedisExecutor::join_timeout), [`detach`](RedisExecutor::detach), and
/// [`no_node_timeout`](RedisExecutorBuilder::no_node_timeout).
///
/// # Examples
///
/// ```no_run
/// use concurrent_futures::prelude::*;
/// use concurrent_futures_redis::{RedisExecutor, RedisNode};
///
/// fn thumbnail(path: String) -> usize {
///     path.len() // make it, say
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // `program redis-node redis://host --queue thumbs` serves; without arguments it submits.
///     if let Some(node) = RedisNode::from_args()? {
///         return Ok(node.serve()?);
///     }
///     let pool = RedisExecutor::builder("redis://host").queue("thumbs").build()?;
///     for result in pool.map(thumbnail, ["a.png", "b.png"].map(String::from)) {
///         println!("{}", result?);
///     }
///     Ok(())
/// }
/// ```
pub struct RedisExecutor {
    client: Arc<Client>,
    is_detached: bool,
}

/// Builds a [`RedisExecutor`].
#[must_use = "a builder does nothing until `build`"]
#[derive(Clone)]
pub struct RedisExecutorBuilder {
    url: String,
    options: Options,
}

impl RedisExecutorBuilder {
    /// The queue: nodes serve one each. `default` by default. Programs that differ don't meet in it: the build of the
    /// program is part of every key.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.options.queue = name.into();
        self
    }

    /// How many tasks of this client are on the server or with nodes at once; the rest waits here, where it is cancelled at
    /// once and costs the server nothing. By default four for each slot of all nodes, and 64.
    pub fn window(mut self, n: u64) -> Self {
        self.options.window = Some(n);
        self
    }

    /// How many bytes of arguments of this client are on the server or with nodes at once; 32 MiB by default. The rest waits here.
    /// A task whose argument alone has more goes by itself, when nothing else is out. Encoded sizes count.
    ///
    /// [`Shared`](concurrent_futures::Shared) and [`SharedBytes`](concurrent_futures::SharedBytes) of 64 KiB and more count once, however
    /// many tasks carry them, and hold back only tasks that would bring more of them: a table that is larger than `n` is sent, and
    /// any number of tasks with it. As much more of them stays there for tasks to come.
    ///
    /// It bounds what this client adds to the server's memory. When that is full all the same, because of other clients or other
    /// programs, submitting waits; results are taken in any case.
    pub fn window_bytes(mut self, n: usize) -> Self {
        self.options.window_bytes = n;
        self
    }

    /// Bounds the queue in this process: at most `n` tasks wait, and `when_full` says what a submit does then. Unbounded by
    /// default. Tasks don't run in the caller, so [`CallerRuns`](WhenFull::CallerRuns) is refused.
    pub fn queue_capacity(mut self, n: usize, when_full: WhenFull) -> Self {
        self.options.capacity = Some((n, when_full));
        self
    }

    /// How long a node may be silent before it is given up: 30 s by default. The same for all clients and nodes of a queue.
    /// After twice as long without a sign of this client its tasks are dropped.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.options.lease = lease;
        self
    }

    /// Breaks the executor when tasks have waited this long without any node of this build. By default they wait, and after a
    /// minute the log says why.
    pub fn no_node_timeout(mut self, timeout: Duration) -> Self {
        self.options.no_node_timeout = Some(timeout);
        self
    }

    /// Breaks the executor when the server has been unreachable for this long. By default tasks wait for it.
    pub fn coordinator_timeout(mut self, timeout: Duration) -> Self {
        self.options.coordinator_timeout = Some(timeout);
        self
    }

    /// A secret that the clients and nodes of the queue share, of 16 random bytes at least: then nothing that others have written
    /// to the server is run or decoded. Recommended wherever other programs use the same server. It hides nothing: the server, and
    /// whoever can read there, sees arguments and results.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.options.secret = Some(options::Hidden(secret.into()));
        self
    }

    /// Lets this client talk to a server on another machine without TLS. Otherwise only `rediss://` is accepted, except for
    /// servers on this machine: an attacker on the network could run any function of the program.
    pub fn allow_plaintext(mut self) -> Self {
        self.options.allow_plaintext = true;
        self
    }

    /// Lets a task of this queue build an executor for it. Otherwise that is refused: once every slot runs a task that waits
    /// for others of the same queue, none is left for those.
    pub fn recursive(mut self) -> Self {
        self.options.recursive = true;
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if an option has a value that it can't have, if the server can't be reached or refuses, and in a task of this queue.
    pub fn build(self) -> Result<RedisExecutor, ConnectError> {
        self.options.check()?;
        let build = remote::build_id().to_string();
        let engine = RedisServer::new(&self.url, &self.options.queue, &build)
            .map_err(|fault| ConnectError::Invalid { option: "url", why: fault.to_string() })?;
        if !self.options.allow_plaintext {
            engine.check_plaintext()?;
        }
        RedisExecutor::over(Arc::new(engine), self.options)
    }
}

impl fmt::Debug for RedisExecutorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may have a password in it.
        f.debug_struct("RedisExecutorBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

impl RedisExecutor {
    /// A builder, which has every option. `url` is `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS.
    pub fn builder(url: impl Into<String>) -> RedisExecutorBuilder {
        RedisExecutorBuilder { url: url.into(), options: Options::default() }
    }

    /// Over any engine.
    pub(crate) fn over(engine: Arc<dyn Engine>, options: Options) -> Result<Self, ConnectError> {
        options.check()?;
        if is_worker() && works_for(&crate::node_purpose(&options.queue)) && !options.recursive {
            return Err(ConnectError::Recursive { queue: options.queue });
        }
        let server = engine.address();
        let client = Arc::new_cyclic(|me| Client::new(me, engine, options, unique_name()));
        let mut keeper = Keeper::new(client.clone());
        keeper.connect().map_err(|fault| match fault {
            Fault::Refused(why) => ConnectError::Refused { server, why },
            other => ConnectError::Unreachable { server, why: other.to_string() },
        })?;
        let executor = RedisExecutor { client, is_detached: false };
        // Should a thread be refused, the drop of what there is has the others leave.
        executor.start("ship", |client| ship::run(&client))?;
        executor.start("hear", |client| hear::run(&client, 0))?;
        executor.start("deputy", deputy)?;
        executor.start("keep", move |_| keeper.run())?;
        Ok(executor)
    }

    fn start(&self, name: &str, run: impl FnOnce(Arc<Client>) + Send + 'static) -> Result<(), ConnectError> {
        let client = self.client.clone();
        let thread = thread::Builder::new().name(format!("redis-{name}")).spawn(move || run(client));
        let thread = thread
            .map_err(|error| ConnectError::System(format!("a thread could not be started: {error}")))?;
        self.client.threads.lock().push(thread);
        Ok(())
    }

    /// The executor in numbers, and every node.
    pub fn stats(&self) -> RedisStats {
        self.client.stats()
    }

    /// Shuts the executor down and returns at once: later submits are rejected. What has not begun still runs
    /// ([`Drain`](Shutdown::Drain)) or is cancelled ([`CancelQueued`](Shutdown::CancelQueued)), what no node has at once, what lies
    /// in the stream within a beat. Nodes can't be asked to stop what they run: [`Stop`](Shutdown::Stop) is as `CancelQueued`. May be called
    /// again.
    pub fn shutdown(&self, mode: Shutdown) {
        self.client.close(mode);
    }

    /// Shuts the executor down with [`Drain`](Shutdown::Drain) and waits until every task has ended. Blocks the thread. In a callback it returns at
    /// once.
    pub fn join(&self) {
        self.client.close(Shutdown::Drain);
        if !client::is_resolver() {
            self.client.await_empty(None);
        }
    }

    /// [`join`](RedisExecutor::join), for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`StillBusy`]: which tasks have not ended.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), StillBusy> {
        self.client.close(Shutdown::Drain);
        let deadline = Instant::now().checked_add(timeout);
        if !client::is_resolver() && self.client.await_empty(deadline) {
            return Ok(());
        }
        let state = self.client.lock();
        let busy = state.book.outside().map(|(id, label)| BusyWorker::new("a node", id, label));
        Err(StillBusy::new(busy.collect(), state.book.queued()))
    }

    /// Drops the executor without waiting: queued tasks still run, as long as this process lives.
    pub fn detach(mut self) {
        self.is_detached = true;
    }
}

impl Executor for RedisExecutor {
    fn execute(&self, task: Task) {
        self.client.accept(task);
    }

    fn shutdown(&self, mode: Shutdown) {
        RedisExecutor::shutdown(self, mode);
    }

    /// The slots of all nodes of this build, as of the last beat.
    fn max_workers(&self) -> Option<usize> {
        let slots = self.client.lock().slots(self.client.build());
        usize::try_from(slots).ok().filter(|slots| *slots > 0)
    }
}

impl Drop for RedisExecutor {
    fn drop(&mut self) {
        let mode = if thread::panicking() { Shutdown::CancelQueued } else { Shutdown::Drain };
        self.client.close(mode);
        let client = self.client.clone();
        if self.is_detached || client::is_resolver() {
            // Its threads leave when the last task has ended.
            let _ = thread::Builder::new().name("redis-end".into()).spawn(move || end(&client));
        } else {
            end(&client);
        }
    }
}

/// Waits for the last task, and for the threads.
fn end(client: &Client) {
    client.await_empty(None);
    // Its read waits for answers, and there will be none.
    client.ask(|up, link| {
        let name = client.lock().book.client().clone();
        client.end();
        link.wake_client(&up.life, &name)
    });
    client.end();
    let threads = std::mem::take(&mut *client.threads.lock());
    for thread in threads {
        // A panic of a thread of ours is a defect, and has been reported by the hook.
        let _ = thread.join();
    }
}

impl fmt::Debug for RedisExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisExecutor").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Starts the next listener whenever one is stuck.
fn deputy(client: Arc<Client>) {
    while let Some(number) = hear::await_stuck(&client) {
        let listener = client.clone();
        let thread =
            thread::Builder::new().name("redis-hear".into()).spawn(move || hear::run(&listener, number));
        match thread {
            // The one that is stuck is not waited for: what it waits for may be this executor's end.
            Ok(_) => client.notify(),
            Err(error) => {
                logging::warn(format_args!("no further listener could be started: {error}"));
                // The one that is stuck goes on when it can.
                client.lock().listener -= 1;
            }
        }
    }
}

/// Resolves on a thread of its own: callbacks may block, and the caller must not.
fn resolve_aside(client: &Arc<Client>, ended: Vec<Ended>) {
    if ended.is_empty() {
        return;
    }
    let held = Arc::new(parking_lot::Mutex::new(Some(ended)));
    let (aside, theirs) = (client.clone(), held.clone());
    let resolve = move || {
        let ended = theirs.lock().take();
        aside.resolve(ended.unwrap_or_default());
    };
    if thread::Builder::new().name("redis-resolve".into()).spawn(resolve).is_err() {
        let ended = held.lock().take();
        client.resolve(ended.unwrap_or_default());
    }
}

/// Breaks the executor on a thread of its own.
fn break_aside(client: &Arc<Client>, why: Broken) {
    let (aside, reason) = (client.clone(), why.clone());
    let spawned = thread::Builder::new().name("redis-break".into()).spawn(move || aside.break_down(reason));
    if spawned.is_err() {
        client.break_down(why);
    }
}
