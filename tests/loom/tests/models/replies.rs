//! The ring of small replies, with the orderings that its words have: nobody sleeps while a reply lies there, and its
//! bytes come whole.
//!
//! A ring of a few words, so that a third reply wraps it. Each model was seen to fail with an ordering taken
//! away; which, it says itself. Not to be seen here is `head` without Release: loom lets a load see an old value, never
//! one that is yet to be stored.
//!
//! `doorbell` must go from 1 to 0 by compare-and-swap. A swap that finds 0 stores a 0 as well; by the rules of the language that
//! comes right after the 0 it found, but loom lets it come after a 1 that was stored meanwhile, and calls that a deadlock.

use crate::support::explore;
use concurrent_futures::internals::Ring;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// In the place of doorbell and eventfd: once set, it ends one sleep, the current or the next one.
#[derive(Default)]
struct Event {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Event {
    fn signal(&self) {
        *self.is_set.lock().expect("no panics") = true;
        self.changed.notify_one();
    }

    fn sleep(&self) {
        let mut is_set = self.is_set.lock().expect("no panics");
        while !*is_set {
            is_set = self.changed.wait(is_set).expect("no panics");
        }
        *is_set = false;
    }
}

#[derive(Default)]
struct Lane {
    ring: Small,
    event: Event,
    /// The indices of the replies that were taken, under the lock of the dispatcher.
    dispatcher: Mutex<Vec<u32>>,
}

/// Room for two replies.
type Small = Ring<8>;

const BATCH: u32 = 7;

/// No two replies have a byte in common.
fn bytes(index: u32) -> Vec<u8> {
    (1..=5).map(|byte| index as u8 * 16 + byte).collect()
}

impl Lane {
    /// W4. False: the ring is full.
    fn reply(&self, index: u32) -> bool {
        let is_put = self.ring.put(BATCH, index, &bytes(index));
        if is_put && self.ring.takes_doorbell() {
            self.event.signal();
        }
        is_put
    }

    /// The next reply out of the ring, in one section of the dispatcher.
    fn collect(&self) -> Option<u32> {
        let mut dispatcher = self.dispatcher.lock().expect("no panics");
        let index = take(&self.ring)?;
        dispatcher.push(index);
        Some(index)
    }

    /// D1 and D2, until there are `replies`. Sleeps for ever if one is lost, which loom calls a deadlock.
    fn drive(&self, replies: usize) {
        while self.dispatcher.lock().expect("no panics").len() < replies {
            if !self.ring.enable_doorbell() {
                self.event.sleep();
            }
            self.ring.disable_doorbell();
            while self.collect().is_some() {}
        }
    }
}

fn take(ring: &Small) -> Option<u32> {
    let (batch, index, reply) = ring.take()?;
    assert_eq!((batch, reply), (BATCH, bytes(index)));
    Some(index)
}

/// Fails without the fence in `enable_doorbell`, and without the one in `takes_doorbell`.
#[test]
fn no_reply_lies_there_while_the_driver_sleeps() {
    explore("no_reply_lies_there_while_the_driver_sleeps", 3, || {
        let lane = Arc::new(Lane::default());
        let worker = {
            let lane = lane.clone();
            thread::spawn(move || (0..2).filter(|&index| !lane.reply(index)).count())
        };
        let driver = {
            let lane = lane.clone();
            thread::spawn(move || lane.drive(2))
        };
        driver.join().expect("no panics");
        assert_eq!(worker.join().expect("no panics"), 0, "two have room");
        assert_eq!(*lane.dispatcher.lock().expect("no panics"), [0, 1]);
    });
}

/// Fails if `tail` is stored without Release or loaded without Acquire.
#[test]
fn replies_come_whole_and_in_order_when_the_ring_wraps() {
    const REPLIES: u32 = 4;
    explore("replies_come_whole_and_in_order_when_the_ring_wraps", 3, || {
        let ring = Arc::new(Small::default());
        let worker = {
            let ring = ring.clone();
            // What has no room goes by the socket.
            thread::spawn(move || (0..REPLIES).filter(|&i| ring.put(BATCH, i, &bytes(i))).collect::<Vec<_>>())
        };
        let driver = {
            let ring = ring.clone();
            thread::spawn(move || (0..3).filter_map(|_| take(&ring)).collect::<Vec<_>>())
        };
        let mut taken = driver.join().expect("no panics");
        let put = worker.join().expect("no panics");
        taken.extend(std::iter::from_fn(|| take(&ring)));
        assert_eq!(taken, put);
        assert_eq!(put[..2], [0, 1], "two have room");
    });
}

/// Fails without the fence in `enable_doorbell`, and without the one in `takes_doorbell`.
#[test]
fn a_direct_wait_loses_nothing() {
    explore("a_direct_wait_loses_nothing", 2, || {
        let lane = Arc::new(Lane::default());
        let worker = {
            let lane = lane.clone();
            thread::spawn(move || assert!(lane.reply(0), "one has room"))
        };
        let waiter = {
            let lane = lane.clone();
            thread::spawn(move || {
                if !lane.ring.try_disable_doorbell() {
                    return;
                }
                let mut takes = false;
                if lane.ring.has_replies() {
                    let mut dispatcher = lane.dispatcher.lock().expect("no panics");
                    let taken = take(&lane.ring);
                    takes = taken.is_some();
                    dispatcher.extend(taken);
                }
                // Whoever takes decides for the driver: it is to see that there is no more to come.
                if lane.ring.enable_doorbell() || takes {
                    lane.event.signal();
                }
            })
        };
        let driver = {
            let lane = lane.clone();
            thread::spawn(move || lane.drive(1))
        };
        driver.join().expect("no panics");
        worker.join().expect("no panics");
        waiter.join().expect("no panics");
        assert_eq!(*lane.dispatcher.lock().expect("no panics"), [0]);
    });
}
