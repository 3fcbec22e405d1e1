//! From nothing to a first result: build a pool of at most two workers, submit one task, wait for it; microseconds, the
//! median of the goes in one process. Ending the pool is outside the clock. Once in a small process, once in one that has
//! 2 GiB resident, which a fork has to copy the tables of.
//!
//! And a pool of 64 workers, until each of them has run a task and its result is there; ours only. A task calls this
//! process through a socket and stays until it is told to go, so that no worker runs two.
//!
//! The floor: `posix_spawn` of this same program, which leaves as soon as it is in `main`, and its end awaited; 64 of them
//! at once.

use std::hint::black_box;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process;
use std::time::Instant;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};

use super::{Case, WORKERS, amount, median};
use crate::processes::floor;
use crate::processes::subject::Pool;

pub(super) const CASES: &[Case] = &[
    Case { name: "pool to first result", unit: "us" },
    Case { name: "the same beside 2 GiB", unit: "us" },
    Case { name: "64 workers to a result of each", unit: "us" },
];

const GOES: [usize; 3] = [40, 40, 10];

const RESIDENT: [usize; 3] = [0, 2 << 30, 0];

const MANY: usize = 64;

fn increment(i: u64) -> u64 {
    i + 1
}

pub(super) fn measure<P: Pool>(case: usize, quick: bool) -> f64 {
    goes(case, quick, || {
        let pool = P::new(WORKERS);
        assert_eq!(pool.wait(pool.submit(increment, 1)), 2);
        pool
    })
}

/// Of ours: many workers.
pub(super) fn many(case: usize, quick: bool) -> f64 {
    let name = format!("peers-cold-start-{}", process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name can be had");
    let door = UnixListener::bind_addr(&address).expect("a socket can be had");
    goes(case, quick, || {
        let pool = ProcessPoolExecutor::new(MANY);
        let futures: Vec<_> = (0..MANY).map(|_| pool.submit(stay, name.clone())).collect();
        let callers: Vec<_> = (0..MANY).map(|_| door.accept().expect("a worker calls")).collect();
        drop(callers);
        futures.into_iter().for_each(|future| assert_eq!(future.result().ok(), Some(true)));
        pool
    })
}

/// Until the other side hangs up.
fn stay(name: String) -> bool {
    let call = || UnixStream::connect_addr(&SocketAddr::from_abstract_name(&name)?)?.read(&mut [0]);
    call().is_ok_and(|bytes| bytes == 0)
}

pub(super) fn floor(case: usize, quick: bool) -> f64 {
    let go = if case == 2 { || floor::spawn_all_and_exit(MANY) } else { floor::spawn_and_exit };
    goes(case, quick, go)
}

fn goes<L>(case: usize, quick: bool, go: impl Fn() -> L) -> f64 {
    let ballast = vec![1_u8; RESIDENT[case]];
    let times = (0..amount(GOES[case], quick) + 1).map(|_| {
        let start = Instant::now();
        let leftover = go();
        let taken = start.elapsed();
        drop(leftover);
        taken.as_nanos() as f64 / 1e3
    });
    let figure = median(times.skip(1).collect());
    black_box(&ballast);
    figure
}
