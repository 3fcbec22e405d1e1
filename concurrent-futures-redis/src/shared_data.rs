//! Data that tasks share: it goes to the server once and to each node once, and what becomes of it when servers, nodes and people
//! don't keep to that.

mod missing;

use crate::RedisExecutor;
use crate::engine::Engine;
use crate::engine::conformance::{HARD_LIMIT, Harness, in_time, over_servers};
use crate::engine::memory::MemoryServer;
use crate::engine::redis::server::TestServer;
use crate::executor::options::{Hidden, Options};
use crate::node::{NodeHandle, RedisNode, RedisNodeBuilder};
use concurrent_futures::{ExecutorExt as _, Future, Json, Shared, SharedBytes, TaskError, is_worker, remote};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// One that does not run out in a test; beats come often all the same.
const LEASE: Duration = Duration::from_secs(20);

/// Numbers in a table: more than what stays in a parcel by value.
const LEN: usize = 40_000;

type Table = Shared<Vec<u64>>;

fn table() -> Table {
    Shared::new((0..LEN as u64).map(|n| n * n).collect())
}

/// Looks something up, and says in which process.
fn look_up((table, at): (Table, usize)) -> (u64, u32) {
    assert!(is_worker());
    (table[at], std::process::id())
}

fn engine(server: &dyn Harness) -> Arc<dyn Engine> {
    Arc::from(server.engine("q", &remote::build_id().to_string()))
}

fn options() -> Options {
    Options { queue: "q".into(), lease: LEASE, ..Options::default() }
}

fn client(server: &dyn Harness) -> RedisExecutor {
    RedisExecutor::over(engine(server), options()).unwrap()
}

fn builder() -> RedisNodeBuilder {
    RedisNode::builder("redis://here").queue("q").slots(1).lease(LEASE)
}

fn node(server: &dyn Harness) -> NodeHandle {
    builder().build_on(engine(server)).unwrap().spawn().unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + HARD_LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

/// Has so many tasks look something up in the table; gives how many processes did.
fn look_up_all(executor: &RedisExecutor, table: &Table, tasks: usize) -> usize {
    let futures: Vec<Future<(u64, u32)>> =
        (0..tasks).map(|at| executor.submit(look_up, (table.clone(), at))).collect();
    let mut processes: Vec<u32> = Vec::new();
    for (at, future) in (0..).zip(futures) {
        let (found, process) = future.result().unwrap();
        assert_eq!(found, at * at);
        processes.push(process);
    }
    processes.sort_unstable();
    processes.dedup();
    processes.len()
}

#[test]
fn a_table_goes_to_the_server_once_and_to_each_node_once() {
    in_time(|| {
        let server = MemoryServer::new();
        let _nodes = [node(&server), node(&server), node(&server)];
        let (executor, table) = (client(&server), table());
        let nodes = look_up_all(&executor, &table, 1000) as u64;
        let is_once = |(put, got): (u64, u64)| put == 1 && (nodes..=3).contains(&got);
        assert!(is_once(server.blobs()), "{:?} of {nodes}", server.blobs());
        // Also later, as long as a handle is there.
        assert_eq!(look_up_all(&executor, &table, 1), 1);
        assert!(is_once(server.blobs()), "{:?} of {nodes}", server.blobs());
    });
}

/// How many bytes the server has received and sent.
fn traffic(server: &TestServer) -> [u64; 2] {
    let info: String = server.query(&["INFO", "stats"]);
    let of = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap();
    [of("total_net_input_bytes:"), of("total_net_output_bytes:")]
}

#[test]
fn a_table_crosses_the_network_once() {
    over_servers(|server| {
        let _nodes = [node(server), node(server), node(server)];
        let executor = client(server);
        let table = Shared::new(vec![u64::MAX; LEN * 10]);
        let len = 8 * LEN as u64 * 10;
        let [input, output] = traffic(server);
        let count = |(table, _): (Table, u64)| table.len();
        let futures: Vec<Future<usize>> =
            (0..300).map(|n| executor.submit(count, (table.clone(), n))).collect();
        assert!(futures.into_iter().all(|future| future.result().unwrap() == LEN * 10));
        let [received, sent] = traffic(server);
        let (received, sent) = (received - input, sent - output);
        assert!((len..len * 3 / 2).contains(&received), "{received}");
        assert!((len..len * 7 / 2).contains(&sent), "{sent}");
    });
}

/// 16 MiB, a thousand tasks, three nodes.
#[test]
#[ignore = "a figure: it prints what it takes"]
fn a_large_table_over_three_nodes() {
    over_servers(|server| {
        let _nodes = [node(server), node(server), node(server)];
        let executor = client(server);
        let count = |(table, at): (SharedBytes, usize)| usize::from(table[at]);
        let tasks: usize = std::env::var("TASKS").map_or(1000, |tasks| tasks.parse().unwrap());
        let all = |table: &SharedBytes| {
            let (begun, before) = (Instant::now(), traffic(server));
            let futures: Vec<Future<usize>> =
                (0..tasks).map(|at| executor.submit(count, (table.clone(), at))).collect();
            assert!(futures.into_iter().all(|future| future.result().unwrap() == 7));
            let [received, sent] = traffic(server);
            (begun.elapsed(), (received - before[0]) >> 10, (sent - before[1]) >> 10)
        };
        let small = vec![7; 10_000].into();
        all(&small);
        for (name, table) in [("none", small), ("16 MiB", vec![7; 16 << 20].into())] {
            for round in ["first", "again"] {
                let (time, received, sent) = all(&table);
                eprintln!(
                    "{tasks} tasks, {name}, {round}: {time:.2?}, received {received} KiB, sent {sent} KiB"
                );
            }
        }
    });
}

#[derive(Serialize, Deserialize)]
struct Nested {
    table: Shared<(SharedBytes, Shared<Vec<u64>>)>,
    text: Json<(Shared<String>, u8)>,
    few: Option<SharedBytes>,
}

fn sum(it: Nested) -> usize {
    let (bytes, numbers) = &*it.table;
    let (text, number) = &*it.text;
    bytes.len() + numbers.len() + text.len() + usize::from(*number) + it.few.map_or(0, |few| few.len())
}

fn nest(server: &dyn Harness) {
    let _nodes = [node(server), node(server)];
    let executor = client(server);
    let bytes = SharedBytes::from(vec![7; 100_000]);
    let numbers = table();
    let outer = Shared::new((bytes.slice(10..), numbers.clone()));
    let nested = |few: Option<SharedBytes>| Nested {
        table: outer.clone(),
        text: Json((Shared::new("long".repeat(30_000)), 7)),
        few,
    };
    let expected = 99_990 + LEN + 120_000 + 7;
    let futures: Vec<Future<usize>> =
        (0..20).map(|n| executor.submit(sum, nested((n % 2 == 0).then(|| vec![1; n].into())))).collect();
    for (n, future) in futures.into_iter().enumerate() {
        assert_eq!(future.result().unwrap(), expected + if n % 2 == 0 { n } else { 0 });
    }
    // What lay in the other has a handle of its own.
    drop(outer);
    look_up_all(&executor, &numbers, 10);
    let len = |(_, bytes): (u8, SharedBytes)| bytes.len();
    assert_eq!(executor.submit(len, (1, bytes)).result().unwrap(), 100_000);
}

#[test]
fn shared_data_lies_in_anything() {
    in_time(|| nest(&MemoryServer::new()));
}

#[test]
fn shared_data_lies_in_anything_on_servers() {
    over_servers(|server| nest(server));
}

/// How many pieces of shared data are on the server.
fn kept(server: &MemoryServer) -> usize {
    let count = std::cell::Cell::new(0);
    server.change_blobs(|blobs| count.set(count.get() + blobs.len()));
    count.get()
}

#[test]
fn what_was_dropped_before_its_tasks_ran_is_there_for_them_and_then_gone() {
    in_time(|| {
        let server = MemoryServer::new();
        let executor = client(&server);
        let table = table();
        let futures: Vec<Future<(u64, u32)>> =
            (0..50).map(|at| executor.submit(look_up, (table.clone(), at))).collect();
        drop(table);
        until("it is on the server", || kept(&server) == 1);
        let _node = node(&server);
        for (at, future) in (0..).zip(futures) {
            assert_eq!(future.result().unwrap().0, at * at);
        }
        until("it is removed", || kept(&server) == 0);
        assert_eq!(server.blobs(), (1, 1));
    });
}

#[test]
fn a_node_that_takes_the_place_of_another_fetches_again() {
    in_time(|| {
        let server = MemoryServer::new();
        let (executor, table) = (client(&server), table());
        let first = node(&server);
        look_up_all(&executor, &table, 5);
        first.stop();
        first.join().unwrap();
        let _second = node(&server);
        look_up_all(&executor, &table, 5);
        assert_eq!(server.blobs(), (1, 2));
    });
}

#[test]
fn a_worker_that_takes_the_place_of_another_has_it_from_its_node() {
    in_time(|| {
        let server = MemoryServer::new();
        let (executor, table) = (client(&server), table());
        let _node = node(&server);
        look_up_all(&executor, &table, 5);
        let die = |table: Table| {
            if table.len() == LEN {
                std::process::abort()
            }
        };
        assert!(matches!(executor.submit(die, table.clone()).result(), Err(TaskError::WorkerDied(_))));
        look_up_all(&executor, &table, 5);
        assert_eq!(server.blobs(), (1, 1));
    });
}

fn forget_everything(server: &dyn Harness, forget: fn(&dyn Harness)) {
    let _nodes = [node(server), node(server)];
    let (executor, table) = (client(server), table());
    look_up_all(&executor, &table, 10);
    forget(server);
    // Nobody was asked to run them twice, but none of these had begun.
    look_up_all(&executor, &table, 10);
    let another = Shared::new((0..LEN as u64).map(|n| n * n).collect());
    look_up_all(&executor, &another, 10);
}

#[test]
fn a_server_that_has_forgotten_it_is_sent_it_again() {
    for forget in [|it: &dyn Harness| it.flush(), |it: &dyn Harness| it.restart_empty()] {
        in_time(move || {
            let server = MemoryServer::new();
            forget_everything(&server, forget);
            let (put, _) = server.blobs();
            assert!(put >= 1, "in the new life: {put}");
        });
    }
}

#[test]
fn a_server_that_has_forgotten_it_is_sent_it_again_on_servers() {
    over_servers(|server| forget_everything(server, |it| it.restart_empty()));
}

#[test]
fn when_answers_are_lost_every_task_has_its_data() {
    in_time(|| {
        let server = MemoryServer::new();
        let _nodes = [node(&server), node(&server)];
        let executor = client(&server);
        server.lose_answers(11, 30);
        for _ in 0..5 {
            look_up_all(&executor, &table(), 20);
        }
        server.lose_answers(11, 0);
    });
}

#[test]
fn a_queue_with_a_secret_carries_shared_data() {
    in_time(|| {
        let (server, secret) = (MemoryServer::new(), b"sixteen bytes, or more".to_vec());
        let node = builder().secret(secret.clone()).build_on(engine(&server)).unwrap().spawn().unwrap();
        let sealed = Options { secret: Some(Hidden(secret)), ..options() };
        let executor = RedisExecutor::over(engine(&server), sealed).unwrap();
        look_up_all(&executor, &table(), 10);
        drop((executor, node));
    });
}

#[test]
fn a_table_larger_than_the_window_holds_up_nobody() {
    in_time(|| {
        let server = MemoryServer::new();
        let narrow = Options { window_bytes: 10_000, ..options() };
        let executor = RedisExecutor::over(engine(&server), narrow).unwrap();
        let table = table();
        let futures: Vec<Future<(u64, u32)>> =
            (0..20).map(|at| executor.submit(look_up, (table.clone(), at))).collect();
        // All at once: there is no node that would make room.
        until("all are out", || executor.stats().queued == 0);
        let _node = node(&server);
        assert!(futures.into_iter().all(|future| future.result().is_ok()));
    });
}

/// Tables that are all kept, one task for each, twice.
fn look_up_in_many(executor: &RedisExecutor) {
    let tables: Vec<Table> = (0..10).map(|_| table()).collect();
    for _ in 0..2 {
        let futures: Vec<Future<(u64, u32)>> =
            tables.iter().map(|table| executor.submit(look_up, (table.clone(), 3))).collect();
        assert!(futures.into_iter().all(|future| future.result().unwrap().0 == 9));
    }
}

#[test]
fn what_no_task_carries_makes_room_in_the_window() {
    in_time(|| {
        let server = MemoryServer::new();
        let _node = node(&server);
        // Two fit into it, and as many that no task carries.
        let narrow = Options { window_bytes: LEN * 8 * 5 / 2, ..options() };
        let executor = RedisExecutor::over(engine(&server), narrow).unwrap();
        look_up_in_many(&executor);
        assert!((1..=4).contains(&kept(&server)), "{}", kept(&server));
        assert!((16..=20).contains(&server.blobs().0), "{:?}", server.blobs());
    });
}

#[test]
fn what_no_task_carries_makes_room_on_a_full_server() {
    in_time(|| {
        let server = MemoryServer::new();
        server.set_memory_limit(Some(LEN * 8 * 3));
        let _node = node(&server);
        look_up_in_many(&client(&server));
    });
}
