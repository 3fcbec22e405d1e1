//! How the end of a task is made known, and what is left to do then ([`Aftermath`]).

use super::callback::{self, Completion};
use super::cell::{AnyCell, Entry, log_panic_in_drop};
use super::current::{Note, StopFlag, this_thread};
use super::reporting::Speaking;
use super::state::Phase;
use super::watchers::{Crowd, Watchers};
use crate::contain::{contain, drop_contained};
use crate::error::{Rejected, TaskError};
use crate::logging;
use crate::stack;

/// What is left to do for a task that has just been published; it runs user code, so no lock is held, and a worker
/// first says that it is not on its way back yet.
#[must_use]
pub(crate) struct Aftermath {
    /// The future went while the task ended: its outcome is ours to drop.
    discard: bool,
    crowd: Option<Box<Crowd>>,
    /// What callbacks are told. Kept from before the end was known: its owner may have taken it since.
    error: Option<TaskError>,
}

/// Makes the end of a task known: the phase, then every wait, in this order. The outcome is in its place and the work
/// is gone.
pub(crate) fn publish(cell: &dyn AnyCell, from: Phase, to: Phase) -> Aftermath {
    let header = cell.header();
    header.span.close();
    let mut error = match to {
        Phase::Cancelled => Some(TaskError::Cancelled),
        Phase::Failed => cell.error_to_publish(),
        _ => None,
    };
    let before = header.word.publish(from, to);
    let mut crowd: Option<Box<Crowd>> = None;
    if before.is_watched() {
        match header.with_packed(|watchers, key| watchers.take(*key)) {
            Watchers::None => {}
            Watchers::One(hub, key) => hub.tell(key, to),
            Watchers::Many(mut all) => {
                all.tell_hubs(to);
                crowd = Some(all).filter(|all| !all.is_empty());
            }
        }
    }
    if crowd.as_ref().is_none_or(|crowd| crowd.callbacks.is_empty())
        && let Some(error) = error.take()
    {
        log_panic_in_drop(cell, drop_contained(error));
    }
    Aftermath { discard: before.is_unwanted(), crowd, error }
}

impl Aftermath {
    /// An unwanted outcome was dropped before the end was published.
    pub(crate) fn without_discard(self) -> Self {
        Aftermath { discard: false, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.discard && self.crowd.is_none()
    }

    /// Whether there is code of the user's among it that may do anything and take any time.
    #[cfg(feature = "process")]
    pub(crate) fn may_take_long(&self, cell: &dyn AnyCell) -> bool {
        let calls_back = self.crowd.as_ref().is_some_and(|crowd| !crowd.callbacks.is_empty());
        calls_back || (self.discard && cell.is_long_to_discard())
    }

    /// Wakes what awaits the future, runs callbacks, drops what nobody wants.
    pub(crate) fn run(self, cell: &dyn AnyCell) {
        if let Some(crowd) = self.crowd {
            let Crowd { wakers, callbacks, on_kill, .. } = *crowd;
            for waker in wakers.into_values() {
                if let Err(panic) = contain(|| waker.wake()) {
                    logging::error(format_args!("a waker panicked: {}", panic.message()));
                }
            }
            if !callbacks.is_empty() {
                cell.header().word.mark_seen();
                let completion = Completion::new(cell.header().id, self.error);
                callback::run_all(callbacks, &completion);
                log_panic_in_drop(cell, drop_contained(completion));
            }
            log_panic_in_drop(cell, drop_contained(on_kill));
        }
        if self.discard {
            cell.discard();
        }
    }
}

/// Runs a claimed task here, on whatever thread this is, and keeps the outcome; the caller publishes the phase. No other
/// thread can run it: inside other tasks on a stack that is nearly spent it doesn't run, and that is its error.
fn execute_here(cell: &Entry, pool: Option<&StopFlag>) -> Phase {
    if stack::may_run_here() {
        let _silence = Speaking::none();
        // Of an executor of this crate it is open.
        cell.open_span();
        let _entered = cell.header().span.enter(this_thread);
        return stack::level(|| Note::here(cell, pool).within(|| cell.execute()));
    }
    cell.fill(TaskError::Rejected(Rejected::StackSpent));
    Phase::Failed
}

/// Runs a claimed task here as [`execute_here`] does and publishes its end; `count` is called before that can be seen. `pool`
/// is raised when all that its executor runs is to stop.
pub(crate) fn run_here(cell: &Entry, pool: Option<&StopFlag>, count: impl FnOnce(Phase)) {
    let phase = execute_here(cell, pool);
    count(phase);
    publish_here(&**cell, Phase::Running, phase);
}

/// Publishes and does all that is left, on a thread that is not counted as a worker.
pub(crate) fn publish_here(cell: &dyn AnyCell, from: Phase, to: Phase) {
    publish(cell, from, to).run(cell);
    cell.settle();
}

/// Ends a claimed task with an error.
pub(crate) fn fail_claimed(cell: &dyn AnyCell, error: TaskError) {
    let to = if matches!(error, TaskError::Cancelled) { Phase::Cancelled } else { Phase::Failed };
    cell.fill(error);
    publish_here(cell, Phase::Running, to);
}

/// Whether the holder of a task or a promise owns its outcome: it has claimed or dispatched it, now or before. Nobody else
/// claims what is in no pool's queue, and a dispatched one is cancelled only by whoever its carrier gives it to.
pub(crate) fn own(cell: &dyn AnyCell) -> bool {
    let word = &cell.header().word;
    if word.claim().is_some() || word.load().phase() == Phase::Running {
        return true;
    }
    #[cfg(feature = "process")]
    let is_dispatched = word.begin_dispatched();
    #[cfg(not(feature = "process"))]
    let is_dispatched = false;
    is_dispatched
}
