//! [`WorkerDied`]: the worker process died while it ran the task.

use super::frames::Frames;
use super::whereabouts::{Item, Whereabouts};
use crate::id::FutureId;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The worker process died while it ran the task.
///
/// # Examples
///
/// ```
/// use concurrent_futures::WorkerDied;
///
/// let died = WorkerDied::new(4711).with_signal(9).with_cause("likely out of memory");
/// assert_eq!(died.to_string(), "worker process 4711 died by signal 9: likely out of memory");
/// ```
#[derive(Debug, Clone)]
pub struct WorkerDied(Arc<WorkerDiedInner>);

#[derive(Debug, Clone)]
struct WorkerDiedInner {
    pid: u32,
    signal: Option<i32>,
    exit_code: Option<i32>,
    cause: Option<String>,
    host: Option<String>,
    at: Whereabouts,
    frames: Option<Arc<Frames>>,
}

impl WorkerDied {
    /// A death of the process `pid`.
    pub fn new(pid: u32) -> Self {
        let at = Whereabouts::default();
        WorkerDied(Arc::new(WorkerDiedInner {
            pid,
            signal: None,
            exit_code: None,
            cause: None,
            host: None,
            at,
            frames: None,
        }))
    }

    /// Adds the signal that ended it.
    #[must_use]
    pub fn with_signal(mut self, signal: i32) -> Self {
        Arc::make_mut(&mut self.0).signal = Some(signal);
        self
    }

    /// Adds the code it exited with.
    #[must_use]
    pub fn with_exit_code(mut self, code: i32) -> Self {
        Arc::make_mut(&mut self.0).exit_code = Some(code);
        self
    }

    /// Adds what most likely made it die.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(cause.into());
        self
    }

    /// Adds the machine it ran on, where that is another one.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).host = Some(host.into());
        self
    }

    /// Adds which task it ran, its label if it has one, and the worker's name.
    #[must_use]
    pub fn with_task(mut self, task: FutureId, label: Option<Arc<str>>, worker: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).at.set(task, label, worker.into());
        self
    }

    /// Adds the stack of the task, as text.
    #[must_use]
    pub fn with_backtrace(mut self, backtrace: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).frames = Some(Arc::new(Frames::of_text(backtrace.into())));
        self
    }

    /// Adds the stack of the task, to whose frames names are given when they are asked for.
    #[cfg(feature = "process")]
    pub(crate) fn with_frames(mut self, frames: Frames) -> Self {
        Arc::make_mut(&mut self.0).frames = Some(Arc::new(frames));
        self
    }

    #[cfg(feature = "process")]
    pub(crate) fn with_worker(mut self, worker: String) -> Self {
        Arc::make_mut(&mut self.0).at.worker = Some(worker.into());
        self
    }

    /// Names the task where another process, which doesn't know it, could not.
    #[cfg(feature = "process")]
    pub(crate) fn of_task(mut self, task: FutureId, label: Option<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).at.of_task(task, label);
        self
    }

    /// As [`TaskError::in_map`](super::TaskError::in_map).
    pub(super) fn in_map(mut self, item: Item) -> Self {
        Arc::make_mut(&mut self.0).at.in_map(item);
        self
    }

    /// The id of the task that it ran.
    pub fn task(&self) -> Option<FutureId> {
        self.0.at.task
    }

    /// The label of that task.
    pub fn label(&self) -> Option<&str> {
        self.0.at.label.as_deref()
    }

    /// The name of the worker.
    pub fn worker(&self) -> Option<&str> {
        self.0.at.worker.as_deref()
    }

    /// The place in the map's input of the item that has no result because of this, from 0, if the task was one of a
    /// map. Which item of a chunk ran when the worker died is not known.
    pub fn item(&self) -> Option<usize> {
        self.0.at.item.map(|item| item.index)
    }

    /// The process id it had.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// The signal that ended it, if one did.
    ///
    /// On Windows, which has no signals, 9 or 15 if the pool ended it (`kill_workers`, `kill`, a time limit; `terminate_workers`),
    /// and `None` otherwise: what a crash was says [`exit_code`](Self::exit_code).
    pub fn signal(&self) -> Option<i32> {
        self.0.signal
    }

    /// The code it exited with, if it exited.
    ///
    /// On Windows a crash has one too, which is negative as an `i32`: a status of the system, such as `0xC0000005` for an access
    /// violation. `Display` writes these in hexadecimal digits.
    pub fn exit_code(&self) -> Option<i32> {
        self.0.exit_code
    }

    /// Where the worker crashed: the stack of the thread that did, its innermost frame first, as a text of several lines.
    /// With feature `backtrace`, on Linux; `None` without, and of a worker that didn't crash but was killed or exited.
    ///
    /// The worker only leaves addresses. The first call puts names to them, from this program's symbols and debug
    /// information, which takes some 100 ms where there is much of that; later calls, of clones too, return the same text.
    /// The text also says if the stack had overflowed, if the thread was not the task's, and if the program has no symbols:
    /// then its frames are addresses. More: `docs/processes.md`.
    pub fn backtrace(&self) -> Option<&str> {
        self.0.frames.as_ref().map(|frames| frames.text())
    }

    /// The machine it ran on, where that is another one.
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// What most likely made it die.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}

impl fmt::Display for WorkerDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker process {}", self.0.pid)?;
        if let Some(host) = &self.0.host {
            write!(f, " on {host}")?;
        }
        f.write_str(" died")?;
        match (self.0.signal, self.0.exit_code) {
            (Some(signal), _) => write!(f, " by signal {signal}")?,
            (None, Some(code)) => write!(f, " with exit code {}", ExitCode(code))?,
            (None, None) => {}
        }
        if self.0.at.task.is_some() {
            write!(f, " while it ran {}", self.0.at)?;
        }
        match &self.0.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

/// As the documentation of the system has it: a status of Windows, which stands for a crash, is known by its hexadecimal digits.
pub(crate) struct ExitCode(pub(crate) i32);

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The bits that say "error". No exit code of Unix has them.
        const ERROR: u32 = 0xc000_0000;
        let code = self.0.cast_unsigned();
        if code & ERROR == ERROR { write!(f, "{code:#010X}") } else { write!(f, "{}", self.0) }
    }
}

impl Error for WorkerDied {}
