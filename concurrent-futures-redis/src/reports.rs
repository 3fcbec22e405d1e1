//! Faults of other distributed task queues, from public bug reports: each as a test of whether it is here too. The doc of each
//! names where it was reported.

use crate::RedisExecutor;
use crate::engine::Engine;
use crate::engine::conformance::{HARD_LIMIT, Harness, in_time, over_servers};
use crate::engine::memory::MemoryServer;
use crate::executor::options::Options;
use crate::node::{NodeHandle, RedisNode, RedisNodeBuilder};
use concurrent_futures::{ExecutorExt as _, Future, TaskError, TaskOptions, remote};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// One that does not run out in a test, and one that does.
const LEASE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(600);

fn engine(server: &dyn Harness) -> Arc<dyn Engine> {
    Arc::from(server.engine("q", &remote::build_id().to_string()))
}

fn client(server: &dyn Harness, lease: Duration) -> RedisExecutor {
    let options = Options { queue: "q".into(), lease, ..Options::default() };
    RedisExecutor::over(engine(server), options).unwrap()
}

fn builder(lease: Duration) -> RedisNodeBuilder {
    RedisNode::builder("redis://here").queue("q").slots(1).lease(lease)
}

fn node_of(server: &dyn Harness, builder: RedisNodeBuilder) -> NodeHandle {
    builder.build_on(engine(server)).unwrap().spawn().unwrap()
}

fn node(server: &dyn Harness, lease: Duration) -> NodeHandle {
    node_of(server, builder(lease))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + HARD_LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

/// A place for what tasks write down, and a file that they wait for.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("begun")
    }

    /// How many tasks have begun.
    fn begun(&self) -> usize {
        fs::read(self.path()).map_or(0, |bytes| bytes.len())
    }

    fn open(&self) {
        fs::write(self.0.path().join("open"), "").unwrap();
    }
}

/// Writes down that it has begun.
fn begin(path: &Path) {
    fs::File::options().append(true).create(true).open(path).unwrap().write_all(b".").unwrap();
}

/// Runs until the file is there.
fn hold(path: PathBuf) {
    begin(&path);
    while !path.with_file_name("open").exists() {
        thread::sleep(Duration::from_millis(5));
    }
}

fn plus_one(n: u32) -> u32 {
    n + 1
}

/// celery/celery#5935: a task that takes longer than the time after which a message is visible again runs once more.
#[test]
fn a_task_that_takes_longer_than_a_lease_runs_once() {
    in_time(|| {
        let (server, place) = (MemoryServer::new(), Place::new());
        let _nodes = [node(&server, SHORT), node(&server, SHORT)];
        let executor = client(&server, SHORT);
        let long = executor.submit(hold, place.path());
        until("it runs", || place.begun() == 1);
        thread::park_timeout(SHORT * 3);
        place.open();
        long.result().unwrap();
        assert_eq!((place.begun(), executor.stats().lost), (1, 0));
    });
}

/// OptimalBits/bull#308: a task that keeps the processor busy keeps its worker from renewing its lock, and is given to
/// another.
#[test]
fn a_task_that_keeps_the_processor_busy_costs_no_lease() {
    in_time(|| {
        let (server, place) = (MemoryServer::new(), Place::new());
        let nodes = [node(&server, SHORT), node(&server, SHORT)];
        let executor = client(&server, SHORT);
        let busy = |path: PathBuf| {
            begin(&path);
            let end = Instant::now() + SHORT * 3;
            while Instant::now() < end {}
        };
        executor.submit(busy, place.path()).result().unwrap();
        assert_eq!((place.begun(), executor.stats().lost), (1, 0));
        assert!(nodes.iter().all(|node| node.stats().lost_names == 0));
    });
}

fn serve_after_a_restart(server: &dyn Harness) {
    let _node = node(server, LEASE);
    let executor = client(server, LEASE);
    assert_eq!(executor.submit(plus_one, 1).result().unwrap(), 2);
    server.restart_empty();
    assert_eq!(executor.submit(plus_one, 2).result().unwrap(), 3);
    server.restart_with_data();
    assert_eq!(executor.submit(plus_one, 3).result().unwrap(), 4);
}

/// celery/celery#8030: after the connection to Redis was made anew, a worker takes nothing any more.
#[test]
fn a_node_serves_on_after_its_server_has_started_again() {
    in_time(|| serve_after_a_restart(&MemoryServer::new()));
    over_servers(|server| serve_after_a_restart(server));
}

fn serve_after_a_flush(server: &dyn Harness) {
    let place = Place::new();
    let node = node(server, LEASE);
    let executor = client(server, LEASE);
    let running = executor.submit(hold, place.path());
    until("it runs", || node.stats().running == 1);
    server.flush();
    let queued: Vec<Future<u32>> = (0..20).map(|n| executor.submit(plus_one, n)).collect();
    place.open();
    running.result().unwrap();
    assert!(queued.into_iter().zip(0..).all(|(future, n)| future.result().unwrap() == n + 1));
    assert_eq!(place.begun(), 1);
}

/// ag2ai/faststream#2611: once stream and group are gone, consumers repeat the same error for ever.
#[test]
fn stream_and_group_are_made_anew_when_they_are_gone() {
    in_time(|| serve_after_a_flush(&MemoryServer::new()));
    over_servers(|server| serve_after_a_flush(server));
}

/// dask/distributed#5234: when a worker dies, tasks that were only on its list are charged as those that it ran.
#[test]
fn what_a_dead_node_had_not_begun_is_not_charged() {
    in_time(|| {
        let (server, place) = (MemoryServer::new(), Place::new());
        let dying = node_of(&server, builder(SHORT).read_ahead(8));
        let executor = client(&server, SHORT);
        let begun = executor.submit(hold, place.path());
        until("it runs", || dying.stats().running == 1);
        let waiting: Vec<Future<u32>> = (0..8).map(|n| executor.submit(plus_one, n)).collect();
        until("they are on its list", || dying.stats().ready == 8);
        dying.kill();
        let _ = dying.join();
        let _other = node(&server, LEASE);
        assert!(matches!(begun.result(), Err(TaskError::WorkerLost(_))));
        assert!(waiting.into_iter().all(|future| future.result().is_ok()));
        assert_eq!((executor.stats().lost, executor.stats().resubmitted), (1, 0));
    });
}

/// rq/rq#2015: a job with retries whose worker is killed is lost.
#[test]
fn a_task_with_retries_runs_again_when_its_node_is_killed() {
    in_time(|| {
        let (server, place) = (MemoryServer::new(), Place::new());
        let dying = node(&server, SHORT);
        let executor = client(&server, SHORT);
        let task = executor.submit_with(TaskOptions::new().retries(1), hold, place.path());
        until("it runs", || dying.stats().running == 1 && place.begun() == 1);
        dying.kill();
        let _ = dying.join();
        let _other = node(&server, LEASE);
        until("it runs again", || place.begun() == 2);
        place.open();
        task.result().unwrap();
    });
}

/// dask/distributed#301: a task that ends its process is waited for for ever.
#[test]
fn a_task_that_ends_its_process_is_an_error_and_the_next_runs() {
    in_time(|| {
        let server = MemoryServer::new();
        let _node = node(&server, LEASE);
        let executor = client(&server, LEASE);
        let ended = executor.submit::<_, ()>(|code: i32| std::process::exit(code), 7);
        match ended.result() {
            Err(TaskError::WorkerDied(died)) => assert_eq!(died.exit_code(), Some(7)),
            other => panic!("{other:?}"),
        }
        assert_eq!(executor.submit(plus_one, 1).result().unwrap(), 2);
    });
}

/// celery/celery#6500: a worker keeps tasks for itself behind a long one, while others have nothing to do.
#[test]
fn short_tasks_do_not_wait_behind_a_long_one() {
    in_time(|| {
        let (server, place) = (MemoryServer::new(), Place::new());
        let _nodes = [node(&server, LEASE), node(&server, LEASE)];
        let executor = client(&server, LEASE);
        // Many a second: both nodes read ahead.
        executor.map(plus_one, 0..300).for_each(drop);
        let long = executor.submit(hold, place.path());
        let short: Vec<Future<u32>> = (0..100).map(|n| executor.submit(plus_one, n)).collect();
        assert!(short.into_iter().all(|future| future.result().is_ok()));
        assert!(!long.is_done());
        place.open();
        long.result().unwrap();
    });
}

/// celery/celery#7801: results that nobody fetches stay on the server for ever.
#[test]
fn nothing_of_a_client_is_left_on_the_server() {
    over_servers(|server| {
        let _node = node(server, LEASE);
        let executor = client(server, LEASE);
        for n in 0..50 {
            // Large ones lie beside the stream.
            drop(executor.submit(|n: usize| "x".repeat(n), n * 4000));
        }
        drop(executor);
        let keys: Vec<String> = server.query(&["KEYS", "*"]);
        let of_clients = [":client:", ":replies:", ":args:", ":results:"];
        let left: Vec<&String> =
            keys.iter().filter(|key| of_clients.iter().any(|it| key.contains(it))).collect();
        assert!(left.is_empty(), "{left:?}");
        let tasks = keys.iter().find(|key| key.ends_with(":tasks")).unwrap();
        assert_eq!(server.query::<u64>(&["XLEN", tasks]), 0);
    });
}

/// taskiq-python/taskiq-redis#118: consumers of workers that are gone are left in the group.
#[test]
fn nodes_that_are_gone_are_not_left_in_the_group() {
    over_servers(|server| {
        let executor = client(server, SHORT);
        for n in 0..3 {
            let dying = node(server, SHORT);
            // The one before may be given it yet.
            let task = executor.submit_with(TaskOptions::new().retries(3), plus_one, n);
            assert_eq!(task.result().unwrap(), n + 1);
            dying.kill();
            let _ = dying.join();
        }
        let keys: Vec<String> = server.query(&["KEYS", "*:tasks"]);
        until("they are out of it", || {
            server.query::<Vec<redis::Value>>(&["XINFO", "CONSUMERS", &keys[0], "nodes"]).is_empty()
        });
        until("and off the list", || executor.stats().nodes.is_empty());
    });
}

/// celery/celery#3802: a task that ends well while its worker shuts down is not acknowledged, and runs again.
#[test]
fn a_task_that_ends_while_its_node_drains_is_answered_and_runs_once() {
    in_time(|| {
        let (server, place) = (MemoryServer::new(), Place::new());
        let draining = node(&server, LEASE);
        let executor = client(&server, LEASE);
        let task = executor.submit(hold, place.path());
        until("it runs", || draining.stats().running == 1 && place.begun() == 1);
        draining.stop();
        let _other = node(&server, LEASE);
        assert_eq!(executor.submit(plus_one, 1).result().unwrap(), 2);
        place.open();
        task.result().unwrap();
        draining.join().unwrap();
        assert_eq!(place.begun(), 1);
    });
}

/// celery/celery#8417: a task can't be ended any more once its worker was told to shut down.
#[test]
fn a_task_can_be_killed_while_its_node_drains() {
    in_time(|| {
        let (server, place) = (MemoryServer::new(), Place::new());
        let draining = node(&server, LEASE);
        let executor = client(&server, LEASE);
        let task = executor.submit(hold, place.path());
        until("it runs", || draining.stats().running == 1 && place.begun() == 1);
        draining.stop();
        assert!(task.cancel_handle().kill());
        assert!(matches!(task.result(), Err(TaskError::WorkerDied(_))));
        draining.join().unwrap();
    });
}

fn refuse_a_result_that_is_too_large(server: &dyn Harness) {
    let _node = node_of(server, builder(LEASE).most_bytes(100_000));
    let executor = client(server, LEASE);
    let large = executor.submit(|n: usize| "x".repeat(n), 200_000);
    let error = large.result().unwrap_err().to_string();
    assert!(error.contains("may have 512 MB; return a path"), "{error}");
    assert_eq!(executor.submit(plus_one, 1).result().unwrap(), 2);
}

/// celery/celery#6533: a result that is larger than the server takes is sent again and again.
#[test]
fn a_result_that_is_larger_than_the_server_takes_is_an_error() {
    in_time(|| refuse_a_result_that_is_too_large(&MemoryServer::new()));
    over_servers(|server| refuse_a_result_that_is_too_large(server));
}
