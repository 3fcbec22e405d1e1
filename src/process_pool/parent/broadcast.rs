//! A call in each worker.

use super::dispatch::Dispatcher;
use super::pool::{FORKED, Pool};
use super::task::EncodedTask;
use crate::error::{Broken, TaskError};
use crate::executor::Task;
use crate::future::Future;
use crate::remote::codec::Plane;
use std::sync::Arc;

/// So many workers are started for one, at most: a number that is in no relation to any machine is a bound for a pool that grows as
/// it needs, and no wish to have so many.
const MOST_STARTS: usize = 1024;

/// Why such a call ends that has no worker.
const NO_WORKER: &str = "its worker could not be started; what was broadcast to the others runs there";

impl Pool {
    /// Starts all workers that there may be and gives each that there is one of the tasks that `make` makes; their futures, by the
    /// workers' numbers.
    pub(crate) fn broadcast<R>(self: &Arc<Self>, make: impl Fn() -> (Task, Future<R>)) -> Vec<Future<R>> {
        if self.is_fork() {
            let (task, future) = make();
            let entry = task.into_entry();
            self.observed().queued(&*entry);
            self.observed().refuse(&*entry, TaskError::Broken(Broken::new(FORKED)));
            return vec![future];
        }
        self.start_up_to(MOST_STARTS, Dispatcher::start_worker);
        let (mut futures, mut tasks) = (Vec::new(), Vec::new());
        let mut workers = self.dispatcher.lock().takers().len();
        loop {
            if let Err(future) = self.add_calls(workers.max(1), &make, &mut futures, &mut tasks) {
                // So it would be with each.
                self.cancel_unplaced(tasks);
                return vec![future];
            }
            let mut dispatcher = self.dispatcher.lock();
            if let Some(error) = dispatcher.refusal() {
                drop(dispatcher);
                let entries = tasks.into_iter().map(|task| task.into_unresolved().release());
                entries.for_each(|entry| self.observed().refuse(&*entry, error.clone()));
                return futures;
            }
            match dispatcher.address(tasks) {
                Ok((wake, left)) => {
                    drop(dispatcher);
                    self.wake_all(wake);
                    // Workers have left meanwhile.
                    futures.truncate(futures.len() - left.len());
                    self.cancel_unplaced(left);
                    return futures;
                }
                // Others have come meanwhile.
                Err(all) => (tasks, workers) = (all, dispatcher.takers().len()),
            }
        }
    }

    /// Makes and encodes tasks until there are so many. If one can't be encoded, its future, which says why.
    fn add_calls<R>(
        self: &Arc<Self>,
        many: usize,
        make: impl Fn() -> (Task, Future<R>),
        futures: &mut Vec<Future<R>>,
        tasks: &mut Vec<EncodedTask>,
    ) -> Result<(), Future<R>> {
        while tasks.len() < many {
            let (task, future) = make();
            let entry = task.into_entry();
            self.observed().queued(&*entry);
            entry.header().home.set(self.id);
            // Nobody else knows of it yet.
            entry.header().word.mark_entered();
            let plane = self.config.arena.clone().map(|arena| arena as Arc<dyn Plane>);
            match EncodedTask::new(entry, plane) {
                Ok(task) => tasks.push(task),
                Err((entry, error)) => {
                    self.observed().refuse(&*entry, error);
                    return Err(future);
                }
            }
            futures.push(future);
        }
        Ok(())
    }

    /// Cancels tasks that the dispatcher doesn't have.
    fn cancel_unplaced(self: &Arc<Self>, tasks: Vec<EncodedTask>) {
        let cancelled: Vec<_> = tasks.into_iter().filter(EncodedTask::begin_cancel).collect();
        self.dispatcher.lock().count_cancelled(cancelled.len());
        self.finish_cancelled(cancelled);
    }

    /// Fails calls whose worker could not be started.
    pub(super) fn fail_orphans(self: &Arc<Self>) {
        let orphans = self.dispatcher.lock().take_orphans();
        let many = orphans.len();
        for task in orphans {
            self.fail(task, TaskError::Broken(Broken::new(NO_WORKER)), None);
        }
        // A thread that waits for the pool's end waits for these as well.
        self.dispatcher.lock().orphans_are_failed(many);
    }
}
