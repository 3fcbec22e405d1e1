//! [`ProcessPoolBuilder`]: every option of a pool of processes, and where one can't be had.

use super::ProcessPoolExecutor;
use super::book::{Book, Policy};
use super::launch::{Output, Recipe};
use super::pool::{Config, Pool};
#[cfg(unix)]
use super::sys;
use super::{entry, worker};
use crate::error::{BuildError, TaskError, TaskFailure};
use crate::executor::{Portable, WhenFull, encode_call, encode_try_call};
use std::ffi::OsString;
use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a worker may take to come up, its initializer included.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How deep pools may nest: a worker whose task builds a pool, whose tasks build pools, and so on. That of joblib's
/// loky, `LOKY_MAX_DEPTH`.
const MAX_DEPTH: usize = 10;

/// What the death of a worker does to its pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum WorkerDeath {
    /// It costs the task that it ran, and a new worker takes its place.
    #[default]
    Replace,
    /// It breaks the pool: every task that is not done fails. Python's rule. An end that was asked for, by `kill` or by a
    /// task's time limit, is no such death.
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
///     .idle_timeout(Duration::from_secs(60))
///     .build()?;
/// assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ProcessPoolBuilder {
    max_workers: Option<usize>,
    name_prefix: Option<String>,
    initializer: Option<Result<Vec<u8>, TaskError>>,
    max_tasks_per_child: Option<u32>,
    on_worker_death: WorkerDeath,
    capacity: Option<(usize, WhenFull)>,
    start_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    address_space: Option<u64>,
    memory_growth: Option<u64>,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    stdout: Output,
    stderr: Output,
    own_group: bool,
    recursive: bool,
}

impl ProcessPoolBuilder {
    /// How many worker processes there are at most. By default as many as there are processors for this process, which
    /// takes its affinity and its cgroup's quota into account. They are started as they are needed.
    pub fn max_workers(mut self, n: usize) -> Self {
        self.max_workers = Some(n);
        self
    }

    /// Workers are called `{prefix}-{n}`, n from 0: so in errors, in `stats`, as the name of the thread that runs tasks
    /// and, in 15 bytes, in `ps` and `top`. By default the program's name.
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

    /// A worker is replaced after so many tasks, a chunk of a map counting as one. By default never.
    pub fn max_tasks_per_child(mut self, n: u32) -> Self {
        self.max_tasks_per_child = Some(n);
        self
    }

    /// What the death of a worker does to the pool. By default it costs one task and the worker is replaced; in Python
    /// it breaks the pool.
    pub fn on_worker_death(mut self, what: WorkerDeath) -> Self {
        self.on_worker_death = what;
        self
    }

    /// Bounds the queue: at most `n` tasks wait, and `when_full` says what a submit does then. Unbounded by default.
    /// What a callback submits is never made to wait.
    pub fn queue_capacity(mut self, n: usize, when_full: WhenFull) -> Self {
        self.capacity = Some((n, when_full));
        self
    }

    /// How long a worker may take to come up, its initializer included: 60 s by default. Three in a row that don't
    /// break the pool.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// A worker without a task for so long ends; the next task starts one again. By default workers stay.
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = Some(idle);
        self
    }

    /// Bounds each worker's address space, in bytes, as `ulimit -v` does. A task that asks for more is refused the
    /// memory, which in Rust ends its worker and costs that one task.
    pub fn address_space(mut self, bytes: u64) -> Self {
        self.address_space = Some(bytes);
        self
    }

    /// Replaces a worker whose resident memory has grown by so many bytes since it came up. Looked at between tasks, a
    /// few times a second: a cure for tasks that leak, not a bound. It needs `/proc`.
    pub fn memory_growth(mut self, bytes: u64) -> Self {
        self.memory_growth = Some(bytes);
        self
    }

    /// Sets an environment variable in the workers. Otherwise they have the environment of this process as it is at
    /// `build`, those that start later as well.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), Some(value.into())));
        self
    }

    /// Removes an environment variable in the workers.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// The workers' working directory; by default that of this process at `build`.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Where the workers' standard output goes; by default where this process's does. Their standard input is empty.
    ///
    /// Lines of `println!` shorter than 1 KiB arrive whole, also when several workers print at once. What a worker that
    /// dies had printed without ending the line is lost.
    pub fn stdout(mut self, output: impl Into<Output>) -> Self {
        self.stdout = output.into();
        self
    }

    /// Where the workers' standard error goes; by default where this process's does.
    ///
    /// Nothing of it is ever lost, but `eprintln!` writes each piece of a line by itself, so that lines of several
    /// workers can mix. A line that is made first and written at once arrives whole: `eprint!("{line}")` with the line's
    /// end in `line`, as most loggers do it.
    pub fn stderr(mut self, output: impl Into<Output>) -> Self {
        self.stderr = output.into();
        self
    }

    /// Gives each worker a process group of its own: ending it then ends what its tasks have started as well. By default
    /// workers belong to this process's group, so that Ctrl-C, Ctrl-Z and `fg` act on all of them as on any job; with
    /// groups of their own they don't, and a task that reads the terminal is stopped.
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

    /// Builds the pool. No process is started yet.
    ///
    /// # Errors
    ///
    /// [`BuildError`], where a number is 0 that can't be, where the initializer's argument can't be encoded, and where
    /// workers can't be: in a plug-in of another program, under a setuid bit, without `/proc`, more than ten pools deep.
    #[track_caller]
    pub fn build(self) -> Result<ProcessPoolExecutor, BuildError> {
        let max_workers = self.max_workers.unwrap_or_else(num_cpus::get);
        if max_workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        if matches!(self.capacity, Some((0, _))) {
            return Err(BuildError::NoCapacity);
        }
        if self.max_tasks_per_child == Some(0) {
            return Err(BuildError::NoTasks);
        }
        check_platform().map_err(BuildError::Unsupported)?;
        let ancestry = self.nest(Location::caller())?;
        let initializer = match self.initializer {
            None => Vec::new(),
            Some(Ok(parcel)) => parcel,
            Some(Err(error)) => return Err(BuildError::Initializer(error.to_string())),
        };
        let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        for (name, value) in self.environment {
            environment.retain(|(known, _)| *known != name);
            environment.extend(value.map(|value| (name, value)));
        }
        let policy = Policy {
            max_tasks_per_child: self.max_tasks_per_child,
            idle_timeout: self.idle_timeout,
            breaks_on_death: self.on_worker_death == WorkerDeath::BreakPool,
        };
        let recipe = Recipe {
            // One that was removed can't be gone to: then workers start where this process is.
            directory: self.directory.or_else(|| std::env::current_dir().ok()),
            environment,
            stdout: self.stdout,
            stderr: self.stderr,
            own_group: self.own_group,
            address_space: self.address_space,
            name_prefix: self.name_prefix.unwrap_or_else(program_name),
            ancestry,
            initializer,
        };
        let config = Config {
            max_workers,
            capacity: self.capacity,
            start_timeout: self.start_timeout.unwrap_or(START_TIMEOUT),
            memory_growth: self.memory_growth,
            recipe,
        };
        Ok(ProcessPoolExecutor::from_pool(Pool::new(Book::new(max_workers, policy), config)))
    }

    fn set_initializer(mut self, parcel: Result<crate::remote::parcel::Parcel, TaskError>) -> Self {
        self.initializer = Some(parcel.map(|parcel| parcel.into_bytes()));
        self
    }

    /// The places where the pools were built that a worker of this one works for.
    fn nest(&self, place: &Location<'_>) -> Result<Vec<u64>, BuildError> {
        let (ancestry, here) = (worker::ancestry(), hash(place));
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
        Ok(ancestry.iter().copied().chain([here]).collect())
    }
}

/// Says why workers can't be started here, if they can't.
fn check_platform() -> Result<(), String> {
    if cfg!(not(unix)) {
        return Err(
            "pools of processes are only there on Unix so far; `ThreadPoolExecutor` is everywhere".into()
        );
    }
    // Before the next one, which it would look like: there our code has run and did nothing.
    #[cfg(unix)]
    if sys::is_secure_start() {
        return Err(
            "the program runs with more rights than who started it has (a setuid bit, a setgid bit, file \
                    capabilities): its arguments can't be believed, and by them a worker is known"
                .into(),
        );
    }
    if !entry::answers() {
        return Err("a worker would not be recognised: the code that this crate runs before `main` did not run in this \
                    program's executable. Call `concurrent_futures::init()` in the first line of `main`; in a plug-in \
                    of another program (a Python module, say) or in a shared library of this one there is no way"
            .into());
    }
    #[cfg(target_os = "linux")]
    {
        let program = std::fs::read_link("/proc/self/exe").map_err(|error| {
            format!("workers are started from /proc/self/exe, which can't be read: {error}")
        })?;
        let maps = sys::with_stdio_taken(|| std::fs::read("/proc/self/maps")).unwrap_or_default();
        if let Some(loaded) = file_at(&maps, entry::address())
            && loaded != program
        {
            return Err(format!(
                "the program was started through another one: /proc/self/exe is {}, but the code comes from {}; \
                 start it directly",
                program.display(),
                loaded.display(),
            ));
        }
    }
    Ok(())
}

/// The file that is mapped at an address, by `/proc/self/maps`; `None` where that can't be told for sure.
#[cfg(target_os = "linux")]
fn file_at(maps: &[u8], address: usize) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let line = maps.split(|byte| *byte == b'\n').find(|line| {
        let range = line.split(|byte| *byte == b' ').next().and_then(|range| std::str::from_utf8(range).ok());
        let (start, end) = range.and_then(|range| range.split_once('-')).unwrap_or_default();
        let number = |text| usize::from_str_radix(text, 16).unwrap_or(0);
        (number(start)..number(end)).contains(&address)
    })?;
    let path = &line[line.iter().position(|byte| *byte == b'/')?..];
    // Odd characters are written in another way there.
    let plain = !path.contains(&b'\\');
    plain.then(|| PathBuf::from(std::ffi::OsStr::from_bytes(path)))
}

/// Names a place in the source. The same in each process of one executable.
fn hash(place: &Location<'_>) -> u64 {
    // FNV-1a; it needs no strength, only to be the same in every process.
    let text = place.to_string();
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
