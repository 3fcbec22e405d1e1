//! [`Hub`]: what one wait puts into the futures it waits for, and sleeps on.
//!
//! One per wait, however many futures: a future that completes tells the hub and knows nothing else of who waits. It
//! comes in two kinds. A *bell* counts and rings once enough has happened; it serves a wait for one future, `wait` and
//! a scope's end. A *stream* also says which futures completed, in the order in which they did; it serves
//! `as_completed` and unordered maps.
//!
//! No ring is lost: it is a flag under the bell's mutex, set before the notification and looked at before each sleep.

use crate::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use crate::sync::channel::{self, Receiver, Sender};
use crate::sync::{Condvar, Mutex};
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
    Stream(Sender<Event>),
}

#[derive(Default)]
struct Bell {
    rung: bool,
    help: bool,
}

enum Event {
    Done(Key),
    Help,
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
        let (sender, receiver) = channel::unbounded();
        Stream {
            hub: Arc::new(Hub { kind: Kind::Stream(sender), abandoned: AtomicBool::new(false) }),
            receiver,
            help: AtomicBool::new(false),
        }
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
            // Nobody listens any more: nothing to tell.
            Kind::Stream(sender) => drop(sender.send(Event::Done(key))),
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
            Kind::Stream(sender) => drop(sender.send(Event::Help)),
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
pub(crate) struct Stream {
    hub: Arc<Hub>,
    receiver: Receiver<Event>,
    /// Told to help by an event that a look met. Only the listener touches it.
    help: AtomicBool,
}

impl Stream {
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The next completed future, if one is there already.
    pub(crate) fn poll(&self) -> Option<Key> {
        loop {
            match self.receiver.try_recv() {
                Ok(Event::Done(key)) => return Some(key),
                // Kept for `sleep`: whoever only looks must not take it away from whoever sleeps.
                Ok(Event::Help) => self.help.store(true, Ordering::Relaxed),
                Err(_) => return None,
            }
        }
    }

    /// Sleeps until a future completes, and says which.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Result<Key, Woken> {
        if self.help.swap(false, Ordering::Relaxed) {
            return Err(Woken::Help);
        }
        let event = match deadline {
            None => self.receiver.recv().map_err(|_| Woken::TimedOut),
            Some(at) => self.receiver.recv_deadline(at).map_err(|_| Woken::TimedOut),
        };
        match event? {
            Event::Done(key) => Ok(key),
            Event::Help => Err(Woken::Help),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.hub.abandon();
    }
}
