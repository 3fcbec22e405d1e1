//! [`Carrier`]: how futures reach an executor of another crate that runs its tasks elsewhere.

use super::task::Task;
use crate::contain::{contain, drop_contained};
use crate::future::cell::AnyCell;
use crate::future::home::{Home, HomeId};
use crate::future::state::{Snapshot, State};
use crate::id::FutureId;
use crate::logging;
use std::fmt;
use std::sync::{Arc, Weak};

/// The way back from a future to an executor that has [dispatched](Task::dispatch) its task: `cancel`, `ask_to_stop`, `kill` and
/// `state` ask it.
///
/// An executor that runs tasks on other machines, or in any other place of its own, keeps a [`Task`] for as long as it owes
/// the future a result, and implements this for the table in which it keeps them. Without it a task that has left the
/// process can only be marked as [started](Task::start): it can't be cancelled any more, nor killed.
///
/// Each method is called on the thread of whoever asks, with no lock of this crate held; it may block as long as that thread
/// may. A panic in it is logged and counts as no.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Carrier, FutureId, Registration, State, Task};
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
///
/// /// Tasks that wait to be fetched from elsewhere.
/// struct Outbox {
///     registration: Registration,
///     tasks: Mutex<HashMap<FutureId, Task>>,
/// }
///
/// impl Carrier for Outbox {
///     fn take_back(&self, id: FutureId) -> Option<Task> {
///         self.tasks.lock().unwrap().remove(&id)
///     }
/// }
///
/// let outbox = Arc::new_cyclic(|me: &std::sync::Weak<Outbox>| Outbox {
///     registration: Registration::new(me.clone()),
///     tasks: Mutex::default(),
/// });
/// let (task, future) = Task::new(|n: u32| n + 1, 41);
/// assert!(task.dispatch(&outbox.registration));
/// outbox.tasks.lock().unwrap().insert(task.id(), task);
/// assert_eq!(future.state(), State::Dispatched);
/// assert!(future.cancel());
/// assert!(outbox.tasks.lock().unwrap().is_empty());
/// ```
pub trait Carrier: Send + Sync {
    /// Gives the task back if it has certainly not begun and now never will; the future is cancelled then. `None` if it
    /// has begun or may have, if that can't be found out, or if this is no task of the carrier's.
    ///
    /// A task that is given back and isn't the one that was asked for is dropped.
    fn take_back(&self, id: FutureId) -> Option<Task>;

    /// Where the task stands: [`State::Queued`] or [`State::Dispatched`] before it has begun,
    /// [`State::Running`] from then on. It is asked often, so it doesn't block.
    fn state(&self, id: FutureId) -> State {
        let _ = id;
        State::Dispatched
    }

    /// Asks what runs the task to stop, where that can be told ([`Current::should_stop`](crate::Current::should_stop)). True if it
    /// was asked. May be called again.
    fn ask_to_stop(&self, id: FutureId) -> bool {
        let _ = id;
        false
    }

    /// Ends whatever runs the task. True if that was asked for; the task then ends with an error, some time. May be called
    /// again.
    fn kill(&self, id: FutureId) -> bool {
        let _ = id;
        false
    }
}

/// A [`Carrier`] that tasks can be dispatched to, for as long as this exists.
///
/// It holds no counted reference to the carrier, which usually owns it.
pub struct Registration {
    pub(super) id: HomeId,
    /// What the number stands for; the registry holds no counted reference either.
    _home: Arc<dyn Home>,
}

impl Registration {
    /// Registers a carrier.
    pub fn new<C: Carrier + 'static>(carrier: Weak<C>) -> Self {
        let home: Arc<dyn Home> = Arc::new(CarrierHome(carrier));
        let id = HomeId::new();
        id.register(Arc::downgrade(&home));
        Registration { id, _home: home }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.id.unregister();
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A carrier, as its tasks see it.
struct CarrierHome<C>(Weak<C>);

impl<C: Carrier> CarrierHome<C> {
    /// Asks the carrier, whose code may panic. Gone, it knows nothing.
    fn ask<R>(&self, what: &str, ask: impl FnOnce(&C) -> R) -> Option<R> {
        let carrier = self.0.upgrade()?;
        let answer = contain(|| ask(&carrier));
        // It may be the last reference, and its drop is another crate's code.
        let dropped = drop_contained(carrier);
        match answer.and_then(|answer| dropped.map(|()| answer)) {
            Ok(answer) => Some(answer),
            Err(panic) => {
                logging::error(format_args!("a carrier's `{what}` panicked: {}", panic.message()));
                None
            }
        }
    }
}

impl<C: Carrier> Home for CarrierHome<C> {
    /// A dispatched task is never an entry of a queue.
    fn cancelled(&self, _: &dyn AnyCell, _: Snapshot) {}

    fn take_back(&self, id: FutureId) -> bool {
        match self.ask("take_back", |carrier| carrier.take_back(id)).flatten() {
            Some(task) if task.id() == id => task.into_cancelling(),
            Some(other) => {
                // Its future is abandoned, and what hangs on that is the user's code.
                if let Err(panic) = drop_contained(other) {
                    logging::error(format_args!("the drop of a task panicked: {}", panic.message()));
                }
                false
            }
            None => false,
        }
    }

    fn state(&self, id: FutureId) -> State {
        match self.ask("state", |carrier| carrier.state(id)) {
            Some(state @ (State::Queued | State::Dispatched | State::Running)) => state,
            // An end is what the task's own word says, and nobody else.
            _ => State::Dispatched,
        }
    }

    fn ask_to_stop(&self, id: FutureId) -> Option<bool> {
        Some(self.ask("ask_to_stop", |carrier| carrier.ask_to_stop(id)).unwrap_or(false))
    }

    fn kill(&self, id: FutureId) -> bool {
        self.ask("kill", |carrier| carrier.kill(id)).unwrap_or(false)
    }
}
