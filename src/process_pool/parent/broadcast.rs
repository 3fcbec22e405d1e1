//! A call in each worker.

use super::pool::{FORKED, Pool};
use super::task::EncodedTask;
use crate::error::{Broken, TaskError};
use crate::executor::Task;
use crate::future::Future;
use crate::remote::codec::Plane;
use std::sync::Arc;

/// Why such a call ends that has no worker.
const NO_WORKER: &str = "its worker could not be started; what was broadcast to the others runs there";

impl Pool {
    /// Starts all workers that there may be and gives each one of the tasks that `make` makes; their futures, by the workers'
    /// numbers.
    pub(crate) fn broadcast<R>(self: &Arc<Self>, make: impl Fn() -> (Task, Future<R>)) -> Vec<Future<R>> {
        if self.is_fork() {
            let (task, future) = make();
            let entry = task.into_entry();
            self.observed().queued(&*entry);
            self.observed().refuse(&*entry, TaskError::Broken(Broken::new(FORKED)));
            return vec![future];
        }
        let (mut futures, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..self.max_workers() {
            let (task, future) = make();
            let entry = task.into_entry();
            self.observed().queued(&*entry);
            entry.header().home.set(self.id);
            // Nobody else knows of it yet.
            entry.header().word.mark_entered();
            let plane = self.config.arena.clone().map(|arena| arena as Arc<dyn Plane>);
            match EncodedTask::new(entry, plane) {
                Ok(task) => tasks.push(task),
                // So it would be with the next.
                Err((entry, error)) => {
                    self.observed().refuse(&*entry, error);
                    self.cancel_unplaced(tasks);
                    return vec![future];
                }
            }
            futures.push(future);
        }
        let mut dispatcher = self.dispatcher.lock();
        if let Some(error) = dispatcher.refusal() {
            drop(dispatcher);
            let entries = tasks.into_iter().map(|task| task.into_unresolved().release());
            entries.for_each(|entry| self.observed().refuse(&*entry, error.clone()));
            return futures;
        }
        let (wake, left) = dispatcher.address(tasks);
        drop(dispatcher);
        self.wake_all(wake);
        // There is no worker for these, and none may be started now.
        futures.truncate(futures.len() - left.len());
        self.cancel_unplaced(left);
        futures
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
        for task in orphans {
            self.fail(task, TaskError::Broken(Broken::new(NO_WORKER)), None);
        }
    }
}
