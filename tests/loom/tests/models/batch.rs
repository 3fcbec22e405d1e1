//! Items that share a task: the worker that runs them against the thread that takes away what has not begun, and what is done.
//! loom looks at each use of an item and of a result.

use crate::support::{explore, thread};
use concurrent_futures::internals::Batch;

/// Each item runs or is taken away; each result comes once, in order, and whole. Breaks if to begin an item and to take it away are
/// not one change each, or if a result is announced before it is there, or by no Release.
#[test]
fn part_against_run() {
    explore("part against run", 4, || {
        let (batch, task) = Batch::new(vec![1, 2, 3]);
        let worker = thread(move || task.run(|item| item * 10));
        let (left, start) = batch.part();
        let mut results = batch.take_done();
        results.extend(worker.join().expect("no panic"));
        let results: Vec<_> = results.into_iter().map(|result| result.expect("it ran")).collect();
        assert_eq!((&left[..], &results[..]), (&[1, 2, 3][start..], &[10, 20, 30][..start]));
    });
}

/// Two take what is done, and the worker what is left of it. Breaks if the results that were taken are not counted under a lock.
#[test]
fn two_take_what_is_done() {
    explore("two take what is done", 3, || {
        let (batch, task) = Batch::new(vec![1, 2]);
        let worker = thread(move || task.run(|item| item * 10));
        let mut results = batch.take_done();
        results.extend(batch.take_done());
        results.extend(worker.join().expect("no panic"));
        let results: Vec<_> = results.into_iter().map(|result| result.expect("it ran")).collect();
        assert_eq!(results, [10, 20]);
    });
}

/// The same with an item that panics: that is its result, and the others run.
#[test]
fn part_against_a_panic() {
    explore("part against a panic", 4, || {
        let (batch, task) = Batch::new(vec![1, 2, 3]);
        let run = |item| {
            if item == 2 {
                // No hook is called: here it would end the model.
                std::panic::resume_unwind(Box::new("as it should"));
            }
            item * 10
        };
        let worker = thread(move || task.run(run));
        let mut results = batch.take_done();
        let (left, start) = batch.part();
        results.extend(worker.join().expect("it is caught"));
        let results: Vec<_> = results.into_iter().map(Result::ok).collect();
        assert_eq!((&left[..], &results[..]), (&[1, 2, 3][start..], &[Some(10), None, Some(30)][..start]));
    });
}

/// The task goes without having run, as one that is cancelled: what it has, nobody else takes.
#[test]
fn part_against_the_drop_of_the_task() {
    explore("part against the drop of the task", 3, || {
        let (batch, task) = Batch::<_, ()>::new(vec![1, 2]);
        let worker = thread(move || drop(task));
        let (left, start) = batch.part();
        assert_eq!(&left[..], &[1, 2][start..]);
        worker.join().expect("no panic");
        assert!(batch.part().0.is_empty() && batch.take_done().is_empty());
    });
}
