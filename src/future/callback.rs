//! Done-callbacks: how they run, and how deep.
//!
//! A callback may resolve another promise, whose callbacks resolve a third: run one inside the other, a chain of a
//! hundred thousand would overflow the stack. So they nest up to [`NESTING`] deep, while more than half of the stack is
//! left; beyond that they are queued on their thread and run by the outermost, in order. The futures are done at once
//! either way, only callbacks are late.

use crate::contain::{contain, drop_contained};
use crate::error::TaskError;
use crate::id::FutureId;
use crate::logging;
use crate::stack;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// What a done-callback is told: which task, and how it ended; never the value, which is the future's owner's.
///
/// Python hands the callback the future itself. Here the owner may be moving the result out at that moment; a
/// [`SharedFuture`](crate::SharedFuture)'s callback gets the future, since its value stays where it is.
///
/// # Examples
///
/// ```
/// let (promise, future) = concurrent_futures::promise();
/// let (sender, receiver) = std::sync::mpsc::channel();
/// future.add_done_callback(move |done| sender.send(done.clone()).unwrap());
/// promise.set_result(1);
/// let done = receiver.recv()?;
/// assert!(done.id() == future.id() && done.error().is_none() && !done.is_cancelled());
/// # Ok::<(), std::sync::mpsc::RecvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Completion {
    id: FutureId,
    error: Option<TaskError>,
}

impl Completion {
    pub(crate) fn new(id: FutureId, error: Option<TaskError>) -> Self {
        Completion { id, error }
    }

    /// Which task it was.
    pub fn id(&self) -> FutureId {
        self.id
    }

    /// Why it has no result; `None` if it has one.
    pub fn error(&self) -> Option<&TaskError> {
        self.error.as_ref()
    }

    /// Whether it was cancelled before it began.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.error, Some(TaskError::Cancelled))
    }
}

pub(crate) type Callback = Box<dyn FnOnce(&Completion) + Send>;

const NESTING: usize = 64;

crate::sync::thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static LATE: RefCell<VecDeque<(Callback, Completion)>> = const { RefCell::new(VecDeque::new()) };
}

/// Runs callbacks in the order in which they were added; a panic in one is logged and the next runs.
pub(crate) fn run_all(callbacks: Vec<Callback>, completion: &Completion) {
    let depth = DEPTH.with(Cell::get);
    if depth > 0
        && (depth >= NESTING || !stack::room().is_ample())
        && let Ok(()) = LATE.try_with(|_| ())
    {
        LATE.with(|late| late.borrow_mut().extend(callbacks.into_iter().map(|c| (c, completion.clone()))));
        return;
    }
    DEPTH.with(|cell| cell.set(depth + 1));
    stack::level(|| callbacks.into_iter().for_each(|callback| run_one(callback, completion)));
    if depth == 0 {
        while let Some((callback, completion)) =
            LATE.try_with(|late| late.borrow_mut().pop_front()).ok().flatten()
        {
            stack::level(|| run_one(callback, &completion));
            if let Err(panic) = drop_contained(completion) {
                logging::error(format_args!(
                    "a drop panicked in what a done-callback was told: {}",
                    panic.message()
                ));
            }
        }
    }
    DEPTH.with(|cell| cell.set(depth));
}

fn run_one(callback: Callback, completion: &Completion) {
    if let Err(panic) = contain(|| callback(completion)) {
        let location = panic.location.as_deref().unwrap_or("an unknown place");
        logging::error(format_args!(
            "a done-callback of task {} panicked at {location}: {}",
            completion.id,
            panic.message()
        ));
    }
}
