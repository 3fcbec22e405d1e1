//! A node over the server inside this process, and a client that is driven by hand.

use super::{NodeHandle, RedisNode};
use crate::engine::memory::MemoryServer;
use crate::engine::{Engine, Fault, Link, Order};
use crate::wire::{Answer, Attempt, AttemptId, EntryId, Kind, Life, Name, Payload, Session};
use concurrent_futures::{Future, Portable, Task, TaskError, remote};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test may take on a busy machine.
const HARD_LIMIT: Duration = Duration::from_secs(120);
/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
const MANY: u64 = 1 << 40;

/// Runs a test in a thread of its own, which must end in time.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = ended.send(());
    });
    match end.recv_timeout(HARD_LIMIT) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test has not ended within {HARD_LIMIT:?}"),
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

fn engine(server: &MemoryServer) -> Arc<dyn Engine> {
    Arc::new(server.engine("q", &remote::build_id().to_string()))
}

fn node(server: &MemoryServer, lease: Duration) -> NodeHandle {
    node_of(server, RedisNode::builder("redis://nowhere").slots(2).lease(lease))
}

fn node_of(server: &MemoryServer, builder: super::RedisNodeBuilder) -> NodeHandle {
    builder.build_on(engine(server)).unwrap().spawn().unwrap()
}

/// A lease that doesn't run out in a test, with beats that come often.
const LEASE: Duration = Duration::from_secs(20);

/// A client: its tasks, and what became of them.
struct Client {
    engine: Arc<dyn Engine>,
    link: Box<dyn Link>,
    life: Life,
    name: Name,
    session: Session,
    tasks: HashMap<u64, Task>,
    after: EntryId,
    last: u64,
    answers: Vec<Answer>,
}

impl Client {
    fn new(server: &MemoryServer, name: &str) -> Self {
        let engine = engine(server);
        let mut link = engine.connect().unwrap();
        let life = link.enter().unwrap();
        let session = link.open_session(&life, &name.into(), LONG).unwrap();
        Client {
            engine,
            link,
            life,
            name: name.into(),
            session,
            tasks: HashMap::new(),
            after: EntryId::ZERO,
            last: 0,
            answers: Vec::new(),
        }
    }

    /// Makes a step for as long as it takes.
    fn ask<T>(&mut self, mut step: impl FnMut(&mut dyn Link, &Life) -> Result<T, Fault>) -> T {
        loop {
            match step(&mut *self.link, &self.life) {
                Ok(made) => return made,
                Err(Fault::Lost(_)) => self.link = self.engine.connect().unwrap(),
                Err(fault) => panic!("{fault}"),
            }
        }
    }

    /// Comes to a new life under the same name.
    fn enter_again(&mut self) {
        loop {
            let mut link = self.engine.connect().unwrap();
            let Ok(life) = link.enter() else { continue };
            let Ok(session) = link.open_session(&life, &self.name, LONG) else { continue };
            (self.link, self.life, self.session, self.after) = (link, life, session, EntryId::ZERO);
            return;
        }
    }

    fn attempt(&self, seq: u64, attempt: u32, parcel: Payload, time_limit: Option<Duration>) -> Attempt {
        let id = AttemptId { client: self.name.clone(), seq, attempt };
        Attempt { id, session: self.session, time_limit, parcel, seal: Vec::new() }
    }

    /// Submits tasks at once; gives their futures and the first one's number.
    fn submit<A: Portable, R: Portable>(&mut self, f: fn(A) -> R, args: Vec<A>) -> (u64, Vec<Future<R>>) {
        self.submit_within(f, args, None)
    }

    fn submit_within<A: Portable, R: Portable>(
        &mut self,
        f: fn(A) -> R,
        args: Vec<A>,
        time_limit: Option<Duration>,
    ) -> (u64, Vec<Future<R>>) {
        let first = self.last + 1;
        let (mut futures, mut attempts) = (Vec::new(), Vec::new());
        for arg in args {
            self.last += 1;
            let (mut task, future) = Task::new(f, arg);
            let parcel = task.encode_once().unwrap().into_bytes();
            assert!(task.start());
            let id = AttemptId { client: self.name.clone(), seq: self.last, attempt: 1 };
            let parcel = if parcel.len() > 64 << 10 {
                self.ask(|link, life| link.put_argument(life, &id, &parcel));
                Payload::Beside
            } else {
                Payload::Inline(parcel.into())
            };
            attempts.push(self.attempt(self.last, 1, parcel, time_limit));
            self.tasks.insert(self.last, task);
            futures.push(future);
        }
        self.ask(|link, life| link.submit(life, MANY, &attempts));
        (first, futures)
    }

    /// Reads answers and resolves tasks, until all are.
    fn resolve(&mut self) {
        while !self.tasks.is_empty() {
            self.read();
        }
    }

    fn read(&mut self) {
        let (name, after) = (self.name.clone(), self.after);
        let page = self.ask(|link, life| link.read(life, &name, after, 1000, Duration::from_millis(500)));
        for answer in page {
            self.after = answer.entry.unwrap();
            if let Some(task) = self.tasks.remove(&answer.id.seq) {
                match (answer.kind, &answer.reply) {
                    (Kind::Lost, _) => drop(task.fail(TaskError::Abandoned)),
                    (_, Payload::Inline(reply)) => assert!(task.complete(reply)),
                    (_, Payload::Beside) => {
                        let id = answer.id.clone();
                        let reply = self.ask(|link, life| link.take_result(life, &id)).unwrap();
                        assert!(task.complete(&reply));
                    }
                }
            }
            self.answers.push(answer);
        }
    }

    fn kill(&mut self, seq: u64) {
        let id = AttemptId { client: self.name.clone(), seq, attempt: 1 };
        self.ask(|link, life| link.order(life, &Order::Kill(id.clone())));
    }

    fn is_streamed(&mut self, seq: u64) -> bool {
        let name = self.name.clone();
        self.ask(|link, life| link.scan(life, &name)).iter().any(|(id, _)| id.seq == seq)
    }
}

/// Looks until it is so. What is looked at changes by itself.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + HARD_LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

fn double(n: u64) -> u64 {
    n * 2
}

fn endless(_: u64) {
    loop {
        thread::park();
    }
}

/// Runs until the file is there.
fn hold(path: String) -> String {
    while !std::path::Path::new(&path).exists() {
        thread::sleep(Duration::from_millis(5));
    }
    path
}

/// A file that is not there, and lets [`hold`] go once it is.
struct Gate(std::path::PathBuf);

impl Gate {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("concurrent-futures-node-{}-{name}", std::process::id()));
        Gate(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }

    fn open(&self) {
        std::fs::write(&self.0, "").unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_task_runs_and_its_answer_arrives() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        let (_, futures) = client.submit(double, vec![1, 2, 3]);
        client.resolve();
        let doubled: Vec<u64> = futures.into_iter().map(|future| future.result().unwrap()).collect();
        assert_eq!(doubled, [2, 4, 6]);
        assert!(client.answers.iter().all(|answer| answer.kind == Kind::Done));
        until("they are counted", || node.stats().finished == 3);
        assert_eq!((node.stats().running, node.stats().ready, node.stats().slots), (0, 0, 2));
        node.stop();
        node.join().unwrap();
    });
}
