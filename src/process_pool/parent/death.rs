//! [`Death`]: how a worker ended, and the errors that its end means for tasks and pool.

use super::lane::{KillReason, TaskKill};
use super::stack_trace;
use super::task::EncodedTask;
use crate::error::{Panicked, TaskError, TimeLimit, WorkerDied};
use crate::process_pool::shared::stack_words::Told;
use crate::process_pool::sys::Exit;
use crate::remote::outcome;

/// All that is known of it.
pub(crate) struct Death {
    pub(crate) pid: u32,
    pub(crate) worker_name: String,
    /// `None` if it could not be ended and is given up.
    pub(crate) exit: Option<Exit>,
    /// Why it was killed, if it was.
    pub(crate) kill_reason: Option<KillReason>,
    /// Why it could not start, by its own words.
    pub(crate) start_failure: Option<String>,
    /// The panic that it left under `panic = "abort"`.
    pub(crate) last_words: Option<Vec<u8>>,
    /// Where its task was, if it told.
    pub(crate) stack: Option<Told>,
    /// It left because the thread that ran its tasks was gone.
    pub(crate) thread_gone: bool,
    /// The system refused a signal to it.
    pub(crate) signal_refused: bool,
}

impl Death {
    /// What a task gets that was running. `kill` is why the worker was killed, if it was for this task's sake.
    pub(crate) fn of_task(&self, task: &EncodedTask, kill: Option<TaskKill>) -> TaskError {
        let (id, label) = (task.id(), task.entry.label());
        let name = self.worker_name.clone();
        if let Some(panic) = self.last_words.as_deref().and_then(panic_in) {
            return TaskError::Panicked(panic.with_task(id, label).with_worker(name));
        }
        match (kill, task.time_limit(), self.exit) {
            (Some(TaskKill::OutOfTime), Some(limit), Some(_)) => {
                let over = TimeLimit::new(limit).with_task(id, label, name);
                let stack = self.stack.as_ref().map(stack_trace::of);
                TaskError::TimeLimit(stack.into_iter().fold(over, TimeLimit::with_frames))
            }
            (Some(_), _, Some(exit)) => {
                let died = WorkerDied::new(self.pid).with_cause("it was killed by `kill`");
                TaskError::WorkerDied(with_exit(died, exit).with_task(id, label, name))
            }
            _ => TaskError::WorkerDied(self.of_worker().with_task(id, label, name)),
        }
    }

    /// What the pool says of it.
    pub(crate) fn of_worker(&self) -> WorkerDied {
        const REFUSED: &str = "the system does not let this process signal it (one of the two changed its user, or a \
                               sandbox forbids it)";
        let died = WorkerDied::new(self.pid);
        let Some(exit) = self.exit else {
            let why =
                if self.signal_refused { REFUSED } else { "the kernel has not ended it since it was killed" };
            return died.with_cause(format!("it was given up, and may still be there: {why}"));
        };
        let died = with_exit(died, exit);
        if let Some(why) = &self.start_failure {
            return died.with_cause(why);
        }
        if self.thread_gone {
            return died.with_cause(
                "the thread that ran the task ended alone: by the system call `exit`, `pthread_exit`, or a sandbox \
                 that kills threads; the worker noticed and left",
            );
        }
        if self.signal_refused {
            return died.with_cause(format!("it was told to leave, because {REFUSED}"));
        }
        match &self.kill_reason {
            Some(KillReason::Protocol(error)) => {
                died.with_cause(format!("it was killed by the pool after a {error}"))
            }
            Some(KillReason::NoProgress) => died.with_cause(
                "it was killed by the pool: it had work and did nothing for several seconds, as if stopped",
            ),
            Some(KillReason::OutlivedStream) => died.with_cause(
                "it was killed by the pool: it closed its end of the connection and did not exit",
            ),
            Some(KillReason::StuckCrash(signal)) => self.with_stack(died.with_cause(format!(
                "it crashed by signal {signal}, and its handler, which was to tell where, did not end; the pool killed it"
            ))),
            Some(KillReason::ForTask(..) | KillReason::StreamClosed) | None => {
                let cause = self.crash().and_then(stack_trace::cause).or(exit.likely_cause());
                self.with_stack(cause.into_iter().fold(died, WorkerDied::with_cause))
            }
        }
    }

    /// What it told of a crash.
    fn crash(&self) -> Option<&Told> {
        self.stack.as_ref().filter(|told| stack_trace::is_crash(told))
    }

    fn with_stack(&self, died: WorkerDied) -> WorkerDied {
        self.crash().map(stack_trace::of).into_iter().fold(died, WorkerDied::with_frames)
    }
}

fn with_exit(died: WorkerDied, exit: Exit) -> WorkerDied {
    match exit {
        Exit::Signal(signal) => died.with_signal(signal),
        Exit::Code(code) => died.with_exit_code(code),
        Exit::Unknown => died,
    }
}

fn panic_in(last_words: &[u8]) -> Option<Panicked> {
    match outcome::read::<()>(last_words) {
        Err(TaskError::Panicked(panic)) => Some(panic),
        _ => None,
    }
}
