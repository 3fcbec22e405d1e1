//! The rules, one by one: each test fails if its rule is taken away.

use super::{Ahead, BATCH, Begun, Proposal, STALE};
use crate::engine::Stepped;
use crate::wire::{Attempt, AttemptId, Entry, EntryId, Name, Payload, Session};
use std::collections::HashSet;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(600);

fn id(number: u64) -> EntryId {
    EntryId { millis: 1, number }
}

fn attempt(client: &str, number: u64) -> AttemptId {
    AttemptId { client: client.into(), seq: number, attempt: 1 }
}

fn entry_of(client: &str, number: u64) -> Entry {
    let parcel = Payload::Inline(b"parcel"[..].into());
    let id_of = attempt(client, number);
    let attempt = Attempt { id: id_of, session: Session(1), time_limit: None, parcel, seal: Vec::new() };
    Entry { id: id(number), attempt }
}

fn entries(numbers: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    numbers.map(|number| entry_of("c", number)).collect()
}

fn living(names: &[&str]) -> HashSet<Name> {
    names.iter().map(|name| Name::from(*name)).collect()
}

fn numbers(begun: &[Begun]) -> Vec<u64> {
    begun.iter().map(|begun| begun.entry.id.number).collect()
}

/// What leave is asked for.
fn asked(proposal: &Proposal) -> Vec<EntryId> {
    proposal.begins.iter().map(|(id, _)| *id).collect()
}

/// A name that may begin things, of which client `c` lives.
fn ahead(now: Instant) -> Ahead {
    let mut ahead = Ahead::default();
    ahead.heard(now, now + LONG, living(&["c"]));
    ahead
}

/// With so much credit.
fn credited(now: Instant, credit: u32) -> Ahead {
    let mut ahead = ahead(now);
    let proposal = ahead.propose(now, credit, false).unwrap();
    assert_eq!(proposal, Proposal { credit, ..Proposal::default() });
    assert_eq!(ahead.settle(now, &[], &Stepped::default()), []);
    ahead
}

fn refuse(indices: &[usize]) -> Stepped {
    Stepped { refused: indices.to_vec(), ..Stepped::default() }
}

#[test]
fn credit_begins_the_first_in_their_order() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    ahead.arrive(entries(4..=6), now);
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [4, 5]);
    assert_eq!((ahead.limit, ahead.credit, ahead.len()), (id(5), 0, 1));
}

#[test]
fn without_credit_nothing_begins_that_was_not_granted() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=3), now);
    assert_eq!(ahead.begin_by_credit(now), []);
    let proposal = ahead.propose(now, 2, false).unwrap();
    assert_eq!((&asked(&proposal)[..], proposal.limit), (&[id(1), id(2)][..], id(2)));
    assert_eq!(ahead.begin_by_credit(now), []);
    assert_eq!(numbers(&ahead.settle(now, &proposal.begins, &refuse(&[0]))), [2]);
    assert_eq!((ahead.limit, ahead.len()), (id(2), 1));
}

#[test]
fn credit_is_for_clients_that_lived_at_the_last_beat() {
    let now = Instant::now();
    let mut ahead = credited(now, 1);
    ahead.arrive(vec![entry_of("stranger", 1)], now);
    assert_eq!(ahead.begin_by_credit(now), []);
    assert!(ahead.has_stranger());
    ahead.heard(now, now + LONG, living(&["c", "stranger"]));
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [1]);
}

#[test]
fn credit_passes_over_nothing() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    ahead.arrive(vec![entry_of("stranger", 1)], now);
    ahead.arrive(entries(2..=2), now);
    assert_eq!(ahead.begin_by_credit(now), []);
    // Leave is asked for the one that holds up the other. The room is the credit's, so it is given up.
    let proposal = ahead.propose(now, 2, false).unwrap();
    assert_eq!((&asked(&proposal)[..], proposal.limit, proposal.credit), (&[id(1), id(2)][..], id(2), 0));
}

#[test]
fn what_is_asked_for_holds_up_what_is_behind_it() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    ahead.arrive(vec![entry_of("stranger", 1)], now);
    let proposal = ahead.propose(now, 2, false).unwrap();
    assert_eq!((&asked(&proposal)[..], proposal.credit), (&[id(1)][..], 1));
    ahead.arrive(entries(2..=2), now);
    assert_eq!(ahead.begin_by_credit(now), []);
    assert_eq!(numbers(&ahead.settle(now, &proposal.begins, &Stepped::default())), [1]);
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [2]);
    assert_eq!((ahead.limit, ahead.credit), (id(2), 0));
}

#[test]
fn what_is_given_back_holds_up_what_is_behind_it() {
    let now = Instant::now();
    let later = now + STALE;
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=1), now);
    let proposal = ahead.propose(later, 0, false).unwrap();
    assert_eq!(proposal.backs, [id(1)]);
    ahead.credit = 1;
    ahead.arrive(entries(2..=2), later);
    assert_eq!(ahead.begin_by_credit(later), []);
    assert_eq!(ahead.settle(later, &[], &Stepped::default()), []);
    assert_eq!(numbers(&ahead.begin_by_credit(later)), [2]);
}

#[test]
fn credit_is_good_once_the_server_has_answered() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    assert_eq!(ahead.propose(now, 1, false).unwrap().credit, 1);
    ahead.arrive(entries(1..=2), now);
    assert_eq!(ahead.begin_by_credit(now), []);
    assert_eq!(ahead.settle(now, &[], &Stepped::default()), []);
    // What has arrived before the answer takes the credit.
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [1]);
}

#[test]
fn credit_is_added_only_while_nothing_is_ready() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=BATCH as u64 + 1), now);
    let proposal = ahead.propose(now, 2 * BATCH as u32, false).unwrap();
    assert_eq!((proposal.begins.len(), proposal.credit), (BATCH, 0));
    assert_eq!(ahead.settle(now, &proposal.begins, &Stepped::default()).len(), BATCH);
    let proposal = ahead.propose(now, 2, false).unwrap();
    assert_eq!((proposal.begins.len(), proposal.credit), (1, 1));
}

#[test]
fn credit_that_is_used_while_a_step_is_on_its_way_is_used() {
    let now = Instant::now();
    let mut ahead = credited(now, 1);
    let proposal = ahead.propose(now, 3, true).unwrap();
    assert_eq!((proposal.limit, proposal.credit), (EntryId::ZERO, 3));
    ahead.arrive(entries(1..=4), now);
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [1]);
    assert_eq!(ahead.settle(now, &[], &Stepped::default()), []);
    // Three were stated, and no more begin.
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [2, 3]);
    assert_eq!((ahead.limit, ahead.credit), (id(3), 0));
}

#[test]
fn one_step_is_on_its_way_at_a_time() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    assert!(ahead.propose(now, 1, false).is_some());
    assert_eq!(ahead.propose(now, 2, true), None);
}

#[test]
fn nothing_to_say_is_not_said() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    assert_eq!(ahead.propose(now, 2, false), None);
    assert!(ahead.propose(now, 2, true).is_some());
}

#[test]
fn what_has_arrived_before_does_not_arrive_again() {
    let now = Instant::now();
    let mut ahead = credited(now, 3);
    ahead.arrive(entries(1..=1), now);
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [1]);
    // HISTORY has it until the server has the answer.
    ahead.arrive(entries(1..=2), now);
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [2]);
}

#[test]
fn a_lost_name_begins_nothing() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    ahead.arrive(vec![entry_of("stranger", 1)], now);
    let proposal = ahead.propose(now, 2, false).unwrap();
    let lost = Stepped { is_name_lost: true, ..Stepped::default() };
    assert_eq!(ahead.settle(now, &proposal.begins, &lost), []);
    assert_eq!((ahead.len(), ahead.credit, ahead.limit), (0, 0, EntryId::ZERO));
    ahead.heard(now, now + LONG, living(&["c"]));
    // Another life's ids may be smaller.
    ahead.arrive(entries(1..=1), now);
    assert_eq!((ahead.len(), ahead.begin_by_credit(now)), (1, vec![]));
}

#[test]
fn without_a_beat_nothing_begins() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    ahead.arrive(entries(1..=2), now);
    let late = now + LONG;
    assert_eq!(ahead.begin_by_credit(late), []);
    // Nor is it asked for: it could not begin.
    assert_eq!(ahead.propose(late, 2, false), None);
    ahead.heard(late, late + LONG, living(&["c"]));
    assert_eq!(numbers(&ahead.begin_by_credit(late)), [1, 2]);
}

#[test]
fn without_a_beat_nothing_is_asked_for() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=1), now);
    let late = now + LONG;
    assert_eq!(ahead.propose(late, 1, false), None);
    ahead.heard(late, late + LONG, living(&["c"]));
    assert_eq!(asked(&ahead.propose(late, 1, false).unwrap()), [id(1)]);
}

#[test]
fn what_waits_for_credit_is_not_asked_for() {
    let now = Instant::now();
    let mut ahead = credited(now, 1);
    ahead.arrive(vec![entry_of("gone", 1)], now);
    ahead.arrive(entries(2..=2), now);
    ahead.heard(now, now + LONG, living(&["c"]));
    let proposal = ahead.propose(now, 2, false).unwrap();
    assert_eq!((&proposal.drops[..], &asked(&proposal)[..], proposal.credit), (&[id(1)][..], &[][..], 1));
    assert_eq!(ahead.settle(now, &[], &Stepped::default()), []);
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [2]);
}

#[test]
fn what_is_granted_too_late_is_asked_for_again() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=1), now);
    let proposal = ahead.propose(now, 1, false).unwrap();
    let late = now + LONG;
    assert_eq!(ahead.settle(late, &proposal.begins, &Stepped::default()), []);
    ahead.heard(late, late + LONG, living(&["c"]));
    assert_eq!(asked(&ahead.propose(late, 1, false).unwrap()), [id(1)]);
}

#[test]
fn what_nobody_waits_for_is_dropped() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    let (sent, after) = (now + Duration::from_millis(1), now + Duration::from_millis(2));
    ahead.arrive(vec![entry_of("gone", 1)], now);
    ahead.arrive(vec![entry_of("gone", 2)], after);
    ahead.heard(sent, now + LONG, living(&["c"]));
    let proposal = ahead.propose(after, 0, false).unwrap();
    // The second was given after the beat was sent: its client may have come between.
    assert_eq!((&proposal.drops[..], &asked(&proposal)[..]), (&[id(1)][..], &[][..]));
    assert_eq!(ahead.len(), 2);
    assert_eq!(ahead.settle(after, &[], &Stepped::default()), []);
    assert_eq!(ahead.len(), 1);
}

#[test]
fn what_was_asked_for_is_not_dropped() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(vec![entry_of("gone", 1)], now);
    let proposal = ahead.propose(now, 1, false).unwrap();
    ahead.heard(now, now + LONG, living(&["c"]));
    // The server knows better whether the client lives.
    assert_eq!(numbers(&ahead.settle(now, &proposal.begins, &Stepped::default())), [1]);
}

#[test]
fn what_is_on_its_way_back_is_not_dropped_as_well() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=1), now);
    let later = now + STALE;
    assert_eq!(ahead.propose(later, 0, false).unwrap().backs, [id(1)]);
    ahead.heard(later, later + LONG, living(&[]));
    assert_eq!(ahead.settle(later, &[], &Stepped::default()), []);
    assert!(ahead.is_empty());
}

#[test]
fn what_is_ready_for_long_goes_back_if_no_slot_is_free() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=2), now);
    assert_eq!(ahead.propose(now, 0, false), None);
    assert_eq!(ahead.next_stale(), Some(now + STALE));
    assert_eq!(ahead.propose(now + STALE, 0, false).unwrap().backs, [id(1), id(2)]);
}

#[test]
fn closed_it_gives_everything_back() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=1), now);
    let proposal = ahead.propose(now, 1, false).unwrap();
    ahead.arrive(entries(2..=3), now);
    ahead.close();
    // What is granted now does not begin either.
    assert_eq!(ahead.settle(now, &proposal.begins, &Stepped::default()), []);
    let proposal = ahead.propose(now, 9, false).unwrap();
    assert_eq!((&proposal.backs[..], &asked(&proposal)[..]), (&[id(1), id(2), id(3)][..], &[][..]));
    assert!(!ahead.is_empty());
    assert_eq!(ahead.settle(now, &[], &Stepped::default()), []);
    assert!(ahead.is_empty() && ahead.wanted(9) == 0);
}

#[test]
fn closed_it_withdraws_its_credit() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    ahead.close();
    ahead.arrive(entries(1..=1), now);
    assert_eq!(ahead.begin_by_credit(now), []);
    assert_eq!(ahead.propose(now, 2, false).unwrap().credit, 0);
    assert_eq!(ahead.settle(now, &[], &Stepped::default()), []);
    assert!(ahead.is_empty());
    // The name doesn't matter to that.
    ahead.lose_name();
    ahead.heard(now, now + LONG, living(&["c"]));
    assert_eq!(ahead.propose(now, 2, false), None);
}

#[test]
fn credit_that_was_on_its_way_is_withdrawn_as_well() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    assert_eq!(ahead.propose(now, 2, false).unwrap().credit, 2);
    ahead.close();
    assert_eq!(ahead.settle(now, &[], &Stepped::default()), []);
    assert_eq!(ahead.propose(now, 2, false).unwrap().credit, 0);
}

#[test]
fn what_was_not_run_is_dropped() {
    let now = Instant::now();
    let mut ahead = credited(now, 1);
    ahead.arrive(entries(1..=1), now);
    assert_eq!(numbers(&ahead.begin_by_credit(now)), [1]);
    ahead.void(id(1));
    assert!(!ahead.is_empty());
    assert_eq!(ahead.propose(now, 0, false).unwrap().drops, [id(1)]);
}

#[test]
fn an_end_that_was_ordered_before_the_beginning_is_remembered() {
    let now = Instant::now();
    let mut ahead = ahead(now);
    ahead.arrive(entries(1..=2), now);
    assert!(ahead.kill(&attempt("c", 2)) && !ahead.kill(&attempt("c", 3)));
    let proposal = ahead.propose(now, 2, false).unwrap();
    let begun = ahead.settle(now, &proposal.begins, &Stepped::default());
    assert_eq!(begun.iter().map(|begun| begun.is_killed).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_fetch_asks_for_what_may_begin_and_for_what_is_read_ahead() {
    let now = Instant::now();
    let mut ahead = credited(now, 2);
    assert_eq!((ahead.wanted(0), ahead.wanted(5)), (2, 7));
    ahead.arrive(vec![entry_of("stranger", 1)], now);
    assert_eq!((ahead.wanted(0), ahead.wanted(5)), (1, 6));
}
