//! Faults under tasks that share data: they lose what any task may lose, each that runs has what it carries, and nothing stays
//! behind on the server.

use super::{
    Counted, LEASE, LIMIT, NODES, PERMITTED, Rig, TASKS, TestServer, cut_connections, fill_the_server, flush,
    kill_a_client, kill_a_node, record, restart_empty, restart_with_data, rounds, rounds_in,
};
use crate::RedisExecutor;
use crate::roles::{role, start};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, SharedBytes};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, thread};

const LEN: usize = 1 << 20;

/// What takes the server longer to send than a test to see that it does.
const LONG: usize = 64 << 20;

/// Of what belongs to a client.
const KINDS: [&str; 6] = ["client", "replies", "args", "results", "blobs", "held"];

fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

fn look_up((table, (log, number, millis)): (SharedBytes, (PathBuf, u32, u64))) -> u32 {
    let at = number as usize * 1000;
    assert_eq!(table[at], byte(at));
    record((log, number, millis))
}

fn submit_all(executor: &RedisExecutor, log: &Path, len: usize, millis: u64) -> Vec<Future<u32>> {
    let table = SharedBytes::from((0..len).map(byte).collect::<Vec<u8>>());
    (0..TASKS).map(|n| executor.submit(look_up, (table.clone(), (log.to_owned(), n, millis)))).collect()
}

/// What is on the server of clients, of these kinds.
fn of_clients(server: &TestServer, kinds: &[&str]) -> Vec<String> {
    let keys: Vec<String> = server.query(&["KEYS", "*"]);
    let is_of = |key: &String| kinds.iter().any(|kind| key.contains(&format!(":{kind}:")));
    keys.into_iter().filter(is_of).collect()
}

fn await_gone(server: &TestServer, kinds: &[&str], patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        let left = of_clients(server, kinds);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "it stays: {left:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The client ends. What it had on the server goes with it; what it had in an earlier life, with that one's lease.
fn leave(rig: &mut Rig, patience: Duration) {
    drop(rig.executor.take());
    await_gone(&rig.server, &KINDS, patience);
}

/// As `exact`, and nothing is left after so long.
fn exact(name: &str, permitted: usize, patience: Duration, fault: fn(&mut Rig)) {
    rounds(name, |rig| {
        let futures = submit_all(rig.executor(), &rig.log(), LEN, 3);
        let counted = rig.follow(futures, fault).check(permitted);
        leave(rig, patience);
        counted
    });
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_node_is_killed_that_has_what_tasks_share() {
    exact("a node is killed that has shared data", PERMITTED, Duration::ZERO, kill_a_node);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn connections_are_cut_and_tasks_share_data() {
    exact("connections are cut, with shared data", 0, Duration::ZERO, cut_connections);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_is_full_for_a_while_and_tasks_share_data() {
    exact("the server is full for a while, with shared data", 0, Duration::ZERO, fill_the_server);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn everything_is_flushed_and_tasks_share_data() {
    exact("everything is flushed, with shared data", TASKS as usize / 4, Duration::ZERO, flush);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_starts_again_with_nothing_and_tasks_share_data() {
    let name = "the server starts again, empty, with shared data";
    exact(name, TASKS as usize / 4, Duration::ZERO, restart_empty);
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn the_server_starts_again_with_its_data_and_tasks_share_data() {
    let name = "the server starts again with its data, with shared data";
    exact(name, TASKS as usize / 4, 3 * LEASE, restart_with_data);
}

fn with_one_node(program: &Path) -> Rig {
    let server = TestServer::start(program);
    let node = start("faults::node_main", &server.url(""));
    Rig::over(server, vec![node], Vec::new())
}

/// How many bytes the server has sent.
fn sent(server: &TestServer) -> usize {
    let info: String = server.query(&["INFO", "stats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_node_is_killed_while_it_fetches_what_tasks_share() {
    rounds_in(with_one_node, "a node is killed while it fetches shared data", |rig| {
        let before = sent(&rig.server);
        let futures = submit_all(rig.executor(), &rig.log(), LONG, 3);
        let deadline = Instant::now() + LIMIT;
        // What the questions cost is far less.
        while sent(&rig.server) - before < LONG / 4 {
            assert!(Instant::now() < deadline, "nothing is fetched");
            thread::sleep(Duration::from_millis(1));
        }
        rig.nodes[0].kill().unwrap();
        rig.nodes[0].wait().unwrap();
        assert!(rig.begun().is_empty(), "it had fetched it");
        let url = rig.server.url("");
        rig.nodes.extend((1..NODES).map(|_| start("faults::node_main", &url)));
        let counted = rig.follow(futures, |_| {}).check(PERMITTED);
        leave(rig, Duration::ZERO);
        counted
    });
}

#[test]
#[ignore = "what a client runs that is killed"]
fn client_main() {
    if let Some(url) = role() {
        let log = PathBuf::from(env::var_os("CLUSTER_LOG").unwrap());
        let executor = RedisExecutor::builder(url).queue("q").lease(LEASE).build().unwrap();
        let futures = submit_all(&executor, &log, LEN, 100);
        wait(&futures, ReturnWhen::AllCompleted);
    }
}

#[test]
#[ignore = "needs a server: ci/cluster.sh"]
fn a_client_is_killed_whose_tasks_share_data() {
    rounds("a client is killed whose tasks share data", |rig| {
        // Which has something there as well, for as long as it lives.
        drop(rig.executor.take());
        kill_a_client(rig, "faults::sharing::client_main");
        assert_eq!(of_clients(&rig.server, &["blobs"]).len(), 1);
        // The client has said that it lives for two leases more.
        await_gone(&rig.server, &KINDS, 3 * LEASE);
        assert!(rig.begun().values().all(|times| *times == 1));
        // The nodes serve others.
        let executor = RedisExecutor::builder(rig.server.url("")).queue("q").lease(LEASE).build().unwrap();
        assert_eq!(executor.submit(|n: u32| n + 1, 1).result().unwrap(), 2);
        Counted::default()
    });
}
