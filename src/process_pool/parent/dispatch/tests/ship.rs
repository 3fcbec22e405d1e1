//! Which tasks go out together, when, and in what.

use super::{Fixture, at_position, frame, head, heavy, task};
use crate::State;
use crate::process_pool::parent::dispatch::Action;
use crate::process_pool::wire::batch::BATCH_BYTES;
use crate::process_pool::wire::frames::Piece;
use crate::process_pool::wire::message::Message;

#[test]
fn a_batch_is_so_small_that_every_worker_has_two() {
    let mut fixture = Fixture::new(2);
    fixture.submit(0..100);
    // 100 / (2 * 2), then a quarter of what is left, and so on.
    assert_eq!((fixture.next(0), fixture.next(1)), (25, 18));
    assert_eq!((fixture.next(0), fixture.next(1)), (14, 10));
    // Both slots are in use: no more, whatever is queued.
    assert_eq!((fixture.next(0), fixture.next(1)), (0, 0));
    assert_eq!(fixture.dispatcher.queued(), 100 - 25 - 18 - 14 - 10);
    assert_eq!(fixture.state(0), State::Dispatched);
    assert_eq!(fixture.state(99), State::Queued);
}

#[test]
fn few_tasks_go_one_by_one() {
    let mut fixture = Fixture::new(4);
    fixture.submit(0..6);
    assert_eq!([0, 1, 2, 3, 0, 1].map(|at| fixture.next(at)), [1; 6]);
}

#[test]
fn a_batch_is_no_larger_than_a_copy_may_be() {
    let mut fixture = Fixture::new(1);
    for _ in 0..20 {
        fixture.dispatcher.submit(heavy(BATCH_BYTES / 4));
    }
    // Ten by number; by memory three.
    assert_eq!(fixture.next(0), 3);
    // One that is too large goes all the same, alone.
    let mut fixture = Fixture::new(1);
    (0..20).for_each(|_| _ = fixture.dispatcher.submit(heavy(3 * BATCH_BYTES)));
    assert_eq!(fixture.next(0), 1);
}

#[test]
fn small_arguments_are_copied_into_the_frame_and_large_ones_are_not() {
    let pieces = frame(7, &[task(1).0, task(2).0]);
    assert_eq!((pieces.len(), head(&pieces).message), (1, Message::Batch { number: 7, tasks: 2 }));
    let pieces = frame(0, &[heavy(3 * BATCH_BYTES)]);
    assert!(matches!(pieces[..2], [Piece::Owned(_), Piece::Shared(_)]));
}

#[test]
fn cancelled_tasks_are_not_shipped() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..4);
    for n in [0, 2] {
        assert!(fixture.futures[n].cancel());
        assert!(fixture.dispatcher.note_cancelled().is_empty());
    }
    assert_eq!(fixture.dispatcher.queued(), 2);
    assert_eq!((fixture.next(0), fixture.next(0)), (1, 1));
    assert_eq!((fixture.garbage.len(), fixture.dispatcher.queued()), (2, 0));
    assert_eq!(fixture.dispatcher.totals.cancelled, 2);
}

#[test]
fn dead_entries_are_swept_when_they_are_half() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..200);
    let mut swept = 0;
    for n in 0..100 {
        fixture.futures[n].cancel();
        swept += fixture.dispatcher.note_cancelled().len();
    }
    assert_eq!((swept, fixture.dispatcher.queue.len(), fixture.dispatcher.queued()), (100, 100, 100));
}

#[test]
fn nothing_is_sent_while_the_last_bytes_are_on_their_way() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..2);
    assert!(matches!(fixture.dispatcher.next_action(0, false, &mut fixture.garbage), Action::Sleep(None)));
    assert_eq!(fixture.next(0), 1);
}

#[test]
fn a_slot_is_free_when_both_sides_are_through_with_it() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..3);
    assert_eq!((fixture.next(0), fixture.next(0)), (1, 1));
    fixture.run(0, 0);
    // Its reply is here, but the worker has not yet said that it is through with the frame.
    assert_eq!(fixture.next(0), 0);
    fixture.segments[0].pass(1);
    assert_eq!(fixture.next(0), 1);
    // The other way round: the worker is through, but a reply is still on its way.
    fixture.begin(0, 1);
    fixture.segments[0].pass(2);
    assert_eq!(fixture.next(0), 0);
}

#[test]
fn only_a_task_that_has_begun_can_be_answered_and_once() {
    let mut fixture = Fixture::new(1);
    assert!(fixture.dispatcher.collect(0, at_position(0, 0)).is_err(), "before any batch");
    fixture.submit(0..8);
    assert_eq!(fixture.next(0), 4);
    fixture.begin(0, 0);
    for (number, index) in [(0, 1), (1, 0), (2, 0), (u32::MAX, 0), (0, u32::MAX)] {
        assert!(fixture.dispatcher.collect(0, at_position(number, index)).is_err(), "{number} {index}");
    }
    let task = fixture.dispatcher.collect(0, at_position(0, 0)).expect("it has begun");
    assert_eq!(task.id(), fixture.id(0));
    assert!(fixture.dispatcher.collect(0, at_position(0, 0)).is_err(), "a second time");
    assert_eq!(fixture.dispatcher.lanes[0].results(), 1);
}

#[test]
fn an_invalid_value_in_the_segment_is_an_error() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..2);
    fixture.next(0);
    fixture.segments[0].claim(0).scribble(u64::from(u32::MAX));
    assert!(fixture.dispatcher.collect(0, at_position(0, 0)).is_err());
}
