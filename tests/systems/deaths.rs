//! Deaths of workers and of their parent, by what every system has: no signal, no descriptor, no `/proc`.
//!
//! `tests/crash` goes deeper, on Linux. This says the same of any system on which the crate runs: each way to die is told and
//! costs its task, no task begins twice, and nothing is left when a parent has gone.

use concurrent_futures::{
    Future, ProcessPoolExecutor, Shutdown, TaskError, TaskOptions, WorkerDied, WorkerOutput, prelude::*,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long a test may take, times `TEST_PATIENCE`.
const LIMIT: Duration = Duration::from_secs(60);

fn patience() -> u32 {
    std::env::var("TEST_PATIENCE").map_or(1, |text| text.parse().expect("a number"))
}

/// Runs a test that may not hang.
fn limit(body: impl FnOnce() + Send + 'static) {
    let (over, ended) = channel::<()>();
    let test = thread::spawn(move || {
        let _over = over;
        body();
    });
    if ended.recv_timeout(LIMIT * patience()) == Err(RecvTimeoutError::Timeout) {
        let _ = writeln!(std::io::stderr(), "it hangs");
        std::process::abort();
    }
    test.join().expect("it passes");
}

fn pool(workers: usize) -> ProcessPoolExecutor {
    ProcessPoolExecutor::builder().max_workers(workers).build().expect("a pool")
}

// ---- ways to die ------------------------------------------------------------------------------------

fn die(way: u8) {
    match way {
        0 => std::process::abort(),
        1 => std::process::exit(3),
        // SAFETY: none: it is to end the process.
        2 => unsafe { std::ptr::without_provenance_mut::<u32>(8).write_volatile(1) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        3 => unsafe { std::arch::asm!("ud2") },
        _ => drop(deeper(&[0; 1000])),
    }
}

/// Until the stack is over.
#[expect(unconditional_recursion, reason = "it is to end the process")]
fn deeper(above: &[u64; 1000]) -> u64 {
    let mut here = *above;
    here[7] = std::hint::black_box(above[3]) + 1;
    deeper(std::hint::black_box(&here)) + here[7]
}

/// How a worker ends by each of these.
#[cfg(unix)]
const ENDS: [(Option<i32>, Option<i32>); 4] =
    [(Some(6), None), (None, Some(3)), (Some(11), None), (Some(4), None)];
#[cfg(windows)]
const ENDS: [(Option<i32>, Option<i32>); 4] = [
    (None, Some(0xc000_0409_u32.cast_signed())),
    (None, Some(3)),
    (None, Some(0xc000_0005_u32.cast_signed())),
    (None, Some(0xc000_001d_u32.cast_signed())),
];

fn died<T: std::fmt::Debug>(result: Result<T, TaskError>) -> WorkerDied {
    match result {
        Err(TaskError::WorkerDied(died)) => died,
        other => panic!("no worker died: {other:?}"),
    }
}

#[test]
fn each_way_to_die_is_told_and_costs_its_task_alone() {
    limit(|| {
        let pool = pool(2);
        for (way, (signal, code)) in (0_u8..).zip(ENDS) {
            let before = pool.submit(|n: u32| n + 1, 1);
            let died = died(pool.submit(die, way).result());
            assert_eq!((died.signal(), died.exit_code()), (signal, code), "{way}: {died}");
            assert!(died.cause().is_some(), "{died}");
            assert_eq!((before.result().unwrap(), pool.submit(|n: u32| n + 1, 2).result().unwrap()), (2, 3));
        }
        let text = died(pool.submit(die, 2).result()).to_string();
        assert!(!cfg!(windows) || text.contains("0xC0000005"), "{text}");
    });
}

#[test]
#[cfg_attr(windows, ignore = "Wine ends only the thread whose stack is over")]
fn a_stack_that_overflows_is_told() {
    limit(|| {
        let pool = pool(1);
        let died = died(pool.submit(die, 4).result());
        assert!(died.signal().is_some() || died.exit_code() == Some(0xc000_00fd_u32.cast_signed()), "{died}");
        assert_eq!(pool.submit(|n: u32| n + 1, 2).result().unwrap(), 3);
    });
}

#[test]
fn of_a_thousand_tasks_a_fifth_dies_and_each_begins_once() {
    fn begin((directory, number): (PathBuf, u32)) -> u32 {
        std::fs::File::create_new(directory.join(number.to_string())).expect("it begins once");
        match number % 10 {
            0 => std::process::abort(),
            5 => std::process::exit(5),
            _ => number * 2,
        }
    }
    limit(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let pool = pool(4);
        let futures: Vec<Future<u32>> =
            (0..1000).map(|number| pool.submit(begin, (directory.path().to_owned(), number))).collect();
        for (number, future) in (0..).zip(futures) {
            match future.result() {
                Ok(double) => assert!(number % 5 != 0 && double == 2 * number),
                Err(error) => {
                    let died = died(Err::<u32, _>(error));
                    assert_eq!(number % 5, 0, "{number}: {died}");
                    let expected = ENDS[usize::from(number % 10 == 5)];
                    let expected = if number % 10 == 5 { (None, Some(5)) } else { expected };
                    assert_eq!((died.signal(), died.exit_code()), expected, "{number}: {died}");
                }
            }
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("it is there").count(), 1000);
    });
}

// ---- kills and time limits at the edge --------------------------------------------------------------

fn take(micros: u64) -> u64 {
    thread::sleep(Duration::from_micros(micros));
    micros
}

#[test]
fn a_kill_at_the_moment_a_task_ends_hits_no_other() {
    limit(|| {
        let pool = pool(2);
        let mut killed = 0;
        for round in 0..100 {
            let [one, other] = [2000, 3000].map(|micros| pool.submit(take, micros));
            thread::sleep(Duration::from_micros(1000 + 40 * round));
            one.kill();
            match one.result() {
                Ok(2000) => {}
                Err(TaskError::WorkerDied(_) | TaskError::Cancelled) => killed += 1,
                other => panic!("{other:?}"),
            }
            assert_eq!(other.result().expect("nobody killed it"), 3000);
        }
        assert!(killed > 0, "no kill came in time");
    });
}

#[test]
fn a_time_limit_at_the_edge_costs_its_task_or_nothing() {
    limit(|| {
        let pool = pool(2);
        let limited = TaskOptions::new().timeout(Duration::from_millis(20));
        let tasks = |micros| (pool.submit_with(limited.clone(), take, micros), pool.submit(take, 1000));
        let pairs: Vec<_> = (0..60).map(|n| tasks(15_000 + 200 * n)).collect();
        let (mut over, mut ended) = (0, 0);
        for (limited, free) in pairs {
            match limited.result() {
                Ok(_) => ended += 1,
                Err(TaskError::TimeLimit(_)) => over += 1,
                other => panic!("{other:?}"),
            }
            assert_eq!(free.result().expect("it has no limit"), 1000);
        }
        assert_eq!(over + ended, 60);
        let hopeless = pool.submit_with(limited, take, 60_000_000).result();
        assert!(matches!(hopeless, Err(TaskError::TimeLimit(_))), "{hopeless:?}");
    });
}

// ---- other processes --------------------------------------------------------------------------------

/// Where processes report that they are there. Their connections end with them.
struct Roll(TcpListener);

impl Roll {
    fn new() -> Self {
        Roll(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("its address").port()
    }

    /// So many have reported.
    fn call(&self, count: usize) -> Vec<TcpStream> {
        (0..count).map(|_| self.0.accept().expect("a connection").0).collect()
    }
}

fn await_end(processes: Vec<TcpStream>) {
    for mut process in processes {
        // A process that was killed may reset its connection.
        let end = process.read(&mut [0; 8]);
        assert!(!matches!(end, Ok(got) if got > 0), "it speaks");
    }
}

fn is_there(process: &TcpStream) -> bool {
    process.set_nonblocking(true).expect("a socket");
    let read = (&*process).read(&mut [0; 8]);
    process.set_nonblocking(false).expect("a socket");
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// For as long as this process lives.
fn report(port: u16) {
    std::mem::forget(TcpStream::connect(("127.0.0.1", port)).expect("somebody listens"));
}

fn report_and_stay(port: u16) {
    report(port);
    loop {
        thread::park();
    }
}

const ROLE: &str = "DEATHS_ROLE";
const PORT: &str = "DEATHS_PORT";

/// A process of this program that plays a role.
fn play(program: &Path, role: &str, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["--ignored", "--exact", "a_role"]).env(ROLE, role).env(PORT, port.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn own_program() -> PathBuf {
    std::env::current_exe().expect("a path")
}

#[test]
#[ignore = "what the processes do that the other tests start"]
fn a_role() {
    let port = std::env::var(PORT).expect("started by a test").parse().expect("a port");
    match std::env::var(ROLE).expect("started by a test").as_str() {
        // Until the other side hangs up.
        "child" => {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
            let _ = stream.read(&mut [0; 8]);
        }
        "adder" => {
            assert_eq!(pool(1).submit(|n: u32| n + 1, 1).result().expect("an answer"), 2);
            report(port);
        }
        end => {
            let pool = pool(4);
            let idle: Vec<_> = (0..4).map(|_| pool.submit(report, port)).collect();
            idle.into_iter().for_each(|task| task.result().expect("it reports"));
            let _busy: Vec<_> = (0..2).map(|_| pool.submit(report_and_stay, port)).collect();
            report(port);
            match end {
                "exits" => {
                    await_word();
                    std::process::exit(0)
                }
                "aborts" => {
                    await_word();
                    std::process::abort()
                }
                _ => report_and_stay(port),
            }
        }
    }
}

/// Until whoever started this process closes its standard input.
fn await_word() {
    let _ = std::io::stdin().read(&mut [0; 8]);
}

fn await_exit(mut process: Child) {
    process.wait().expect("it ends");
}

#[test]
fn when_the_parent_is_gone_so_are_its_workers() {
    limit(|| {
        for end in ["is killed", "exits", "aborts"] {
            let roll = Roll::new();
            let mut parent =
                play(&own_program(), end, roll.port()).stdin(Stdio::piped()).spawn().expect("a parent");
            // Each of four tasks by whichever worker, two that stay, and the parent itself.
            let others = roll.call(4 + 2 + 1);
            if end == "is killed" {
                parent.kill().expect("it lives");
            }
            drop(parent.stdin.take());
            await_exit(parent);
            await_end(others);
        }
    });
}

#[test]
fn what_a_task_starts_outlives_it_unless_its_worker_has_a_group_of_its_own() {
    #[expect(clippy::zombie_processes, reason = "the worker is killed before its child ends")]
    fn start((program, port): (PathBuf, u16)) {
        play(&program, "child", port).stderr(Stdio::null()).spawn().expect("a child");
        report_and_stay(port);
    }
    limit(|| {
        for own_group in [false, true] {
            let roll = Roll::new();
            let builder = ProcessPoolExecutor::builder().max_workers(1);
            let pool = if own_group { builder.own_process_group() } else { builder }.build().expect("a pool");
            let task = pool.submit(start, (own_program(), roll.port()));
            let both = roll.call(2);
            task.kill();
            assert!(matches!(task.result(), Err(TaskError::WorkerDied(_))));
            pool.shutdown(Shutdown::Drain);
            if own_group {
                await_end(both);
                continue;
            }
            // Which is which shows in who is left.
            while both.iter().filter(|process| is_there(process)).count() > 1 {
                thread::yield_now();
            }
            assert_eq!(both.iter().filter(|process| is_there(process)).count(), 1);
            let last = both.into_iter().find(is_there).expect("just seen");
            last.shutdown(std::net::Shutdown::Write).expect("it is connected");
            await_end(vec![last]);
        }
    });
}

#[test]
fn workers_start_from_any_path() {
    limit(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let long = "long ".repeat(20);
        for place in ["with space", "ünï côdé 漢字", "it's \"&' % $x", long.trim_end()] {
            let place = if cfg!(windows) { place.replace('"', "") } else { place.to_owned() };
            let place = directory.path().join(place);
            std::fs::create_dir(&place).expect("a directory");
            let program = place.join(own_program().file_name().expect("a name"));
            std::fs::copy(own_program(), &program).expect("a copy");
            let roll = Roll::new();
            let adder = play(&program, "adder", roll.port()).spawn().expect("a process");
            await_end(roll.call(1));
            await_exit(adder);
        }
    });
}

#[test]
fn a_worker_has_its_own_input_and_prints_where_it_is_told() {
    fn speak((): ()) -> String {
        print!("printed ");
        eprintln!("complained");
        let mut input = String::new();
        std::io::stdin().read_to_string(&mut input).expect("it is empty");
        input
    }
    limit(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ausgabe ü.txt");
        let file = std::fs::File::create(&path).expect("a file");
        let builder = ProcessPoolExecutor::builder().max_workers(1);
        let pool = builder.stdout(file.try_clone().expect("a handle")).stderr(WorkerOutput::Null);
        let pool = pool.build().expect("a pool");
        assert_eq!(pool.submit(speak, ()).result().expect("an answer"), "");
        pool.shutdown(Shutdown::Drain);
        drop(pool);
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), "printed ");
    });
}
