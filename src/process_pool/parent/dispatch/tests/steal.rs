//! Tasks that a driver takes over from another lane.

use super::{Fixture, at_position};
use crate::State;
use crate::process_pool::parent::dispatch::Action;
use crate::process_pool::parent::dispatch::workers::Reaped;

#[test]
fn half_of_what_waits_behind_a_task_is_taken_over() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..40);
    assert_eq!((fixture.next(0), fixture.next(0)), (10, 7));
    fixture.begin(0, 0);
    // The thief comes when the queue is empty.
    let left: Vec<_> = fixture.dispatcher.queue.drain(..).collect();
    // The newest batch, whole in the queue's order: 7 wait in it.
    assert_eq!(fixture.next(1), 4);
    let places: Vec<_> = (13..17).map(|n| fixture.dispatcher.lanes[1].find(fixture.id(n))).collect();
    assert_eq!(places, (0..4).map(|index| Some(at_position(0, index))).collect::<Vec<_>>());
    assert_eq!(fixture.state(13), State::Dispatched);
    drop(left);
}

#[test]
fn the_only_task_of_a_worker_that_runs_nothing_is_not_stolen() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..1);
    assert_eq!(fixture.next(0), 1);
    assert_eq!(fixture.next(1), 0, "it will begin in this moment");
    fixture.begin(0, 0);
    assert_eq!(fixture.next(1), 0, "it has begun");
}

#[test]
fn the_one_task_behind_a_running_one_is_stolen() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..2);
    assert_eq!((fixture.next(0), fixture.next(0)), (1, 1));
    fixture.begin(0, 0);
    assert_eq!(fixture.next(1), 1);
    assert_eq!(fixture.begin(1, 0), 0);
    assert_eq!(fixture.segments[0].claim(1).begin(), None, "never by both");
    let task = fixture.dispatcher.collect(1, at_position(0, 0)).expect("it runs there");
    assert_eq!(task.id(), fixture.id(1));
}

#[test]
fn a_segment_that_was_wiped_has_nothing_run_twice() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..8);
    fixture.next(0);
    fixture.begin(0, 0);
    fixture.segments[0].claim(0).open(0);
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::Kill(_)));
    fixture.dispatcher.recall(0, &mut Vec::new());
    assert_eq!(fixture.queue(), [4, 5, 6, 7], "what may have begun is not given to another");
    assert_eq!(fixture.dispatcher.reap(0, true).lost.len(), 4);
    // A count of passed frames that runs ahead: no room would ever be seen again.
    fixture.come_up(0);
    fixture.segments[0].pass(1000);
    assert!(matches!(fixture.dispatcher.next_action(0, true, &mut fixture.garbage), Action::Kill(_)));
}

/// The fullest lane has nothing to spare, and another has: neither may keep the thief from working.
#[test]
fn a_thief_goes_where_there_is_something_to_spare() {
    for lone in [0, 1] {
        let mut fixture = Fixture::new(3);
        let busy = 1 - lone;
        fixture.submit(0..3);
        assert_eq!((fixture.next(busy), fixture.next(busy), fixture.next(lone)), (1, 1, 1));
        fixture.begin(busy, 0);
        assert_eq!(fixture.next(2), 1);
    }
}

#[test]
fn what_a_mad_worker_writes_harms_only_itself() {
    // A limit, and numbers of begun tasks, that no parent ever set.
    for word in [0, 1, u64::from(u32::MAX), u64::MAX << 32, u64::MAX, (u64::from(u32::MAX) << 32) | 2] {
        let mut fixture = Fixture::new(2);
        fixture.submit(0..40);
        fixture.next(0);
        fixture.next(0);
        let rest: Vec<_> = fixture.dispatcher.queue.drain(..).collect();
        for number in [0, 1] {
            fixture.segments[0].claim(number).scribble(word);
        }
        fixture.next(1);
        fixture.dispatcher.has_begun(fixture.id(0));
        fixture.dispatcher.limited(0);
        let _ = fixture.dispatcher.collect(0, at_position(0, 5));
        let Reaped { lost, .. } = fixture.dispatcher.reap(0, true);
        // None is lost: at the thief, in the queue, or lost.
        let stolen = fixture.dispatcher.lanes[1].in_flight();
        assert_eq!(lost.len() + stolen + fixture.dispatcher.queue.len(), 17, "{word:x}");
        drop(rest);
    }
}
