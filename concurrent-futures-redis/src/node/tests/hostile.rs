//! What others have written to the server of a queue with a secret: nothing of it is run or decoded. And what is no entry at
//! all, with a secret or without.

use super::client::Client;
use super::{LEASE, LONG, MANY, in_time, node_of, over_memory, over_servers, until};
use crate::RedisExecutor;
use crate::engine::conformance::{Harness, over_servers as over_each_server};
use crate::engine::redis::server::TestServer;
use crate::engine::{Link, Step};
use crate::executor::options::{Hidden, Options};
use crate::gate::{Gate, hold};
use crate::node::{NodeHandle, RedisNode};
use crate::secret::Secret;
use crate::wire::{Answer, Attempt, AttemptId, Kind, Life, NodeInfo, Payload, Testimony};
use concurrent_futures::{ExecutorExt as _, Future, Task, TaskError, remote};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

const SECRET: &[u8] = b"16 bytes of luck";

/// What was logged, by all tests of this process.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// From here on what is logged is kept.
fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
}

fn was_logged(what: &str) -> bool {
    LINES.0.lock().iter().any(|line| line.contains(what))
}

fn build() -> String {
    remote::build_id().to_string()
}

fn secret() -> Secret {
    Secret::new(SECRET, "q", &build()).unwrap()
}

fn guarded(server: &dyn Harness) -> NodeHandle {
    node_of(server, RedisNode::builder("redis://nowhere").queue("q").slots(1).lease(LEASE).secret(SECRET))
}

fn leave_mark(path: String) {
    std::fs::write(path, "").unwrap();
}

/// Puts an attempt into the stream that would leave a mark, as `forge` makes it of one without a seal.
fn put(
    client: &mut Client,
    seq: u64,
    mark: &Gate,
    forge: impl Fn(&Life, &mut Attempt, &mut Vec<u8>),
) -> Future<()> {
    let (mut task, future) = Task::new(leave_mark, mark.path());
    let parcel = task.encode_once().unwrap().into_bytes();
    assert!(task.start());
    client.tasks.insert(seq, task);
    let attempt = client.attempt(seq, 1, Payload::Beside, None);
    client.ask(|link, life| {
        let (mut attempt, mut parcel) = (attempt.clone(), parcel.clone());
        forge(life, &mut attempt, &mut parcel);
        attempt.parcel = Payload::Inline(parcel.into());
        link.submit(life, MANY, &[attempt])
    });
    future
}

type Forge = fn(&Life, &mut Attempt, &mut Vec<u8>);

/// Each is sealed, and the seal is not of this.
const FORGED: [(&str, Forge); 9] = [
    ("with another secret", |life, it, parcel| {
        it.seal = Secret::new(b"another of that length", "q", &build()).unwrap().of_attempt(life, it, parcel);
    }),
    ("of another queue, whose user may have copied it", |life, it, parcel| {
        it.seal = Secret::new(SECRET, "other", &build()).unwrap().of_attempt(life, it, parcel);
    }),
    ("of another build", |life, it, parcel| {
        it.seal = Secret::new(SECRET, "q", "8a64").unwrap().of_attempt(life, it, parcel);
    }),
    ("played again from an earlier life", |_, it, parcel| {
        it.seal = secret().of_attempt(&Life("earlier".into()), it, parcel);
    }),
    ("played again as another task", |life, it, parcel| {
        let before = AttemptId { seq: it.id.seq + 1000, ..it.id.clone() };
        it.seal = secret().of_attempt(life, &Attempt { id: before, ..it.clone() }, parcel);
    }),
    ("played again as another client's", |life, it, parcel| {
        let other = AttemptId { client: "other".into(), ..it.id.clone() };
        it.seal = secret().of_attempt(life, &Attempt { id: other, ..it.clone() }, parcel);
    }),
    ("without its time limit", |life, it, parcel| {
        let limited = Attempt { time_limit: Some(Duration::from_secs(1)), ..it.clone() };
        it.seal = secret().of_attempt(life, &limited, parcel);
    }),
    ("cut", |life, it, parcel| {
        it.seal = secret().of_attempt(life, it, parcel);
        parcel.truncate(parcel.len() - 1);
    }),
    ("with another argument", |life, it, parcel| {
        it.seal = secret().of_attempt(life, it, parcel);
        let last = parcel.len() - 1;
        parcel[last] ^= 1;
    }),
];

fn run_nothing_that_is_forged(server: &dyn Harness) {
    keep_log();
    let node = guarded(server);
    let mut client = Client::new(server, "c");
    let mark = Gate::new("mark");
    for (seq, (how, forge)) in (1..).zip(FORGED) {
        let _future = put(&mut client, seq, &mark, forge);
        until(how, || !client.is_streamed(seq));
        assert!(!mark.0.exists(), "{how}: it ran");
    }
    assert!(was_logged("a task of c was not run: it has not the queue's secret"));
    assert_eq!(node.stats().running, 0);
    client.read();
    assert_eq!(client.answers, [], "what is forged is not answered: the answer would be sealed");

    // What knows of no secret is told, and not run either.
    client.tasks.clear();
    let future = put(&mut client, 50, &mark, |_, _, _| {});
    client.resolve();
    let error = future.result().unwrap_err().to_string();
    assert!(error.contains("the nodes of this queue have a secret, and this client has none"), "{error}");
    assert!(!mark.0.exists());

    // So the tests can tell: what is sealed runs.
    let future =
        put(&mut client, 51, &mark, |life, it, parcel| it.seal = secret().of_attempt(life, it, parcel));
    client.resolve();
    future.result().unwrap();
    assert!(mark.0.exists());
}

#[test]
fn nothing_that_is_forged_runs() {
    over_memory(run_nothing_that_is_forged);
}

#[test]
fn nothing_that_is_forged_runs_on_servers() {
    over_servers(run_nothing_that_is_forged);
}

fn client_with_secret(server: &dyn Harness) -> RedisExecutor {
    let secret = Some(Hidden(SECRET.to_vec()));
    let options = Options { queue: "q".into(), lease: LEASE, secret, ..Options::default() };
    RedisExecutor::over(super::engine(server), options).unwrap()
}

/// Answers as a node would that knows the names of all that waits, and not the secret.
fn answer_as_a_node(link: &mut dyn Link, life: &Life, seal: impl Fn(&Answer, &[u8]) -> Vec<u8>) -> usize {
    let name = "mallory".into();
    let clients = link.beat_node(life, &mallory(), LONG).unwrap().clients;
    let ids = clients.iter().map(|client| AttemptId { client: client.clone(), seq: 1, attempt: 1 });
    let reply = b"no reply";
    let answers: Vec<Answer> = [Kind::Done, Kind::Verdict, Kind::Died]
        .into_iter()
        .flat_map(|kind| ids.clone().map(move |id| (kind, id)))
        .map(|(kind, id)| {
            let reply_of_it = Payload::Inline(reply[..].into());
            let mut answer = Answer { entry: None, id, kind, reply: reply_of_it, seal: Vec::new() };
            answer.seal = seal(&answer, reply);
            answer
        })
        .collect();
    let count = answers.len();
    link.step(life, &name, &Step { answers, ..Step::default() }).unwrap();
    count
}

fn mallory() -> NodeInfo {
    let (name, host) = ("mallory".into(), "elsewhere".into());
    NodeInfo { name, build: "other".into(), host, pid: 1, slots: 1, running: 0 }
}

fn decode_nothing_that_is_forged(server: &dyn Harness) {
    keep_log();
    let node = guarded(server);
    let executor = client_with_secret(server);
    let gate = Gate::new("forged");
    let future = executor.submit(hold, gate.path());
    until("it runs", || node.stats().running == 1);
    let engine = super::engine(server);
    let mut link = engine.connect().unwrap();
    let life = link.enter().unwrap();
    link.join(&life, &mallory(), LONG, &Testimony::default()).unwrap();
    let other = Secret::new(b"another of that length", "q", &build()).unwrap();
    answer_as_a_node(&mut *link, &life, |_, _| Vec::new());
    answer_as_a_node(&mut *link, &life, |answer, reply| other.of_answer(&life, answer, reply));
    // Each answer is looked at before the next: once this one is there, the forged were.
    let second = executor.submit(|n: u32| n + 1, 1);
    assert!(!future.is_done() && executor.stats().finished == 0);
    gate.open();
    assert_eq!(future.result().unwrap(), gate.path());
    assert_eq!(second.result().unwrap(), 2);
    assert!(was_logged("an answer without the queue's secret was thrown away"));
}

#[test]
fn no_answer_that_is_forged_is_decoded() {
    over_memory(decode_nothing_that_is_forged);
}

#[test]
fn no_answer_that_is_forged_is_decoded_on_servers() {
    over_servers(decode_nothing_that_is_forged);
}

/// Within a life of the server nobody else knows what has run already: the task runs again, its client hears nothing of it.
fn play_again(server: &dyn Harness) {
    let node = guarded(server);
    let mut client = Client::new(server, "c");
    let mark = Gate::new("again");
    let genuine = |life: &Life, it: &mut Attempt, parcel: &mut Vec<u8>| {
        it.seal = secret().of_attempt(life, it, parcel);
    };
    let (mut task, future) = Task::new(leave_mark, mark.path());
    let parcel = task.encode_once().unwrap().into_bytes();
    assert!(task.start());
    client.tasks.insert(1, task);
    let attempt = client.attempt(1, 1, Payload::Inline(parcel.clone().into()), None);
    for _ in 0..2 {
        client.ask(|link, life| {
            let (mut attempt, mut parcel) = (attempt.clone(), parcel.clone());
            genuine(life, &mut attempt, &mut parcel);
            link.submit(life, MANY, &[attempt])
        });
    }
    client.resolve();
    future.result().unwrap();
    until("both are answered", || {
        client.read();
        client.answers.len() == 2
    });
    until("both are counted", || node.stats().finished == 2);
}

#[test]
fn what_is_played_again_is_a_second_copy_of_the_same_attempt() {
    over_memory(play_again);
}

fn raw(server: &TestServer, key: &str, fields: &[&str]) {
    server.query::<String>(&[&["XADD", key, "*"], fields].concat());
}

#[test]
fn what_is_no_entry_is_removed_and_harms_nobody() {
    over_each_server(|server| {
        keep_log();
        let lease = Duration::from_secs(1);
        let dying =
            node_of(server, RedisNode::builder("redis://nowhere").slots(1).lease(lease).read_ahead(9));
        let options = Options { queue: "q".into(), lease, ..Options::default() };
        let executor = RedisExecutor::over(super::engine(server), options).unwrap();
        let keys: Vec<String> = server.query(&["KEYS", "*"]);
        let key = |what: &str| keys.iter().find(|key| key.contains(what)).unwrap().clone();
        let (tasks, client) = (key(":tasks"), key(":client:"));
        let replies = client.replace(":client:", ":replies:");
        raw(server, &tasks, &["no", "entry"]);
        raw(server, &tasks, &["e", "0 x 1 one 0 0 c\n"]);
        raw(server, &replies, &["no", "answer"]);
        server.query::<()>(&["HSET", "{cf:q}:nodes", "odd", "no node"]);
        server.query::<()>(&["SET", "{cf:q}:lease:odd", ""]);
        assert_eq!(executor.submit(|n: u32| n + 1, 1).result().unwrap(), 2);
        until("none is left", || server.query::<u64>(&["XLEN", &tasks]) == 0);
        assert!(was_logged("are no tasks and were removed") && was_logged("is no answer and was removed"));

        // With a node that is gone, to whom they were given and who didn't live to see it.
        let gate = Gate::new("gone");
        let lost = executor.submit(hold, gate.path());
        until("it runs", || dying.stats().running == 1);
        dying.kill();
        let _ = dying.join();
        raw(server, &tasks, &["no", "entry"]);
        let consumers: Vec<Vec<redis::Value>> = server.query(&["XINFO", "CONSUMERS", &tasks, "nodes"]);
        let name: String = redis::from_redis_value(consumers[0][1].clone()).unwrap();
        server.query::<redis::Value>(&["XREADGROUP", "GROUP", "nodes", &name, "STREAMS", &tasks, ">"]);
        let _other = node_of(server, RedisNode::builder("redis://nowhere").slots(1).lease(lease));
        assert!(matches!(lost.result(), Err(TaskError::WorkerLost(_))));
        assert_eq!(executor.submit(|n: u32| n + 1, 2).result().unwrap(), 3);
    });
}

#[test]
fn without_tls_no_other_machine_is_talked_to() {
    in_time(|| {
        let far = |url: &str| {
            // A URL that is taken leads to nobody: whether it was, says the error.
            let client = RedisExecutor::builder(url).build().err().map(|error| error.to_string());
            let node = RedisNode::builder(url).slots(1).build().err().map(|error| error.to_string());
            [client, node].map(|error| error.is_some_and(|error| error.contains("without TLS")))
        };
        for url in
            ["redis://192.0.2.1", "redis://user:password@server.invalid/0", "redis://[2001:db8::1]:7000"]
        {
            assert_eq!(far(url), [true, true], "{url}");
        }
        for url in ["redis://127.0.0.1:1", "redis://localhost:1", "redis://[::1]:1", "unix:///nowhere"] {
            assert_eq!(far(url), [false, false], "{url}");
        }
        let node = RedisNode::builder("redis://192.0.2.1").slots(1).allow_plaintext().build();
        assert!(node.is_ok(), "{node:?}");
        assert!(!Path::new("/nowhere").exists());
    });
}

#[test]
fn a_user_of_another_queue_can_not_write_to_this_one() {
    over_each_server(|server| {
        server.query::<()>(&["ACL", "SETUSER", "thief", "on", ">secret", "~{cf:other}*", "+@all"]);
        let engine = server.engine_as("thief:secret@");
        let Err(fault) = crate::engine::Engine::connect(&engine).and_then(|mut link| link.enter()) else {
            panic!("not refused")
        };
        assert!(fault.to_string().contains("doesn't permit it"), "{fault}");
    });
}
