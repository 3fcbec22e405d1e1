//! The inherent verbs: what executors of this process offer beyond [`ExecutorExt`](super::ExecutorExt), for any closure
//! and any `Send` type.
//!
//! One list for all of them, stamped by `local_verbs!`: a verb that were missing on one type would silently be the
//! trait's there, and adding it later would change what programs mean.

use super::call::failing;
use super::map::{Intake, Map, MapOptions, MapWith, Pace, Sizes, Submit, ToPool};
use crate::error::{TaskError, TaskFailure};
use crate::future::cell::{Cell, Entry, Source};
use crate::future::extra::{Extra, Items, OfMap};
use crate::future::pointer::Pointer;
use crate::future::work::Work;
use crate::future::{Future, TaskOptions};
use std::sync::Arc;

/// Where local tasks go: a counted pointer to the pool, so that a lazy map can keep it.
pub(crate) trait Launch: Clone + Send + Sync + 'static {
    /// Takes a task nobody else knows of yet.
    fn accept(&self, entry: Entry);

    /// Takes what is left of a task that it accepted before, as the tasks that `take` gives: nobody else knows of those
    /// yet. They are not refused for want of room or because the pool has been shut down since. `take` is called once, maybe
    /// with a lock held.
    fn accept_parts(&self, take: &mut dyn FnMut() -> Vec<Entry>) {
        take().into_iter().for_each(|entry| self.accept(entry));
    }

    fn workers(&self) -> usize;

    /// Whether tasks have a cost that is worth sharing.
    const SHARES: bool;

    fn launch<W, T>(&self, options: Option<TaskOptions>, work: W) -> Future<T>
    where
        W: Work<T> + 'static,
        T: Send + 'static,
    {
        let [entry, cell] = match options {
            None => Cell::entered(work, ()),
            Some(options) => Cell::entered(work, options),
        };
        let future = Future::from_cell(cell);
        self.accept(entry.into_entry());
        future
    }

    /// The same for a task of a map, which is for these items of its input.
    fn launch_items<W, T, I>(&self, options: Option<TaskOptions>, items: I, work: W) -> Future<T>
    where
        W: Work<T> + 'static,
        T: Send + 'static,
        I: Items + 'static,
    {
        let [entry, cell] = match options {
            None => Cell::entered(work, OfMap { extra: (), items }),
            Some(extra) => Cell::entered(work, OfMap { extra, items }),
        };
        let future = Future::from_cell(cell);
        self.accept(entry.into_entry());
        future
    }
}

/// As [`failing`], for any closure.
pub(crate) fn fallible<A, T, E, F>(f: F, arg: A) -> impl FnOnce() -> Result<T, TaskError>
where
    E: TaskFailure,
    F: FnOnce(A) -> Result<T, E>,
{
    move || failing(f(arg))
}

/// The two ends of a queued task, for a scope: what it borrows is in their type still. `listed` says whether others will know
/// the task before its entry is in a queue.
pub(crate) fn ends_of<'a, W, T, X>(work: W, extra: X, listed: bool) -> [Pointer<dyn Source<T> + 'a>; 2]
where
    W: Work<T> + 'a,
    T: Send + 'a,
    X: Extra + 'a,
{
    if listed { Cell::queued(work, extra) } else { Cell::entered(work, extra) }
}

pub(crate) fn map<L, A, R, I>(
    pool: &L,
    f: impl Fn(A) -> Result<R, TaskError> + Send + Sync + 'static,
    input: I,
) -> Map<R>
where
    L: Launch,
    A: Send + 'static,
    R: Send + 'static,
    I: IntoIterator<Item = A>,
{
    let f = Arc::new(f);
    Map::new(input.into_iter().enumerate().map(|(index, arg)| {
        let f = f.clone();
        pool.launch_items(None, index, move || f(arg))
    }))
}

pub(crate) fn map_with<L, A, R, I>(
    pool: &L,
    options: MapOptions,
    f: impl Fn(A) -> Result<R, TaskError> + Send + Sync + 'static,
    input: I,
) -> MapWith<'static, I::IntoIter, R>
where
    L: Launch,
    A: Send + 'static,
    R: Send + 'static,
    I: IntoIterator<Item = A>,
{
    let intake = Intake::of_items(&options);
    lazy(pool, options, intake, L::SHARES, f, input)
}

/// The next stage behind another map.
pub(crate) fn then_map_with<L, A, R, I>(
    pool: &L,
    options: MapOptions,
    f: impl Fn(A) -> Result<R, TaskError> + Send + Sync + 'static,
    input: I,
) -> MapWith<'static, I::IntoIter, R>
where
    L: Launch,
    A: Send + 'static,
    R: Send + 'static,
    I: IntoIterator<Item = Result<A, TaskError>>,
{
    let intake = Intake::of_results(&options);
    // Its input says how many items come, and not that they are there: one that is taken must not wait for others to share a task.
    lazy(pool, options, intake, false, move |item: Result<A, TaskError>| f(item?), input)
}

fn lazy<L, A, R, I>(
    pool: &L,
    options: MapOptions,
    intake: Intake<A, R>,
    shares: bool,
    f: impl Fn(A) -> Result<R, TaskError> + Send + Sync + 'static,
    input: I,
) -> MapWith<'static, I::IntoIter, R>
where
    L: Launch,
    A: Send + 'static,
    R: Send + 'static,
    I: IntoIterator<Item = A>,
{
    let workers = pool.workers();
    let mut sizes =
        if L::SHARES { Sizes::new(&options, workers, shares) } else { Sizes::fixed(&options, workers) };
    let (pace, shares) = (sizes.measure(), sizes.shares());
    if let Some(pace) = &pace {
        pace.note_bytes(size_of::<A>(), 1);
    }
    let submit = ToPool { pool: pool.clone(), f: Arc::new(f), tasks: options.tasks.clone(), pace, shares };
    MapWith::new(&options, sizes, input.into_iter(), intake, Box::new(submit))
}

/// A lazy map whose items may borrow: `submit` makes the way of its chunks to the pool, whose tasks note how long items take where
/// that is of use.
///
/// # Panics
///
/// If items are to be weighed: what weighs them is for one type, and types that borrow can't be told apart.
pub(crate) fn borrowing_map_with<'e, A, R, I, S>(
    options: &MapOptions,
    workers: usize,
    input: I,
    submit: impl FnOnce(Option<Arc<Pace>>) -> S,
) -> MapWith<'e, I::IntoIter, R>
where
    R: Send,
    I: IntoIterator<Item = A>,
    S: Submit<A, R> + 'e,
{
    assert!(
        !options.weighs(),
        "`MapOptions::weigh` can't weigh the items of a scope's map, which may borrow"
    );
    let mut sizes = Sizes::new(options, workers, false);
    let submit = Box::new(submit(sizes.measure()));
    MapWith::new(options, sizes, input.into_iter(), Intake::unweighed(), submit)
}

/// The inherent verbs of an executor that has a method `local(&self) -> &impl Launch`.
macro_rules! local_verbs {
    ($executor:ty) => {
        impl $executor {
            /// Submits the call `f()` and returns a future for its result: Python's `submit` of a function without
            /// arguments.
            ///
            /// A pool that is shut down or broken returns a future that has already failed. Blocks only on a queue bounded
            /// by [`WhenFull::Block`](crate::WhenFull::Block).
            pub fn spawn<R, F>(&self, f: F) -> Future<R>
            where
                R: Send + 'static,
                F: FnOnce() -> R + Send + 'static,
            {
                self.local().launch(None, || Ok(f()))
            }

            /// Submits the call `f()`, which may fail: an `Err` becomes the task's failure,
            /// [`TaskError::Failed`](crate::TaskError::Failed). In a closure with `?`, end with `anyhow::Ok(x)` or name
            /// the error's type.
            pub fn try_spawn<T, E, F>(&self, f: F) -> Future<T>
            where
                T: Send + 'static,
                E: TaskFailure,
                F: FnOnce() -> Result<T, E> + Send + 'static,
            {
                self.local().launch(None, crate::executor::local::fallible(|()| f(), ()))
            }

            /// Submits the call `f(arg)` and returns a future for its result. Takes any closure and any `Send` type.
            pub fn submit<A, R, F>(&self, f: F, arg: A) -> Future<R>
            where
                A: Send + 'static,
                R: Send + 'static,
                F: FnOnce(A) -> R + Send + 'static,
            {
                self.local().launch(None, || Ok(f(arg)))
            }

            /// `submit`, with options for this task.
            pub fn submit_with<A, R, F>(&self, options: TaskOptions, f: F, arg: A) -> Future<R>
            where
                A: Send + 'static,
                R: Send + 'static,
                F: FnOnce(A) -> R + Send + 'static,
            {
                self.local().launch(Some(options), || Ok(f(arg)))
            }

            /// Submits the call `f(arg)`, which may fail: an `Err` becomes the task's failure,
            /// [`TaskError::Failed`](crate::TaskError::Failed).
            pub fn try_submit<A, T, E, F>(&self, f: F, arg: A) -> Future<T>
            where
                A: Send + 'static,
                T: Send + 'static,
                E: TaskFailure,
                F: FnOnce(A) -> Result<T, E> + Send + 'static,
            {
                self.local().launch(None, crate::executor::local::fallible(f, arg))
            }

            /// `try_submit`, with options for this task.
            pub fn try_submit_with<A, T, E, F>(&self, options: TaskOptions, f: F, arg: A) -> Future<T>
            where
                A: Send + 'static,
                T: Send + 'static,
                E: TaskFailure,
                F: FnOnce(A) -> Result<T, E> + Send + 'static,
            {
                self.local().launch(Some(options), crate::executor::local::fallible(f, arg))
            }

            /// Calls `f` on each item, one task per item, all submitted at once; results come in the order of the input.
            /// For input that is endless or large, use `map_with`.
            pub fn map<A, R, F, I>(&self, f: F, input: I) -> Map<R>
            where
                A: Send + 'static,
                R: Send + 'static,
                F: Fn(A) -> R + Send + Sync + 'static,
                I: IntoIterator<Item = A>,
            {
                crate::executor::local::map(self.local(), move |item| Ok(f(item)), input)
            }

            /// `map` of a function that may fail: each item has its own error.
            pub fn try_map<A, T, E, F, I>(&self, f: F, input: I) -> Map<T>
            where
                A: Send + 'static,
                T: Send + 'static,
                E: TaskFailure,
                F: Fn(A) -> Result<T, E> + Send + Sync + 'static,
                I: IntoIterator<Item = A>,
            {
                let f = move |item| crate::executor::local::fallible(&f, item)();
                crate::executor::local::map(self.local(), f, input)
            }

            /// A map that takes its input as results are taken: bounded, in chunks, in either order, as `options` say.
            pub fn map_with<A, R, F, I>(
                &self,
                options: MapOptions,
                f: F,
                input: I,
            ) -> MapWith<'static, I::IntoIter, R>
            where
                A: Send + 'static,
                R: Send + 'static,
                F: Fn(A) -> R + Send + Sync + 'static,
                I: IntoIterator<Item = A>,
            {
                crate::executor::local::map_with(self.local(), options, move |item| Ok(f(item)), input)
            }

            /// `map_with` of a function that may fail.
            pub fn try_map_with<A, T, E, F, I>(
                &self,
                options: MapOptions,
                f: F,
                input: I,
            ) -> MapWith<'static, I::IntoIter, T>
            where
                A: Send + 'static,
                T: Send + 'static,
                E: TaskFailure,
                F: Fn(A) -> Result<T, E> + Send + Sync + 'static,
                I: IntoIterator<Item = A>,
            {
                let f = move |item| crate::executor::local::fallible(&f, item)();
                crate::executor::local::map_with(self.local(), options, f, input)
            }

            /// `map_with` over the results of another map: the next stage of a pipeline. A failed result is passed on as it
            /// is, in its place, and costs no task. See
            /// [`ExecutorExt::then_map_with`](crate::ExecutorExt::then_map_with).
            pub fn then_map_with<A, R, F, I>(
                &self,
                options: MapOptions,
                f: F,
                input: I,
            ) -> MapWith<'static, I::IntoIter, R>
            where
                A: Send + 'static,
                R: Send + 'static,
                F: Fn(A) -> R + Send + Sync + 'static,
                I: IntoIterator<Item = Result<A, crate::TaskError>>,
            {
                crate::executor::local::then_map_with(self.local(), options, move |item| Ok(f(item)), input)
            }

            /// `then_map_with` of a function that may fail.
            pub fn try_then_map_with<A, T, E, F, I>(
                &self,
                options: MapOptions,
                f: F,
                input: I,
            ) -> MapWith<'static, I::IntoIter, T>
            where
                A: Send + 'static,
                T: Send + 'static,
                E: TaskFailure,
                F: Fn(A) -> Result<T, E> + Send + Sync + 'static,
                I: IntoIterator<Item = Result<A, crate::TaskError>>,
            {
                let f = move |item| crate::executor::local::fallible(&f, item)();
                crate::executor::local::then_map_with(self.local(), options, f, input)
            }
        }
    };
}

pub(crate) use local_verbs;
