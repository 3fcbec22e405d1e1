//! Faults on purpose, against real servers, with nodes that are processes: what is promised under each, counted.
//!
//! Each test is ignored by `cargo test`, since it needs a server. `ci/cluster.sh` runs each once, `ci/long/cluster.sh` twenty
//! times over each server (`CLUSTER_ROUNDS`). What a run counted is printed. Networks that part are in `partitions.rs`, tasks
//! that share data in `sharing.rs`.

mod partitions;
mod sharing;

use crate::RedisExecutor;
use crate::engine::conformance::Harness as _;
use crate::engine::redis::server::{TestServer, programs};
use crate::node::RedisNode;
use crate::roles::{in_role, role, start};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, TaskError, TaskOptions};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const LEASE: Duration = Duration::from_secs(2);
const TASKS: u32 = 400;
const NODES: usize = 3;
const SLOTS: usize = 2;

/// What a node may have begun when it dies: what runs, what it may begin by itself, and what has ended and is not answered yet,
/// which on a busy machine is some tasks of 3 ms more.
const PERMITTED: usize = 20 * SLOTS;

/// For a run of all tasks, faults and leases included.
const LIMIT: Duration = Duration::from_secs(90);

/// Says in a log of its own that it begins, and takes a little.
fn record((log, number, millis): (PathBuf, u32, u64)) -> u32 {
    let mut file = fs::File::options().append(true).create(true).open(log).unwrap();
    // One write appends a whole line, whoever else writes.
    file.write_all(format!("{number}\n").as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(millis));
    number
}

fn submit_all(executor: &RedisExecutor, retries: u32, log: &Path) -> Vec<Future<u32>> {
    let options = || TaskOptions::new().retries(retries);
    (0..TASKS).map(|n| executor.submit_with(options(), record, (log.to_owned(), n, 3))).collect()
}

struct Rig {
    server: TestServer,
    nodes: Vec<Child>,
    /// Of each node, where nodes have networks of their own.
    links: Vec<partitions::Link>,
    folder: tempfile::TempDir,
    executor: Option<RedisExecutor>,
}

#[derive(Default, Debug)]
struct Counted {
    ok: usize,
    lost: usize,
    other: Vec<String>,
    begun_twice: usize,
}

impl Counted {
    fn note(&mut self, future: Future<u32>) {
        match future.result() {
            Ok(_) => self.ok += 1,
            Err(TaskError::WorkerLost(_)) => self.lost += 1,
            Err(other) => self.other.push(other.to_string()),
        }
    }

    /// Without retries: nothing has begun twice, no more is lost than may be, and all have an end.
    fn check(self, permitted: usize) -> Self {
        assert_eq!(self.begun_twice, 0, "{self:?}");
        assert!(self.lost <= permitted, "{self:?}");
        assert_eq!((self.ok + self.lost, &self.other[..]), (TASKS as usize, &[][..]), "{self:?}");
        self
    }
}

impl Rig {
    fn new(program: &Path) -> Self {
        let server = TestServer::start(program);
        let nodes = (0..NODES).map(|_| start("faults::node_main", &server.url(""))).collect();
        Self::over(server, nodes, Vec::new())
    }

    fn over(server: TestServer, nodes: Vec<Child>, links: Vec<partitions::Link>) -> Self {
        let executor = RedisExecutor::builder(server.url("")).queue("q").lease(LEASE).build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig { server, nodes, links, folder, executor: Some(executor) };
        rig.await_nodes(rig.nodes.len());
        rig
    }

    fn executor(&self) -> &RedisExecutor {
        self.executor.as_ref().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("begun")
    }

    fn await_nodes(&self, count: usize) {
        let deadline = Instant::now() + LIMIT;
        while self.executor().stats().nodes.len() < count {
            assert!(Instant::now() < deadline, "the nodes don't come up: {:?}", self.executor().stats());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How often each task began.
    fn begun(&self) -> HashMap<String, usize> {
        let mut begun = HashMap::new();
        for line in fs::read_to_string(self.log()).unwrap_or_default().lines() {
            *begun.entry(line.to_owned()).or_default() += 1;
        }
        begun
    }

    /// Runs all tasks; when a quarter has ended, `fault` happens.
    fn run(&mut self, retries: u32, fault: fn(&mut Rig)) -> Counted {
        self.follow(submit_all(self.executor(), retries, &self.log()), fault)
    }

    /// To the end of these, which are all tasks.
    fn follow(&mut self, futures: Vec<Future<u32>>, fault: fn(&mut Rig)) -> Counted {
        let mut counted = Counted::default();
        for (done, future) in (1..).zip(as_completed(futures).timeout(LIMIT)) {
            let Ok(future) = future else { panic!("tasks hang: {counted:?}, {:?}", self.executor().stats()) };
            counted.note(future);
            if done == TASKS / 4 {
                fault(self);
            }
        }
        counted.begun_twice = self.begun().values().filter(|times| **times > 1).count();
        counted
    }

    fn signal(&self, node: usize, signal: &str) {
        let pid = self.nodes[node].id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.executor.take());
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

#[test]
#[ignore = "what a node runs"]
fn node_main() {
    if let Some(url) = role() {
        let node = RedisNode::builder(&url).queue("q").slots(SLOTS).lease(LEASE);
        // In a network of a test's own the server is on another machine.
        node.allow_plaintext().serve().unwrap();
    }
}

#[test]
#[ignore = "what a client runs that is killed"]
fn client_main() {
    if let Some(url) = role() {
        let log = PathBuf::from(env::var_os("CLUSTER_LOG").unwrap());
        let executor = RedisExecutor::builder(url).queue("q").lease(LEASE).build().unwrap();
        let futures: Vec<_> = (0..200).map(|n| executor.submit(record, (log.clone(), n, 100))).collect();
        wait(&futures, ReturnWhen::AllCompleted);
    }
}

/// Runs a fault as often as is asked for, over each server.
fn rounds(name: &str, round: impl Fn(&mut Rig) -> Counted) {
    rounds_in(Rig::new, name, round);
}

fn rounds_in(make: fn(&Path) -> Rig, name: &str, round: impl Fn(&mut Rig) -> Counted) {
    let rounds: u32 = env::var("CLUSTER_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    assert!(!programs().is_empty(), "no redis-server and no valkey-server is here");
    for program in programs() {
        let (mut ok, mut lost, mut most) = (0, 0, 0);
        for _ in 0..rounds {
            let mut rig = make(&program);
            let counted = round(&mut rig);
            ok += counted.ok;
            lost += counted.lost;
            most = most.max(counted.lost);
        }
        let server = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let line = format!(
            "{name}, {server}: {rounds} runs, {ok} tasks ended well, lost {lost} (at most {most} a run)"
        );
        // Not by the macro, whose line the test harness would keep to itself.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Without retries nothing begins twice, and no more is lost than may be.
fn exact(name: &str, permitted: usize, fault: fn(&mut Rig)) {
    rounds(name, |rig| rig.run(0, fault).check(permitted));
}

/// With retries every task ends well.
fn retried(name: &str, fault: fn(&mut Rig)) {
    rounds(name, |rig| {
        let counted = rig.run(3, fault);
        assert_eq!(
            (counted.ok, counted.lost, &counted.other[..]),
            (TASKS as usize, 0, &[][..]),
            "{counted:?}"
        );
        counted
    });
}

fn kill_a_node(rig: &mut Rig) {
    rig.nodes[0].kill().unwrap();
}

fn freeze_a_node(rig: &mut Rig) {
    rig.signal(0, "-STOP");
    thread::sleep(2 * LEASE);
    rig.signal(0, "-CONT");
}

fn restart_empty(rig: &mut Rig) {
    rig.server.restart_empty();
}

fn restart_with_data(rig: &mut Rig) {
    rig.server.restart_with_data();
}

fn flush(rig: &mut Rig) {
    rig.server.flush();
}

fn with_log(program: &Path) -> Rig {
    let rig = Rig::new(program);
    rig.server.keep_log();
    rig
}

fn restart_with_cut_log(rig: &mut Rig) {
    rig.server.restart_with_cut_log();
}

fn cut_connections(rig: &mut Rig) {
    for _ in 0..10 {
        rig.server.cut_connections();
        thread::sleep(Duration::from_millis(20));
    }
}

fn restart_and_kill(rig: &mut Rig) {
    rig.server.restart_empty();
    kill_a_node(rig);
}

fn fill_the_server(rig: &mut Rig) {
    rig.server.set_full(true);
    thread::sleep(LEASE / 2);
    rig.server.set_full(false);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_node_is_killed() {
    exact("a node is killed", PERMITTED, kill_a_node);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_node_is_killed_and_its_tasks_have_retries() {
    retried("a node is killed, with retries", kill_a_node);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_node_is_frozen_for_two_leases() {
    exact("a node is frozen", PERMITTED, freeze_a_node);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_starts_again_with_nothing() {
    // What is lost had its answer in the server alone.
    exact("the server starts again, empty", TASKS as usize / 4, restart_empty);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_starts_again_with_nothing_and_tasks_have_retries() {
    retried("the server starts again, empty, with retries", restart_empty);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_starts_again_with_its_data() {
    exact("the server starts again with its data", TASKS as usize / 4, restart_with_data);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_is_killed_and_its_log_is_cut() {
    rounds_in(with_log, "the server is killed, its log is cut", |rig| {
        rig.run(0, restart_with_cut_log).check(TASKS as usize / 4)
    });
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn nodes_are_told_to_end_without_their_server() {
    rounds("nodes are told to end without their server", |rig| {
        rig.executor().submit(record, (rig.log(), 1, 3)).result().unwrap();
        drop(rig.executor.take());
        rig.server.end();
        (0..NODES).for_each(|node| rig.signal(node, "-TERM"));
        // Far less than a drain may take.
        let deadline = Instant::now() + Duration::from_secs(15);
        for node in &mut rig.nodes {
            while node.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "a node waits for a server that is gone");
                thread::sleep(Duration::from_millis(10));
            }
        }
        Counted::default()
    });
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn everything_is_flushed() {
    exact("everything is flushed", TASKS as usize / 4, flush);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn connections_are_cut() {
    exact("connections are cut", 0, cut_connections);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_starts_again_and_a_node_is_killed() {
    exact("the server starts again, and a node is killed", TASKS as usize, restart_and_kill);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_is_full_for_a_while() {
    exact("the server is full for a while", 0, fill_the_server);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_task_kills_its_worker() {
    rounds("a task kills its worker", |rig| {
        let crash = rig.executor().submit::<_, ()>(|()| std::process::abort(), ());
        let counted = rig.run(0, |_| {});
        assert_eq!((counted.ok, counted.begun_twice), (TASKS as usize, 0), "{counted:?}");
        match crash.result() {
            Err(TaskError::WorkerDied(died)) => assert!(died.signal() == Some(6) && died.host().is_some()),
            other => panic!("{other:?}"),
        }
        counted
    });
}

/// Starts a client that is a process of its own, and kills it when 20 of its tasks have begun.
fn kill_a_client(rig: &Rig, role: &str) {
    let client = Command::new(env::current_exe().unwrap());
    let mut client = in_role(client, role, &rig.server.url(""));
    let mut client = client.env("CLUSTER_LOG", rig.log()).spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    while rig.begun().len() < 20 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_client_is_killed() {
    rounds("a client is killed", |rig| {
        kill_a_client(rig, "faults::client_main");
        let deadline = Instant::now() + LIMIT;
        // Nobody waits for the rest: after two leases the nodes run nothing of it any more.
        while rig.executor().stats().nodes.iter().any(|node| node.running > 0) {
            assert!(Instant::now() < deadline, "{:?}", rig.executor().stats());
            thread::sleep(Duration::from_millis(20));
        }
        let begun = rig.begun();
        assert!(begun.values().all(|times| *times == 1));
        // And they serve others.
        assert_eq!(rig.executor().submit(|n: u32| n + 1, 1).result().unwrap(), 2);
        Counted::default()
    });
}
