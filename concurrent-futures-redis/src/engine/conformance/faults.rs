//! Cut connections and full memory.

use super::Harness;
use super::actors::{LONG, MANY, SHORT, WAIT, attempt, begins, done, enter, id, ids, node, place, seqs};
use crate::engine::{Fault, Order, Step};
use crate::wire::{BlobName, EntryId, Kind, Testimony};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(super) fn a_cut_connection_is_lost(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    harness.cut_connections();
    let submitted = it.link.submit(&it.life, MANY, &[attempt("c", 1, session)]);
    assert!(matches!(submitted, Err(Fault::Lost(_))));
    // Of no use any more, and the server as it was.
    assert!(matches!(it.link.enter(), Err(Fault::Lost(_))));
    let mut again = enter(harness);
    assert_eq!(again.life, it.life);
    assert!(again.scan("c").is_empty());
    again.submit("c", session, 1..=1);
}

pub(super) fn a_blocked_read_is_cut(harness: &dyn Harness) {
    enter(harness).open("c");
    let (ready, is_ready) = mpsc::channel();
    let waiting: Vec<_> = (0..3)
        .map(|which| {
            let (mut it, ready) = (enter(harness), ready.clone());
            thread::spawn(move || {
                ready.send(()).unwrap();
                match which {
                    0 => it.link.fetch(&it.life, &"n".into(), 1, WAIT).map(drop),
                    1 => it.link.read(&it.life, &"c".into(), EntryId::ZERO, 1, WAIT).map(drop),
                    _ => it.link.orders(&it.life, None, WAIT).map(drop),
                }
            })
        })
        .collect();
    (0..3).for_each(|_| is_ready.recv().unwrap());
    // Before or while it waits: it is cut.
    harness.cut_connections();
    for thread in waiting {
        assert!(matches!(thread.join().unwrap(), Err(Fault::Lost(_))));
    }
}

pub(super) fn an_ended_connection_carries_nothing(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    // At once, which is often before it waits, and when it waits.
    for (seq, pause) in [(1, Duration::ZERO), (2, SHORT)] {
        let mut old = enter(harness);
        let connection = old.link.connection().unwrap();
        assert_eq!(old.link.connection(), Ok(connection));
        assert_ne!(it.link.connection(), Ok(connection));
        let waiting = thread::spawn(move || old.link.fetch(&old.life, &"n".into(), 10, WAIT));
        thread::sleep(pause);
        it.link.end_connection(connection).unwrap();
        it.submit("c", session, seq..=seq);
        assert!(matches!(waiting.join().unwrap(), Err(Fault::Lost(_))));
        assert!(it.history("n", EntryId::ZERO, 10).is_empty());
        assert_eq!(seqs(&it.fetch("m", 10)), [seq]);
        it.link.end_connection(connection).unwrap();
    }
}

pub(super) fn a_full_server_is_emptied(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=4);
    it.join("n", LONG);
    let entries = it.fetch("n", 2);
    harness.set_full(true);
    assert_eq!(it.link.submit(&it.life, MANY, &[attempt("c", 5, session)]), Err(Fault::Full));
    assert_eq!(it.link.put_argument(&it.life, &id("c", 5), b"x"), Err(Fault::Full));
    assert_eq!(it.link.put_blob(&it.life, &"c".into(), BlobName::of(b"x"), b"x"), Err(Fault::Full));
    // Its answer is what makes room.
    assert_eq!(it.link.put_result(&it.life, &id("c", 1), b"x"), Ok(()));
    assert_eq!(it.link.get_result(&it.life, &id("c", 1)), Ok(Some(b"x".to_vec())));
    let step = Step {
        answers: vec![done(&entries[0])],
        begins: begins(&entries[1..]),
        limit: entries[1].id,
        ..Step::default()
    };
    let stepped = it.step("n", step);
    assert!(!stepped.is_name_lost && stepped.refused.is_empty() && stepped.replies[0].is_some());
    let more = it.fetch("n", 2);
    assert_eq!(more.len(), 2);
    it.step("n", Step { backs: ids(&more), limit: entries[1].id, ..Step::default() });
    let read = it.read("c", EntryId::ZERO);
    assert_eq!((read.len(), read[0].kind), (1, Kind::Done));
    it.read("c", place(&read[0]));
    assert_eq!(it.scan("c"), [2, 3, 4]);
    harness.set_full(false);
    it.submit("c", session, 5..=5);
}

pub(super) fn a_full_server_keeps_its_leases(harness: &dyn Harness) {
    harness.set_full(true);
    // A connection that comes now: its scripts must get there.
    let mut it = enter(harness);
    it.open("c");
    let testimony = Testimony { was: Some("m".into()), held: vec![id("c", 1)], ..Testimony::default() };
    it.testify("n", LONG, &testimony);
    assert!(!it.link.beat_node(&it.life, &node("n"), LONG).unwrap().is_name_lost);
    assert!(!it.link.beat_client(&it.life, &"c".into(), LONG).unwrap().is_forgotten);
    it.link.order(&it.life, &Order::Wake("n".into())).unwrap();
    it.link.wake_client(&it.life, &"c".into()).unwrap();
    it.bury_in_time("n");
    assert_eq!(it.verdicts("c").len(), 1);
    it.link.leave_node(&it.life, &"n".into()).unwrap();
    it.link.leave_client(&it.life, &"c".into()).unwrap();
}
