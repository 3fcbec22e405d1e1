//! Workers that start to take the place of one that is at its last tasks.

use super::{Fixture, wakes};
use crate::process_pool::parent::dispatch::{Policy, Wake};
use crate::process_pool::sys::Event;
use std::sync::Arc;

fn recycling(workers: usize, most: u32) -> Fixture {
    Fixture::with(workers, Policy { max_tasks_per_child: Some(most), ..Policy::default() })
}

#[test]
fn it_is_wanted_with_the_last_task_if_there_are_more() {
    let mut fixture = recycling(1, 3);
    fixture.submit(0..2);
    assert_eq!(fixture.next(0), 1);
    assert!(!fixture.dispatcher.wants_spare(0), "it may have two more");
    fixture.next(0);
    fixture.run(0, 0);
    fixture.segments[0].pass(1);
    fixture.submit(2..3);
    fixture.next(0);
    assert!(!fixture.dispatcher.wants_spare(0), "nothing is queued");
    // The driver, which may sleep, is told of the next one.
    let wake = fixture.submit(3..4);
    assert!(wakes(&wake[0], &fixture.dispatcher, 0) && fixture.dispatcher.wants_spare(0));
    fixture.dispatcher.add_spare(0, Arc::new(Event::new().expect("an event")));
    assert!(!fixture.dispatcher.wants_spare(0), "it has one");
    assert!(matches!(fixture.submit(4..5)[..], [Wake::None]));
}

#[test]
fn it_is_shown_until_it_takes_the_place() {
    let mut fixture = recycling(1, 1);
    fixture.submit(0..2);
    fixture.next(0);
    let event = Arc::new(Event::new().expect("an event"));
    fixture.dispatcher.add_spare(0, event.clone());
    fixture.dispatcher.note_start(0, 17);
    assert_eq!(fixture.dispatcher.spares().collect::<Vec<_>>(), [(0, Some(17))]);
    assert_eq!(fixture.dispatcher.lanes[0].starts(), 0);
    let is_woken = |wake: &Wake| matches!(wake, Wake::Driver(woken) if Arc::ptr_eq(woken, &event));
    assert!(fixture.dispatcher.drain().iter().any(is_woken));
    fixture.run(0, 0);
    fixture.dispatcher.reap(0, true);
    assert!(fixture.dispatcher.stays(0));
    fixture.dispatcher.seat_spare(0);
    assert_eq!(fixture.dispatcher.spares().count(), 0);
    assert_eq!((fixture.dispatcher.lanes[0].pid(), fixture.dispatcher.lanes[0].starts()), (Some(17), 1));
}

#[test]
fn fewer_workers_and_an_end_want_none() {
    let mut fixture = recycling(2, 1);
    fixture.submit(0..8);
    fixture.next(0);
    assert!(fixture.dispatcher.wants_spare(0));
    fixture.begin(0, 0);
    fixture.dispatcher.set_max_workers(1, &mut Vec::new());
    assert!(!fixture.dispatcher.wants_spare(0));
    fixture.dispatcher.set_max_workers(2, &mut Vec::new());
    fixture.dispatcher.cancel_all(&mut Vec::new());
    assert!(!fixture.dispatcher.wants_spare(0));
}
