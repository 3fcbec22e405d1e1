//! Life against a fake: the test plays the worker, at the other end of the stream and on the page; a process that does
//! nothing lives and dies for it.

use super::Driver;
use crate::error::TaskError;
use crate::executor::Task;
use crate::future::Future;
use crate::process_pool::book::{Book, Policy};
use crate::process_pool::channel::{Inbox, Wait, send_all};
use crate::process_pool::door::Door;
use crate::process_pool::launch::{Output, Recipe, Worker};
use crate::process_pool::message::{Head, Kind, get};
use crate::process_pool::pool::{Config, Pool};
use crate::process_pool::sys::{Bell, Child, Mapping, Socket, Standing};
use crate::remote::{outcome, parcel};
use crate::sync::thread::{Builder, JoinHandle};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Stage {
    pool: Arc<Pool>,
    driver: JoinHandle<()>,
    /// The worker's.
    socket: Socket,
    page: Arc<Mapping>,
    inbox: Inbox,
    body: std::process::Child,
}

impl Stage {
    fn new() -> Self {
        let recipe = Recipe {
            program: "/proc/self/exe".into(),
            directory: None,
            standing: Standing::of_this_thread(),
            environment: Vec::new(),
            stdout: Output::Null,
            stderr: Output::Null,
            own_group: false,
            address_space: None,
            name_prefix: "fake".into(),
            ancestry: Vec::new(),
            initializer: Vec::new(),
        };
        let start_timeout = Duration::from_secs(60);
        let config = Config { max_workers: 1, capacity: None, start_timeout, memory_growth: None, recipe };
        let pool = Pool::new(Book::new(1, Policy::default()), config);
        let body = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("a process");
        let (ours, theirs) = Socket::pair().expect("a socket");
        let page = Arc::new(Mapping::create().expect("a page").0);
        let bell = Arc::new(Bell::new().expect("a bell"));
        let worker = Worker {
            child: Child::new(body.id(), false).expect("a child"),
            door: Arc::new(Door::new(ours)),
            inbox: Inbox::default(),
            page: page.clone(),
        };
        let mut book = pool.book.lock();
        book.desks[0].bell = Some(bell.clone());
        book.occupy(0, page.clone(), worker.door.clone());
        drop(book);
        let of_driver = pool.clone();
        let driver = Builder::new().spawn(move || Driver::new(&of_driver, 0, bell, worker).serve());
        let driver = driver.expect("a thread");
        Stage { pool, driver, socket: Socket::from_fd(theirs), page, inbox: Inbox::default(), body }
    }

    fn submit(&self, n: u64) -> Future<u64> {
        let (task, future) = Task::new(|n: u64| 2 * n, n);
        self.pool.accept(task.into_entry());
        future
    }

    /// Takes the next frame, which has one task, and begins that; a reply to it.
    fn run(&mut self, number: u32, result: u64) -> Vec<u8> {
        let (head, body) = loop {
            if let Some(frame) = self.inbox.next().expect("a driver speaks well") {
                break frame;
            }
            self.inbox.fill(&self.socket, Wait::Yes).expect("no error");
        };
        assert_eq!((head.kind, head.a, head.b), (Kind::Batch, number, 1));
        assert_eq!(self.page.claim(number).begin(), Some(0));
        let task = get(&mut self.inbox.body(body)).expect("a task");
        let (header, _) = parcel::Header::read(&task[1..]).expect("a parcel, behind its flags");
        let mut reply = Vec::new();
        outcome::begin(Some(&header), &mut reply);
        outcome::write(Ok(result), &mut reply);
        reply
    }

    /// A small reply, as a worker gives it.
    fn reply(&self, number: u32, reply: &[u8]) {
        self.page.pass(number + 1);
        assert!(self.page.ring.put(number, 0, reply));
        if self.page.ring.is_wanted() {
            self.say(&Head::new(Kind::Bell, 0, 0, 0).to_bytes());
        }
    }

    fn say(&self, bytes: &[u8]) {
        send_all(&self.socket, bytes).expect("room");
    }

    /// The process dies of SIGKILL; returns once the driver has buried it.
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
    stage.page.pass(2);
    let head = Head::new(Kind::Reply, 1, 0, reply.len()).to_bytes();
    stage.say(&[&head[..], &reply].concat());
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
    assert_eq!((two.is_done(), pool.book.lock().queued()), (false, 1));
}

#[test]
fn a_result_in_the_ring_outlives_its_worker_though_nobody_rang() {
    let mut stage = Stage::new();
    let one = stage.submit(1);
    let reply = stage.run(0, 2);
    assert!(stage.page.ring.put(0, 0, &reply));
    stage.die();
    assert_eq!(within(one).expect("it was whole"), 2);
}

#[test]
fn half_a_reply_is_none() {
    let mut stage = Stage::new();
    let one = stage.submit(1);
    let reply = stage.run(0, 2);
    let head = Head::new(Kind::Reply, 0, 0, reply.len()).to_bytes();
    stage.say(&[&head[..], &reply[..reply.len() - 1]].concat());
    stage.die();
    assert!(matches!(within(one), Err(TaskError::WorkerDied(_))));
}

#[test]
fn who_talks_nonsense_is_killed_and_told_so() {
    let mut stage = Stage::new();
    let one = stage.submit(1);
    stage.run(0, 2);
    stage.say(&[200; 100]);
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
    assert_eq!(stage.inbox.fill(&stage.socket, Wait::Yes).expect("no error"), super::Filled::End);
    assert_eq!(within(one).expect("a result"), 2);
    stage.die();
}
