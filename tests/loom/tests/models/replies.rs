//! The ring of small replies, with the orderings that its words have: nobody sleeps while a reply lies there, and its
//! bytes come whole.
//!
//! A ring of a few words, so that a third reply wraps it. Each model was seen to fail with an ordering taken
//! away; which, it says itself. Not to be seen here is `head` without Release: loom lets a load see an old value, never
//! one that is yet to be stored.
//!
//! `want` must go from 1 to 0 by compare-and-swap. A swap that finds 0 stores a 0 as well; by the rules of the language that
//! comes right after the 0 it found, but loom lets it come after a 1 that was stored meanwhile, and calls that a deadlock.

use crate::support::explore;
use concurrent_futures::internals::Ring;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// In the place of doorbell and eventfd: what rings them is heard once, now or by who sleeps next.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().expect("no panics") = true;
        self.heard.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock().expect("no panics");
        while !*rung {
            rung = self.heard.wait(rung).expect("no panics");
        }
        *rung = false;
    }
}

#[derive(Default)]
struct Lane {
    ring: Small,
    bell: Bell,
    /// The indices of the replies that were taken.
    book: Mutex<Vec<u32>>,
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
        if is_put && self.ring.is_wanted() {
            self.bell.ring();
        }
        is_put
    }

    /// The next reply out of the ring, in one section of the book.
    fn collect(&self) -> Option<u32> {
        let mut book = self.book.lock().expect("no panics");
        let index = take(&self.ring)?;
        book.push(index);
        Some(index)
    }

    /// D1 and D2, until there are `replies`. Sleeps for ever if one is lost, which loom calls a deadlock.
    fn drive(&self, replies: usize) {
        while self.book.lock().expect("no panics").len() < replies {
            if !self.ring.hang_up() {
                self.bell.sleep();
            }
            self.ring.listen();
            while self.collect().is_some() {}
        }
    }
}

fn take(ring: &Small) -> Option<u32> {
    let (batch, index, reply) = ring.take()?;
    assert_eq!((batch, reply), (BATCH, bytes(index)));
    Some(index)
}

/// Fails without the fence in `hang_up`, and without the one in `is_wanted`.
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
        assert_eq!(*lane.book.lock().expect("no panics"), [0, 1]);
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

/// Fails without the fence in `hang_up`, and without the one in `is_wanted`.
#[test]
fn who_listens_and_hangs_up_loses_nothing() {
    explore("who_listens_and_hangs_up_loses_nothing", 2, || {
        let lane = Arc::new(Lane::default());
        let worker = {
            let lane = lane.clone();
            thread::spawn(move || assert!(lane.reply(0), "one has room"))
        };
        let waiter = {
            let lane = lane.clone();
            thread::spawn(move || {
                if !lane.ring.listen_instead() {
                    return;
                }
                let mut takes = false;
                if lane.ring.has_news() {
                    let mut book = lane.book.lock().expect("no panics");
                    let taken = take(&lane.ring);
                    takes = taken.is_some();
                    book.extend(taken);
                }
                // Whoever takes decides for the driver: it is to see that there is no more to come.
                if lane.ring.hang_up() || takes {
                    lane.bell.ring();
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
        assert_eq!(*lane.book.lock().expect("no panics"), [0]);
    });
}
