//! [`ProcessPoolBuilder`]: every option of a pool of processes, and where such a pool can't be built.

use super::ProcessPoolExecutor;
use super::environment::Environment;
use super::output::WorkerOutput;
use super::parent::arena::Arena;
use super::parent::dispatch::{Dispatcher, Policy};
use super::parent::launch::{LaunchConfig, enter};
use super::parent::pool::{Config, Pool};
use super::sys::{self, SealedMemory, Standing};
use super::worker::{entry, main};
use crate::error::{BuildError, TaskError, TaskFailure};
use crate::executor::{Portable, WhenFull, encode_call, encode_try_call};
use crate::observe::{Observed, Observer};
use crate::remote::parcel::Parcel;
use crate::spans;
use std::ffi::OsString;
use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a worker may take to start, including its initializer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of arguments that may lie in shared memory, and of each worker's results.
const PAYLOAD_MEMORY: usize = 256 << 20;

/// How deep pools may nest: a worker whose task builds a pool, whose tasks build pools, and so on. That of joblib's
/// loky, `LOKY_MAX_DEPTH`.
const MAX_DEPTH: usize = 10;

/// What the death of a worker does to its pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum WorkerDeath {
    /// It costs the task that the worker was running, and a new worker takes its place.
    #[default]
    Replace,
    /// It breaks the pool: every task that is not done fails. This is Python's rule. An end that was requested, by `kill` or
    /// by a task's time limit, is no such death.
    BreakPool,
}

/// Builds a [`ProcessPoolExecutor`].
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
/// use std::time::Duration;
///
/// fn load(path: String) -> Result<(), std::io::Error> {
///     let _model = path; // read it into a static, say
///     Ok(())
/// }
///
/// let pool = ProcessPoolExecutor::builder()
///     .max_workers(2)
///     .name_prefix("predict")
///     .try_initializer(load, "model.bin".into())
///     .max_tasks_per_child(1000)
///     .keep_alive(Duration::from_secs(60))
///     .build()?;
/// assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ProcessPoolBuilder {
    max_workers: Option<usize>,
    name_prefix: Option<String>,
    initializer: Option<Result<Parcel, TaskError>>,
    on_exit: Option<Result<Parcel, TaskError>>,
    max_tasks_per_child: Option<u32>,
    on_worker_death: WorkerDeath,
    capacity: Option<(usize, WhenFull)>,
    start_timeout: Option<Duration>,
    keep_alive: Option<Duration>,
    address_space: Option<u64>,
    memory_growth: Option<u64>,
    payload_memory: Option<usize>,
    environment: Environment,
    directory: Option<PathBuf>,
    stdout: WorkerOutput,
    stderr: WorkerOutput,
    own_group: bool,
    recursive: bool,
    on_behalf_of: Option<String>,
    observed: Observed,
    /// Rather than whether it forwards, so that it is by default.
    keeps_logs: bool,
}

impl ProcessPoolBuilder {
    /// The greatest number of worker processes. By default as many as there are processors for this process, by its
    /// affinity and its cgroup's quota. Workers are started as they are needed.
    pub fn max_workers(mut self, n: usize) -> Self {
        self.max_workers = Some(n);
        self
    }

    /// Workers are called `{prefix}_{n}`, n from 0. This name is in errors and in `stats`, is that of the thread that runs
    /// tasks and, cut to 15 bytes, is shown by `ps` and `top`. By default the prefix is the program's name.
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.name_prefix = Some(prefix.into());
        self
    }

    /// Runs `f(arg)` in each worker before its first task. If it panics, the pool is broken: every queued future and
    /// every later submit gets [`TaskError::Broken`], with the panic inside.
    pub fn initializer<A: Portable>(self, f: fn(A), arg: A) -> Self {
        let parcel = encode_call(f, arg);
        self.set_initializer(parcel)
    }

    /// As [`initializer`](ProcessPoolBuilder::initializer), for one that may fail; its error breaks the pool. (Python
    /// logs it in the worker and tells the futures nothing.)
    pub fn try_initializer<A: Portable, E: TaskFailure>(self, f: fn(A) -> Result<(), E>, arg: A) -> Self {
        let parcel = encode_try_call(f, arg);
        self.set_initializer(parcel)
    }

    /// Calls `f(arg)` in each worker before it leaves in order: when the pool has been shut down and its tasks are over, when the
    /// worker is replaced (`max_tasks_per_child`, `memory_growth`), when it was idle for too long (`keep_alive`), and when it is one
    /// too many ([`set_max_workers`](ProcessPoolExecutor::set_max_workers)). For what a worker
    /// keeps and a task doesn't flush: a `BufWriter`, a connection, a profile. It runs on the thread that ran the tasks, so it finds
    /// their `thread_local!`s, and before what they printed is flushed.
    ///
    /// A worker has five seconds to leave, this call included; then it is killed. A panic is logged, in the worker. It is never called in
    /// a worker that dies, that is killed (`Future::kill`, a time limit, `terminate_workers`, `kill_workers`), or whose parent is gone, nor in one whose
    /// initializer failed.
    ///
    /// Differs from Python: there `atexit` handlers of a worker don't run either, and nothing takes their place.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::path::PathBuf;
    ///
    /// fn say_goodbye(file: PathBuf) {
    ///     std::fs::write(file, "done").unwrap();
    /// }
    ///
    /// let file = std::env::temp_dir().join(format!("on-exit-{}", std::process::id()));
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).on_exit(say_goodbye, file.clone()).build()?;
    /// pool.submit(|n: u32| n + 1, 1).result()?;
    /// pool.join();
    /// assert_eq!(std::fs::read_to_string(&file)?, "done");
    /// # std::fs::remove_file(file)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_exit<A: Portable>(mut self, f: fn(A), arg: A) -> Self {
        self.on_exit = Some(encode_call(f, arg));
        self
    }

    /// Replaces a worker after `n` tasks; a chunk of a map counts as one. By default workers are not replaced.
    ///
    /// If more tasks are queued, the next worker starts while the one before runs its last, and takes the place when that has left, so
    /// that its start holds up nothing: for that time there may be twice as many processes, though no more than `max_workers` run
    /// tasks. In [`stats`](ProcessPoolExecutor::stats) it is one that starts.
    pub fn max_tasks_per_child(mut self, n: u32) -> Self {
        self.max_tasks_per_child = Some(n);
        self
    }

    /// What the death of a worker does to the pool. By default it costs one task, and the worker is replaced; in Python it
    /// breaks the pool.
    pub fn on_worker_death(mut self, what: WorkerDeath) -> Self {
        self.on_worker_death = what;
        self
    }

    /// How many bytes of large arguments may lie in memory that the pool shares with its workers, and as many of each
    /// worker's large results; 256 MiB by default.
    ///
    /// Strings and byte strings ([`serde_bytes`](https://docs.rs/serde_bytes)) of 4 KiB and more are copied there once, and
    /// read from there on the other side. What finds no room goes through a socket, which takes longer and has no bound: no
    /// task waits for room, and none fails for the lack of it. With 0 everything goes through the socket, and so it does where
    /// the address space or the length of files is limited (`RLIMIT_AS`, `RLIMIT_FSIZE`), for the results of workers with an
    /// [`address_space`](Self::address_space), and on systems without `memfd_create`.
    ///
    /// The memory is taken from the system when it is needed, counts as shared memory of this process and its workers
    /// (`RssShmem`), and is used again and again. When a worker has been idle for some seconds, all but 32 MiB for the
    /// arguments and 32 MiB for its results goes back. On Windows it stays until the pool or the worker ends, and is 4 GiB at
    /// most.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).payload_memory(1 << 30).build()?;
    /// let text = "word ".repeat(1_000_000);
    /// assert_eq!(pool.submit(|text: String| text.len(), text).result()?, 5_000_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn payload_memory(mut self, bytes: usize) -> Self {
        self.payload_memory = Some(bytes);
        self
    }

    /// Has `observer` told what happens in the pool: tasks that are queued, begin and end, workers that start, end, are killed
    /// and die. The last one set counts. It is called in this process, never in a worker; that a task began is told when the
    /// task is over, with the moment that its worker noted. See [`Observer`].
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{Timeline, prelude::*};
    ///
    /// let timeline = Timeline::new();
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).observer(timeline.clone()).build()?;
    /// assert_eq!(pool.map(|n: u32| n + 1, 0..10).count(), 10);
    /// assert_eq!(timeline.summary().tasks, 10);
    /// # Ok::<(), concurrent_futures::BuildError>(())
    /// ```
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observed = Observed::by(observer);
        self
    }

    /// Whether what workers log, by the macros of [`log`](https://docs.rs/log), goes to this process's logger; by default it does.
    /// A worker never runs `main`, where a program sets its logger up, so that what its tasks log would be lost otherwise.
    ///
    /// A worker logs up to the level that this process logs when the worker starts (`log::max_level()`); what lies above it
    /// costs nothing there. The record is this process's logger's to filter and to write, with its target, module, file, line,
    /// text and keys, values as text. The worker's name is the last part of its target: `thumbs::decode` of the worker `scan_0` is
    /// `thumbs::decode::scan_0` here, which filters by prefix take as before. Records of one worker come in their order, on a
    /// thread of the pool's own, soon after they were logged; those before a crash, a kill or an abort come before the task's future
    /// knows of it, unless the logger takes more than a tenth of a second for them. `join`, and so the pool's drop, waits for them.
    ///
    /// A logger that is there already stays: one that the [initializer](ProcessPoolBuilder::initializer) has set in the worker. Set later,
    /// by a task, it finds ours set, and `env_logger::init()` panics there: call `forward_logs(false)` then, or set it in the
    /// initializer. What the initializer itself logs goes to its own logger, or nowhere.
    ///
    /// No task waits for the logger: where records come faster than it takes them, 16 MiB of them wait, and what is beyond that is
    /// dropped and counted, as a record says. A text of more than 256 KiB is cut.
    ///
    /// Differs from Python: there a worker started anew has no handlers, and the cookbook's `QueueHandler` is set up by hand.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// # struct Logger;
    /// # impl log::Log for Logger {
    /// #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
    /// #     fn log(&self, record: &log::Record<'_>) {
    /// #         SEEN.lock().unwrap().push(format!("{}: {}", record.target(), record.args()));
    /// #     }
    /// #     fn flush(&self) {}
    /// # }
    /// # static SEEN: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    ///
    /// fn decode(name: String) {
    ///     log::warn!(target: "decode", "{name} is empty");
    /// }
    ///
    /// log::set_max_level(log::LevelFilter::Info);
    /// # log::set_logger(&Logger).unwrap();
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).name_prefix("scan").build()?;
    /// pool.submit(decode, "a.png".into()).result()?;
    /// drop(pool); // WARN decode::scan_0: a.png is empty
    /// # assert_eq!(*SEEN.lock().unwrap(), ["decode::scan_0: a.png is empty"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward_logs(mut self, yes: bool) -> Self {
        self.keeps_logs = !yes;
        self
    }

    /// Bounds the queue: at most `n` tasks wait, and `when_full` says what a submit does then. Unbounded by default.
    /// What a callback submits is never made to wait.
    pub fn queue_capacity(mut self, n: usize, when_full: WhenFull) -> Self {
        self.capacity = Some((n, when_full));
        self
    }

    /// How long a worker may take to start, including its initializer; 60 s by default. Three failed starts in a row
    /// break the pool; the second comes 100 ms after the first, the third a second after that.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Ends a worker that has had no task for `idle`; the next task starts one again. By default workers stay.
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = Some(idle);
        self
    }

    /// Bounds each worker's address space, in bytes, as `ulimit -v` does. An allocation beyond it fails, which in Rust ends
    /// the worker and fails that one task. On Windows it bounds the memory that the system has promised to a worker.
    pub fn address_space(mut self, bytes: u64) -> Self {
        self.address_space = Some(bytes);
        self
    }

    /// Replaces a worker whose resident memory has grown by more than this many bytes since it started; files and
    /// [`SharedBytes`](crate::SharedBytes) that it maps don't count. Checked between tasks, a few times a second: it
    /// helps with tasks that leak, and is no hard limit. It needs `/proc`; on Windows the system tells.
    pub fn memory_growth(mut self, bytes: u64) -> Self {
        self.memory_growth = Some(bytes);
        self
    }

    /// Sets an environment variable in the workers. Otherwise they have the environment of this process as it is at
    /// `build`, those that start later as well.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), Some(value.into()));
        self
    }

    /// Removes an environment variable in the workers.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), None);
        self
    }

    /// How many threads the libraries in each worker start that have threads of their own: rayon, tokio, Polars, OpenMP,
    /// OpenBLAS, MKL, BLIS, Accelerate. By default as many as there are processors for each worker (processors /
    /// `max_workers`, at least 1), so that eight workers on eight cores don't run sixty-four threads. 0 leaves it to the libraries.
    ///
    /// It sets the variables by which these libraries are told (`RAYON_NUM_THREADS`, `TOKIO_WORKER_THREADS`, `POLARS_MAX_THREADS`,
    /// `OMP_NUM_THREADS`, `OPENBLAS_NUM_THREADS`, `MKL_NUM_THREADS`, `BLIS_NUM_THREADS`, `VECLIB_MAXIMUM_THREADS`). One that this process has
    /// already, or that [`env`](Self::env) or [`env_remove`](Self::env_remove) has decided, stays as it is.
    ///
    /// Python's pools set nothing; joblib's loky does the same as here.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let threads = |()| std::env::var("RAYON_NUM_THREADS").ok();
    /// let pool = ProcessPoolExecutor::builder().max_workers(2).threads_per_worker(3).build()?;
    /// assert_eq!(pool.submit(threads, ()).result()?.as_deref(), Some("3"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn threads_per_worker(mut self, n: usize) -> Self {
        self.environment.threads = Some(n);
        self
    }

    /// The workers' working directory. It is looked up by `build`, links included: workers that start later start there
    /// too, wherever this process is by then. (On Windows links stay links.) By default a worker starts where this process is at that moment, as any
    /// child does.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Where the workers' standard output goes; by default where this process's does. Their standard input is empty.
    ///
    /// Lines of `println!` shorter than 1 KiB arrive whole, also when several workers print at once. What a worker that
    /// dies had printed without ending the line is lost.
    pub fn stdout(mut self, output: impl Into<WorkerOutput>) -> Self {
        self.stdout = output.into();
        self
    }

    /// Where the workers' standard error goes; by default where this process's does.
    ///
    /// Nothing of it is ever lost, but `eprintln!` writes each piece of a line by itself, so that lines of several
    /// workers can mix. A line that is made first and written at once arrives whole: `eprint!("{line}")` with the line's
    /// end in `line`, as most loggers do it.
    pub fn stderr(mut self, output: impl Into<WorkerOutput>) -> Self {
        self.stderr = output.into();
        self
    }

    /// Gives each worker a process group of its own: ending it then ends what its tasks have started as well. By default
    /// workers belong to this process's group, so that Ctrl-C, Ctrl-Z and `fg` act on all of them as on any job; with
    /// groups of their own they don't, and a task that reads the terminal is stopped.
    ///
    /// On Windows such a group is a job: what tasks have started ends with a worker that is killed, and hears no Ctrl-C.
    pub fn own_process_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Lets this pool be built again by its own tasks, as in a recursion over directories. Otherwise that is refused:
    /// nearly always it is a task that submits to the pool it is in, by way of a `static` that each worker builds anew.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Names where the tasks of this pool come from, if they come from elsewhere: a task asks for it with
    /// [`works_for`](crate::works_for). The node of a cluster names the queue that it serves, so that a task which submits to
    /// that queue, and would wait for itself, can be refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{prelude::*, works_for};
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).on_behalf_of("queue thumbs").build()?;
    /// let asked = |name: String| works_for(&name);
    /// assert!(pool.submit(asked, "queue thumbs".into()).result()?);
    /// assert!(!pool.submit(asked, "another".into()).result()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_behalf_of(mut self, name: impl Into<String>) -> Self {
        self.on_behalf_of = Some(name.into());
        self
    }

    /// Builds the pool. No process is started yet.
    ///
    /// Workers have the environment of this process, and the processors, scheduling policy and niceness of this thread, as
    /// they are now, whichever thread submits the task that starts them. Where the system doesn't let a thread become
    /// less nice, a worker is as nice as the thread that started it.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if `max_workers`, `max_tasks_per_child`, the queue capacity, `start_timeout` or `address_space` is 0; if
    /// a name, a variable or the directory is one that no process can have, with the option and its value; if the
    /// initializer's argument can't be encoded; and where workers can't run:
    /// in a plug-in of another program, under a setuid bit, without `/proc`, more than ten pools deep.
    #[track_caller]
    pub fn build(self) -> Result<ProcessPoolExecutor, BuildError> {
        self.check_values()?;
        let max_workers = self.max_workers.unwrap_or_else(num_cpus::get);
        let name_prefix = self.name_prefix.clone().unwrap_or_else(program_name);
        let program = check_platform().map_err(BuildError::Unsupported)?;
        let directory = self.directory.as_deref().map(find_directory).transpose()?;
        let ancestry = self.nest(Location::caller())?;
        let split = |parcel: &Option<Result<Parcel, TaskError>>| match parcel {
            None => Ok((Vec::new(), Vec::new())),
            Some(Ok(parcel)) => {
                let (bytes, blobs) = parcel.split();
                blobs.iter().for_each(|blob| blob.seal(SealedMemory::of_bytes));
                Ok((bytes.to_vec(), blobs.to_vec()))
            }
            Some(Err(error)) => Err(error.to_string()),
        };
        let (initializer, mut hooks_blobs) = split(&self.initializer).map_err(BuildError::Initializer)?;
        let (on_exit, blobs) = split(&self.on_exit).map_err(BuildError::OnExit)?;
        hooks_blobs.extend(blobs);
        let payload_memory = self.payload_memory.unwrap_or(PAYLOAD_MEMORY);
        let policy = Policy {
            max_tasks_per_child: self.max_tasks_per_child,
            keep_alive: self.keep_alive,
            breaks_on_death: self.on_worker_death == WorkerDeath::BreakPool,
        };
        let launch = LaunchConfig {
            program,
            directory,
            standing: Standing::of_this_thread(),
            environment: self.environment.of_workers(),
            stdout: self.stdout,
            stderr: self.stderr,
            own_group: self.own_group,
            address_space: self.address_space,
            name_prefix,
            ancestry,
            initializer,
            on_exit,
            hooks_blobs,
            payload_memory,
            notes_times: self.observed.is_set() || spans::is_wanted(),
            forwards_logs: !self.keeps_logs,
        };
        let config = Config {
            arena: Arena::create(payload_memory),
            capacity: self.capacity,
            start_timeout: self.start_timeout.unwrap_or(START_TIMEOUT),
            memory_growth: self.memory_growth,
            launch,
            observed: self.observed,
        };
        Ok(ProcessPoolExecutor::from_pool(Pool::new(Dispatcher::new(max_workers, policy), config)))
    }

    /// Refuses values that no pool can have.
    fn check_values(&self) -> Result<(), BuildError> {
        if self.max_workers == Some(0) {
            return Err(BuildError::NoWorkers);
        }
        if matches!(self.capacity, Some((0, _))) {
            return Err(BuildError::NoCapacity);
        }
        if self.max_tasks_per_child == Some(0) {
            return Err(BuildError::NoTasks);
        }
        if let Some(prefix) = self.name_prefix.as_ref().filter(|prefix| prefix.contains('\0')) {
            return Err(BuildError::invalid("name_prefix", prefix, "a name can't contain a NUL"));
        }
        if self.start_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(BuildError::invalid("start_timeout", Duration::ZERO, "no worker starts in no time"));
        }
        if self.address_space == Some(0) {
            return Err(BuildError::invalid("address_space", 0, "a worker needs memory"));
        }
        self.environment.check()
    }

    fn set_initializer(mut self, parcel: Result<Parcel, TaskError>) -> Self {
        self.initializer = Some(parcel);
        self
    }

    /// The places where the pools were built that a worker of this one works for.
    fn nest(&self, place: &Location<'_>) -> Result<Vec<u64>, BuildError> {
        let (ancestry, here) = (main::ancestry(), main::hash(&place.to_string()));
        if ancestry.contains(&here) && !self.recursive {
            return Err(BuildError::Unsupported(format!(
                "the pool at {place} is being built by one of its own tasks; a task can't submit to the pool it is in, \
                 since a `static` pool is another one in each worker: give the follow-up work back as a result and \
                 submit it from the parent, or build with `recursive()` if pools within pools are meant"
            )));
        }
        if ancestry.len() >= MAX_DEPTH {
            return Err(BuildError::Unsupported(format!(
                "pools of processes are nested {MAX_DEPTH} deep already; each level multiplies the processes"
            )));
        }
        let served = self.on_behalf_of.as_deref().map(main::hash);
        Ok(ancestry.iter().copied().chain([here]).chain(served).collect())
    }
}

/// What workers are started from, or why they can't be started here.
fn check_platform() -> Result<PathBuf, String> {
    if cfg!(not(any(unix, windows))) {
        return sys::program(entry::address());
    }
    // Before the next one, which it would look like: there our code has run and did nothing.
    if sys::is_secure_start() {
        return Err(
            "the program has more rights than the user who started it (a setuid bit, a setgid bit, file \
                    capabilities), so its arguments can't be trusted, and a worker is recognised by them"
                .into(),
        );
    }
    if !entry::recognises_workers() {
        return Err("a worker would not be recognised: the code that this crate runs before `main` did not run in this \
                    program's executable. Call `concurrent_futures::init()` in the first line of `main`; in a plug-in \
                    of another program (a Python module, say) or in a shared library of this one there is no way"
            .into());
    }
    sys::program(entry::address())
}

/// Where that is, wherever this process goes.
fn find_directory(path: &Path) -> Result<PathBuf, BuildError> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(BuildError::invalid("current_dir", path, "no path has a NUL in it"));
    }
    sys::absolute(path).and_then(|found| enter(&found).map(|()| found)).map_err(|error| {
        let at = match std::env::current_dir() {
            Ok(here) if path.is_relative() => format!(" in {}", here.display()),
            _ => String::new(),
        };
        BuildError::invalid("current_dir", path, format!("it can't be entered{at}: {error}"))
    })
}

fn program_name() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    // So Linux writes it once somebody has deleted or replaced the file of a running program.
    let name = name.map(|name| name.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(name));
    name.unwrap_or_else(|| "worker".into())
}

impl fmt::Debug for ProcessPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolBuilder")
            .field("max_workers", &self.max_workers)
            .field("name_prefix", &self.name_prefix)
            .field("max_tasks_per_child", &self.max_tasks_per_child)
            .field("on_worker_death", &self.on_worker_death)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
