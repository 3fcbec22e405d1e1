//! Tasks that are taken back: recalled, cancelled, killed.

use super::{Fixture, at_position, wakes};
use crate::State;
use crate::process_pool::parent::dispatch::Action;
use crate::process_pool::parent::dispatch::workers::Reaped;
use crate::process_pool::parent::lane::{KillReason, TaskKill};

#[test]
fn what_is_recalled_goes_to_the_front_in_order() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..20);
    assert_eq!((fixture.next(0), fixture.next(0)), (10, 5));
    fixture.begin(0, 0);
    fixture.begin(0, 0);
    let mut cancelled = Vec::new();
    fixture.dispatcher.recall(0, &mut cancelled);
    assert!(cancelled.is_empty());
    assert_eq!(fixture.queue(), (2..20).collect::<Vec<_>>());
    assert_eq!((fixture.state(1), fixture.state(2)), (State::Dispatched, State::Queued));
    assert_eq!(fixture.segments[0].claim(0).begin(), None, "it certainly never begins");
}

#[test]
fn one_is_taken_back_and_those_behind_it_go_to_the_queue() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..8);
    assert_eq!(fixture.next(0), 4);
    fixture.begin(0, 0);
    let (task, wake) = fixture.dispatcher.take_back(fixture.id(2));
    assert_eq!(task.map(|task| task.id()), Some(fixture.id(2)));
    assert_eq!(fixture.queue(), [3, 4, 5, 6, 7]);
    assert!(wakes(wake.last().expect("the driver looks again"), &fixture.dispatcher, 0));
    assert_eq!(fixture.dispatcher.totals.cancelled, 1);
    // One that runs stays; what lay behind it comes back with the attempt, and nothing is lost.
    let (task, _) = fixture.dispatcher.take_back(fixture.id(0));
    assert!(task.is_none());
    assert_eq!(fixture.queue(), [1, 3, 4, 5, 6, 7]);
    assert_eq!(fixture.dispatcher.lanes[0].in_flight(), 1);
    let (task, wake) = fixture.dispatcher.take_back(fixture.id(7));
    assert!(task.is_none() && wake.is_empty(), "it is at no lane");
}

#[test]
fn only_what_runs_is_killed() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..8);
    fixture.next(0);
    assert!(
        fixture.dispatcher.request_kill(fixture.id(0), TaskKill::Requested).is_none(),
        "it has not begun"
    );
    fixture.begin(0, 0);
    assert!(!fixture.dispatcher.has_begun(fixture.id(1)) && fixture.dispatcher.has_begun(fixture.id(0)));
    let wake = fixture.dispatcher.request_kill(fixture.id(0), TaskKill::Requested).expect("it runs");
    assert!(wakes(&wake, &fixture.dispatcher, 0));
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::HandleKills));
    assert!(fixture.dispatcher.confirm_kill(0));
    let reason = KillReason::ForTask(fixture.id(0), TaskKill::Requested);
    assert_eq!(fixture.dispatcher.lanes[0].kill_reason(), Some(&reason));
    // It gets no more, and those that waited at it run elsewhere.
    assert_eq!(fixture.next(0), 0);
    let Reaped { lost, .. } = fixture.dispatcher.reap(0, true);
    let lost: Vec<_> = lost.iter().map(|(task, reason)| (task.id(), *reason)).collect();
    assert_eq!(lost, [(fixture.id(0), Some(TaskKill::Requested))]);
    assert_eq!(fixture.queue(), (1..8).collect::<Vec<_>>());
}

#[test]
fn a_task_that_is_done_before_the_check_is_not_killed() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..4);
    fixture.next(0);
    fixture.begin(0, 0);
    fixture.dispatcher.request_kill(fixture.id(0), TaskKill::OutOfTime);
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::HandleKills));
    let mut cancelled = Vec::new();
    fixture.dispatcher.recall(0, &mut cancelled);
    // Its reply was in the socket.
    fixture.dispatcher.collect(0, at_position(0, 0)).expect("it has begun");
    assert!(!fixture.dispatcher.confirm_kill(0));
    fixture.segments[0].pass(1);
    assert!(fixture.next(0) > 0, "the worker goes on");
}
