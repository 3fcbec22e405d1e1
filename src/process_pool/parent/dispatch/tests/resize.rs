//! More workers, and fewer.

use super::{Fixture, wakes};
use crate::process_pool::parent::dispatch::{Action, Wake};
use crate::process_pool::parent::lane::Status;

fn starts(wake: &[Wake]) -> Vec<usize> {
    wake.iter().filter_map(|wake| if let Wake::Start(at) = wake { Some(*at) } else { None }).collect()
}

#[test]
fn more_workers_are_started_for_what_waits() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..2);
    assert_eq!((fixture.next(0), fixture.next(0)), (1, 1));
    fixture.begin(0, 0);
    // Behind the one that runs, nothing is queued.
    let wake = fixture.dispatcher.set_max_workers(5, &mut Vec::new());
    assert_eq!(starts(&wake), [1]);
    fixture.submit(2..4);
    assert_eq!(starts(&fixture.dispatcher.set_max_workers(3, &mut Vec::new())), Vec::<usize>::new());
    assert_eq!((fixture.dispatcher.lanes_in_use(), fixture.dispatcher.has_surplus()), (4, false));
}

#[test]
fn whoever_ends_its_task_first_leaves() {
    let mut fixture = Fixture::new(3);
    fixture.submit(0..30);
    assert!(fixture.next(0) > 1 && fixture.next(1) > 1 && fixture.next(2) > 1);
    (0..3).for_each(|at| _ = fixture.begin(at, 0));
    let wake = fixture.dispatcher.set_max_workers(1, &mut Vec::new());
    assert!((0..3).all(|at| wake.iter().any(|wake| wakes(wake, &fixture.dispatcher, at))));
    // In the order in which they came, but for those that run.
    let queue = fixture.queue();
    assert!(queue.len() == 27 && queue.is_sorted());
    assert_eq!([0, 1, 2].map(|at| fixture.next(at)), [0; 3], "nobody begins another");
    for at in [1, 0] {
        fixture.dispatcher.collect(at, super::at_position(0, 0)).expect("it has begun");
        fixture.segments[at].pass(1);
        assert!(matches!(fixture.dispatcher.next_action(at, true, &mut fixture.garbage), Action::Close(_)));
    }
    fixture.segments[2].pass(1);
    assert!(fixture.next(2) > 0, "the last one stays");
    for at in [1, 0] {
        fixture.dispatcher.reap(at, true);
        assert!(!fixture.dispatcher.stays(at));
    }
    assert_eq!((fixture.dispatcher.lanes_in_use(), fixture.dispatcher.totals.deaths), (1, 0));
}

#[test]
fn those_that_start_go_before_those_that_are_up() {
    let mut fixture = Fixture::new(3);
    fixture.dispatcher.set_status(0, Status::Starting);
    fixture.dispatcher.set_status(2, Status::Starting);
    fixture.dispatcher.set_max_workers(2, &mut Vec::new());
    assert_eq!([0, 2].map(|at| fixture.dispatcher.wants_worker_at(at)), [true, false]);
    assert_eq!(fixture.next(1), 0, "it may stay");
    // It is wanted again.
    fixture.dispatcher.set_max_workers(3, &mut Vec::new());
    assert!(fixture.dispatcher.wants_worker_at(2));
    // One that has come up meanwhile is as any other.
    fixture.dispatcher.set_max_workers(2, &mut Vec::new());
    fixture.come_up(2);
    assert!(matches!(fixture.dispatcher.next_action(1, true, &mut fixture.garbage), Action::Close(_)));
}
