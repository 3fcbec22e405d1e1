//! Workers that leave: after their last task, their idle time, at the end of the pool.

use super::{Fixture, at_position, task, wakes};
use crate::State;
use crate::error::Broken;
use crate::process_pool::parent::dispatch::workers::Reaped;
use crate::process_pool::parent::dispatch::{Action, Policy, PoolState};
use crate::process_pool::parent::lane::Status;
use crate::process_pool::sys::Signal;
use std::time::{Duration, Instant};

#[test]
fn a_worker_gets_no_more_tasks_than_it_may_have() {
    let policy = Policy { max_tasks_per_child: Some(3), ..Policy::default() };
    let mut fixture = Fixture::with(1, policy);
    fixture.submit(0..40);
    assert_eq!((fixture.next(0), fixture.next(0)), (3, 0));
    for _ in 0..3 {
        fixture.run(0, 0);
    }
    fixture.segments[0].pass(1);
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::Close(_)));
    assert_eq!(fixture.dispatcher.lanes[0].status(), Status::Closing);
    let Reaped { lost, .. } = fixture.dispatcher.reap(0, true);
    assert!(lost.is_empty());
    assert_eq!(fixture.dispatcher.totals.deaths, 0, "it was told to");
    assert!(fixture.dispatcher.stays(0));
    assert_eq!(fixture.queue(), (3..40).collect::<Vec<_>>());
}

#[test]
fn one_that_is_worn_wakes_another_for_what_is_queued() {
    let policy = Policy { max_tasks_per_child: Some(1), ..Policy::default() };
    let mut fixture = Fixture::with(2, policy);
    fixture.submit(0..1);
    assert_eq!((fixture.next(0), fixture.next(1)), (1, 0));
    fixture.run(0, 0);
    // Lane 1 sleeps. The task comes while lane 0 is about to leave.
    fixture.dispatcher.queue.push_back(task(1).0);
    let Action::Close(wake) = fixture.dispatcher.next_action(0, true, &mut fixture.garbage) else {
        panic!("it is used up")
    };
    assert!(wakes(&wake, &fixture.dispatcher, 1));
}

#[test]
fn an_idle_worker_leaves_after_its_time() {
    let policy = Policy { keep_alive: Some(Duration::from_secs(60)), ..Policy::default() };
    let mut fixture = Fixture::with(1, policy);
    let Action::Sleep(Some(until)) = fixture.dispatcher.next_action(0, true, &mut fixture.garbage) else {
        panic!("it sleeps")
    };
    assert!(until > Instant::now());
    // The second look doesn't begin to count anew.
    let Action::Sleep(Some(again)) = fixture.dispatcher.next_action(0, true, &mut fixture.garbage) else {
        panic!("it sleeps")
    };
    assert_eq!(again, until);
    let past = Instant::now().checked_sub(Duration::from_secs(61)).expect("a past");
    fixture.dispatcher.lanes[0].rest_from(Some(past));
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::Close(_)));
    assert!(fixture.dispatcher.idle.is_empty());
}

#[test]
fn draining_runs_what_is_queued_and_then_lets_them_leave() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..2);
    assert_eq!(fixture.next(1), 1);
    assert_eq!(fixture.dispatcher.drain().len(), 2, "all_drivers looks");
    assert!(matches!(fixture.dispatcher.state, PoolState::Draining));
    assert_eq!(fixture.next(0), 1);
    fixture.run(0, 0);
    fixture.segments[0].pass(1);
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::Close(_)));
    fixture.begin(1, 0);
    assert_eq!(fixture.next(1), 0, "its task still runs");
    fixture.dispatcher.collect(1, at_position(0, 0)).expect("it has begun");
    assert!(matches!(fixture.dispatcher.next_action(1, true, &mut fixture.garbage), Action::Close(_)));
    for at in [0, 1] {
        fixture.dispatcher.reap(at, true);
        assert!(!fixture.dispatcher.stays(at));
    }
    assert!(fixture.dispatcher.has_no_drivers());
}

#[test]
fn cancelling_takes_all_back_that_has_not_begun() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..30);
    assert_eq!((fixture.next(0), fixture.next(1)), (7, 5));
    fixture.begin(0, 0);
    let mut cancelled = Vec::new();
    fixture.dispatcher.cancel_all(&mut cancelled);
    assert_eq!((cancelled.len(), fixture.dispatcher.queue.len()), (29, 0));
    assert_eq!(fixture.dispatcher.totals.cancelled, 29);
    assert_eq!(fixture.segments[1].claim(0).begin(), None);
    assert_eq!(fixture.next(0), 0, "what runs is not interrupted");
    assert!(matches!(fixture.dispatcher.next_action(1, true, &mut fixture.garbage), Action::Close(_)));
    // Breaking goes on top of it; going back to draining does not.
    fixture.dispatcher.drain();
    assert!(matches!(fixture.dispatcher.state, PoolState::Cancelling));
    assert!(!fixture.dispatcher.wants_worker());
}

#[test]
fn a_broken_dispatcher_gives_back_what_has_not_begun() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..8);
    fixture.next(0);
    fixture.begin(0, 0);
    fixture.futures[7].cancel();
    fixture.dispatcher.note_cancelled();
    let (lost, _) = fixture.dispatcher.break_down(Broken::new("first"));
    // Not the one that runs, and not the one that was cancelled.
    assert_eq!(lost.len(), 6);
    assert!(lost.iter().all(|task| task.entry.header().word.load().state() == State::Dispatched));
    fixture.dispatcher.break_down(Broken::new("second"));
    let PoolState::Broken(why) = &fixture.dispatcher.state else { panic!("it is broken") };
    assert_eq!(why.reason(), "first");
    // Its worker dies: no retry any more.
    assert_eq!(fixture.dispatcher.reap(0, true).lost.len(), 1);
}

#[test]
fn an_order_reaches_those_that_are_up() {
    let mut fixture = Fixture::new(2);
    fixture.dispatcher.set_status(1, Status::Starting);
    fixture.dispatcher.signal_all(Signal::TERM);
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::HandleKills));
    assert_eq!(fixture.dispatcher.lanes[0].take_signal(), Some(Signal::TERM));
    assert_eq!(fixture.dispatcher.lanes[1].take_signal(), None, "it is given up before it is up");
}
