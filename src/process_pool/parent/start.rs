//! How a driver has its worker started, and how it takes one over that is up.

use super::driver::failpoint;
use super::launch::{LaunchError, Launching, RunningWorker};
use super::pool::Pool;
use crate::clock::deadline_after;
use crate::process_pool::sys::Event;
use std::sync::Arc;
use std::time::Instant;

/// Starts a worker in this lane and sees it through to where it can take tasks.
pub(super) fn start(pool: &Arc<Pool>, lane: usize, event: &Event) -> Result<RunningWorker, LaunchError> {
    let since = Instant::now();
    let worker = launch(pool, lane, event, || pool.dispatcher.lock().wants_worker_at(lane))?;
    attach(pool, lane, &worker, since);
    Ok(worker)
}

/// Starts it, and has the dispatcher know of its process alone.
pub(super) fn launch(
    pool: &Arc<Pool>,
    lane: usize,
    event: &Event,
    is_wanted: impl Fn() -> bool,
) -> Result<RunningWorker, LaunchError> {
    if !is_wanted() {
        return Err(LaunchError::NotWanted);
    }
    let on_process = |pid| {
        pool.dispatcher.lock().note_start(lane, pid);
        failpoint("started");
    };
    pool.config.launch.launch(Launching {
        number: lane,
        max_workers: pool.max_workers(),
        event,
        deadline: deadline_after(pool.config.start_timeout),
        arena: pool.config.arena.as_deref(),
        is_wanted,
        on_process,
    })
}

/// It is its lane's worker from now on, for which the lane has waited `since` then.
pub(super) fn attach(pool: &Arc<Pool>, lane: usize, worker: &RunningWorker, since: Instant) {
    failpoint("is up");
    let mut dispatcher = pool.dispatcher.lock();
    dispatcher.attach(lane, worker.segment.clone(), worker.outbound.clone());
    dispatcher.set_results(lane, worker.results.clone());
    pool.tell_warm(dispatcher);
    failpoint("is attached");
    pool.tell_worker_started(lane, worker.child.pid(), since);
}
