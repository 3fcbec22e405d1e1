//! Bytes there and back: a task that returns its argument, one after the other; microseconds per echo, the median. The
//! bytes are made before the clock starts and dropped after it has stopped.
//!
//! The floor: the same bytes over a socketpair to another process and back, one whole message after the other, from and
//! to a buffer that is there already.

use std::time::Instant;

use serde_bytes::ByteBuf;

use super::{Case, amount, median};
use crate::processes::floor::Echo;
use crate::processes::subject::Pool;

pub(super) const CASES: &[Case] = &[
    Case { name: "1 KiB", unit: "us" },
    Case { name: "64 KiB", unit: "us" },
    Case { name: "1 MiB", unit: "us" },
    Case { name: "16 MiB", unit: "us" },
    Case { name: "16 MiB, Vec<u8> by plain serde", unit: "us" },
    Case { name: "4 KiB", unit: "us" },
    Case { name: "16 MiB in a tuple", unit: "us" },
    Case { name: "64 MiB", unit: "us" },
    Case { name: "256 MiB", unit: "us" },
];

/// The case in which serde sees single numbers, and that in which something stands behind the bytes.
const PLAIN: usize = 4;
const TUPLE: usize = 6;

const SIZES: [usize; 9] =
    [1 << 10, 64 << 10, 1 << 20, 16 << 20, 16 << 20, 4 << 10, 16 << 20, 64 << 20, 256 << 20];

const GOES: [usize; 9] = [4_000, 1_000, 200, 20, 20, 2_000, 20, 8, 4];

fn bytes(bytes: ByteBuf) -> ByteBuf {
    bytes
}

fn plain(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

fn tuple(bytes: (ByteBuf, u32)) -> (ByteBuf, u32) {
    bytes
}

pub(super) fn measure<P: Pool>(case: usize, quick: bool) -> f64 {
    let pool = P::new(1);
    match case {
        PLAIN => goes(case, quick, |sent| pool.wait(pool.submit(plain, sent))),
        TUPLE => {
            goes(case, quick, |sent| pool.wait(pool.submit(tuple, (ByteBuf::from(sent), 7))).0.into_vec())
        }
        _ => goes(case, quick, |sent| pool.wait(pool.submit(bytes, ByteBuf::from(sent))).into_vec()),
    }
}

fn goes(case: usize, quick: bool, echo: impl Fn(Vec<u8>) -> Vec<u8>) -> f64 {
    let warm_up = warm_up(quick);
    let times = (0..amount(GOES[case], quick) + warm_up).map(|go| {
        let sent = vec![go as u8; SIZES[case]];
        let start = Instant::now();
        let back = echo(sent);
        let taken = start.elapsed();
        assert_eq!((back.len(), back.last()), (SIZES[case], Some(&(go as u8))));
        taken.as_nanos() as f64 / 1e3
    });
    median(times.skip(warm_up).collect())
}

/// The first ones find cold memory.
fn warm_up(quick: bool) -> usize {
    if quick { 0 } else { 2 }
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let mut echo = Echo::start(SIZES[case]);
    let warm_up = warm_up(quick);
    let times = (0..amount(GOES[case], quick) + warm_up).map(|_| {
        let start = Instant::now();
        echo.trip();
        start.elapsed().as_nanos() as f64 / 1e3
    });
    median(times.skip(warm_up).collect())
}
