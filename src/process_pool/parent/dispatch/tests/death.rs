//! What becomes of the tasks of a worker that dies or does not start.

use super::{Fixture, task_with};
use crate::future::TaskOptions;
use crate::process_pool::parent::dispatch::workers::Reaped;
use crate::process_pool::parent::dispatch::{Action, Wake};
use crate::process_pool::parent::lane::{Status, TaskKill};
use std::time::Instant;

#[test]
fn a_death_costs_what_ran_and_nothing_else() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..20);
    assert_eq!((fixture.next(0), fixture.next(0)), (10, 5));
    fixture.run(0, 0);
    fixture.begin(0, 0);
    let Reaped { lost, cancelled, wake, .. } = fixture.dispatcher.reap(0, true);
    assert_eq!(lost.iter().map(|(task, _)| task.id()).collect::<Vec<_>>(), [fixture.id(1)]);
    assert!(lost[0].1.is_none() && cancelled.is_empty());
    assert_eq!(fixture.queue(), (2..20).collect::<Vec<_>>());
    assert_eq!(fixture.dispatcher.totals.deaths, 1);
    // The driver is awake already; nobody else is there.
    assert!(wake.iter().all(|wake| matches!(wake, Wake::None)));
    assert!(fixture.dispatcher.stays(0));
    assert_eq!(fixture.dispatcher.lanes[0].failed_starts(), 0);
}

#[test]
fn a_retry_goes_to_the_front_with_its_number() {
    let mut fixture = Fixture::new(1);
    let (task, future) = task_with(0, TaskOptions::new().retries(1));
    let id = future.id();
    fixture.futures.push(future);
    fixture.dispatcher.submit(task);
    fixture.submit(1..4);
    fixture.next(0);
    fixture.begin(0, 0);
    assert!(fixture.dispatcher.reap(0, true).lost.is_empty());
    assert_eq!(fixture.queue(), [0, 1, 2, 3]);
    // Again, and this was its last.
    fixture.come_up(0);
    fixture.next(0);
    fixture.begin(0, 0);
    let lost = fixture.dispatcher.reap(0, true).lost;
    assert_eq!(lost.iter().map(|(task, _)| task.id()).collect::<Vec<_>>(), [id]);
}

#[test]
fn one_that_was_killed_is_not_tried_again() {
    let mut fixture = Fixture::new(1);
    let (task, future) = task_with(0, TaskOptions::new().retries(5));
    fixture.futures.push(future);
    fixture.dispatcher.submit(task);
    fixture.next(0);
    fixture.begin(0, 0);
    fixture.dispatcher.request_kill(fixture.id(0), TaskKill::OutOfTime);
    fixture.dispatcher.confirm_kill(0);
    assert_eq!(fixture.dispatcher.reap(0, true).lost.len(), 1);
}

#[test]
fn nor_is_one_that_was_asked_to_stop() {
    let mut fixture = Fixture::new(1);
    let (task, future) = task_with(0, TaskOptions::new().retries(5));
    fixture.futures.push(future);
    fixture.dispatcher.submit(task);
    let id = fixture.id(0);
    assert_eq!(fixture.dispatcher.ask_to_stop(id), Some(false), "it is in no table");
    fixture.next(0);
    assert_eq!(fixture.dispatcher.ask_to_stop(id), None);
    fixture.begin(0, 0);
    assert!(!fixture.segments[0].claim(0).is_asked(0, 0));
    assert_eq!(fixture.dispatcher.ask_to_stop(id), Some(true));
    assert!(fixture.segments[0].claim(0).is_asked(0, 0));
    assert_eq!(fixture.dispatcher.reap(0, true).lost.len(), 1);
}

#[test]
fn workers_that_die_before_any_task_break_the_pool_in_the_end() {
    let mut fixture = Fixture::new(1);
    for death in 1..=3 {
        fixture.come_up(0);
        fixture.submit(0..1);
        fixture.next(0);
        assert_eq!(fixture.dispatcher.reap(0, true).too_many_failed_starts, death == 3);
    }
}

/// What they had was taken back before they were seen to be dead: their streams had ended.
#[test]
fn nor_does_it_help_that_their_tasks_were_taken_back_first() {
    let mut fixture = Fixture::new(1);
    for death in 1..=3 {
        fixture.come_up(0);
        fixture.submit(0..1);
        fixture.next(0);
        fixture.dispatcher.recall(0, &mut Vec::new());
        assert_eq!(fixture.dispatcher.reap(0, true).too_many_failed_starts, death == 3);
    }
}

#[test]
fn a_pool_with_a_worker_is_not_broken_by_the_starts_of_others() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..4);
    fixture.next(0);
    fixture.begin(0, 0);
    for _ in 0..5 {
        fixture.dispatcher.set_status(1, Status::Starting);
        assert!(!fixture.dispatcher.note_failed_start(1));
        assert!(!fixture.dispatcher.stays(1), "it leaves what it holds to the other");
    }
    let reaped = fixture.dispatcher.reap(0, true);
    assert!(!reaped.too_many_failed_starts && reaped.lost.len() == 1);
    assert!(fixture.dispatcher.stays(0));
}

#[test]
fn a_start_that_failed_is_tried_again_by_those_who_work() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..4);
    fixture.next(0);
    fixture.begin(0, 0);
    fixture.dispatcher.set_status(1, Status::Starting);
    fixture.dispatcher.note_failed_start(1);
    fixture.dispatcher.stays(1);
    fixture.next(0);
    let Action::Sleep(Some(until)) = fixture.dispatcher.next_action(0, true, &mut fixture.garbage) else {
        panic!("it looks again")
    };
    assert!(until > Instant::now());
    fixture.dispatcher.no_start_before = Some(Instant::now());
    let step = fixture.dispatcher.next_action(0, true, &mut fixture.garbage);
    assert!(matches!(step, Action::RetryStart(Wake::Start(1))));
}
