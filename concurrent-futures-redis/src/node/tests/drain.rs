//! The end of a node that is told to end, with its server and without.

use super::client::Client;
use super::{
    HARD_LIMIT, Harness, LEASE, LONG, NodeHandle, RedisNode, double, endless, in_time, node, node_of,
    over_memory, over_servers, until,
};
use crate::engine::memory::MemoryServer;
use crate::gate::{Gate, hold};
use crate::node::NodeError;
use crate::wire::Kind;
use std::time::{Duration, Instant};

fn drain_while_others_wait(server: &dyn Harness) {
    let builder = RedisNode::builder("redis://nowhere").slots(1).lease(LEASE).read_ahead(5);
    let first_node = node_of(server, builder);
    let mut client = Client::new(server, "c");
    let gate = Gate::new("drain");
    let (_, held) = client.submit(hold, vec![gate.path()]);
    until("it runs", || first_node.stats().running == 1);
    let (_, futures) = client.submit(double, vec![1, 2, 3]);
    until("they are ready", || first_node.stats().ready == 3);
    first_node.stop();
    until("none is ready", || first_node.stats().ready == 0);
    assert_eq!(first_node.stats().running, 1);
    let other = node(server, LEASE);
    until("the other has run them", || {
        client.read();
        client.tasks.len() == 1
    });
    gate.open();
    client.resolve();
    first_node.join().unwrap();
    assert!(client.answers.iter().all(|answer| answer.kind == Kind::Done));
    assert!(futures.into_iter().all(|future| future.result().is_ok()));
    assert_eq!(held.into_iter().next().unwrap().result().unwrap(), gate.path());
    assert_eq!(other.stats().finished, 3);
    // It is off the list.
    let beat = client.ask(|link, life| link.beat_client(life, &"c".into(), LONG));
    assert_eq!(beat.nodes.len(), 1);
}

#[test]
fn a_drain_gives_back_what_has_not_begun() {
    over_memory(drain_while_others_wait);
}

#[test]
fn a_drain_gives_back_what_has_not_begun_on_servers() {
    over_servers(drain_while_others_wait);
}

#[test]
fn a_drain_that_takes_too_long_ends_what_runs() {
    in_time(|| {
        let server = MemoryServer::new();
        let limit = Duration::from_millis(100);
        let builder = RedisNode::builder("redis://nowhere").slots(1).lease(LEASE).drain_timeout(limit);
        let node = node_of(&server, builder);
        let mut client = Client::new(&server, "c");
        // A worker that has yet to start may take longer than the limit: then the task would be lost before it began.
        client.submit(double, vec![1]);
        client.resolve();
        let (_, mut futures) = client.submit(endless, vec![1]);
        until("it runs", || node.stats().running == 1);
        node.stop();
        node.join().unwrap();
        client.resolve();
        let error = futures.remove(0).result().unwrap_err().to_string();
        assert!(error.contains("its node ended it, because the node was to end"), "{error}");
    });
}

#[test]
fn an_idle_node_ends_at_once() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = node(&server, LEASE);
        node.stop();
        node.join().unwrap();
    });
}

/// Which would wait for what runs, or to be heard, for longer than the test may take.
fn patient(server: &dyn Harness) -> NodeHandle {
    let builder = RedisNode::builder("redis://nowhere").slots(1).lease(LONG).drain_timeout(LONG);
    node_of(server, builder)
}

#[test]
fn without_its_server_an_idle_node_ends_soon() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = patient(&server);
        let mut client = Client::new(&server, "c");
        let (_, futures) = client.submit(double, vec![21]);
        client.resolve();
        assert!(futures.into_iter().all(|future| future.result().is_ok()));
        server.stop();
        node.stop();
        node.join().unwrap();
    });
}

#[test]
fn without_its_server_a_node_ends_what_runs_first_and_says_that_it_was_not_heard() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = patient(&server);
        let mut client = Client::new(&server, "c");
        let gate = Gate::new("unheard");
        let (_, _held) = client.submit(hold, vec![gate.path()]);
        until("it runs", || node.stats().running == 1);
        server.stop();
        node.stop();
        // For longer than its last words may take, and than the server may be silent.
        let since = Instant::now();
        until("a while has passed", || since.elapsed() > Duration::from_secs(8));
        assert_eq!(node.stats().running, 1);
        gate.open();
        let error = node.join().unwrap_err();
        assert!(matches!(error, NodeError::Interrupted), "{error:?}");
        assert!(since.elapsed() < HARD_LIMIT / 2, "{:?}", since.elapsed());
    });
}

#[test]
fn a_server_that_comes_back_in_time_hears_the_last_words() {
    in_time(|| {
        let server = MemoryServer::new();
        let node = patient(&server);
        let mut client = Client::new(&server, "c");
        let gate = Gate::new("heard");
        let (_, held) = client.submit(hold, vec![gate.path()]);
        until("it runs", || node.stats().running == 1);
        server.stop();
        node.stop();
        gate.open();
        until("it has ended", || node.stats().running == 0);
        server.start();
        node.join().unwrap();
        client.enter_again();
        client.resolve();
        assert!(held.into_iter().all(|future| future.result().is_ok()));
    });
}
