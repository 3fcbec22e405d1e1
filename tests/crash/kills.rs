//! Random SIGKILLs, and what they leave: nothing runs twice, nothing is lost, no kill costs more than one task.

use crate::house::{NAME, alone, scale, signal};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, TaskError, TimedOut, WorkerOutput, WorkerState};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Where workers find the file of marks.
const MARKS: &str = "CRASH_MARKS";

/// Tasks of one round.
const TASKS: u32 = 1000;

/// How often each task began and ended, in memory that outlives every worker.
struct Marks(&'static [AtomicU32]);

impl Marks {
    fn map(path: &Path) -> Self {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let bytes = 2 * TASKS as usize * 4;
        file.set_len(bytes as u64).unwrap();
        // SAFETY: a new mapping at a place that the kernel picks.
        let memory = unsafe {
            let (protection, sharing) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            libc::mmap(std::ptr::null_mut(), bytes, protection, sharing, file.as_raw_fd(), 0)
        };
        assert_ne!(memory, libc::MAP_FAILED);
        // SAFETY: the mapping is as long, aligned to a page, never unmapped, and only ever used through atomics.
        Marks(unsafe { std::slice::from_raw_parts(memory.cast(), 2 * TASKS as usize) })
    }

    fn begun(&self, task: u32) -> &AtomicU32 {
        &self.0[2 * task as usize]
    }

    fn done(&self, task: u32) -> &AtomicU32 {
        &self.0[2 * task as usize + 1]
    }
}

/// Marks its beginning and its end; takes up to 200 us, or a reply that fills the socket.
fn mark((task, large): (u32, bool)) -> (u32, String) {
    static OPEN: OnceLock<Marks> = OnceLock::new();
    let marks = OPEN.get_or_init(|| Marks::map(Path::new(&std::env::var_os(MARKS).unwrap())));
    marks.begun(task).fetch_add(1, Ordering::SeqCst);
    let until = Instant::now() + Duration::from_micros(u64::from(task) * 7919 % 200);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    marks.done(task).fetch_add(1, Ordering::SeqCst);
    (task, "r".repeat(if large { 300_000 } else { 3 }))
}

#[derive(Debug, Default)]
struct Count {
    kills: u32,
    finished: u32,
    died: u32,
    /// Began by the page and were killed before their first instruction.
    never_marked: u32,
    // What can't be:
    twice: u32,
    result_without_end: u32,
    lost: u32,
    other_errors: u32,
}

#[test]
fn random_kills_leave_no_impossible_state() {
    let target = 100 * scale() as u32;
    alone(Duration::from_secs(60 * scale() as u64), move || {
        let folder = tempfile::tempdir().unwrap();
        let mut count = Count::default();
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let mut round_number = 0;
        while count.kills < target {
            round_number += 1;
            let path = folder.path().join(round_number.to_string());
            round(&path, target, &mut dice, &mut count);
            std::fs::remove_file(path).unwrap();
        }
        println!("{count:?}");
        let impossible = (count.twice, count.result_without_end, count.lost, count.other_errors);
        assert_eq!(impossible, (0, 0, 0, 0), "{count:?}");
        assert!(count.died <= count.kills, "{count:?}");
        assert!(count.died > 0, "{count:?}");
    });
}

fn round(path: &Path, target: u32, dice: &mut Dice, count: &mut Count) {
    let marks = Marks::map(path);
    let builder = ProcessPoolExecutor::builder().max_workers(3).name_prefix(NAME);
    let pool = builder.env(MARKS, path).stderr(WorkerOutput::Null).build().unwrap();
    let tasks: Vec<Future<(u32, String)>> =
        (0..TASKS).map(|task| pool.submit(mark, (task, task % 16 == 0))).collect();
    let mut progress = 0;
    while tasks.iter().any(|task| !task.is_done()) {
        thread::park_timeout(Duration::from_micros(u64::from(dice.throw(1500))));
        let stats = pool.stats();
        // A pool gives up when three workers in a row die before they have done anything: that is not what is tested.
        if stats.finished == progress || count.kills >= target {
            continue;
        }
        let up = stats.workers.iter().filter(|worker| worker.state == WorkerState::Busy);
        let pids: Vec<u32> = up.filter_map(|worker| worker.pid).collect();
        if !pids.is_empty() {
            let pid = pids[dice.throw(pids.len() as u32) as usize];
            signal(pid, libc::SIGKILL);
            progress = stats.finished;
            count.kills += 1;
        }
    }
    for (number, task) in (0..).zip(tasks) {
        let (begun, done) = (marks.begun(number), marks.done(number));
        match task.result_timeout(Duration::from_secs(10)) {
            Ok(Ok((answer, text))) => {
                count.finished += 1;
                let whole = answer == number && (text.len() == 3 || text.len() == 300_000);
                if !whole || done.load(Ordering::SeqCst) != 1 {
                    count.result_without_end += 1;
                }
            }
            Ok(Err(TaskError::WorkerDied(died))) => {
                assert_eq!(died.signal(), Some(libc::SIGKILL), "{died}");
                count.died += 1;
                count.never_marked += u32::from(begun.load(Ordering::SeqCst) == 0);
            }
            Ok(Err(error)) => {
                println!("{error}");
                count.other_errors += 1;
            }
            Err(TimedOut { .. }) => count.lost += 1,
        }
        count.twice += u32::from(begun.load(Ordering::SeqCst) > 1);
    }
    pool.join_timeout(Duration::from_secs(20)).unwrap();
}

/// Each lies in shared memory in its own way: copied whole, or written part by part and read where it lies.
#[derive(Serialize, Deserialize, PartialEq)]
enum Payload {
    Bytes(ByteBuf),
    Numbers(Vec<u32>),
    Samples(Vec<i16>),
}

fn echo(payload: Payload) -> Payload {
    payload
}

/// What the task with this number sends: a size for each way that a value may go, with its neighbours.
fn payload(number: u32) -> Payload {
    const SIZES: [usize; 8] = [0, 100, (4 << 10) - 1, 4 << 10, (4 << 10) + 1, 64 << 10, 300_001, 1 << 20];
    let size = if number.is_multiple_of(50) { 16 << 20 } else { SIZES[number as usize % SIZES.len()] };
    let mut bytes: Vec<u8> = number.to_le_bytes().repeat(size / 4 + 1);
    bytes.truncate(size);
    match number / SIZES.len() as u32 % 3 {
        0 => Payload::Bytes(ByteBuf::from(bytes)),
        1 => Payload::Numbers((0..size as u32 / 4).map(|n| n ^ number).collect()),
        _ => Payload::Samples((0..size as u32 / 2).map(|n| (n ^ number) as i16).collect()),
    }
}

/// Each answer is right to the byte, or its worker has died; and all that the large ones took is given back.
#[test]
fn kills_while_values_of_every_size_are_on_their_way() {
    let target = 40 * scale() as u32;
    alone(Duration::from_secs(120 * scale() as u64), move || {
        let mut dice = Dice(0x2545_F491_4F6C_DD1D);
        let (mut kills, mut died, mut number) = (0, 0, 0);
        while kills < target {
            let builder = ProcessPoolExecutor::builder().max_workers(2).name_prefix(NAME);
            // Sometimes there is room for a few of them only: the others go through the socket.
            let room = [256 << 20, 1 << 20, 0][dice.throw(3) as usize];
            let pool = builder.payload_memory(room).stderr(WorkerOutput::Null).build().unwrap();
            let mut progress = 0;
            let mut air = std::collections::VecDeque::new();
            for _ in 0..300 {
                number += 1;
                air.push_back((number, pool.submit(echo, payload(number))));
                let stats = pool.stats();
                if stats.finished > progress && kills < target && dice.throw(3) == 0 {
                    let up = stats.workers.iter().filter(|worker| worker.state == WorkerState::Busy);
                    if let Some(pid) = up.filter_map(|worker| worker.pid).next() {
                        thread::park_timeout(Duration::from_micros(u64::from(dice.throw(500))));
                        signal(pid, libc::SIGKILL);
                        progress = stats.finished;
                        kills += 1;
                    }
                }
                if air.len() > 12 {
                    let (sent, future) = air.pop_front().unwrap();
                    died += u32::from(!is_right(sent, future));
                }
            }
            died += air.into_iter().map(|(sent, future)| u32::from(!is_right(sent, future))).sum::<u32>();
            pool.join_timeout(Duration::from_secs(20)).unwrap();
        }
        assert!(died > 0 && died <= kills, "{died} of {kills}");
    });
}

/// False if its worker died.
fn is_right(number: u32, future: Future<Payload>) -> bool {
    match future.result_timeout(Duration::from_secs(30)) {
        Ok(Ok(answer)) => {
            assert!(answer == payload(number), "another answer of task {number}");
            true
        }
        Ok(Err(TaskError::WorkerDied(died))) => {
            assert_eq!(died.signal(), Some(libc::SIGKILL), "{died}");
            false
        }
        Ok(Err(error)) => panic!("task {number}: {error}"),
        Err(TimedOut { .. }) => panic!("task {number} has no answer"),
    }
}

/// Marsaglia's xorshift: the same kills each time, as far as the scheduler allows.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % sides
    }
}
