//! Tasks for one worker each.

use super::{Fixture, at_position, task};
use crate::process_pool::parent::dispatch::{Action, Policy, Wake};
use crate::process_pool::parent::lane::Status;
use crate::{FutureId, State};

/// One for each lane that is in use; their ids.
fn address(fixture: &mut Fixture, count: u64) -> Vec<FutureId> {
    let (tasks, futures): (Vec<_>, Vec<_>) = (0..count).map(task).unzip();
    let ids = futures.iter().map(|future| future.id()).collect();
    fixture.futures.extend(futures);
    let Ok((_, left)) = fixture.dispatcher.address(tasks) else { panic!("one for each") };
    assert!(left.is_empty());
    ids
}

#[test]
fn each_goes_to_its_lane_before_all_else() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..40);
    assert!(fixture.next(0) > 1);
    fixture.begin(0, 0);
    let ids = address(&mut fixture, 2);
    assert_eq!((fixture.dispatcher.lanes[0].in_flight(), fixture.dispatcher.queued()), (1, 39 + 2));
    // One that runs something, and one that doesn't.
    assert_eq!((fixture.next(0), fixture.next(1)), (0, 1));
    assert!(fixture.dispatcher.lanes[1].find(ids[1]).is_some());
    // Nothing behind it, and nobody steals it.
    assert_eq!((fixture.next(1), fixture.next(0)), (0, 0));
    fixture.dispatcher.collect(0, at_position(0, 0)).expect("it has begun");
    fixture.segments[0].pass(1);
    assert_eq!(fixture.next(0), 1);
    assert!(fixture.dispatcher.lanes[0].find(ids[0]).is_some());
    fixture.run(0, 1);
    fixture.segments[0].pass(2);
    assert!(fixture.next(0) > 1, "then as ever");
}

#[test]
fn one_that_comes_back_waits_for_its_lane() {
    let mut fixture = Fixture::new(2);
    let ids = address(&mut fixture, 2);
    assert_eq!((fixture.next(0), fixture.next(1)), (1, 1));
    // The worker dies before it begins.
    let reaped = fixture.dispatcher.reap(0, true);
    assert!(reaped.lost.is_empty() && fixture.dispatcher.queue.is_empty());
    assert!(fixture.dispatcher.stays(0));
    fixture.come_up(0);
    assert_eq!(fixture.next(0), 1);
    assert!(fixture.dispatcher.lanes[0].find(ids[0]).is_some());
    // In the call: then it is lost.
    fixture.begin(0, 0);
    assert_eq!(fixture.dispatcher.reap(0, true).lost.len(), 1);
    assert!(!fixture.dispatcher.stays(0));
    // Cancelled on its way.
    assert!(fixture.dispatcher.take_back(ids[1]).0.is_some());
    fixture.segments[1].pass(1);
    fixture.submit(0..1);
    assert_eq!((fixture.next(1), fixture.dispatcher.queued()), (1, 0));
}

#[test]
fn they_take_no_place_in_a_bounded_queue() {
    let mut fixture = Fixture::new(2);
    address(&mut fixture, 2);
    assert_eq!(fixture.dispatcher.queued(), 2);
    assert!(fixture.dispatcher.reserve(Some(1)) && !fixture.dispatcher.reserve(Some(1)));
    fixture.dispatcher.release();
    // Nor does a dead one make room for another.
    fixture.dispatcher.queue.push_back(super::task(7).0);
    assert!(fixture.futures[0].cancel());
    fixture.dispatcher.note_cancelled();
    assert!(!fixture.dispatcher.reserve(Some(1)));
    // Or one that has lost its worker.
    fixture.dispatcher.vacate(0);
    assert!(!fixture.dispatcher.reserve(Some(1)) && fixture.dispatcher.reserve(Some(2)));
}

#[test]
fn each_worker_there_is_gets_one_also_those_that_are_too_many() {
    let mut fixture = Fixture::new(3);
    fixture.submit(0..3);
    (0..3).for_each(|at| assert_eq!(fixture.next(at), 1));
    (0..3).for_each(|at| _ = fixture.begin(at, 0));
    fixture.dispatcher.set_max_workers(1, &mut Vec::new());
    assert_eq!(fixture.dispatcher.takers(), [0, 1, 2]);
    let (few, _future) = super::task(9);
    assert!(fixture.dispatcher.address(vec![few]).is_err_and(|tasks| tasks.len() == 1));
    address(&mut fixture, 3);
    // Whoever is first makes its call before it leaves.
    fixture.dispatcher.collect(1, at_position(0, 0)).expect("it has begun");
    fixture.segments[1].pass(1);
    assert_eq!(fixture.next(1), 1);
}

#[test]
fn one_that_starts_for_its_call_is_not_given_up() {
    let mut fixture = Fixture::new(2);
    fixture.dispatcher.set_status(1, Status::Starting);
    address(&mut fixture, 2);
    fixture.dispatcher.set_max_workers(1, &mut Vec::new());
    assert!(fixture.dispatcher.wants_worker_at(1) && fixture.dispatcher.stays(1));
    fixture.come_up(1);
    assert_eq!(fixture.next(1), 1);
    // One that is lost fails its call before the pool is over.
    fixture.dispatcher.cancel_all(&mut Vec::new());
    assert!(!fixture.dispatcher.is_over());
}

#[test]
fn the_dead_are_counted_and_left_out() {
    let mut fixture = Fixture::new(1);
    let ids = address(&mut fixture, 1);
    assert_eq!(fixture.dispatcher.queued(), 1);
    assert!(fixture.futures[0].cancel());
    fixture.dispatcher.note_cancelled();
    assert_eq!(fixture.dispatcher.queued(), 0);
    assert_eq!(fixture.next(0), 0);
    assert_eq!((fixture.garbage.len(), fixture.dispatcher.dead), (1, 0));
    assert!(fixture.dispatcher.lanes[0].find(ids[0]).is_none());
}

#[test]
fn the_end_takes_them_along() {
    let mut fixture = Fixture::new(2);
    address(&mut fixture, 2);
    fixture.dispatcher.drain();
    assert!(fixture.dispatcher.wants_worker());
    assert_eq!(fixture.next(0), 1, "it runs all the same");
    let mut cancelled = Vec::new();
    fixture.dispatcher.cancel_all(&mut cancelled);
    assert_eq!((cancelled.len(), fixture.dispatcher.queued()), (2, 0));
    fixture.segments[0].pass(1);
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::Close(_)));
}

#[test]
fn one_without_a_worker_is_an_orphan() {
    let mut fixture = Fixture::new(2);
    fixture.dispatcher.set_status(1, Status::Starting);
    address(&mut fixture, 2);
    for stays in [true, true, false] {
        fixture.dispatcher.note_failed_start(1);
        assert_eq!(fixture.dispatcher.stays(1), stays);
    }
    fixture.dispatcher.vacate(0);
    assert!(fixture.dispatcher.has_no_drivers() && !fixture.dispatcher.is_over());
    let orphans = fixture.dispatcher.take_orphans();
    assert_eq!((orphans.len(), fixture.state(1)), (2, State::Dispatched));
    assert!(!fixture.dispatcher.is_over(), "nobody knows yet");
    fixture.dispatcher.orphans_are_failed(2);
    assert!(fixture.dispatcher.is_over());
    assert_eq!(fixture.dispatcher.queued(), 0);
}

#[test]
fn a_used_up_worker_leaves_it_to_the_next() {
    let policy = Policy { max_tasks_per_child: Some(1), ..Policy::default() };
    let mut fixture = Fixture::with(1, policy);
    fixture.submit(0..1);
    assert_eq!(fixture.next(0), 1);
    fixture.begin(0, 0);
    address(&mut fixture, 1);
    fixture.dispatcher.collect(0, at_position(0, 0)).expect("it has begun");
    fixture.segments[0].pass(1);
    assert!(matches!(
        fixture.dispatcher.next_action(0, true, &mut fixture.garbage),
        Action::Close(Wake::None)
    ));
    fixture.dispatcher.reap(0, true);
    assert!(fixture.dispatcher.stays(0));
    fixture.come_up(0);
    assert_eq!(fixture.next(0), 1);
}
