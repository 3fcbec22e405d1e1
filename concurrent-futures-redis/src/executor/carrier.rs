//! The way back from a future: `cancel`, `kill` and `state`.

use super::client::Client;
use crate::engine::Order;
use concurrent_futures::{Carrier, FutureId, State, Task};

impl Carrier for Client {
    /// One trip to the server, unless the task is still here.
    fn take_back(&self, id: FutureId) -> Option<Task> {
        let (attempt, entry) = {
            let mut state = self.lock();
            if let Some(task) = state.book.take_if_queued(id) {
                state.book.totals.cancelled += 1;
                drop(state);
                self.notify();
                self.note_room();
                return Some(task);
            }
            let (attempt, entry) = state.book.attempt(id)?;
            (attempt, entry?)
        };
        let never_begins = self.ask(|up, link| link.cancel(&up.life, up.session, &attempt, entry))?;
        if !never_begins {
            return None;
        }
        let mut state = self.lock();
        let task = state.book.take_cancelled(&attempt);
        state.book.totals.cancelled += u64::from(task.is_some());
        drop(state);
        self.notify();
        task
    }

    fn state(&self, id: FutureId) -> State {
        self.lock().book.state(id)
    }

    /// True if the order was given: the node that runs the task, if one does, ends its worker.
    fn kill(&self, id: FutureId) -> bool {
        let Some((attempt, _)) = self.lock().book.attempt(id) else { return false };
        self.ask(|up, link| link.order(&up.life, &Order::Kill(attempt))).is_some()
    }
}
