//! An executor of your own: some threads and a channel, in about thirty lines.
//!
//! A type that implements `Executor` has `submit`, `map`, `wait`, `as_completed` and the rest without further code. It
//! promises only that it runs, fails or drops every task. Dropping a task resolves its future as abandoned, so no wait lasts
//! for ever.
//!
//! `cargo run --example custom_executor`

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use concurrent_futures::prelude::*;
use concurrent_futures::{Rejected, Shutdown, Task, TaskError};

/// A fixed number of threads that share one channel of tasks.
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
            // `next` holds the lock only while it takes a task, not while the task runs.
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
        // Cloned, so that no lock is held when a task is failed or dropped: that runs the user's callbacks.
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match door {
            Some(door) => drop(door.send(task)), // a task that can't be sent is dropped, and its future abandoned
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

/// Works with every executor, because it uses only the trait.
fn report(name: &str, executor: &dyn Executor) -> Result<(), TaskError> {
    let squares: Vec<u64> = executor.map(|x| x * x, 1..=5_u64).collect::<Result<_, _>>()?;

    let words =
        ["one", "three", "seventeen"].map(|word| (word, executor.submit(|word| word.len(), word.to_owned())));
    let done = wait(&words, ReturnWhen::AllCompleted).done.len();
    let mut lengths = Vec::new();
    for (word, future) in as_completed(words) {
        lengths.push(format!("{word} {}", future.result()?));
    }
    lengths.sort();

    println!("{name}");
    println!("  map           {squares:?}");
    println!("  wait          {done} done");
    println!("  as_completed  {}", lengths.join(", "));
    Ok(())
}

fn main() -> Result<(), TaskError> {
    let crew = Crew::new(3);
    report("our crew", &crew)?;
    crew.shutdown(Shutdown::Drain);
    match crew.submit(|x: u64| x, 1).result() {
        Err(error) => println!("  after the end {error}"),
        Ok(_) => println!("  after the end it still works, which is wrong"),
    }

    report("the library's threads", &ThreadPoolExecutor::new(3))
}
