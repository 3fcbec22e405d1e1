//! Who gets a new task, who is woken or started for it, and who may wait for a reply without its driver.

use super::{Fixture, at_position, heavy, task, wakes};
use crate::State;
use crate::process_pool::parent::dispatch::{DirectReply, DirectRoute, Dispatcher, Policy, Wake};
use crate::process_pool::parent::lane::Status;
use crate::process_pool::sys::Segment;
use crate::process_pool::wire::batch::BATCH_BYTES;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn the_last_to_fall_asleep_gets_a_task_first_and_without_its_driver() {
    let mut fixture = Fixture::new(2);
    assert_eq!((fixture.next(0), fixture.next(1)), (0, 0));
    let wakes = fixture.submit(0..3);
    assert!(matches!(wakes[..], [Wake::Flush(..), Wake::Flush(..), Wake::None]), "all lanes are taken");
    assert!(fixture.dispatcher.lanes[1].find(fixture.id(0)).is_some());
    assert!(fixture.dispatcher.lanes[0].find(fixture.id(1)).is_some());
    assert_eq!((fixture.queue(), fixture.state(0)), (vec![2], State::Dispatched));
    // It need not be sent yet for the worker to be allowed to begin it.
    assert_eq!(fixture.begin(1, 0), 0);
}

#[test]
fn a_large_task_goes_by_the_driver() {
    let mut fixture = Fixture::new(2);
    assert_eq!((fixture.next(0), fixture.next(1)), (0, 0));
    let wake = fixture.dispatcher.submit(heavy(BATCH_BYTES));
    assert!(wakes(&wake, &fixture.dispatcher, 1));
    assert_eq!(fixture.dispatcher.queue.len(), 1);
    // What is queued goes first: the next one doesn't overtake it.
    assert!(wakes(&fixture.submit(0..1)[0], &fixture.dispatcher, 0));
}

#[test]
fn a_task_that_was_cancelled_on_its_way_is_sent_to_nobody() {
    let mut fixture = Fixture::new(1);
    assert_eq!(fixture.next(0), 0);
    let (task, future) = task(0);
    assert!(future.cancel());
    fixture.dispatcher.submit(task);
    assert_eq!(fixture.dispatcher.lanes[0].in_flight(), 0);
    assert!(fixture.dispatcher.note_cancelled().is_empty());
    assert_eq!((fixture.next(0), fixture.garbage.len(), fixture.dispatcher.queued()), (0, 1, 0));
    assert!(matches!(fixture.submit(0..1)[0], Wake::Flush(..)), "it is idle as before");
}

#[test]
fn a_worker_that_has_nothing_to_do_is_given_a_task_at_once() {
    let mut fixture = Fixture::new(2);
    assert_eq!((fixture.next(0), fixture.next(1)), (0, 0));
    let wakes = fixture.submit(0..3);
    assert!(matches!(wakes[..], [Wake::Flush(..), Wake::Flush(..), Wake::None]));
    assert_eq!([0, 1].map(|at| fixture.dispatcher.lanes[at].in_flight()), [1, 1]);
    assert_eq!((fixture.state(0), fixture.queue()), (State::Dispatched, vec![2]));
}

#[test]
fn a_task_overtakes_nobody_and_a_large_one_is_the_drivers() {
    let mut fixture = Fixture::new(1);
    assert_eq!(fixture.next(0), 0);
    // Idle, but with something queued already, as after a recall.
    fixture.dispatcher.queue.push_back(task(9).0);
    assert!(matches!(fixture.submit(0..1)[0], Wake::Driver(_)));
    let mut fixture = Fixture::new(1);
    assert_eq!(fixture.next(0), 0);
    assert!(matches!(fixture.dispatcher.submit(heavy(BATCH_BYTES)), Wake::Driver(_)));
}

#[test]
fn batches_and_results_are_counted_past_every_edge() {
    let mut fixture = Fixture::new(1);
    fixture.dispatcher.lanes[0].begin_at(u32::MAX - 3, u64::from(u32::MAX) - 3);
    for n in 0..8_u32 {
        let number = (u32::MAX - 3).wrapping_add(n);
        fixture.submit(u64::from(n)..u64::from(n) + 1);
        let shipped = if n == 0 { fixture.next(0) } else { fixture.dispatcher.lanes[0].in_flight() };
        assert_eq!(shipped, 1, "{number}");
        let task = fixture.run(0, number);
        assert_eq!(task.id(), fixture.id(n as usize));
        fixture.segments[0].pass(number.wrapping_add(1));
        fixture.dispatcher.lanes[0].check_claims().expect("all is well");
        assert!(!fixture.dispatcher.lanes[0].should_progress());
        assert_eq!(fixture.next(0), 0);
    }
    assert_eq!(fixture.dispatcher.lanes[0].results(), u64::from(u32::MAX) + 5);
}

#[test]
fn two_batches_on_both_sides_of_the_edge_are_taken_back_in_order() {
    let mut fixture = Fixture::new(1);
    fixture.dispatcher.lanes[0].begin_at(u32::MAX, 0);
    fixture.submit(0..8);
    let (first, second) = (fixture.next(0), fixture.next(0));
    assert!(first > 0 && second > 0 && fixture.next(0) == 0, "two slots");
    fixture.begin(0, u32::MAX);
    fixture.dispatcher.recall(0, &mut Vec::new());
    assert_eq!(fixture.queue(), (1..8).collect::<Vec<_>>());
    fixture.dispatcher.collect(0, at_position(u32::MAX, 0)).expect("it has begun");
    fixture.segments[0].pass(1);
    assert_eq!(fixture.dispatcher.lanes[0].in_flight(), 0);
    assert!(fixture.next(0) > 0, "the batch after these has a slot");
}

#[test]
fn what_there_may_be_takes_no_room_and_no_time() {
    let mut dispatcher = Dispatcher::new(usize::MAX, Policy::default());
    assert_eq!(dispatcher.lanes.capacity(), 0);
    let wakes: Vec<_> = (0..3).map(|n| dispatcher.submit(task(n).0)).collect();
    assert!(matches!(wakes[..], [Wake::Start(0), Wake::Start(1), Wake::Start(2)]));
    // A place that has come free is used before a new one.
    dispatcher.vacate(1);
    assert!(matches!(dispatcher.submit(task(3).0), Wake::Start(1)));
    assert_eq!((dispatcher.lanes.len(), dispatcher.has_no_drivers()), (3, false));
    assert!(dispatcher.claim_start(1) && !dispatcher.claim_start(1), "it is started once");
}

/// Who was woken for the task behind the running one finds the new one first.
#[test]
fn a_worker_that_comes_back_does_not_suffice_for_two() {
    let mut fixture = Fixture::new(3);
    fixture.dispatcher.set_status(2, Status::Vacant);
    fixture.submit(0..2);
    assert_eq!((fixture.next(0), fixture.begin(0, 0), fixture.next(0)), (1, 0, 1));
    let wake = fixture.submit(2..3);
    assert!(matches!(wake[..], [Wake::Start(2)]));
    assert_eq!(fixture.next(1), 1);
    assert_eq!(fixture.dispatcher.lanes[0].stealable(), 1);
}

/// A thread that waits for its task takes the reply, and decides for the driver that sleeps.
#[test]
fn a_direct_wait_takes_its_own_reply_and_nothing_else() {
    let mut fixture = Fixture::new(2);
    assert_eq!((fixture.next(0), fixture.next(1)), (0, 0));
    fixture.submit(0..1);
    let route = fixture.dispatcher.direct_route(fixture.id(0));
    let DirectRoute { lane, segment, .. } = route.expect("shipped at once, to the last that fell asleep");
    assert_eq!(lane, 1);
    let mut reply = Vec::new();
    assert!(
        fixture.dispatcher.take_direct(1, &segment, fixture.id(0), &mut reply).is_none(),
        "nothing is there"
    );
    fixture.begin(1, 0);
    segment.pass(1);
    assert!(segment.ring.put(0, 0, b"reply"));
    let stale = Arc::new(Segment::create().expect("a segment").0);
    assert!(stale.ring.put(0, 0, b"of the worker before"));
    assert!(fixture.dispatcher.take_direct(1, &stale, fixture.id(0), &mut reply).is_none());
    let DirectReply { task, driver_sleeps, .. } =
        fixture.dispatcher.take_direct(1, &segment, fixture.id(0), &mut reply).expect("it is there");
    assert_eq!((task.id(), driver_sleeps, &reply[..]), (fixture.id(0), true, &b"reply"[..]));
    assert_eq!(fixture.dispatcher.idle, [0, 1]);

    // The next one's reply comes while another task waits: the driver is to see to it.
    fixture.submit(1..2);
    fixture.begin(1, 1);
    segment.pass(2);
    assert!(segment.ring.put(1, 0, b"second"));
    while fixture.dispatcher.pop_idle().is_some() {}
    fixture.submit(2..3);
    let taken = fixture.dispatcher.take_direct(1, &segment, fixture.id(1), &mut reply).expect("it is there");
    assert!(!taken.driver_sleeps && fixture.dispatcher.idle.is_empty());
}

#[test]
fn no_direct_wait_where_more_is_in_flight() {
    let mut fixture = Fixture::new(1);
    fixture.submit(0..3);
    assert_eq!((fixture.next(0), fixture.next(0)), (1, 1));
    assert!(fixture.dispatcher.direct_route(fixture.id(0)).is_none());
    let segment = fixture.segments[0].clone();
    fixture.begin(0, 0);
    assert!(segment.ring.put(0, 0, b"first"));
    let mut reply = Vec::new();
    assert!(fixture.dispatcher.take_direct(0, &segment, fixture.id(1), &mut reply).is_none(), "another's");
    assert_eq!(segment.ring.next().expect("sane").map(|next| next.index), Some(0));
}

#[test]
fn a_worker_that_may_take_no_more_is_given_nothing() {
    let policy = Policy { max_tasks_per_child: Some(1), ..Policy::default() };
    let mut fixture = Fixture::with(1, policy);
    assert_eq!(fixture.next(0), 0);
    assert!(matches!(fixture.submit(0..1)[0], Wake::Flush(..)));
    fixture.run(0, 0);
    fixture.segments[0].pass(1);
    // It is on the list no more; but were it there, it would not do.
    fixture.dispatcher.enter_idle(0);
    assert!(matches!(fixture.submit(0..1)[0], Wake::None));
    assert_eq!(fixture.queue(), [1]);
}

#[test]
fn a_worker_is_started_when_none_is_idle() {
    let mut dispatcher = Dispatcher::new(2, Policy::default());
    let wakes: Vec<_> = (0..3).map(|n| dispatcher.submit(task(n).0)).collect();
    assert!(matches!(wakes[..], [Wake::Start(0), Wake::Start(1), Wake::None]));
    assert_eq!(dispatcher.lanes[0].status(), Status::Starting);
}

#[test]
fn a_worker_that_died_idle_is_not_taken_for_idle() {
    let mut fixture = Fixture::new(2);
    assert_eq!((fixture.next(0), fixture.next(1)), (0, 0));
    // Lane 1 fell asleep last. Its worker dies, and no other can be had at the moment.
    fixture.dispatcher.reap(1, true);
    assert!(!fixture.dispatcher.stays(1));
    fixture.dispatcher.no_start_before = Some(Instant::now() + Duration::from_secs(60));
    let wake = fixture.dispatcher.submit(heavy(BATCH_BYTES));
    assert!(wakes(&wake, &fixture.dispatcher, 0), "the task would wait for ever beside an idle worker");
}

#[test]
fn a_start_is_not_tried_at_once_after_one_that_failed() {
    let mut fixture = Fixture::new(2);
    fixture.dispatcher.set_status(1, Status::Starting);
    assert!(!fixture.dispatcher.note_failed_start(1));
    assert!(!fixture.dispatcher.stays(1), "another worker is up");
    assert!(matches!(fixture.submit(0..1)[0], Wake::None));
    assert_eq!(fixture.next(0), 1);
    // Where there is no other, it must be tried.
    let mut dispatcher = Dispatcher::new(1, Policy::default());
    assert!(matches!(dispatcher.submit(task(0).0), Wake::Start(0)));
    assert!(!dispatcher.note_failed_start(0) && dispatcher.stays(0));
    assert!(!dispatcher.note_failed_start(0) && dispatcher.stays(0));
    assert!(dispatcher.note_failed_start(0), "three in a row are enough");
}

#[test]
fn failures_in_a_row_are_forgotten_by_a_result() {
    let mut fixture = Fixture::new(1);
    fixture.dispatcher.lanes[0].fail_starts(2);
    fixture.submit(0..1);
    fixture.next(0);
    fixture.run(0, 0);
    assert!(!fixture.dispatcher.note_failed_start(0));
}
