//! [`Spare`]: the next worker of a lane, which starts while the one before is at its last tasks.
//!
//! A thread of its own starts it, and that is all it does: nothing is sent to the worker before it takes the place. It takes
//! it when the one before has left and is reaped, so of a lane's two processes only one ever has tasks. Until then the dispatcher
//! knows of it ([`dispatch::spares`](super::dispatch)) to show it, and to tell it that it isn't wanted any more.

use super::launch::{LaunchError, RunningWorker};
use super::pool::Pool;
use super::start::{attach, launch};
use crate::process_pool::sys::{self, Event};
use crate::sync::plain::{AtomicBool, Ordering};
use crate::sync::thread::{Builder, JoinHandle};
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Spare {
    pool: Arc<Pool>,
    lane: usize,
    given_up: Arc<GivenUp>,
    /// There until it is taken over or given up.
    thread: Option<JoinHandle<Result<RunningWorker, LaunchError>>>,
}

struct GivenUp {
    is_set: AtomicBool,
    /// The starting thread sleeps on it.
    event: Arc<Event>,
}

impl Spare {
    /// Begins to start one. None where the system has no thread or no event to spare: then the lane's next worker starts when the
    /// place is free.
    pub(super) fn launch(pool: &Arc<Pool>, lane: usize) -> Option<Self> {
        let event = Arc::new(Event::new().ok()?);
        let given_up = Arc::new(GivenUp { is_set: AtomicBool::new(false), event: event.clone() });
        pool.dispatcher.lock().add_spare(lane, event);
        let (of_thread, ended) = (pool.clone(), given_up.clone());
        let run = move || {
            sys::block_signals();
            let is_wanted =
                || !ended.is_set.load(Ordering::Relaxed) && of_thread.dispatcher.lock().wants_worker_at(lane);
            launch(&of_thread, lane, &ended.event, is_wanted)
        };
        let name = format!("{}_spare_{lane}", pool.config.launch.name_prefix);
        // Made first: it takes the dispatcher's note back when it is dropped.
        let mut spare = Spare { pool: pool.clone(), lane, given_up, thread: None };
        spare.thread = Some(Builder::new().name(name).spawn(run).ok()?);
        Some(spare)
    }

    /// The lane is free: waits until it is up, and has it take the place.
    pub(super) fn take_place(
        mut self,
        pool: &Arc<Pool>,
        lane: usize,
        event: &Event,
    ) -> Result<RunningWorker, LaunchError> {
        let since = Instant::now();
        // What the lane's own event was set for, the spare's was set for as well, and the next look sees it.
        event.clear();
        pool.dispatcher.lock().seat_spare(lane);
        // It looks once more whether it is wanted: at the last look another's work may have been.
        self.given_up.event.set();
        let panicked = |_| Err(LaunchError::Start("the thread that started a worker panicked".into()));
        let thread = self.thread.take().expect("it is taken over once");
        let worker = thread.join().unwrap_or_else(panicked)?;
        attach(pool, lane, &worker, since);
        Ok(worker)
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.given_up.is_set.store(true, Ordering::Relaxed);
            self.given_up.event.set();
            // With it goes a worker that is up.
            drop(thread.join());
        }
        self.pool.dispatcher.lock().remove_spare(self.lane);
    }
}
