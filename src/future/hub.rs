//! [`Hub`]: what one wait puts into the futures it waits for, and sleeps on.
//!
//! One per wait, however many futures: a future that completes tells the hub and knows nothing else of who waits. It
//! comes in two kinds. A *bell* counts and rings once enough has happened; it serves a wait for one future, `wait` and
//! a scope's end. A *stream* also says which futures completed, in the order in which they did; it serves
//! `as_completed` and unordered maps.
//!
//! No ring is lost: it is a flag under the bell's mutex, or a key under the stream's, set before the notification and
//! looked at before each sleep.

use crate::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Names one future within one hub.
pub(crate) type Key = u32;

/// Why a sleeper was woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// What it waits for may have happened.
    Rung,
    /// It shall look whether it can run one of its own tasks.
    Help,
    /// Its time is up.
    TimedOut,
}

pub(crate) struct Hub {
    kind: Kind,
    /// The wait is over: entries left behind in futures are dead.
    abandoned: AtomicBool,
}

enum Kind {
    Bell { remaining: AtomicIsize, on_failure: bool, enough: AtomicBool, bell: Mutex<Bell>, rung: Condvar },
    Stream { news: Mutex<News>, is_new: AtomicBool, rung: Condvar },
}

#[derive(Default)]
struct Bell {
    rung: bool,
    help: bool,
}

/// What a stream's listener has not taken yet.
#[derive(Default)]
struct News {
    done: VecDeque<Key>,
    help: bool,
}

impl Hub {
    /// Rings once `remaining` futures have completed, or at the first failure if `on_failure` says so.
    pub(crate) fn bell(remaining: usize, on_failure: bool) -> Arc<Self> {
        let remaining =
            AtomicIsize::new(isize::try_from(remaining).expect("a wait for more futures than fit in memory"));
        let enough = AtomicBool::new(false);
        let kind = Kind::Bell { remaining, on_failure, enough, bell: Mutex::default(), rung: Condvar::new() };
        Arc::new(Hub { kind, abandoned: AtomicBool::new(false) })
    }

    /// Hands on the key of each future that completes.
    pub(crate) fn stream() -> Stream {
        let kind =
            Kind::Stream { news: Mutex::default(), is_new: AtomicBool::new(false), rung: Condvar::new() };
        Stream(Arc::new(Hub { kind, abandoned: AtomicBool::new(false) }))
    }

    /// A future has completed.
    pub(crate) fn tell(&self, key: Key, failed: bool) {
        match &self.kind {
            Kind::Bell { remaining, on_failure, enough, .. } => {
                if remaining.fetch_sub(1, Ordering::AcqRel) == 1 || (*on_failure && failed) {
                    enough.store(true, Ordering::Release);
                    self.ring();
                }
            }
            Kind::Stream { news, is_new, rung } => {
                {
                    let mut news = news.lock();
                    news.done.push_back(key);
                    // ORDERING: a hint. Whoever was told otherwise that the future is done sees it, and who sleeps asks
                    // under the lock.
                    is_new.store(true, Ordering::Relaxed);
                }
                rung.notify_one();
            }
        }
    }

    /// Whether a bell has been told enough, without sleeping.
    pub(crate) fn has_enough(&self) -> bool {
        matches!(&self.kind, Kind::Bell { enough, .. } if enough.load(Ordering::Acquire))
    }

    /// Rings, whatever the count says.
    pub(crate) fn ring(&self) {
        self.set(|bell| bell.rung = true);
    }

    /// Tells the sleeper to look whether it can help itself.
    pub(crate) fn help(&self) {
        match &self.kind {
            Kind::Bell { .. } => self.set(|bell| bell.help = true),
            Kind::Stream { news, rung, .. } => {
                news.lock().help = true;
                rung.notify_one();
            }
        }
    }

    fn set(&self, change: impl FnOnce(&mut Bell)) {
        if let Kind::Bell { bell, rung, .. } = &self.kind {
            change(&mut bell.lock());
            // The sleeper holds an Arc of this hub until it has woken, and so does whoever rings.
            rung.notify_one();
        }
    }

    /// Sleeps until the bell rings or the time is up. One sleeper at a time; a ring is taken by it.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Woken {
        let Kind::Bell { bell, rung, .. } = &self.kind else {
            unreachable!("a stream is read by its Stream")
        };
        let mut bell = bell.lock();
        loop {
            if std::mem::take(&mut bell.rung) {
                return Woken::Rung;
            }
            if std::mem::take(&mut bell.help) {
                return Woken::Help;
            }
            match deadline {
                None => rung.wait(&mut bell),
                Some(at) => {
                    if rung.wait_until(&mut bell, at).timed_out() && !bell.rung {
                        return Woken::TimedOut;
                    }
                }
            }
        }
    }

    /// The wait is over: whoever meets an entry of this hub may drop it.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// The listening end of a stream. Its drop, not its owner's, marks the hub as abandoned: an owner with a `Drop` of its
/// own would keep what it borrows borrowed until the end of its block.
pub(crate) struct Stream(Arc<Hub>);

impl Stream {
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0
    }

    /// Moves what has completed since into `ready`, which is empty. All at once: whoever tells and whoever listens meet
    /// at the lock once for many futures, not once for each.
    pub(crate) fn poll(&self, ready: &mut VecDeque<Key>) {
        let Kind::Stream { news, is_new, .. } = &self.0.kind else { unreachable!("made so") };
        if is_new.load(Ordering::Relaxed) {
            Self::take(&mut news.lock(), is_new, ready);
        }
    }

    /// Sleeps until a future completes and moves it, and all that has completed, into `ready`, which is empty.
    pub(crate) fn sleep(&self, ready: &mut VecDeque<Key>, deadline: Option<Instant>) -> Woken {
        let Kind::Stream { news, is_new, rung } = &self.0.kind else { unreachable!("made so") };
        let mut news = news.lock();
        loop {
            if !news.done.is_empty() {
                Self::take(&mut news, is_new, ready);
                return Woken::Rung;
            }
            if std::mem::take(&mut news.help) {
                return Woken::Help;
            }
            match deadline {
                None => rung.wait(&mut news),
                Some(at) => {
                    if rung.wait_until(&mut news, at).timed_out() && news.done.is_empty() {
                        return Woken::TimedOut;
                    }
                }
            }
        }
    }

    /// The two buffers take turns.
    fn take(news: &mut News, is_new: &AtomicBool, ready: &mut VecDeque<Key>) {
        debug_assert!(ready.is_empty());
        std::mem::swap(&mut news.done, ready);
        is_new.store(false, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
