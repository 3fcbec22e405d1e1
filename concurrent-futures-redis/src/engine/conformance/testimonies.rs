//! What nodes held in an earlier life: SCAN, STEP and BURY of it.

use super::Harness;
use super::actors::{Actor, LONG, SHORT, enter, id, name, until};
use crate::engine::Step;
use crate::wire::{Answer, AttemptId, EntryId, Kind, Name, Payload, Testimony};

fn holds(held: &[AttemptId]) -> Testimony {
    Testimony { was: Some("n".into()), held: held.to_vec(), ..Testimony::default() }
}

fn late(id: AttemptId) -> Answer {
    let reply = Payload::Inline(b"late"[..].into());
    Answer { entry: None, id, kind: Kind::Done, reply, seal: Vec::new() }
}

fn told(it: &mut Actor) -> Vec<AttemptId> {
    it.link.witnesses(&it.life).unwrap().into_iter().flat_map(|(_, testimony)| testimony.held).collect()
}

fn joined(it: &mut Actor, client: &str) -> Vec<Name> {
    it.link.beat_client(&it.life, &client.into(), LONG).unwrap().joined
}

pub(super) fn a_scan_finds_what_is_held(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 5..=5);
    let second = AttemptId { attempt: 2, ..id("c", 10) };
    it.testify("n2", LONG, &holds(&[second.clone(), id("d", 7)]));
    it.testify("m2", LONG, &holds(&[id("c", 9)]));
    let found = it.link.scan(&it.life, &"c".into()).unwrap();
    assert_eq!(found, [(id("c", 5), Some(places[0])), (id("c", 9), None), (second, None)]);
    assert_eq!(it.scan("d"), [7], "also before its client has come");
    assert!(it.scan("e").is_empty());
}

pub(super) fn what_is_answered_is_held_no_more(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("c");
    let second = AttemptId { attempt: 2, ..id("c", 2) };
    it.testify("n2", LONG, &holds(&[id("c", 1), second.clone()]));
    // Another attempt of the second, which is not what it holds.
    let stepped =
        it.step("n2", Step { answers: vec![late(id("c", 1)), late(id("c", 2))], ..Step::default() });
    assert!(stepped.replies.iter().all(Option::is_some));
    assert_eq!(it.scan("c"), [2]);
    assert_eq!(told(&mut it), [second]);
    it.bury_in_time("n2");
    assert_eq!(it.verdicts("c"), [(Kind::Done, 1), (Kind::Done, 2), (Kind::Lost, 2)]);
    assert!(it.scan("c").is_empty() && told(&mut it).is_empty());
}

pub(super) fn what_is_answered_to_nobody_is_held(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.testify("n2", LONG, &holds(&[id("c", 1)]));
    let stepped = it.step("n2", Step { answers: vec![late(id("c", 1))], ..Step::default() });
    assert_eq!(stepped.replies, [None]);
    it.open("c");
    assert_eq!(it.scan("c"), [1]);
    it.bury_in_time("n2");
    assert_eq!(it.verdicts("c"), [(Kind::Lost, 1)]);
}

pub(super) fn a_burial_awaits_the_client(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("d");
    it.testify("n2", LONG, &holds(&[id("c", 1), id("d", 2), id("c", 3)]));
    it.bury_in_time("n2");
    assert_eq!(it.verdicts("d"), [(Kind::Lost, 2)]);
    assert!(it.bury().is_empty(), "nothing to do until it comes");
    assert_eq!(told(&mut it), [id("c", 1), id("c", 3)]);
    it.open("c");
    assert_eq!(it.scan("c"), [1, 3]);
    assert_eq!(it.bury(), [name("n2")]);
    assert_eq!(it.verdicts("c"), [(Kind::Lost, 1), (Kind::Lost, 3)]);
    assert!(it.scan("c").is_empty() && told(&mut it).is_empty());
    assert!(it.bury().is_empty());
    assert_eq!((it.verdicts("c").len(), it.verdicts("d").len()), (2, 1));
}

pub(super) fn a_buried_name_is_told_while_it_holds(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.testify("n2", SHORT, &holds(&[id("c", 1)]));
    it.bury_in_time("n2");
    until("others forget it", || joined(&mut it, "d").is_empty());
    assert_eq!(joined(&mut it, "c"), [name("n2")]);
    it.open("c");
    assert_eq!(it.bury(), [name("n2")]);
    assert_eq!(it.verdicts("c"), [(Kind::Lost, 1)]);
    until("it is forgotten", || joined(&mut it, "c").is_empty());
}

pub(super) fn a_large_testimony(harness: &dyn Harness) {
    let mut it = enter(harness);
    let client = |i: u64| format!("some-host.example.org-{}-0123456789abcdef", i % 7);
    let recent = (0..60_000).map(|i| AttemptId { attempt: i as u32 % 3, ..id(&client(i), u64::MAX - i) });
    let held = (0..3500).map(|i| id(&client(i), i));
    let testimony = Testimony {
        was: Some("n".into()),
        held: held.collect(),
        recent: recent.collect(),
        is_incomplete: false,
    };
    it.testify("n2", LONG, &testimony);
    assert!(it.link.witnesses(&it.life).unwrap() == [(name("n2"), testimony)]);
    it.open(&client(3));
    assert_eq!(it.scan(&client(3)).len(), 500);
    it.bury_in_time("n2");
    assert_eq!(it.read(&client(3), EntryId::ZERO).len(), 500);
}
