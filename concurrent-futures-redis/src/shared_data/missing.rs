//! Shared data that the server has lost, or that somebody has written to.

use super::{builder, client, engine, kept, look_up, look_up_all, node, table, until};
use crate::engine::conformance::{Harness, in_time, over_servers};
use crate::engine::memory::MemoryServer;
use crate::engine::redis::server::TestServer;
use crate::gate::{Gate, hold};
use concurrent_futures::{ExecutorExt as _, Future, Stage, TaskError};

#[test]
fn what_somebody_removes_or_cuts_is_put_there_again() {
    in_time(|| {
        let server = MemoryServer::new();
        let (executor, table) = (client(&server), table());
        let held: Vec<Future<(u64, u32)>> =
            (0..3).map(|at| executor.submit(look_up, (table.clone(), at))).collect();
        until("it is on the server", || kept(&server) == 1);
        server.change_blobs(|blobs| blobs.clear());
        until("it is again", || kept(&server) == 1);
        server.change_blobs(|blobs| blobs.values_mut().for_each(|bytes| bytes.truncate(1000)));
        until("it is whole again", || server.blobs().0 == 3);
        let _node = node(&server);
        assert!(held.into_iter().all(|future| future.result().is_ok()));
    });
}

#[test]
fn what_somebody_has_changed_is_the_error_of_the_tasks_that_carry_it() {
    in_time(|| {
        let server = MemoryServer::new();
        let (executor, table) = (client(&server), table());
        let futures: Vec<Future<(u64, u32)>> =
            (0..3).map(|at| executor.submit(look_up, (table.clone(), at))).collect();
        until("it is on the server", || kept(&server) == 1);
        // Of the same length, a number is another.
        server.change_blobs(|blobs| blobs.values_mut().for_each(|bytes| bytes[5000] ^= 1));
        let _node = node(&server);
        for future in futures {
            let error = future.result().unwrap_err();
            let TaskError::Codec(codec) = &error else { panic!("{error:?}") };
            assert_eq!(codec.stage(), Stage::DecodeArgument);
            assert!(codec.reason().contains("somebody has changed it"), "{error}");
        }
        // Others are not concerned.
        look_up_all(&executor, &super::table(), 5);
    });
}

/// What a task carries is gone when it begins, and on a full server there was no room to put it there again. Once there is, the
/// next task has it.
fn lose(server: &dyn Harness, entries: &dyn Fn() -> usize, remove: &dyn Fn()) {
    let gate = Gate::new("missing");
    let node = builder().read_ahead(0).build_on(engine(server)).unwrap().spawn().unwrap();
    let (executor, table) = (client(server), table());
    let held = executor.submit(hold, gate.path());
    until("the slot is taken", || node.stats().running == 1);
    let futures: Vec<Future<(u64, u32)>> =
        (0..3).map(|at| executor.submit(look_up, (table.clone(), at))).collect();
    until("all are on the server", || entries() == 4);
    server.set_full(true);
    remove();
    gate.open();
    held.result().unwrap();
    for future in futures {
        let error = future.result().unwrap_err();
        let TaskError::Codec(codec) = &error else { panic!("{error:?}") };
        assert_eq!(codec.stage(), Stage::DecodeArgument);
        for told in ["nothing of the task was run", "somebody has removed it", "submit the task again"] {
            assert!(codec.reason().contains(told), "{error}");
        }
    }
    server.set_full(false);
    // As the error says. Before the client's beat it may be missing once more.
    until("it is there again", || match executor.submit(look_up, (table.clone(), 3)).result() {
        Ok((found, _)) => found == 9,
        Err(TaskError::Codec(_)) => false,
        Err(other) => panic!("{other:?}"),
    });
}

#[test]
fn what_the_server_has_lost_is_the_error_of_the_tasks_that_carry_it() {
    in_time(|| {
        let server = MemoryServer::new();
        lose(&server, &|| server.entries(), &|| server.change_blobs(|blobs| blobs.clear()));
    });
}

/// The one key of this kind.
fn key(server: &TestServer, kind: &str) -> String {
    let keys: Vec<String> = server.query(&["KEYS", &format!("*:{kind}")]);
    let [key] = &keys[..] else { panic!("{kind}: {keys:?}") };
    key.clone()
}

fn lose_on(server: &TestServer, command: &[&str]) {
    let entries = || server.query(&["XLEN", &key(server, "tasks")]);
    lose(server, &entries, &|| {
        let blobs = key(server, "blobs:*");
        let words: Vec<&str> =
            command.iter().map(|word| if *word == "KEY" { &*blobs } else { *word }).collect();
        // The client's beat may give it time again.
        until("it is gone", || {
            server.query::<()>(&words);
            server.query::<u32>(&["EXISTS", &blobs]) == 0
        });
    });
}

/// By a person, or by the server itself, which was told to evict after the client had seen that it doesn't.
#[test]
fn what_is_deleted_on_servers_is_the_error_of_the_tasks_that_carry_it() {
    over_servers(|server| lose_on(server, &["DEL", "KEY"]));
}

#[test]
fn what_runs_out_on_servers_is_the_error_of_the_tasks_that_carry_it() {
    over_servers(|server| lose_on(server, &["PEXPIRE", "KEY", "1"]));
}

#[test]
fn what_servers_have_flushed_is_there_again_for_its_tasks() {
    over_servers(|server| {
        let (executor, table) = (client(server), table());
        let futures: Vec<Future<(u64, u32)>> =
            (0..20).map(|at| executor.submit(look_up, (table.clone(), at))).collect();
        until("all are on the server", || {
            server.query::<Vec<String>>(&["KEYS", "*:tasks"]).len() == 1
                && server.query::<usize>(&["XLEN", &key(server, "tasks")]) == 20
        });
        server.flush();
        let _node = node(server);
        for (at, future) in (0..).zip(futures) {
            assert_eq!(future.result().unwrap().0, at * at);
        }
        look_up_all(&executor, &table, 5);
    });
}
