//! SUBMIT, FETCH, HISTORY, CANCEL, SCAN.

use super::Harness;
use super::actors::{LONG, MANY, NOW, WAIT, attempt, begins, done, enter, enter_as, id, ids, place, seqs};
use crate::engine::{Fault, Step};
use crate::wire::{Attempt, EntryId, Kind, Payload, Session};
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

pub(super) fn a_task_goes_there_and_back(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    let sent = Attempt {
        time_limit: Some(Duration::from_micros(1500)),
        parcel: Payload::Inline([0, 255, b'\r', b'\n'].into()),
        seal: vec![0, 1, 2],
        ..attempt("c", 1, session)
    };
    let places = it.link.submit(&it.life, MANY, std::slice::from_ref(&sent)).unwrap();
    let entries = it.fetch("n", 10);
    assert_eq!(ids(&entries), places);
    assert_eq!(entries[0].attempt, sent);

    let stepped = it.step("n", Step { begins: begins(&entries), limit: places[0], ..Step::default() });
    assert_eq!((stepped.is_name_lost, stepped.refused.len()), (false, 0));
    let answer = done(&entries[0]);
    let stepped = it.step("n", Step { answers: vec![answer.clone()], limit: places[0], ..Step::default() });
    let read = it.read("c", EntryId::ZERO);
    assert_eq!(stepped.replies, [read[0].entry]);
    assert_eq!(
        (&read[0].id, read[0].kind, &read[0].reply, &read[0].seal),
        (&answer.id, Kind::Done, &answer.reply, &answer.seal)
    );
    assert!(it.scan("c").is_empty() && it.history("n", EntryId::ZERO, 10).is_empty());
}

pub(super) fn entries_are_given_once_and_in_order(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=5);
    assert_eq!(seqs(&it.fetch("n", 2)), [1, 2]);
    assert_eq!(seqs(&it.fetch("m", 2)), [3, 4]);
    assert_eq!(seqs(&it.fetch("n", 2)), [5]);
    assert!(it.fetch("m", 2).is_empty());
}

pub(super) fn a_submit_to_a_full_stream_does_nothing(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=3);
    let refused = it.link.submit(&it.life, 3, &[attempt("c", 4, session)]);
    assert_eq!(refused, Err(Fault::Full));
    assert_eq!(it.scan("c"), [1, 2, 3]);
    it.link.submit(&it.life, 4, &[attempt("c", 4, session)]).unwrap();
    assert_eq!(it.scan("c"), [1, 2, 3, 4]);
}

pub(super) fn a_submit_of_nothing(harness: &dyn Harness) {
    let mut it = enter(harness);
    assert_eq!(it.link.submit(&it.life, MANY, &[]), Ok(Vec::new()));
}

pub(super) fn a_submit_of_an_earlier_session_is_fenced(harness: &dyn Harness) {
    let mut it = enter(harness);
    let first = it.open("c");
    it.submit("c", first, 1..=1);
    let second = it.open("c");
    // The last one alone is of the earlier session: none is taken.
    let mixed = [attempt("c", 2, second), attempt("c", 3, first)];
    assert_eq!(it.link.submit(&it.life, MANY, &mixed), Err(Fault::Fenced));
    assert_eq!(it.scan("c"), [1]);
    it.submit("c", second, 2..=2);
    assert_eq!(it.scan("c"), [1, 2]);
}

pub(super) fn a_submit_without_a_session_is_fenced(harness: &dyn Harness) {
    let mut it = enter(harness);
    assert_eq!(it.link.submit(&it.life, MANY, &[attempt("c", 1, Session(1))]), Err(Fault::Fenced));
}

pub(super) fn what_was_not_delivered_can_be_cancelled(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=3);
    assert_eq!(it.link.cancel(&it.life, session, &id("c", 2), places[1]), Ok(true));
    assert_eq!(it.link.cancel(&it.life, session, &id("c", 2), places[1]), Ok(false));
    assert_eq!(it.scan("c"), [1, 3]);
    assert_eq!(seqs(&it.fetch("n", 10)), [1, 3]);
}

pub(super) fn what_was_delivered_can_not_be_cancelled(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=3);
    assert_eq!(seqs(&it.fetch("n", 2)), [1, 2]);
    assert_eq!(it.link.cancel(&it.life, session, &id("c", 1), places[0]), Ok(false));
    assert_eq!(it.link.cancel(&it.life, session, &id("c", 2), places[1]), Ok(false));
    assert_eq!(it.link.cancel(&it.life, session, &id("c", 3), places[2]), Ok(true));
    assert_eq!(it.scan("c"), [1, 2]);
}

pub(super) fn a_cancel_of_an_earlier_session_is_fenced(harness: &dyn Harness) {
    let mut it = enter(harness);
    let first = it.open("c");
    let places = it.submit("c", first, 1..=2);
    let second = it.open("c");
    assert_eq!(it.link.cancel(&it.life, first, &id("c", 1), places[0]), Err(Fault::Fenced));
    assert_eq!(it.scan("c"), [1, 2]);
    assert_eq!(it.link.cancel(&it.life, second, &id("c", 1), places[0]), Ok(true));
    it.link.leave_client(&it.life, &"c".into()).unwrap();
    assert_eq!(it.link.cancel(&it.life, second, &id("c", 2), places[1]), Err(Fault::Fenced));
}

pub(super) fn many_entries_of_one_millisecond_keep_their_order(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let places = it.submit("c", session, 1..=300);
    assert!(places.is_sorted() && places.iter().collect::<HashSet<_>>().len() == 300);
    let in_one = places.iter().filter(|place| place.millis == places[150].millis).count();
    assert!(in_one > 10, "numbers of two digits are what this is about");
    it.join("n", LONG);
    // As texts, "9" comes after "10".
    let entries = it.fetch("n", 300);
    assert_eq!(ids(&entries), places);
    it.limit("n", places[149], 20);
    it.bury_in_time("n");
    let lost = it.verdicts("c");
    assert_eq!(lost, (1..=170).map(|seq| (Kind::Lost, seq)).collect::<Vec<_>>());
    assert_eq!(it.scan("c"), (171..=300).collect::<Vec<_>>());
}

pub(super) fn history_gives_what_a_lost_answer_had(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=3);
    let fetched = it.fetch("n", 2);
    it.fetch("m", 1);
    let mut other = enter(harness);
    assert_eq!(other.history("n", EntryId::ZERO, 10), fetched);
    assert_eq!(seqs(&other.history("m", EntryId::ZERO, 10)), [3]);
    assert!(other.history("nobody", EntryId::ZERO, 10).is_empty());
}

pub(super) fn history_comes_in_pages_without_what_was_answered(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=6);
    let fetched = it.fetch("n", 6);
    it.step("n", Step { answers: vec![done(&fetched[0]), done(&fetched[3])], ..Step::default() });
    let first = it.history("n", EntryId::ZERO, 3);
    assert_eq!(seqs(&first), [2, 3, 5]);
    let second = it.history("n", first[2].id, 3);
    assert_eq!(seqs(&second), [6]);
    assert!(it.history("n", second[0].id, 3).is_empty());
}

pub(super) fn a_scan_finds_every_attempt_of_its_client(harness: &dyn Harness) {
    let mut it = enter(harness);
    let (ours, theirs) = (it.open("c"), it.open("d"));
    for batch in 0..6 {
        it.submit("c", ours, batch * 200 + 1..=batch * 200 + 200);
        it.submit("d", theirs, batch * 200 + 1..=batch * 200 + 200);
    }
    it.fetch("n", 700);
    assert_eq!(it.scan("c"), (1..=1200).collect::<Vec<_>>());
    assert!(it.scan("e").is_empty());
}

pub(super) fn ten_thousand_entries_in_batches(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.join("n", LONG);
    let all: Vec<u64> = (1..=10_000).collect();
    for batch in all.chunks(256) {
        it.submit("c", session, batch[0]..=batch[batch.len() - 1]);
    }
    let (mut seen, mut read, mut after) = (Vec::new(), Vec::new(), EntryId::ZERO);
    loop {
        let entries = it.fetch("n", 128);
        let Some(last) = entries.last() else { break };
        let begun = it.step("n", Step { begins: begins(&entries), limit: last.id, ..Step::default() });
        assert!(begun.refused.is_empty());
        let answers = entries.iter().map(done).collect();
        let stepped = it.step("n", Step { answers, limit: last.id, ..Step::default() });
        assert!(stepped.replies.iter().all(Option::is_some));
        seen.extend(seqs(&entries));
        let answers = it.read("c", after);
        after = answers.last().map_or(after, place);
        read.extend(answers.into_iter().map(|answer| answer.id.seq));
    }
    assert_eq!(seen, all);
    assert_eq!(read, all);
    assert!(it.scan("c").is_empty());
}

pub(super) fn a_fetch_waits_for_an_entry(harness: &dyn Harness) {
    let mut it = enter(harness);
    let mut fetcher = enter(harness);
    let session = it.open("c");
    assert!(it.link.fetch(&it.life, &"n".into(), 1, Duration::from_millis(20)).unwrap().is_empty());
    let waiting = thread::spawn(move || fetcher.link.fetch(&fetcher.life, &"n".into(), 10, WAIT).unwrap());
    it.submit("c", session, 1..=1);
    assert_eq!(seqs(&waiting.join().unwrap()), [1]);
}

pub(super) fn queues_and_builds_do_not_see_each_other(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=1);
    for (queue, build) in [("q", "other"), ("other", "b")] {
        let mut other = enter_as(harness, queue, build);
        assert!(other.scan("c").is_empty());
        assert!(other.link.fetch(&other.life, &"n".into(), 10, NOW).unwrap().is_empty());
        let theirs = other.open("c");
        other.submit("c", theirs, 7..=7);
        assert_eq!(other.scan("c"), [7]);
    }
    assert_eq!(it.scan("c"), [1]);
    assert_eq!(seqs(&it.fetch("n", 10)), [1]);
}
