//! [`AsCompleted`] as a [`Stream`]: the next one, awaited.
//!
//! Each item has the stream's own waker, for as long as it isn't done: it is put there once, at the first poll after the item was
//! added, and hands on to the waker of the latest poll. So a poll costs as much as there is news, however many items wait.
//!
//! No wake-up is lost. A poll that returns `Pending` has put its waker into the [`Listener`], then the listener into every item that
//! lacked it, and then looked for keys of items that are done. An item that was done before the listener came to it says so, and is
//! handed out. One that is done later first gives its key to the hub, then wakes the listener: if the key came before the look, the
//! look found it; if it came after, the wake-up comes after the waker was put into the listener.

use super::{AsCompleted, Waitable};
use crate::contain::drop_contained;
use crate::future::hub::Key;
use crate::future::waiting;
use crate::future::watchers::{WakerKey, drop_waker, new_waker_key};
use crate::logging;
use crate::streamed::Streamed;
use crate::sync::Mutex;
use futures_core::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Whom the items of one stream wake.
#[derive(Default)]
struct Listener(Mutex<Option<Waker>>);

impl Wake for Listener {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().take();
        // The user's, without the lock. It is called where a panic of a waker's is contained.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What an [`AsCompleted`] has once it was polled.
#[derive(Default)]
pub(super) struct Listening(Option<Polled>);

struct Polled {
    listener: Arc<Listener>,
    /// Of the listener in the items' watchers.
    key: WakerKey,
    /// Items that don't have the listener yet.
    unheard: Vec<Key>,
}

impl Listening {
    pub(super) fn note_added(&mut self, key: Key) {
        if let Some(polled) = &mut self.0 {
            polled.unheard.push(key);
        }
    }

    /// Where something is always done, nobody comes to listen, and what was handed out is forgotten now and then.
    pub(super) fn sweep(&mut self, is_there: impl Fn(Key) -> bool, left: usize) {
        if let Some(polled) = &mut self.0
            && polled.unheard.len() > 2 * left + 64
        {
            polled.unheard.retain(|key| is_there(*key));
            polled.unheard.sort_unstable();
            polled.unheard.dedup();
        }
    }
}

impl Drop for Polled {
    /// Items that are not done keep the listener; what is the user's goes now.
    fn drop(&mut self) {
        let waker = self.listener.0.lock().take();
        if let Err(panic) = drop_contained(waker) {
            logging::error(format_args!("a drop panicked in a waker: {}", panic.message()));
        }
    }
}

impl<W: Waitable> AsCompleted<W> {
    pub(crate) fn poll_item(&mut self, context: &Context<'_>) -> Poll<Option<W>> {
        while self.left() > 0 {
            if self.has_next() {
                if let Some(item) = self.hand_out_ready() {
                    return Poll::Ready(Some(item));
                }
                continue;
            }
            self.listen_to(context.waker());
            if let Some(key) = self.find_unheard() {
                // Its key may still come, and is not used again.
                return Poll::Ready(Some(self.hand_out(key)));
            }
            if !self.has_next() {
                return Poll::Pending;
            }
        }
        Poll::Ready(None)
    }

    fn listen_to(&mut self, waker: &Waker) {
        let all = self.keys();
        let polled = self.listening.0.get_or_insert_with(|| Polled {
            listener: Arc::default(),
            key: new_waker_key(),
            unheard: all.collect(),
        });
        let waker = waker.clone();
        let old = polled.listener.0.lock().replace(waker);
        // The user's, without the lock.
        drop(old);
    }

    /// Puts the listener into the items that lack it; the first that turns out to be done ends that.
    fn find_unheard(&mut self) -> Option<Key> {
        while let Some(key) = self.listening.0.as_mut().and_then(|polled| polled.unheard.pop()) {
            let (Some(polled), Some(item)) = (&self.listening.0, self.item_if_any(key)) else { continue };
            let watch = item.watch();
            let waker = waiting::awaits(watch.0, &polled.listener.clone().into());
            let cell = watch.0.cell();
            match cell.add_to_crowd(waker, |crowd, waker| crowd.set_waker(polled.key, waker)) {
                Ok(old) => drop_waker(cell, old),
                Err(resolved) => {
                    drop_waker(cell, Some(resolved));
                    return Some(key);
                }
            }
        }
        None
    }
}

impl<W: Waitable> AsCompleted<W> {
    /// The same as a `Stream`: yields what the iterator would, without blocking a thread. With feature `stream`.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use futures::StreamExt;
    ///
    /// # futures::executor::block_on(async {
    /// let pool = ThreadPoolExecutor::new(2);
    /// let mut done = as_completed((1..=3).map(|n| pool.submit(|n: u32| n * n, n))).into_stream();
    /// let mut sum = 0;
    /// while let Some(future) = done.next().await {
    ///     sum += future.await?;
    /// }
    /// assert_eq!(sum, 14);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// # }).unwrap();
    /// ```
    pub fn into_stream(self) -> Streamed<Self> {
        Streamed::new(self)
    }
}

impl<W: Waitable + Unpin> Stream for Streamed<AsCompleted<W>> {
    type Item = W;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<W>> {
        self.get_mut().get_mut().poll_item(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.get_ref().size_hint()
    }
}
