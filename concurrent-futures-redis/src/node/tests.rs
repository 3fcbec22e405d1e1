//! A node over the server inside this process, some cases over server programs too, and a client that is driven by hand.

mod client;
mod drain;
mod hostile;

use super::{NodeHandle, RedisNode};
use crate::engine::Engine;
use crate::engine::conformance::{HARD_LIMIT, Harness, in_time};
use crate::engine::memory::MemoryServer;
use crate::engine::redis::server::{TestServer, programs};
use crate::error::ConnectError;
use crate::gate::{Gate, hold};
use crate::wire::{AttemptId, Kind, Name, Payload};
use client::Client;
use concurrent_futures::{Task, TaskError, remote};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
const MANY: u64 = 1 << 40;

/// Runs a test over each server program that is there.
fn over_servers(test: fn(&dyn Harness)) {
    for program in programs() {
        in_time(move || test(&TestServer::start(&program)));
    }
}

fn over_memory(test: fn(&dyn Harness)) {
    in_time(move || test(&MemoryServer::new()));
}

fn engine(server: &dyn Harness) -> Arc<dyn Engine> {
    Arc::from(server.engine("q", &remote::build_id().to_string()))
}

fn node(server: &dyn Harness, lease: Duration) -> NodeHandle {
    node_of(server, RedisNode::builder("redis://nowhere").slots(2).lease(lease))
}

fn node_of(server: &dyn Harness, builder: super::RedisNodeBuilder) -> NodeHandle {
    builder.build_on(engine(server)).unwrap().spawn().unwrap()
}

/// A lease that doesn't run out in a test, with beats that come often.
const LEASE: Duration = Duration::from_secs(10);

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

fn move_large_values(server: &dyn Harness) {
    let node = node(server, LEASE);
    let mut client = Client::new(server, "c");
    let reversed = |mut text: String| {
        text.push('!');
        text
    };
    let text = "x".repeat(300_000);
    let (_, futures) = client.submit(reversed, vec![text.clone(), "small".to_owned()]);
    client.resolve();
    let results: Vec<String> = futures.into_iter().map(|future| future.result().unwrap()).collect();
    assert_eq!(results, [text + "!", "small!".to_owned()]);
    assert!(client.answers.iter().any(|answer| answer.reply == Payload::Beside));
    drop(node);
}

#[test]
fn large_values_go_beside_the_stream() {
    over_memory(move_large_values);
}

#[test]
fn large_values_go_beside_the_stream_on_servers() {
    over_servers(move_large_values);
}

#[test]
fn a_crash_is_a_verdict_with_its_signal_and_the_host() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        let (_, mut futures) = client.submit(|_: u64| -> u64 { std::process::abort() }, vec![1]);
        let (_, others) = client.submit(double, (1..=20).collect());
        client.resolve();
        assert!(client.answers.iter().any(|answer| answer.id.seq == 1 && answer.kind == Kind::Died));
        let error = futures.remove(0).result().unwrap_err();
        let TaskError::WorkerDied(died) = &error else { panic!("{error:?}") };
        let abort = if cfg!(windows) { (None, Some(0xC000_0409_u32.cast_signed())) } else { (Some(6), None) };
        assert_eq!((died.signal(), died.exit_code()), abort);
        // By the system's own word where it has one, not by the node's.
        #[cfg(unix)]
        assert_eq!(died.host(), rustix::system::uname().nodename().to_str().ok());
        #[cfg(not(unix))]
        assert_eq!(died.host(), Some(&*crate::identity::host()));
        assert!(others.into_iter().all(|future| future.result().is_ok()));
        node.stop();
        node.join().unwrap();
    });
}

#[test]
fn an_error_of_the_tasks_own_is_a_result() {
    in_time(|| {
        let server = MemoryServer::new();
        let _node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        let (_, mut futures) = client.submit(|n: u64| -> u64 { panic!("no {n}") }, vec![7]);
        client.resolve();
        assert_eq!(client.answers[0].kind, Kind::Done);
        let error = futures.remove(0).result().unwrap_err();
        assert!(matches!(&error, TaskError::Panicked(panic) if panic.message() == "no 7"), "{error:?}");
    });
}

#[test]
fn a_time_limit_is_a_verdict() {
    in_time(|| {
        let server = MemoryServer::new();
        let _node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        let limit = Duration::from_millis(50);
        let (_, mut futures) = client.submit_within(endless, vec![1], Some(limit));
        client.resolve();
        assert_eq!(client.answers[0].kind, Kind::Verdict);
        let error = futures.remove(0).result().unwrap_err();
        assert!(matches!(&error, TaskError::TimeLimit(over) if over.limit() == limit), "{error:?}");
    });
}

#[test]
fn an_order_ends_what_runs() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        let (first, mut futures) = client.submit(endless, vec![1, 2, 3]);
        until("two run", || node.stats().running == 2);
        client.kill(first);
        client.kill(first + 1);
        until("the third runs", || {
            client.read();
            client.tasks.len() == 1 && node.stats().running == 1
        });
        client.kill(first + 2);
        client.resolve();
        assert!(client.answers.iter().all(|answer| answer.kind == Kind::Verdict));
        let error = futures.remove(0).result().unwrap_err();
        assert!(matches!(error, TaskError::WorkerDied(_) | TaskError::Cancelled), "{error:?}");
        drop(node);
    });
}

#[test]
fn what_is_no_parcel_is_answered() {
    in_time(|| {
        let server = MemoryServer::new();
        let _node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        let (mut task, future) = Task::new(double, 1);
        let mut foreign = task.encode().unwrap().into_bytes();
        foreign[45] ^= 1;
        assert!(task.start());
        let attempt = client.attempt(1, 1, Payload::Inline(foreign.into()), None);
        client.tasks.insert(1, task);
        client.ask(|link, life| link.submit(life, MANY, std::slice::from_ref(&attempt)));
        client.resolve();
        assert_eq!(client.answers[0].kind, Kind::Verdict);
        let error = future.result().unwrap_err();
        let foreign = concurrent_futures::Rejected::ForeignBuild;
        assert_eq!(error.to_string(), TaskError::Rejected(foreign).to_string());
    });
}

fn start_the_server_again(server: &dyn Harness) {
    let node = node(server, LEASE);
    let mut client = Client::new(server, "c");
    let gate = Gate::new("restart");
    let (before, mut futures) = client.submit(double, vec![4]);
    client.resolve();
    let (first, held) = client.submit(hold, vec![gate.path()]);
    futures.truncate(1);
    until("it runs", || node.stats().running == 1);
    let old_name: Name = node.stats().name.as_str().into();
    server.restart_empty();
    client.enter_again();
    let mut witnesses = Vec::new();
    until("the node testifies", || {
        witnesses = client.ask(|link, life| link.witnesses(life));
        !witnesses.is_empty()
    });
    let (name, testimony) = &witnesses[0];
    let id = |seq| AttemptId { client: "c".into(), seq, attempt: 1 };
    assert_eq!((testimony.was.as_ref(), &testimony.held[..]), (Some(&old_name), &[id(first)][..]));
    assert!(*name != old_name && !testimony.is_incomplete);
    // The first answer was read, but the node may not know that yet.
    assert!(testimony.recent.is_empty() || testimony.recent == [id(before)]);
    gate.open();
    client.resolve();
    let answer = client.answers.last().unwrap();
    assert_eq!((answer.kind, answer.id.seq), (Kind::Done, first));
    assert_eq!(held.into_iter().next().unwrap().result().unwrap(), gate.path());
    // It goes on in the new life.
    let (_, again) = client.submit(double, vec![5]);
    client.resolve();
    assert_eq!(again.into_iter().next().unwrap().result().unwrap(), 10);
    assert_eq!(node.stats().lost_names, 0);
}

#[test]
fn what_runs_when_the_server_starts_again_is_testified_and_answered() {
    over_memory(start_the_server_again);
}

#[test]
fn what_runs_when_the_server_starts_again_is_testified_and_answered_on_servers() {
    over_servers(start_the_server_again);
}

#[test]
fn what_was_answered_and_not_read_is_testified() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        let (first, _futures) = client.submit(double, vec![1, 2]);
        until("both are answered", || node.stats().finished == 2);
        server.restart_empty();
        client.enter_again();
        let mut witnesses = Vec::new();
        until("the node testifies", || {
            witnesses = client.ask(|link, life| link.witnesses(life));
            !witnesses.is_empty()
        });
        let mut recent: Vec<u64> = witnesses[0].1.recent.iter().map(|id| id.seq).collect();
        recent.sort_unstable();
        assert_eq!(recent, [first, first + 1]);
        assert_eq!(witnesses[0].1.held, []);
    });
}

#[test]
fn a_lease_that_runs_out_costs_the_name_and_not_the_answer() {
    in_time(|| {
        let server = MemoryServer::new();
        let lease = Duration::from_millis(600);
        let builder = RedisNode::builder("redis://nowhere").slots(1).lease(lease).self_fence(false);
        let node = node_of(&server, builder);
        let mut client = Client::new(&server, "c");
        let gate = Gate::new("lease");
        let (first, mut futures) = client.submit(hold, vec![gate.path()]);
        until("it runs", || node.stats().running == 1);
        let (waiting, _) = client.submit(double, vec![1]);
        let old_name = node.stats().name;
        // Out of reach for longer than a lease: the lease runs by the server's clock meanwhile.
        server.stop();
        thread::park_timeout(lease * 2);
        server.start();
        client.enter_again();
        until("there is another name", || node.stats().name != old_name);
        assert_eq!((node.stats().lost_names, node.stats().running), (1, 1));
        gate.open();
        until("both are answered", || {
            client.read();
            client.answers.iter().any(|answer| answer.id.seq == first && answer.kind == Kind::Done)
                && client.answers.iter().any(|answer| answer.id.seq == waiting && answer.kind == Kind::Done)
        });
        // Whoever buried the old name had to take it for lost.
        let lost: Vec<u64> =
            client.answers.iter().filter(|it| it.kind == Kind::Lost).map(|it| it.id.seq).collect();
        assert_eq!(lost, [first]);
        drop(futures.remove(0));
    });
}

#[test]
fn a_node_that_is_cut_off_ends_what_it_runs() {
    in_time(|| {
        let server = MemoryServer::new();
        let builder = RedisNode::builder("redis://nowhere").slots(1).lease(Duration::from_millis(900));
        let node = node_of(&server, builder);
        let mut client = Client::new(&server, "c");
        let (_, _futures) = client.submit(endless, vec![1]);
        until("it runs", || node.stats().running == 1);
        server.stop();
        until("it is ended", || node.stats().running == 0);
        server.start();
        client.enter_again();
        client.resolve();
        node.stop();
        node.join().unwrap();
    });
}

#[test]
fn with_answers_lost_each_task_is_answered() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = node(&server, LEASE);
        let mut client = Client::new(&server, "c");
        server.lose_answers(7, 12);
        // How many answers there are depends on the speed of the node; one in twelve is lost.
        while node.stats().reconnects == 0 {
            let (_, futures) = client.submit(double, (0..1000).collect());
            client.resolve();
            let doubled: Vec<u64> = futures.into_iter().map(|future| future.result().unwrap()).collect();
            assert_eq!(doubled, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
        }
        server.lose_answers(0, 0);
        assert!(client.answers.iter().all(|answer| answer.kind == Kind::Done));
        node.stop();
        node.join().unwrap();
    });
}

fn cut_connections(server: &dyn Harness) {
    let node = node(server, LEASE);
    let mut client = Client::new(server, "c");
    let log = Gate::new("begun");
    let note = |(path, n): (String, u64)| {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(&n.to_le_bytes()).unwrap();
    };
    let (_, futures) = client.submit(note, (0..1000).map(|n| (log.path(), n)).collect());
    while !client.tasks.is_empty() {
        server.cut_connections();
        for _ in 0..10.min(client.tasks.len()) {
            client.read();
        }
    }
    assert!(futures.into_iter().all(|future| future.result().is_ok()));
    let bytes = std::fs::read(&log.0).unwrap();
    let mut begun: Vec<u64> =
        bytes.chunks(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect();
    begun.sort_unstable();
    let twice = begun.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!((begun.len(), twice), (1000, 0));
    drop(node);
}

#[test]
fn with_connections_cut_each_task_begins_once() {
    in_time(|| {
        let server = MemoryServer::new();
        server.lose_answers(3, 40);
        cut_connections(&server);
    });
}

#[test]
fn with_connections_cut_each_task_begins_once_on_servers() {
    over_servers(cut_connections);
}

#[test]
fn of_a_client_that_is_gone_nothing_runs_on() {
    in_time(|| {
        let server = MemoryServer::new();
        let builder =
            RedisNode::builder("redis://nowhere").slots(1).lease(Duration::from_secs(3)).read_ahead(5);
        let node = node_of(&server, builder);
        let mut client = Client::new(&server, "c");
        let (first, _futures) = client.submit(endless, vec![1, 2, 3]);
        until("one runs, others are ready", || node.stats().running == 1 && node.stats().ready > 0);
        let name = client.name.clone();
        client.ask(|link, life| link.leave_client(life, &name));
        until("nothing runs", || (node.stats().running, node.stats().ready) == (0, 0));
        until("nothing is left in the stream", || (first..first + 3).all(|seq| !client.is_streamed(seq)));
        // Others are not concerned.
        let mut other = Client::new(&server, "d");
        let (_, futures) = other.submit(double, vec![21]);
        other.resolve();
        assert_eq!(futures.into_iter().next().unwrap().result().unwrap(), 42);
    });
}

#[test]
fn a_node_that_dies_loses_what_it_had_begun_and_nothing_else() {
    in_time(|| {
        let server = MemoryServer::new();
        let lease = Duration::from_secs(1);
        let builder = RedisNode::builder("redis://nowhere").slots(1).lease(lease).read_ahead(5);
        let dying = node_of(&server, builder);
        let mut client = Client::new(&server, "c");
        let gate = Gate::new("death");
        let (first, _held) = client.submit(hold, vec![gate.path()]);
        until("it runs", || dying.stats().running == 1);
        let (_, futures) = client.submit(double, vec![1, 2, 3]);
        dying.kill();
        let _ = dying.join();
        let _other = node(&server, lease * 10);
        client.resolve();
        let lost: Vec<u64> =
            client.answers.iter().filter(|it| it.kind == Kind::Lost).map(|it| it.id.seq).collect();
        assert_eq!(lost, [first]);
        assert!(futures.into_iter().all(|future| future.result().is_ok()));
    });
}

#[test]
fn a_pool_that_is_broken_ends_the_node() {
    in_time(|| {
        let server = MemoryServer::new();
        let fail = |_: u64| -> Result<(), std::io::Error> { Err(std::io::Error::other("no model")) };
        let builder = RedisNode::builder("redis://nowhere")
            .slots(1)
            .lease(LEASE)
            .process_pool(move |pool| pool.try_initializer(fail, 1));
        let node = node_of(&server, builder);
        let mut client = Client::new(&server, "c");
        let (_, mut futures) = client.submit(double, vec![1]);
        client.resolve();
        assert!(matches!(futures.remove(0).result(), Err(TaskError::Broken(_))));
        let error = node.join().unwrap_err();
        assert!(matches!(error, super::NodeError::Broken(_)), "{error:?}");
    });
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    in_time(|| {
        let server = MemoryServer::new();
        server.stop();
        let builder = RedisNode::builder("redis://nowhere").slots(1).lease(Duration::from_millis(100));
        let error = builder.build_on(engine(&server)).unwrap().spawn().unwrap_err();
        let unreachable = |error: &ConnectError| matches!(error, ConnectError::Unreachable { .. });
        assert!(matches!(&error, super::NodeError::Connect(error) if unreachable(error)), "{error:?}");
    });
}

#[cfg(unix)]
#[test]
fn signals_drain_a_node_and_the_second_ends_it() {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::low_level::raise;
    in_time(|| {
        let server = MemoryServer::new();
        let serve = || {
            let builder = RedisNode::builder("redis://nowhere").slots(1).lease(LEASE).drain_timeout(LONG);
            let node = builder.build_on(engine(&server)).unwrap();
            let shared = node.shared.clone();
            let serves = thread::spawn(|| node.serve());
            until("it serves", || !shared.stats().name.is_empty());
            (shared, serves)
        };
        let (_, idle) = serve();
        raise(SIGTERM).unwrap();
        idle.join().unwrap().unwrap();

        let (shared, busy) = serve();
        let mut client = Client::new(&server, "c");
        let (_, _futures) = client.submit(endless, vec![1]);
        until("it runs", || shared.stats().running == 1);
        raise(SIGINT).unwrap();
        until("it drains", || shared.lock().is_draining());
        assert!(!busy.is_finished());
        raise(SIGTERM).unwrap();
        let error = busy.join().unwrap().unwrap_err();
        assert!(matches!(error, super::NodeError::Interrupted), "{error:?}");
    });
}
