//! PoolState against a fake: the test plays the worker, at the other end of the stream and on the segment; a process that does
//! nothing lives and dies for it.

use super::Driver;
use crate::error::TaskError;
use crate::executor::Task;
use crate::future::Future;
use crate::process_pool::environment::Variables;
use crate::process_pool::output::WorkerOutput;
use crate::process_pool::parent::dispatch::{Dispatcher, Policy};
use crate::process_pool::parent::launch::{LaunchConfig, RunningWorker};
use crate::process_pool::parent::outbound::Outbound;
use crate::process_pool::parent::pool::{Config, Pool};
use crate::process_pool::sys::{Child, Event, Segment, Socket, Standing};
use crate::process_pool::wire::frames::{Blocking, Inbox, send_all};
use crate::process_pool::wire::message::{Head, Message, get};
use crate::remote::codec::Output;
use crate::remote::outcome;
use crate::sync::plain::Mutex;
use crate::sync::thread::{Builder, JoinHandle};
use crate::{ExecutorExt, ProcessPoolExecutor};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Stage {
    pool: Arc<Pool>,
    driver: JoinHandle<()>,
    /// The worker's.
    socket: Socket,
    segment: Arc<Segment>,
    inbox: Inbox,
    body: std::process::Child,
}

impl Stage {
    fn new() -> Self {
        let launch = LaunchConfig {
            program: "/proc/self/exe".into(),
            directory: None,
            standing: Standing::of_this_thread(),
            environment: Variables::default(),
            stdout: WorkerOutput::Null,
            stderr: WorkerOutput::Null,
            own_group: false,
            address_space: None,
            name_prefix: "fake".into(),
            ancestry: Vec::new(),
            initializer: Vec::new(),
            on_exit: Vec::new(),
            hooks_blobs: Vec::new(),
            payload_memory: 0,
            notes_times: false,
            forwards_logs: false,
        };
        let start_timeout = Duration::from_secs(60);
        let config = Config {
            capacity: None,
            start_timeout,
            memory_growth: None,
            launch,
            arena: None,
            observed: Default::default(),
        };
        let pool = Pool::new(Dispatcher::new(1, Policy::default()), config);
        let body = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("a process");
        let (ours, theirs) = Socket::pair().expect("a socket");
        let segment = Arc::new(Segment::create().expect("a segment").0);
        let event = Arc::new(Event::new().expect("an event"));
        let worker = RunningWorker {
            child: Child::new(&body, false).expect("a child"),
            outbound: Arc::new(Outbound::new(ours)),
            inbox: Inbox::default(),
            segment: segment.clone(),
            results: None,
            notes: None,
        };
        let mut dispatcher = pool.dispatcher.lock();
        assert_eq!(dispatcher.add_lane(), 0);
        dispatcher.set_event(0, event.clone());
        dispatcher.attach(0, segment.clone(), worker.outbound.clone());
        drop(dispatcher);
        let of_driver = pool.clone();
        let driver = Builder::new().spawn(move || drop(Driver::new(&of_driver, 0, event, worker).serve()));
        let driver = driver.expect("a thread");
        Stage {
            pool,
            driver,
            socket: Socket::from_handle(theirs).expect("a socket"),
            segment,
            inbox: Inbox::default(),
            body,
        }
    }

    fn submit(&self, n: u64) -> Future<u64> {
        let (task, future) = Task::new(|n: u64| 2 * n, n);
        self.pool.accept(task.into_entry());
        future
    }

    /// Takes the next frame, which has one task, and begins that; a reply to it.
    fn run(&mut self, number: u32, result: u64) -> Vec<u8> {
        let frame = loop {
            if let Some(frame) = self.inbox.next().expect("valid frames") {
                break frame;
            }
            self.inbox.fill(&self.socket, Blocking::Yes).expect("no error");
        };
        assert_eq!(frame.message, Message::Batch { number, tasks: 1 });
        assert_eq!(self.segment.claim(number).begin(), Some(0));
        assert!(get(&mut self.inbox.body(frame.body)).is_some(), "a task");
        let mut reply = Output::default();
        outcome::write(Ok(result), &mut reply);
        reply.to_vec()
    }

    /// A small reply, as a worker gives it.
    fn reply(&self, number: u32, reply: &[u8]) {
        self.segment.pass(number + 1);
        assert!(self.segment.ring.put(number, 0, reply));
        if self.segment.ring.takes_doorbell() {
            self.send(&Message::Doorbell.frame(&[]));
        }
    }

    fn send(&self, bytes: &[u8]) {
        send_all(&self.socket, bytes).expect("room");
    }

    /// The process dies of SIGKILL; returns once the driver has reaped it.
    fn die(mut self) -> Arc<Pool> {
        self.body.kill().expect("it lives");
        self.driver.join().expect("no panic");
        self.pool
    }
}

/// Long enough on a busy machine, short enough to notice a hang.
fn within(future: Future<u64>) -> Result<u64, TaskError> {
    future.result_timeout(Duration::from_secs(60)).expect("in time")
}

#[test]
fn replies_come_by_the_ring_and_by_the_socket() {
    let mut stage = Stage::new();
    let (one, two) = (stage.submit(1), stage.submit(2));
    let reply = stage.run(0, 2);
    stage.reply(0, &reply);
    assert_eq!(within(one).expect("a result"), 2);
    let reply = stage.run(1, 4);
    stage.segment.pass(2);
    let head = Head { message: Message::Reply { batch: 1, index: 0 }, len: reply.len() }.to_bytes();
    stage.send(&[&head[..], &reply].concat());
    assert_eq!(within(two).expect("a result"), 4);
    stage.die();
}

#[test]
fn a_death_costs_the_one_that_had_begun_and_the_other_is_queued() {
    let mut stage = Stage::new();
    let (one, two) = (stage.submit(1), stage.submit(2));
    stage.run(0, 2);
    let pid = stage.body.id();
    let pool = stage.die();
    let Err(TaskError::WorkerDied(died)) = within(one) else { panic!("it had begun") };
    assert_eq!((died.pid(), died.signal()), (pid, Some(9)));
    assert_eq!((two.is_done(), pool.dispatcher.lock().queued()), (false, 1));
}

#[test]
fn a_result_in_the_ring_outlives_its_worker_though_nobody_rang() {
    let mut stage = Stage::new();
    let one = stage.submit(1);
    let reply = stage.run(0, 2);
    assert!(stage.segment.ring.put(0, 0, &reply));
    stage.die();
    assert_eq!(within(one).expect("it was whole"), 2);
}

#[test]
fn half_a_reply_is_none() {
    let mut stage = Stage::new();
    let one = stage.submit(1);
    let reply = stage.run(0, 2);
    let head = Head { message: Message::Reply { batch: 0, index: 0 }, len: reply.len() }.to_bytes();
    stage.send(&[&head[..], &reply[..reply.len() - 1]].concat());
    stage.die();
    assert!(matches!(within(one), Err(TaskError::WorkerDied(_))));
}

#[test]
fn a_worker_that_sends_no_frames_is_killed_and_the_error_says_so() {
    let mut stage = Stage::new();
    let one = stage.submit(1);
    stage.run(0, 2);
    stage.send(&[200; 100]);
    stage.driver.join().expect("no panic");
    let Err(TaskError::WorkerDied(died)) = within(one) else { panic!("its worker was killed") };
    assert_eq!(died.signal(), Some(9));
    assert!(died.to_string().contains("no known kind"), "{died}");
}

#[test]
fn who_is_told_to_leave_may_take_no_more() {
    let mut stage = Stage::new();
    let one = stage.submit(1);
    let reply = stage.run(0, 2);
    stage.reply(0, &reply);
    stage.pool.drain();
    // The end of the stream, and nothing before it.
    assert_eq!(stage.inbox.fill(&stage.socket, Blocking::Yes).expect("no error"), super::Filled::End);
    assert_eq!(within(one).expect("a result"), 2);
    stage.die();
}

// ---- a driver that panics -----------------------------------------------------------------------------

/// The steps at which [`a_driver_that_panics`] has one panic. Beside each of a name of its own in `driver.rs` it says what
/// a test does so that a driver comes there.
const STEPS: &[(&str, Scene)] = &[
    ("begins", Scene::Work),
    ("started", Scene::Work),
    ("is up", Scene::Work),
    ("is attached", Scene::Work),
    ("decided", Scene::Work),
    ("sends", Scene::Work),
    ("sent", Scene::Work),
    ("receives, with the dispatcher locked", Scene::Work),
    ("received", Scene::Work),
    ("resolved one", Scene::Work),
    ("recalled", Scene::Kill),
    ("killed", Scene::Kill),
    ("reaps", Scene::Kill),
    ("reaped", Scene::Kill),
    ("settled", Scene::Kill),
    ("decided whether to stay", Scene::Kill),
    ("closes", Scene::Shutdown),
    ("notes a failure", Scene::NoStart),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scene {
    Work,
    Kill,
    Shutdown,
    NoStart,
}

/// Which driver is to panic, by the beginning of its thread's name, where, and how often still.
static PANICS: Mutex<Vec<(String, &'static str, usize)>> = Mutex::new(Vec::new());

pub(in crate::process_pool::parent) fn failpoint(at: &'static str) {
    let thread = std::thread::current();
    let Some(name) = thread.name() else { return };
    let mut panics = PANICS.lock();
    let here = |(prefix, place, left): &&mut (String, &'static str, usize)| {
        *left > 0 && *place == at && name.starts_with(prefix.as_str())
    };
    let found = panics.iter_mut().find(here).map(|(.., left)| *left -= 1);
    drop(panics);
    assert!(found.is_none(), "a panic that a test asked for, where a driver {at}");
}

fn double(n: u64) -> u64 {
    2 * n
}

fn sleep(seconds: u64) -> u64 {
    std::thread::sleep(Duration::from_secs(seconds));
    seconds
}

fn refuse((): ()) {
    panic!("no worker comes up");
}

fn is_there(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}

/// Each task's future resolves; afterwards the pool works, and leaves nothing.
fn a_driver_that_panics(times: usize) {
    for (number, (place, scene)) in STEPS.iter().enumerate() {
        let prefix = format!("p{number}x{times}-{}", std::process::id());
        let builder = || {
            let builder = ProcessPoolExecutor::builder().max_workers(1).name_prefix(prefix.as_str());
            if *scene == Scene::NoStart { builder.initializer(refuse, ()) } else { builder }
        };
        PANICS.lock().push((format!("{prefix}_driver_"), place, times));
        let pool = builder().build().expect("a pool");
        let mut futures: Vec<Future<u64>> = Vec::new();
        if *scene == Scene::Kill {
            let long = pool.submit(sleep, 600);
            while !long.is_done() && pool.stats().running == 0 {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            long.kill();
            futures.push(long);
        }
        futures.extend((0..40).map(|n| pool.submit(double, n)));
        for future in futures {
            match future
                .result_timeout(Duration::from_secs(60))
                .unwrap_or_else(|_| panic!("{place}: it hangs"))
            {
                Ok(_) => {}
                Err(
                    TaskError::WorkerDied(_)
                    | TaskError::Abandoned
                    | TaskError::Cancelled
                    | TaskError::Broken(_)
                    | TaskError::Rejected(_),
                ) => {}
                Err(other) => panic!("{place}: {other:?}"),
            }
        }
        if times == 1 && *scene != Scene::NoStart {
            assert_eq!(pool.submit(double, 4).result().expect("it goes on"), 8, "{place}");
        }
        let pids: Vec<u32> = pool.stats().workers.iter().filter_map(|worker| worker.pid).collect();
        pool.join_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{place}: it never ends"));
        assert!(pids.iter().all(|pid| !is_there(*pid)), "{place}: a worker is left");
        let mut panics = PANICS.lock();
        let at = panics.iter().position(|(name, ..)| name.starts_with(&prefix)).expect("put there above");
        let (.., left) = panics.remove(at);
        assert!(left < times, "{place}: no driver came there");
    }
}

#[test]
fn a_driver_that_panics_at_any_step_costs_no_more_than_it_had_in_hand() {
    a_driver_that_panics(1);
}

#[test]
fn drivers_that_always_panic_break_the_pool() {
    a_driver_that_panics(usize::MAX);
}
