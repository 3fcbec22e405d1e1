//! Many futures, of any types and executors.
//!
//! [`wait`] returns when enough of them are done, [`as_completed()`] hands them out one by one as they finish.

mod as_completed;
#[cfg(feature = "stream")]
mod stream;

pub use as_completed::{AsCompleted, AsCompletedTimeout, as_completed};

use crate::clock::deadline_after;
use crate::future::hub::{Hub, Key, RingWhen};
use crate::future::state::{Phase, Snapshot};
use crate::future::waiting::{self, Wait, Watched};
use crate::future::{Future, SharedFuture};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A value with a future in it, which can be waited for.
///
/// A struct of your own implements it in one line, with the watch of the future inside. Implemented for [`Future`],
/// [`SharedFuture`], references, `Box` and `Arc` of what is waitable, and for pairs with the future last: `(key, future)`.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Future, Watch, Waitable, prelude::*};
///
/// struct Job {
///     name: &'static str,
///     future: Future<u32>,
/// }
///
/// impl Waitable for Job {
///     fn watch(&self) -> Watch<'_> {
///         self.future.watch()
///     }
/// }
///
/// let pool = ThreadPoolExecutor::new(1);
/// for job in as_completed([Job { name: "seven", future: pool.spawn(|| 7) }]) {
///     println!("{}: {}", job.name, job.future.result()?);
/// }
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries no future",
    label = "nothing to wait for in here",
    note = "futures, references to them, boxes and pairs with the future last, `(key, future)`, can be waited for",
    note = "a struct of your own implements `Waitable` in one line: `fn watch(&self) -> Watch<'_> {{ self.future.watch() }}`"
)]
pub trait Waitable {
    /// The future inside.
    fn watch(&self) -> Watch<'_>;
}

/// A look at the future inside a [`Waitable`]; opaque, made by [`Waitable::watch`] of a future.
#[derive(Clone, Copy)]
pub struct Watch<'a>(&'a dyn Watched);

impl Watch<'_> {
    fn word(&self) -> Snapshot {
        self.0.cell().header().word.load()
    }
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watch").field(&self.0.cell().header().id).finish()
    }
}

impl<T: Send> Waitable for Future<T> {
    fn watch(&self) -> Watch<'_> {
        Watch(self)
    }
}

impl<T: Send> Waitable for SharedFuture<T> {
    fn watch(&self) -> Watch<'_> {
        Watch(self)
    }
}

impl<W: Waitable + ?Sized> Waitable for &W {
    fn watch(&self) -> Watch<'_> {
        (**self).watch()
    }
}

impl<W: Waitable + ?Sized> Waitable for &mut W {
    fn watch(&self) -> Watch<'_> {
        (**self).watch()
    }
}

impl<W: Waitable + ?Sized> Waitable for Box<W> {
    fn watch(&self) -> Watch<'_> {
        (**self).watch()
    }
}

impl<W: Waitable + ?Sized> Waitable for Arc<W> {
    fn watch(&self) -> Watch<'_> {
        (**self).watch()
    }
}

impl<K, W: Waitable> Waitable for (K, W) {
    fn watch(&self) -> Watch<'_> {
        self.1.watch()
    }
}

/// When [`wait`] returns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ReturnWhen {
    /// Once all are done.
    AllCompleted,
    /// Once one is done, in whatever way.
    FirstCompleted,
    /// Once one has failed, or all are done. A cancelled task has not failed.
    FirstException,
}

/// What [`wait`] found, each in the order in which it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waited<W> {
    /// Those that are done.
    pub done: Vec<W>,
    /// Those that are not.
    pub not_done: Vec<W>,
}

/// Waits until enough of `items` are done. Blocks the thread; never cancels anything.
///
/// Gives back exactly what it was given, duplicates included. A future that was cancelled is done at once. Costs one
/// registration per future that is not done; a loop that waits for the first of what is left, again and again, is
/// quadratic: [`as_completed()`] is made for that.
///
/// Inside a pool's worker it doesn't deadlock on tasks of that pool, however few its workers
/// ([`ThreadPoolExecutor`](crate::ThreadPoolExecutor) says how). A wait there that only the worker itself could end returns at once
/// ([`broadcast`](crate::ThreadPoolExecutor::broadcast)).
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(2);
/// let futures: Vec<_> = (0..4).map(|n| pool.spawn(move || n * n)).collect();
/// let waited = wait(&futures, ReturnWhen::AllCompleted);
/// assert_eq!(waited.done.len(), 4);
/// ```
pub fn wait<I>(items: I, until: ReturnWhen) -> Waited<I::Item>
where
    I: IntoIterator,
    I::Item: Waitable,
{
    wait_until(gather(items), until, None)
}

/// [`wait`], for no longer than `timeout` from the call. Running out of time is no error: what is not done is in
/// `not_done`. A zero limit only looks.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
/// use std::time::Duration;
///
/// let (_promise, future) = concurrent_futures::promise::<u32>();
/// let waited = concurrent_futures::wait_timeout([&future], ReturnWhen::AllCompleted, Duration::from_millis(1));
/// assert_eq!((waited.done.len(), waited.not_done.len()), (0, 1));
/// ```
pub fn wait_timeout<I>(items: I, until: ReturnWhen, timeout: Duration) -> Waited<I::Item>
where
    I: IntoIterator,
    I::Item: Waitable,
{
    let deadline = deadline_after(timeout);
    wait_until(gather(items), until, deadline)
}

/// How much of a size that an iterator claims is believed: so much memory may be reserved for items that don't come.
pub(crate) const MOST_BELIEVED: usize = 4096;

/// Collects. Unlike `collect` it takes the size that the iterator claims for a hint, which may be any number.
pub(crate) fn gather<I: IntoIterator>(items: I) -> Vec<I::Item> {
    let items = items.into_iter();
    let mut all = Vec::with_capacity(items.size_hint().0.min(MOST_BELIEVED));
    items.for_each(|item| all.push(item));
    all
}

fn wait_until<W: Waitable>(items: Vec<W>, until: ReturnWhen, deadline: Option<Instant>) -> Waited<W> {
    let mut group = Group { items: &items, until, hub: None, passed: 0, offered: false };
    // However it ended, the futures themselves say which are done.
    let _ = waiting::wait(&mut group, deadline);
    // A look may have armed it, and nobody slept.
    group.disarm();
    let (done, not_done) = items.into_iter().partition(|item| item.watch().word().is_resolved());
    Waited { done, not_done }
}

/// One `wait`.
struct Group<'w, W> {
    items: &'w [W],
    until: ReturnWhen,
    hub: Option<Arc<Hub>>,
    /// How many at the front are known to be done (AllCompleted).
    passed: usize,
    offered: bool,
}

impl<W: Waitable> Group<'_, W> {
    fn words(&self) -> impl Iterator<Item = Snapshot> + '_ {
        self.items.iter().map(|item| item.watch().word())
    }
}

impl<W: Waitable> Wait for Group<'_, W> {
    fn is_done(&mut self) -> bool {
        if self.items.is_empty() {
            return true;
        }
        if let Some(hub) = &self.hub {
            return hub.has_rung();
        }
        match self.until {
            ReturnWhen::AllCompleted => {
                // Each is passed once, however often this is asked.
                self.passed += self.words().skip(self.passed).take_while(|word| word.is_resolved()).count();
                self.passed == self.items.len()
            }
            // Asked again, these would look at all of them anew: the hub knows it in one look.
            ReturnWhen::FirstCompleted => {
                self.words().any(Snapshot::is_resolved) || {
                    self.arm();
                    self.is_done()
                }
            }
            ReturnWhen::FirstException => {
                self.words().any(|word| word.phase() == Phase::Failed) || {
                    self.arm();
                    self.is_done()
                }
            }
        }
    }

    fn needs_all(&self) -> bool {
        self.until == ReturnWhen::AllCompleted
    }

    fn each(&mut self, visit: &mut dyn FnMut(&dyn Watched) -> bool) {
        for item in &self.items[self.passed..] {
            let watch = item.watch();
            if !watch.word().is_resolved() && !visit(watch.0) {
                return;
            }
        }
    }

    fn unoffered(&mut self, visit: &mut dyn FnMut(&dyn Watched)) {
        if !std::mem::replace(&mut self.offered, true) {
            self.items[self.passed..].iter().rev().for_each(|item| visit(item.watch().0));
        }
    }

    fn arm(&mut self) -> &Arc<Hub> {
        if self.hub.is_none() {
            let hub = self.registered();
            self.hub = Some(hub);
        }
        self.hub.as_ref().expect("armed above")
    }
}

impl<W: Waitable> Group<'_, W> {
    /// A hub that is in every item that is not done.
    fn registered(&self) -> Arc<Hub> {
        let hub = Hub::new(match self.until {
            ReturnWhen::AllCompleted => RingWhen::Completed(self.items.len() - self.passed),
            ReturnWhen::FirstCompleted => RingWhen::Completed(1),
            ReturnWhen::FirstException => RingWhen::FailedOrCompleted(self.items.len()),
        });
        for (key, item) in self.items.iter().enumerate().skip(self.passed) {
            let cell = item.watch().0.cell();
            if !cell.watch(&hub, key as Key) {
                hub.tell(key as Key, cell.header().word.load().phase());
            }
        }
        hub
    }

    /// Takes the hub out of the items that are not done.
    fn disarm(&mut self) {
        let Some(hub) = self.hub.take() else { return };
        // All done: every entry went with its future's end.
        if self.until == ReturnWhen::AllCompleted && hub.has_rung() {
            return;
        }
        for (key, item) in self.items.iter().enumerate().skip(self.passed) {
            let cell = item.watch().0.cell();
            if !cell.header().word.load().is_resolved() {
                cell.unwatch(&hub, key as Key);
            }
        }
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{ReturnWhen, wait_timeout};
    use crate::future::promise;
    use crate::future::waiting::Watched;
    use std::time::Duration;

    #[test]
    fn a_wait_that_is_over_leaves_nothing_in_the_futures() {
        let (promises, futures): (Vec<_>, Vec<_>) = (0..3).map(|_| promise::<u8>()).unzip();
        for until in [ReturnWhen::AllCompleted, ReturnWhen::FirstCompleted, ReturnWhen::FirstException] {
            for limit in [Duration::ZERO, Duration::from_millis(1)] {
                for _ in 0..3 {
                    assert!(wait_timeout(&futures, until, limit).done.is_empty());
                }
            }
        }
        for future in &futures {
            future.cell().header().with_watchers(|watchers| assert_eq!(watchers.hubs(), 0));
        }
        drop(promises);
    }
}
