//! READ, BEAT(c), orders: what clients do beside submitting.

use super::Harness;
use super::actors::{LONG, NOW, SHORT, WAIT, attempt, done, enter, enter_as, id, name, node, place, until};
use crate::engine::{Fault, Order, Step};
use crate::wire::{EntryId, NodeInfo, Testimony};
use std::thread;
use std::time::{Duration, Instant};

pub(super) fn a_read_waits_for_an_answer(harness: &dyn Harness) {
    let mut it = enter(harness);
    let mut reader = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=1);
    let entries = it.fetch("n", 1);
    let short = Duration::from_millis(20);
    assert!(it.link.read(&it.life, &"c".into(), EntryId::ZERO, 10, short).unwrap().is_empty());
    let waiting =
        thread::spawn(move || reader.link.read(&reader.life, &"c".into(), EntryId::ZERO, 10, WAIT).unwrap());
    it.step("n", Step { answers: vec![done(&entries[0])], ..Step::default() });
    assert_eq!(waiting.join().unwrap()[0].id, id("c", 1));
}

pub(super) fn a_read_removes_what_lies_before(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=3);
    let entries = it.fetch("n", 3);
    it.step("n", Step { answers: entries.iter().map(done).collect(), ..Step::default() });
    let marks =
        |it: &mut super::actors::Actor| it.link.read_marks(&it.life, &[name("c"), name("nobody")]).unwrap();
    assert_eq!(marks(&mut it), [Some(EntryId::ZERO), None]);
    let first = it.link.read(&it.life, &"c".into(), EntryId::ZERO, 2, NOW).unwrap();
    assert_eq!(first.len(), 2);
    // Not yet removed: the answer to the read may be lost.
    assert_eq!(it.read("c", EntryId::ZERO).len(), 3);
    assert_eq!(it.read("c", place(&first[1])).len(), 1);
    assert_eq!(marks(&mut it), [first[1].entry, None]);
    assert_eq!(it.read("c", EntryId::ZERO).len(), 1);
    assert_eq!(marks(&mut it), [first[1].entry, None], "a mark goes forward only");
}

pub(super) fn a_read_can_be_woken(harness: &dyn Harness) {
    let mut it = enter(harness);
    let mut reader = enter(harness);
    it.open("c");
    let waiting = thread::spawn(move || {
        let begun = Instant::now();
        let read = reader.link.read(&reader.life, &"c".into(), EntryId::ZERO, 10, WAIT).unwrap();
        (read, begun.elapsed())
    });
    it.link.wake_client(&it.life, &"c".into()).unwrap();
    let (read, lasted) = waiting.join().unwrap();
    assert!(read.is_empty() && lasted < WAIT / 2);
}

pub(super) fn a_wake_is_read_once(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=1);
    let entries = it.fetch("n", 1);
    it.link.wake_client(&it.life, &"c".into()).unwrap();
    it.step("n", Step { answers: vec![done(&entries[0])], ..Step::default() });
    it.link.wake_client(&it.life, &"c".into()).unwrap();
    it.link.wake_client(&it.life, &"nobody".into()).unwrap();
    let read = it.link.read(&it.life, &"c".into(), EntryId::ZERO, 10, WAIT).unwrap();
    assert_eq!(read.len(), 1);
    let (begun, wait) = (Instant::now(), Duration::from_millis(50));
    assert!(it.link.read(&it.life, &"c".into(), place(&read[0]), 10, wait).unwrap().is_empty());
    assert!(begun.elapsed() >= wait, "it was woken again");
}

pub(super) fn sessions_grow(harness: &dyn Harness) {
    let mut it = enter(harness);
    let first = it.open("c");
    let second = it.open("c");
    it.link.leave_client(&it.life, &"c".into()).unwrap();
    let third = it.open("c");
    assert!(first < second && second < third, "what the first sent may still be on its way");
}

pub(super) fn a_client_runs_out(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.link.open_session(&it.life, &"c".into(), SHORT).unwrap();
    it.submit("c", session, 1..=1);
    let entries = it.fetch("n", 1);
    it.link.beat_client(&it.life, &"c".into(), SHORT * 2).unwrap();
    until("the client runs out", || it.link.read_marks(&it.life, &[name("c")]).unwrap() == [None]);
    assert!(it.link.beat_client(&it.life, &"c".into(), LONG).unwrap().is_forgotten);
    assert_eq!(it.link.submit(&it.life, 9, &[attempt("c", 2, session)]), Err(Fault::Fenced));
    let stepped = it.step("n", Step { answers: vec![done(&entries[0])], ..Step::default() });
    assert_eq!(stepped.replies, [None]);
    assert!(it.read("c", EntryId::ZERO).is_empty());
    assert!(it.open("c") > session);
    assert!(!it.link.beat_client(&it.life, &"c".into(), LONG).unwrap().is_forgotten);
}

pub(super) fn a_client_that_leaves_leaves_nothing(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.link.put_argument(&it.life, &id("c", 1), b"x").unwrap();
    it.link.put_result(&it.life, &id("c", 1), b"x").unwrap();
    it.submit("c", session, 1..=1);
    it.link.leave_client(&it.life, &"c".into()).unwrap();
    assert_eq!(it.link.get_argument(&it.life, &id("c", 1)), Ok(None));
    assert_eq!(it.link.get_result(&it.life, &id("c", 1)), Ok(None));
    assert_eq!(it.link.read_marks(&it.life, &[name("c")]), Ok(vec![None]));
}

pub(super) fn a_client_sees_the_nodes_of_all_builds(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("c");
    it.join("n", LONG);
    let mut stranger = enter_as(harness, "q", "other");
    let theirs = NodeInfo { build: "other".into(), ..node("s") };
    stranger.link.join(&stranger.life, &theirs, LONG, &Testimony::default()).unwrap();
    enter_as(harness, "elsewhere", "b").join("e", LONG);
    let mut beat = it.link.beat_client(&it.life, &"c".into(), LONG).unwrap();
    beat.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(beat.nodes, [node("n"), theirs]);
    assert_eq!(beat.joined, [name("n")]);
    let busy = NodeInfo { running: 9, ..node("n") };
    it.link.beat_node(&it.life, &busy, LONG).unwrap();
    assert!(it.link.beat_client(&it.life, &"c".into(), LONG).unwrap().nodes.contains(&busy));
}

pub(super) fn names_with_odd_characters(harness: &dyn Harness) {
    let mut it = enter(harness);
    for bad in ["", "a\nb", "a\0b", "a\r", "\u{85}"] {
        let opened = it.link.open_session(&it.life, &name(bad), LONG);
        assert!(matches!(opened, Err(Fault::Refused(_))), "{bad:?}");
        let joined = it.link.join(&it.life, &node(bad), LONG, &Testimony::default());
        assert!(matches!(joined, Err(Fault::Refused(_))), "{bad:?}");
    }
    let odd = "ä {b}:*?[c] %s '\" \\n";
    let session = it.open(odd);
    it.submit(odd, session, 1..=1);
    let testimony = Testimony { held: vec![id(odd, 2)], recent: vec![id(odd, 3)], ..Testimony::default() };
    for host in ["", "a\nb\0c\r\n", odd] {
        let it_is = NodeInfo { host: host.into(), ..node(odd) };
        it.link.join(&it.life, &it_is, LONG, &testimony).unwrap();
        assert_eq!(it.link.beat_client(&it.life, &name(odd), LONG).unwrap().nodes, [it_is]);
    }
    assert_eq!(it.link.witnesses(&it.life).unwrap(), [(name(odd), testimony)]);
    assert_eq!(it.scan(odd), [1, 2]);
    let entries = it.fetch(odd, 1);
    it.step(odd, Step { answers: vec![done(&entries[0])], ..Step::default() });
    assert_eq!(it.read(odd, EntryId::ZERO)[0].id, id(odd, 1));
}

pub(super) fn orders_reach_every_node(harness: &dyn Harness) {
    let mut it = enter(harness);
    let mut waiter = enter(harness);
    let (start, none) = it.link.orders(&it.life, None, NOW).unwrap();
    assert!(start.is_some() && none.is_empty());
    let waiting = thread::spawn(move || waiter.link.orders(&waiter.life, start, WAIT).unwrap());
    it.link.order(&it.life, &Order::Kill(id("c", 3))).unwrap();
    let (after, orders) = waiting.join().unwrap();
    assert_eq!(orders, [Order::Kill(id("c", 3))]);
    it.link.order(&it.life, &Order::Wake("n".into())).unwrap();
    let (last, orders) = it.link.orders(&it.life, after, WAIT).unwrap();
    assert_eq!(orders, [Order::Wake("n".into())]);
    assert_eq!(it.link.orders(&it.life, last, NOW).unwrap(), (last, Vec::new()));
    let (_, both) = it.link.orders(&it.life, start, NOW).unwrap();
    assert_eq!(both.len(), 2);
}

pub(super) fn orders_from_now_on(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.link.order(&it.life, &Order::Wake("early".into())).unwrap();
    let (after, orders) = it.link.orders(&it.life, None, NOW).unwrap();
    assert!(orders.is_empty());
    // Between two calls: it must not be missed.
    it.link.order(&it.life, &Order::Wake("late".into())).unwrap();
    assert_eq!(it.link.orders(&it.life, after, WAIT).unwrap().1, [Order::Wake("late".into())]);
}
