//! STEP, BEAT(n), JOIN, BURY: nodes and their leases.

use super::Harness;
use super::actors::{LONG, NOW, SHORT, WAIT, begins, done, enter, id, name, node, seqs, until};
use crate::engine::Step;
use crate::wire::{Answer, EntryId, Kind, Name, Payload};
use std::thread;

fn of_c(places: &[EntryId]) -> Vec<(EntryId, Name)> {
    places.iter().map(|place| (*place, name("c"))).collect()
}

pub(super) fn a_step_that_is_repeated_does_no_harm(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=3);
    it.join("n", LONG);
    let entries = it.fetch("n", 3);
    let step = Step {
        answers: vec![done(&entries[0])],
        begins: begins(&entries[1..2]),
        backs: vec![entries[2].id],
        limit: entries[1].id,
        ..Step::default()
    };
    it.step("n", step.clone());
    let again = it.step("n", step);
    assert!(!again.is_name_lost && again.refused.is_empty());
    // The answer is there twice, the entry that was given back once.
    assert_eq!(it.verdicts("c"), [(Kind::Done, 1), (Kind::Done, 1)]);
    assert_eq!(it.scan("c"), [2, 3]);
    assert_eq!(seqs(&it.fetch("m", 10)), [3]);
}

pub(super) fn a_step_refuses_what_is_not_held(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=4);
    it.join("n", LONG);
    let mine = it.fetch("n", 2);
    it.fetch("m", 1);
    it.step("n", Step { answers: vec![done(&mine[0])], ..Step::default() });
    // Answered, held, another's, nobody's.
    let stepped = it.step("n", Step { begins: of_c(&places), ..Step::default() });
    assert_eq!((stepped.is_name_lost, stepped.refused), (false, vec![0, 2, 3]));
}

pub(super) fn a_step_asks_for_many(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=3000);
    it.join("n", LONG);
    for _ in 0..300 {
        it.fetch("n", 9);
        it.fetch("m", 1);
    }
    // In another order than the server's, and some twice.
    let asked: Vec<EntryId> = places.iter().rev().chain(&places[5..15]).copied().collect();
    let mut refused = it.step("n", Step { begins: of_c(&asked), ..Step::default() }).refused;
    assert_eq!(refused.pop(), Some(3004));
    assert!(refused.into_iter().eq((0..3000).filter(|index| index % 10 == 0)));
}

pub(super) fn a_step_refuses_what_nobody_waits_for(harness: &dyn Harness) {
    let mut it = enter(harness);
    let (gone, here) = (it.open("gone"), it.open("here"));
    it.submit("gone", gone, 1..=1);
    it.submit("here", here, 1..=1);
    it.join("n", LONG);
    let entries = it.fetch("n", 2);
    it.link.leave_client(&it.life, &"gone".into()).unwrap();
    let stepped = it.step("n", Step { begins: begins(&entries), ..Step::default() });
    assert_eq!(stepped.refused, [0]);
    assert!(it.scan("gone").is_empty(), "it would stay for ever");
    assert_eq!(it.history("n", EntryId::ZERO, 10).len(), 1);
}

pub(super) fn a_step_gives_entries_back(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=4);
    it.join("n", LONG);
    it.fetch("n", 2);
    // The third is not its own.
    it.step("n", Step { backs: vec![places[0], places[2]], ..Step::default() });
    assert_eq!(seqs(&it.history("n", EntryId::ZERO, 10)), [2]);
    assert_eq!(it.scan("c"), [2, 3, 4, 1]);
    let again = it.fetch("m", 10);
    assert_eq!(seqs(&again), [3, 4, 1]);
    assert!(again[2].id > places[3]);
    assert_eq!(again[2].attempt.parcel, Payload::Inline(b"parcel 1"[..].into()));
    // Also of a name that is lost: they were not begun.
    it.expire("n");
    it.step("n", Step { backs: vec![places[1]], ..Step::default() });
    assert_eq!(seqs(&it.fetch("m", 10)), [2]);
}

pub(super) fn a_step_drops_entries(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    for seq in 1..=4 {
        it.link.put_argument(&it.life, &id("c", seq), b"x").unwrap();
    }
    let places = it.submit("c", session, 1..=4);
    it.join("n", LONG);
    it.fetch("n", 2);
    it.fetch("m", 1);
    // Its own, another's, nobody's; and again, as if the answer was lost.
    let step = Step { drops: vec![places[0], places[2], places[3]], ..Step::default() };
    it.step("n", step.clone());
    it.step("n", step);
    assert_eq!(it.scan("c"), [2, 3, 4]);
    assert_eq!(seqs(&it.history("n", EntryId::ZERO, 10)), [2]);
    assert!(it.verdicts("c").is_empty());
    let arguments = (1..=4).map(|seq| it.link.get_argument(&it.life, &id("c", seq)).unwrap().is_some());
    assert_eq!(arguments.collect::<Vec<_>>(), [false, true, true, true]);
    it.bury_in_time("n");
    assert_eq!(seqs(&it.fetch("m", 10)), [4, 2]);
}

pub(super) fn every_kind_of_answer(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=4);
    let kinds = [Kind::Done, Kind::Died, Kind::Verdict, Kind::Lost];
    let entries = it.fetch("n", 4);
    let answers = entries.iter().zip(kinds).map(|(entry, kind)| Answer { kind, ..done(entry) });
    it.step("n", Step { answers: answers.collect(), ..Step::default() });
    assert!(it.read("c", EntryId::ZERO).into_iter().map(|answer| answer.kind).eq(kinds));
}

pub(super) fn a_beat_renews_the_lease(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.join("n", LONG);
    assert!(!it.link.beat_node(&it.life, &node("n"), SHORT).unwrap().is_name_lost);
    until("the lease runs out", || it.step("n", Step::default()).is_name_lost);
}

pub(super) fn a_lease_that_ran_out_is_lost_for_good(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.join("n", LONG);
    it.expire("n");
    assert!(it.link.beat_node(&it.life, &node("n"), LONG).unwrap().is_name_lost);
    assert!(
        it.link.beat_node(&it.life, &node("n"), LONG).unwrap().is_name_lost,
        "a beat has brought it back"
    );
    assert!(it.link.beat_client(&it.life, &"c".into(), LONG).unwrap().nodes.is_empty());
    assert_eq!(it.bury(), [name("n")]);
    assert!(it.bury().is_empty());
    assert!(it.link.beat_node(&it.life, &node("n"), LONG).unwrap().is_name_lost);
}

pub(super) fn a_lost_name_gets_no_leave_and_its_answers_are_taken(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=3);
    it.join("n", LONG);
    let entries = it.fetch("n", 3);
    it.limit("n", EntryId::ZERO, 0);
    it.expire("n");
    let step = Step {
        answers: vec![done(&entries[0])],
        begins: of_c(&places[1..2]),
        limit: places[2],
        ..Step::default()
    };
    let stepped = it.step("n", step);
    assert!(stepped.is_name_lost && stepped.replies[0].is_some());
    it.bury();
    // The limit it stated too late was not taken.
    assert_eq!(it.verdicts("c"), [(Kind::Done, 1)]);
    assert_eq!(seqs(&it.fetch("m", 10)), [2, 3]);
}

pub(super) fn a_beat_tells_the_living_clients(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("c");
    it.open("left");
    it.link.open_session(&it.life, &"gone".into(), SHORT).unwrap();
    it.link.leave_client(&it.life, &"left".into()).unwrap();
    it.join("n", LONG);
    until("one runs out", || it.link.beat_node(&it.life, &node("n"), LONG).unwrap().clients == [name("c")]);
}

pub(super) fn the_buried_loses_what_it_may_have_begun(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=5);
    it.join("n", LONG);
    it.join("m", LONG);
    it.fetch("n", 4);
    it.fetch("m", 1);
    it.limit("n", places[1], 0);
    it.expire("n");
    assert_eq!(it.bury(), [name("n")]);
    let read = it.read("c", EntryId::ZERO);
    let lost: Vec<_> = read.iter().map(|answer| (answer.kind, answer.id.seq, answer.reply.clone())).collect();
    let told = Payload::Inline(b"n"[..].into());
    assert_eq!(lost, [(Kind::Lost, 1, told.clone()), (Kind::Lost, 2, told)]);
    assert_eq!(seqs(&it.history("m", EntryId::ZERO, 10)), [5], "the living keeps its own");
    assert_eq!(seqs(&it.fetch("m", 10)), [3, 4]);
    assert!(
        it.link.beat_client(&it.life, &"c".into(), LONG).unwrap().nodes.iter().all(|node| *node.name == *"m")
    );
}

pub(super) fn credit_counts_above_the_limit(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=7);
    it.join("n", LONG);
    let entries = it.fetch("n", 7);
    // Of what lies above the limit one is answered: credit counts those that are there.
    let answers = vec![done(&entries[0]), done(&entries[2])];
    it.step("n", Step { answers, limit: places[1], credit: 2, ..Step::default() });
    it.bury_in_time("n");
    assert_eq!(
        it.verdicts("c"),
        [(Kind::Done, 1), (Kind::Done, 3), (Kind::Lost, 2), (Kind::Lost, 4), (Kind::Lost, 5)]
    );
    assert_eq!(seqs(&it.fetch("m", 10)), [6, 7]);
}

pub(super) fn the_limit_is_in_force_after_the_burial(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    it.limit("n", EntryId::ZERO, 1);
    it.bury_in_time("n");
    // A fetch was on its way when the node was buried. By its credit it may have begun the first.
    it.submit("c", session, 1..=3);
    assert_eq!(it.fetch("n", 3).len(), 3);
    assert_eq!(it.bury(), [name("n")]);
    assert_eq!(it.verdicts("c"), [(Kind::Lost, 1)]);
    assert_eq!(seqs(&it.fetch("m", 10)), [2, 3]);
}

pub(super) fn a_fetch_that_waits_outlives_the_burial(harness: &dyn Harness) {
    let mut it = enter(harness);
    let mut fetcher = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    it.limit("n", EntryId::ZERO, 0);
    let waiting = thread::spawn(move || fetcher.link.fetch(&fetcher.life, &name("n"), 10, WAIT).unwrap());
    it.bury_in_time("n");
    it.submit("c", session, 1..=1);
    assert_eq!(seqs(&waiting.join().unwrap()), [1]);
    assert_eq!(it.bury(), [name("n")]);
    assert!(it.verdicts("c").is_empty());
    assert_eq!(seqs(&it.fetch("m", 10)), [1]);
}

pub(super) fn without_a_step_nothing_was_begun(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    it.submit("c", session, 1..=2);
    it.fetch("n", 2);
    it.bury_in_time("n");
    assert!(it.verdicts("c").is_empty());
    assert_eq!(seqs(&it.fetch("m", 10)), [1, 2]);
}

pub(super) fn a_node_that_never_joined_may_have_begun_all(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=2);
    it.fetch("n", 2);
    assert_eq!(it.bury(), [name("n")]);
    assert_eq!(it.verdicts("c"), [(Kind::Lost, 1), (Kind::Lost, 2)]);
    assert!(it.bury().is_empty() && it.scan("c").is_empty());
}

pub(super) fn a_leave_given_is_refused_once_buried(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=1);
    it.join("n", LONG);
    let old = it.fetch("n", 1);
    it.bury_in_time("n");
    // Under a new name, what the old one held is not its own any more.
    it.join("n2", LONG);
    assert_eq!(it.step("n2", Step { begins: of_c(&places), ..Step::default() }).refused, [0]);
    let new = it.fetch("n2", 1);
    assert_ne!(new[0].id, old[0].id);
    // A late answer of the buried one harms nobody else's entry, and is told.
    assert!(it.step("n", Step { answers: vec![done(&old[0])], ..Step::default() }).replies[0].is_some());
    assert!(it.step("n2", Step { begins: begins(&new), ..Step::default() }).refused.is_empty());
}

pub(super) fn the_buried_is_forgotten_after_a_lease(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("c");
    it.join("quick", SHORT);
    it.join("slow", LONG);
    it.bury_in_time("quick");
    it.bury_in_time("slow");
    let joined = |it: &mut super::actors::Actor| {
        let mut joined = it.link.beat_client(&it.life, &"c".into(), LONG).unwrap().joined;
        joined.sort();
        joined
    };
    // Its lease was short: it is named for that long, and then no more.
    until("one is forgotten", || joined(&mut it) == [name("slow")]);
}

pub(super) fn a_burial_of_many_entries(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=2500);
    it.join("n", LONG);
    it.fetch("n", 2500);
    it.limit("n", places[1199], 50);
    it.bury_in_time("n");
    assert_eq!(it.scan("c"), (1251..=2500).collect::<Vec<_>>());
    let lost = it.link.read(&it.life, &"c".into(), EntryId::ZERO, 5000, NOW).unwrap();
    assert!(lost.iter().map(|answer| answer.id.seq).eq(1..=1250));
}

pub(super) fn a_node_that_leaves_is_off_the_list(harness: &dyn Harness) {
    let mut it = enter(harness);
    it.open("c");
    it.join("n", LONG);
    it.fetch("n", 1);
    it.link.leave_node(&it.life, &"n".into()).unwrap();
    let beat = it.link.beat_client(&it.life, &"c".into(), LONG).unwrap();
    assert!(beat.nodes.is_empty() && beat.joined.is_empty());
    assert!(it.bury().is_empty());
}

pub(super) fn a_node_that_leaves_while_it_holds_is_buried(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    it.limit("n", EntryId::ZERO, 5);
    it.link.leave_node(&it.life, &"n".into()).unwrap();
    it.join("m", LONG);
    // A fetch was still on its way: whoever has left begins nothing.
    it.submit("c", session, 1..=2);
    it.fetch("n", 2);
    assert_eq!(it.bury(), [name("n")]);
    assert!(it.verdicts("c").is_empty());
    assert_eq!(seqs(&it.fetch("m", 10)), [1, 2]);

    it.join("o", LONG);
    it.submit("c", session, 3..=3);
    let held = it.fetch("o", 1);
    it.limit("o", held[0].id, 0);
    it.link.leave_node(&it.life, &"o".into()).unwrap();
    assert!(it.bury().contains(&name("o")));
    assert_eq!(it.verdicts("c"), [(Kind::Lost, 3)]);
}
