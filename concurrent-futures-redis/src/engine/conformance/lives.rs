//! Lives: what a server remembers, and what it is told of what it has forgotten.

use super::Harness;
use super::actors::{Actor, LONG, MANY, NOW, attempt, enter, enter_as, id, node};
use crate::engine::{Fault, Order, Step};
use crate::wire::{Answer, AttemptId, BlobName, EntryId, Kind, Life, Payload, Session, Testimony};

pub(super) fn a_life_lasts_while_the_server_does(harness: &dyn Harness) {
    let mut it = enter(harness);
    assert_eq!(it.link.enter().unwrap(), it.life);
    assert_eq!(enter(harness).life, it.life);
    let session = it.open("c");
    it.submit("c", session, 1..=1);
    assert_eq!(enter(harness).scan("c"), [1]);
}

/// Everything in the life that is over is gone, and in the new one nothing of it is seen.
fn check_new_life(harness: &dyn Harness, old: &Life) {
    let mut it = enter(harness);
    assert_ne!(it.life, *old);
    assert!(it.scan("c").is_empty() && it.fetch("m", 10).is_empty());
    assert!(it.history("n", EntryId::ZERO, 10).is_empty() && it.bury().is_empty());
    let beat = it.link.beat_client(&it.life, &"c".into(), LONG).unwrap();
    assert!(beat.is_forgotten && beat.joined.is_empty());
    assert!(Actor::is_over(it.link.submit(old, MANY, &[attempt("c", 1, Session(1))])));
    assert_eq!(enter(harness).life, it.life);
    let session = it.open("c");
    it.submit("c", session, 5..=5);
    assert_eq!(it.scan("c"), [5]);
}

fn begin_a_life(harness: &dyn Harness) -> Actor {
    let mut it = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    it.submit("c", session, 1..=3);
    it.fetch("n", 2);
    it
}

pub(super) fn a_flush_ends_the_life(harness: &dyn Harness) {
    let old = begin_a_life(harness).life;
    harness.flush();
    check_new_life(harness, &old);
}

pub(super) fn a_restart_ends_the_life(harness: &dyn Harness) {
    let mut it = begin_a_life(harness);
    harness.restart_empty();
    assert!(matches!(it.link.enter(), Err(Fault::Lost(_))));
    check_new_life(harness, &it.life);
}

pub(super) fn a_restart_with_data_ends_the_life(harness: &dyn Harness) {
    let mut it = begin_a_life(harness);
    harness.restart_with_data();
    assert!(matches!(it.link.enter(), Err(Fault::Lost(_))));
    check_new_life(harness, &it.life);
}

pub(super) fn every_step_says_that_the_life_is_over(harness: &dyn Harness) {
    let mut it = begin_a_life(harness);
    let step_by_step = |link: &mut dyn crate::engine::Link, old: &Life| {
        let (c, n, one) = ("c".into(), "n".into(), id("c", 1));
        let place = EntryId { millis: 1, number: 0 };
        assert!(Actor::is_over(link.put_argument(old, &one, b"x")), "put_argument");
        assert!(Actor::is_over(link.get_argument(old, &one)), "get_argument");
        assert!(Actor::is_over(link.put_result(old, &one, b"x")), "put_result");
        assert!(Actor::is_over(link.get_result(old, &one)), "get_result");
        let blob = BlobName::of(b"x");
        assert!(Actor::is_over(link.put_blob(old, &c, blob, b"x")), "put_blob");
        assert!(Actor::is_over(link.get_blob(old, &c, blob)), "get_blob");
        assert!(Actor::is_over(link.measure_blobs(old, &c, &[blob])), "measure_blobs");
        assert!(Actor::is_over(link.bury(old)), "bury");
        assert!(Actor::is_over(link.open_session(old, &c, LONG)), "open_session");
        assert!(Actor::is_over(link.submit(old, MANY, &[attempt("c", 1, Session(1))])), "submit");
        assert!(Actor::is_over(link.cancel(old, Session(1), &one, place)), "cancel");
        assert!(Actor::is_over(link.scan(old, &c)), "scan");
        assert!(Actor::is_over(link.read(old, &c, place, 10, NOW)), "read");
        assert!(Actor::is_over(link.wake_client(old, &c)), "wake_client");
        assert!(Actor::is_over(link.beat_client(old, &c, LONG)), "beat_client");
        assert!(Actor::is_over(link.witnesses(old)), "witnesses");
        assert!(Actor::is_over(link.order(old, &Order::Wake("n".into()))), "order");
        assert!(Actor::is_over(link.leave_client(old, &c)), "leave_client");
        assert!(Actor::is_over(link.join(old, &node("n"), LONG, &Testimony::default())), "join");
        assert!(Actor::is_over(link.beat_node(old, &node("n"), LONG)), "beat_node");
        assert!(Actor::is_over(link.fetch(old, &n, 10, NOW)), "fetch");
        assert!(Actor::is_over(link.fetch(old, &n, 10, super::actors::SHORT)), "fetch that waits");
        assert!(Actor::is_over(link.history(old, &n, EntryId::ZERO, 10)), "history");
        assert!(Actor::is_over(link.step(old, &n, &Step::default())), "step");
        assert!(Actor::is_over(link.read_marks(old, &[c])), "read_marks");
        assert!(Actor::is_over(link.orders(old, None, NOW)), "orders");
        assert!(Actor::is_over(link.leave_node(old, &n)), "leave_node");
    };
    let old = it.life.clone();
    harness.flush();
    // First with no life at all, then with another.
    step_by_step(&mut *it.link, &old);
    let mut new = enter(harness);
    assert_ne!(new.life, old);
    step_by_step(&mut *it.link, &old);
    let session = new.open("c");
    assert_eq!(new.link.get_result(&new.life, &id("c", 1)), Ok(None));
    new.submit("c", session, 1..=1);
    // Another build begins lives of its own.
    let life = new.life.clone();
    enter_as(harness, "q", "other");
    assert_eq!(enter(harness).life, life);
}

fn testimony() -> Testimony {
    Testimony {
        was: Some("n".into()),
        held: vec![id("c", 1), AttemptId { attempt: 4, ..id("d e", 12) }],
        recent: vec![id("c", 3), AttemptId { attempt: u32::MAX, ..id("d e", u64::MAX) }],
        is_incomplete: true,
    }
}

pub(super) fn what_a_node_testifies_is_told(harness: &dyn Harness) {
    let mut it = enter(harness);
    assert!(it.link.witnesses(&it.life).unwrap().is_empty());
    it.join("plain", LONG);
    it.testify("n2", LONG, &testimony());
    let other = Testimony { was: Some("m".into()), ..Testimony::default() };
    it.testify("m2", LONG, &other);
    let mut witnesses = it.link.witnesses(&it.life).unwrap();
    witnesses.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(witnesses, [("m2".into(), other), ("n2".into(), testimony())]);
    assert!(enter_as(harness, "q", "other").life != it.life);
}

pub(super) fn what_a_buried_witness_held_is_lost(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("c");
    it.open("d e");
    it.testify("n2", LONG, &testimony());
    it.bury_in_time("n2");
    assert_eq!(it.verdicts("c"), [(Kind::Lost, 1)]);
    let lost = it.read("d e", EntryId::ZERO);
    assert_eq!((lost.len(), &lost[0].id, lost[0].kind), (1, &testimony().held[1], Kind::Lost));
    // What else it told stays: a client that comes late must know that it has testified.
    let rest = Testimony { held: Vec::new(), ..testimony() };
    assert_eq!(it.link.witnesses(&it.life).unwrap(), [("n2".into(), rest)]);
    assert!(it.bury().is_empty());
}

pub(super) fn a_witness_that_leaves_is_none(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("c");
    it.testify("n2", LONG, &testimony());
    it.link.leave_node(&it.life, &"n2".into()).unwrap();
    assert!(it.link.witnesses(&it.life).unwrap().is_empty());
    assert!(it.bury().is_empty() && it.verdicts("c").is_empty() && it.scan("c").is_empty());
}

pub(super) fn an_answer_to_an_earlier_life_is_taken(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 5..=5);
    it.testify("n2", LONG, &Testimony { held: vec![id("c", 7)], ..Testimony::default() });
    let reply = Payload::Inline(b"late"[..].into());
    let answer = Answer { entry: None, id: id("c", 7), kind: Kind::Done, reply, seal: Vec::new() };
    assert!(it.step("n2", Step { answers: vec![answer], ..Step::default() }).replies[0].is_some());
    assert_eq!(it.verdicts("c"), [(Kind::Done, 7)]);
    assert_eq!(it.scan("c"), [5]);
}
