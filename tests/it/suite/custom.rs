//! An executor of one's own, as the example `custom_executor` has it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use concurrent_futures::prelude::*;
use concurrent_futures::{Rejected, Shutdown, Task, TaskError};

/// A fixed crew of threads that share one channel of tasks.
pub(crate) struct Crew {
    door: Mutex<Option<Sender<Task>>>,
    queue: Arc<Mutex<Receiver<Task>>>,
    size: usize,
}

impl Crew {
    pub(crate) fn new(size: usize) -> Self {
        let (door, queue) = channel::<Task>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..size {
            let queue = queue.clone();
            // The lock is held while one takes, not while one works: `next` gives it back.
            thread::spawn(move || {
                while let Some(task) = next(&queue) {
                    task.run()
                }
            });
        }
        Self { door: Mutex::new(Some(door)), queue, size }
    }
}

impl Executor for Crew {
    fn execute(&self, task: Task) {
        // Cloned, so that no lock is held when a task is failed or dropped: that runs the callbacks of its user.
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match door {
            Some(door) => drop(door.send(task)), // one that can't be sent is dropped: abandoned
            None => drop(task.fail(TaskError::Rejected(Rejected::ShutDown))),
        }
    }

    fn shutdown(&self, mode: Shutdown) {
        self.door.lock().unwrap_or_else(PoisonError::into_inner).take(); // the threads end when the channel is empty
        if mode == Shutdown::CancelQueued {
            while let Some(task) = next(&self.queue) {
                task.fail(TaskError::Cancelled);
            }
        }
    }

    fn max_workers(&self) -> Option<usize> {
        Some(self.size)
    }
}

fn next(queue: &Mutex<Receiver<Task>>) -> Option<Task> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
