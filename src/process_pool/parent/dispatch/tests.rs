//! Dispatch against fake workers: segments of this process's own, that the tests begin tasks on.

use super::workers::Reaped;
use super::{Action, DirectReply, DirectRoute, Dispatcher, Policy, PoolState, Wake};
use crate::State;
use crate::error::Broken;
use crate::executor::Task;
use crate::future::{Future, TaskOptions};
use crate::process_pool::parent::lane::{KillReason, Position, Status, TaskKill};
use crate::process_pool::parent::outbound::Outbound;
use crate::process_pool::parent::task::EncodedTask;
use crate::process_pool::sys::{Event, Segment, Signal, Socket};
use crate::process_pool::wire::batch::{self, BATCH_BYTES};
use crate::process_pool::wire::frames::Piece;
use crate::process_pool::wire::message::{HEAD, Head, Message};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A dispatcher and, at each of its lanes, a worker that does what the test says.
struct Office {
    dispatcher: Dispatcher,
    segments: Vec<Arc<Segment>>,
    /// The workers' ends of their sockets: what is sent there nobody reads.
    ends: Vec<OwnedFd>,
    garbage: Vec<EncodedTask>,
    /// Keeps the tasks from being unwanted.
    futures: Vec<Future<u64>>,
}

fn task(n: u64) -> (EncodedTask, Future<u64>) {
    task_with(n, TaskOptions::new())
}

fn task_with(n: u64, options: TaskOptions) -> (EncodedTask, Future<u64>) {
    let (task, future) = Task::new(|n: u64| n, n);
    let entry = task.with_options(options).into_entry();
    assert!(entry.header().word.mark_entered());
    (EncodedTask::new(entry, None).map_err(|(_, error)| error).expect("can be encoded"), future)
}

/// A task whose argument takes so many bytes.
fn heavy(bytes: usize) -> EncodedTask {
    let (task, future) = Task::new(|bytes: String| bytes.len() as u64, "x".repeat(bytes));
    future.detach();
    EncodedTask::new(task.into_entry(), None).map_err(|(_, error)| error).expect("can be encoded")
}

impl Office {
    /// All workers are up and look for work.
    fn new(workers: usize) -> Self {
        Self::with(workers, Policy::default())
    }

    fn with(workers: usize, policy: Policy) -> Self {
        let mut office = Office {
            dispatcher: Dispatcher::new(workers, policy),
            segments: Vec::new(),
            ends: Vec::new(),
            garbage: Vec::new(),
            futures: Vec::new(),
        };
        for at in 0..workers {
            assert_eq!(office.dispatcher.add_lane(), at);
            office.segments.push(Arc::new(Segment::create().expect("a segment").0));
            office.dispatcher.set_event(at, Arc::new(Event::new().expect("an event")));
            office.come_up(at);
        }
        office
    }

    /// A worker takes its place at this lane.
    fn come_up(&mut self, at: usize) {
        let segment = Arc::new(Segment::create().expect("a segment").0);
        self.segments[at] = segment.clone();
        let (ours, theirs) = Socket::pair().expect("a socket");
        self.ends.push(theirs);
        self.dispatcher.attach(at, segment, Arc::new(Outbound::new(ours)));
    }

    fn submit(&mut self, tasks: std::ops::Range<u64>) -> Vec<Wake> {
        tasks
            .map(|n| {
                let (task, future) = task(n);
                self.futures.push(future);
                self.dispatcher.submit(task)
            })
            .collect()
    }

    /// The driver's next step; how many tasks it sends, if it sends.
    fn next(&mut self, at: usize) -> usize {
        let before = self.dispatcher.lanes[at].in_flight();
        match self.dispatcher.next_action(at, true, &mut self.garbage) {
            Action::Send => self.dispatcher.lanes[at].in_flight() - before,
            Action::Sleep(_) => 0,
            Action::HandleKills => panic!("nobody is to be killed"),
            Action::Close(_) => panic!("nobody is to leave"),
            Action::WatchProgress => 0,
            Action::Kill(_) => panic!("nobody has gone mad"),
            Action::RetryStart(_) => panic!("no start has failed"),
        }
    }

    /// The worker begins one task of a batch.
    fn begin(&self, at: usize, number: u32) -> u32 {
        self.segments[at].claim(number).begin().expect("there is one")
    }

    /// The worker begins one task and its reply arrives.
    fn run(&mut self, at: usize, number: u32) -> EncodedTask {
        let index = self.begin(at, number);
        self.dispatcher.collect(at, at_position(number, index)).expect("it has begun")
    }

    /// What waits in the queue, by submission.
    fn queue(&self) -> Vec<usize> {
        let number = |task: &EncodedTask| self.futures.iter().position(|future| future.id() == task.id());
        self.dispatcher.queue.iter().map(|task| number(task).expect("ours")).collect()
    }

    fn state(&self, n: usize) -> State {
        // There is no pool behind these futures: the state is that of the task's own word.
        self.futures[n].state()
    }

    fn id(&self, n: usize) -> crate::FutureId {
        self.futures[n].id()
    }
}

fn frame(number: u32, tasks: &[EncodedTask]) -> Vec<Piece> {
    batch::frame(number, tasks.iter().map(EncodedTask::bytes))
}

fn head(pieces: &[Piece]) -> Head {
    let Some(Piece::Owned(first)) = pieces.first() else { panic!("a frame begins with its head") };
    Head::from_bytes(&first[..HEAD]).expect("a head")
}

fn at_position(batch: u32, index: u32) -> Position {
    Position { batch, index }
}

/// Whether this wakes the driver of a lane.
fn wakes(wake: &Wake, dispatcher: &Dispatcher, at: usize) -> bool {
    matches!((wake, dispatcher.lanes[at].event()), (Wake::Driver(woken), Some(event)) if Arc::ptr_eq(woken, event))
}

// ---- ship -------------------------------------------------------------------------------------------

#[test]
fn a_batch_is_so_small_that_every_worker_has_two() {
    let mut office = Office::new(2);
    office.submit(0..100);
    // 100 / (2 * 2), then a quarter of what is left, and so on.
    assert_eq!((office.next(0), office.next(1)), (25, 18));
    assert_eq!((office.next(0), office.next(1)), (14, 10));
    // Both slots are in use: no more, whatever is queued.
    assert_eq!((office.next(0), office.next(1)), (0, 0));
    assert_eq!(office.dispatcher.queued(), 100 - 25 - 18 - 14 - 10);
    assert_eq!(office.state(0), State::Dispatched);
    assert_eq!(office.state(99), State::Queued);
}

#[test]
fn few_tasks_go_one_by_one() {
    let mut office = Office::new(4);
    office.submit(0..6);
    assert_eq!([0, 1, 2, 3, 0, 1].map(|at| office.next(at)), [1; 6]);
}

#[test]
fn a_batch_is_no_larger_than_a_copy_may_be() {
    let mut office = Office::new(1);
    for _ in 0..20 {
        office.dispatcher.submit(heavy(BATCH_BYTES / 4));
    }
    // Ten by number; by memory three.
    assert_eq!(office.next(0), 3);
    // One that is too large goes all the same, alone.
    let mut office = Office::new(1);
    (0..20).for_each(|_| _ = office.dispatcher.submit(heavy(3 * BATCH_BYTES)));
    assert_eq!(office.next(0), 1);
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
    let mut office = Office::new(1);
    office.submit(0..4);
    for n in [0, 2] {
        assert!(office.futures[n].cancel());
        assert!(office.dispatcher.note_cancelled().is_empty());
    }
    assert_eq!(office.dispatcher.queued(), 2);
    assert_eq!((office.next(0), office.next(0)), (1, 1));
    assert_eq!((office.garbage.len(), office.dispatcher.queued()), (2, 0));
    assert_eq!(office.dispatcher.totals.cancelled, 2);
}

#[test]
fn dead_entries_are_swept_when_they_are_half() {
    let mut office = Office::new(1);
    office.submit(0..200);
    let mut swept = 0;
    for n in 0..100 {
        office.futures[n].cancel();
        swept += office.dispatcher.note_cancelled().len();
    }
    assert_eq!((swept, office.dispatcher.queue.len(), office.dispatcher.queued()), (100, 100, 100));
}

#[test]
fn nothing_is_sent_while_the_last_bytes_are_on_their_way() {
    let mut office = Office::new(1);
    office.submit(0..2);
    assert!(matches!(office.dispatcher.next_action(0, false, &mut office.garbage), Action::Sleep(None)));
    assert_eq!(office.next(0), 1);
}

#[test]
fn a_slot_is_free_when_both_sides_are_through_with_it() {
    let mut office = Office::new(1);
    office.submit(0..3);
    assert_eq!((office.next(0), office.next(0)), (1, 1));
    office.run(0, 0);
    // Its reply is here, but the worker has not yet said that it is through with the frame.
    assert_eq!(office.next(0), 0);
    office.segments[0].pass(1);
    assert_eq!(office.next(0), 1);
    // The other way round: the worker is through, but a reply is still on its way.
    office.begin(0, 1);
    office.segments[0].pass(2);
    assert_eq!(office.next(0), 0);
}

// ---- who is woken -------------------------------------------------------------------------------------

#[test]
fn the_last_to_fall_asleep_gets_a_task_first_and_without_its_driver() {
    let mut office = Office::new(2);
    assert_eq!((office.next(0), office.next(1)), (0, 0));
    let wakes = office.submit(0..3);
    assert!(matches!(wakes[..], [Wake::Flush(..), Wake::Flush(..), Wake::None]), "all lanes are taken");
    assert!(office.dispatcher.lanes[1].find(office.id(0)).is_some());
    assert!(office.dispatcher.lanes[0].find(office.id(1)).is_some());
    assert_eq!((office.queue(), office.state(0)), (vec![2], State::Dispatched));
    // It need not be sent yet for the worker to be allowed to begin it.
    assert_eq!(office.begin(1, 0), 0);
}

#[test]
fn a_large_task_goes_by_the_driver() {
    let mut office = Office::new(2);
    assert_eq!((office.next(0), office.next(1)), (0, 0));
    let wake = office.dispatcher.submit(heavy(BATCH_BYTES));
    assert!(wakes(&wake, &office.dispatcher, 1));
    assert_eq!(office.dispatcher.queue.len(), 1);
    // What is queued goes first: the next one doesn't overtake it.
    assert!(wakes(&office.submit(0..1)[0], &office.dispatcher, 0));
}

#[test]
fn a_task_that_was_cancelled_on_its_way_is_sent_to_nobody() {
    let mut office = Office::new(1);
    assert_eq!(office.next(0), 0);
    let (task, future) = task(0);
    assert!(future.cancel());
    office.dispatcher.submit(task);
    assert_eq!(office.dispatcher.lanes[0].in_flight(), 0);
    assert!(office.dispatcher.note_cancelled().is_empty());
    assert_eq!((office.next(0), office.garbage.len(), office.dispatcher.queued()), (0, 1, 0));
    assert!(matches!(office.submit(0..1)[0], Wake::Flush(..)), "it is idle as before");
}

#[test]
fn a_worker_that_has_nothing_to_do_is_given_a_task_at_once() {
    let mut office = Office::new(2);
    assert_eq!((office.next(0), office.next(1)), (0, 0));
    let wakes = office.submit(0..3);
    assert!(matches!(wakes[..], [Wake::Flush(..), Wake::Flush(..), Wake::None]));
    assert_eq!([0, 1].map(|at| office.dispatcher.lanes[at].in_flight()), [1, 1]);
    assert_eq!((office.state(0), office.queue()), (State::Dispatched, vec![2]));
}

#[test]
fn a_task_overtakes_nobody_and_a_large_one_is_the_drivers() {
    let mut office = Office::new(1);
    assert_eq!(office.next(0), 0);
    // Idle, but with something queued already, as after a recall.
    office.dispatcher.queue.push_back(task(9).0);
    assert!(matches!(office.submit(0..1)[0], Wake::Driver(_)));
    let mut office = Office::new(1);
    assert_eq!(office.next(0), 0);
    assert!(matches!(office.dispatcher.submit(heavy(BATCH_BYTES)), Wake::Driver(_)));
}

#[test]
fn batches_and_results_are_counted_past_every_edge() {
    let mut office = Office::new(1);
    office.dispatcher.lanes[0].begin_at(u32::MAX - 3, u64::from(u32::MAX) - 3);
    for n in 0..8_u32 {
        let number = (u32::MAX - 3).wrapping_add(n);
        office.submit(u64::from(n)..u64::from(n) + 1);
        let shipped = if n == 0 { office.next(0) } else { office.dispatcher.lanes[0].in_flight() };
        assert_eq!(shipped, 1, "{number}");
        let task = office.run(0, number);
        assert_eq!(task.id(), office.id(n as usize));
        office.segments[0].pass(number.wrapping_add(1));
        office.dispatcher.lanes[0].check_claims().expect("all is well");
        assert!(!office.dispatcher.lanes[0].should_progress());
        assert_eq!(office.next(0), 0);
    }
    assert_eq!(office.dispatcher.lanes[0].results(), u64::from(u32::MAX) + 5);
}

#[test]
fn two_batches_on_both_sides_of_the_edge_are_taken_back_in_order() {
    let mut office = Office::new(1);
    office.dispatcher.lanes[0].begin_at(u32::MAX, 0);
    office.submit(0..8);
    let (first, second) = (office.next(0), office.next(0));
    assert!(first > 0 && second > 0 && office.next(0) == 0, "two slots");
    office.begin(0, u32::MAX);
    office.dispatcher.recall(0, &mut Vec::new());
    assert_eq!(office.queue(), (1..8).collect::<Vec<_>>());
    office.dispatcher.collect(0, at_position(u32::MAX, 0)).expect("it has begun");
    office.segments[0].pass(1);
    assert_eq!(office.dispatcher.lanes[0].in_flight(), 0);
    assert!(office.next(0) > 0, "the batch after these has a slot");
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
    let mut office = Office::new(3);
    office.dispatcher.set_status(2, Status::Vacant);
    office.submit(0..2);
    assert_eq!((office.next(0), office.begin(0, 0), office.next(0)), (1, 0, 1));
    let wake = office.submit(2..3);
    assert!(matches!(wake[..], [Wake::Start(2)]));
    assert_eq!(office.next(1), 1);
    assert_eq!(office.dispatcher.lanes[0].stealable(), 1);
}

/// A thread that waits for its task takes the reply, and decides for the driver that sleeps.
#[test]
fn a_direct_wait_takes_its_own_reply_and_nothing_else() {
    let mut office = Office::new(2);
    assert_eq!((office.next(0), office.next(1)), (0, 0));
    office.submit(0..1);
    let route = office.dispatcher.direct_route(office.id(0));
    let DirectRoute { lane, segment, .. } = route.expect("shipped at once, to the last that fell asleep");
    assert_eq!(lane, 1);
    let mut reply = Vec::new();
    assert!(
        office.dispatcher.take_direct(1, &segment, office.id(0), &mut reply).is_none(),
        "nothing is there"
    );
    office.begin(1, 0);
    segment.pass(1);
    assert!(segment.ring.put(0, 0, b"reply"));
    let stale = Arc::new(Segment::create().expect("a segment").0);
    assert!(stale.ring.put(0, 0, b"of the worker before"));
    assert!(office.dispatcher.take_direct(1, &stale, office.id(0), &mut reply).is_none());
    let DirectReply { task, driver_sleeps, .. } =
        office.dispatcher.take_direct(1, &segment, office.id(0), &mut reply).expect("it is there");
    assert_eq!((task.id(), driver_sleeps, &reply[..]), (office.id(0), true, &b"reply"[..]));
    assert_eq!(office.dispatcher.idle, [0, 1]);

    // The next one's reply comes while another task waits: the driver is to see to it.
    office.submit(1..2);
    office.begin(1, 1);
    segment.pass(2);
    assert!(segment.ring.put(1, 0, b"second"));
    while office.dispatcher.pop_idle().is_some() {}
    office.submit(2..3);
    let taken = office.dispatcher.take_direct(1, &segment, office.id(1), &mut reply).expect("it is there");
    assert!(!taken.driver_sleeps && office.dispatcher.idle.is_empty());
}

#[test]
fn no_direct_wait_where_more_is_in_flight() {
    let mut office = Office::new(1);
    office.submit(0..3);
    assert_eq!((office.next(0), office.next(0)), (1, 1));
    assert!(office.dispatcher.direct_route(office.id(0)).is_none());
    let segment = office.segments[0].clone();
    office.begin(0, 0);
    assert!(segment.ring.put(0, 0, b"first"));
    let mut reply = Vec::new();
    assert!(office.dispatcher.take_direct(0, &segment, office.id(1), &mut reply).is_none(), "another's");
    assert_eq!(segment.ring.next().expect("sane").map(|next| next.index), Some(0));
}

#[test]
fn a_worker_that_may_take_no_more_is_given_nothing() {
    let policy = Policy { max_tasks_per_child: Some(1), ..Policy::default() };
    let mut office = Office::with(1, policy);
    assert_eq!(office.next(0), 0);
    assert!(matches!(office.submit(0..1)[0], Wake::Flush(..)));
    office.run(0, 0);
    office.segments[0].pass(1);
    // It is on the list no more; but were it there, it would not do.
    office.dispatcher.enter_idle(0);
    assert!(matches!(office.submit(0..1)[0], Wake::None));
    assert_eq!(office.queue(), [1]);
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
    let mut office = Office::new(2);
    assert_eq!((office.next(0), office.next(1)), (0, 0));
    // Lane 1 fell asleep last. Its worker dies, and no other can be had at the moment.
    office.dispatcher.reap(1, true);
    assert!(!office.dispatcher.stays(1));
    office.dispatcher.no_start_before = Some(Instant::now() + Duration::from_secs(60));
    let wake = office.dispatcher.submit(heavy(BATCH_BYTES));
    assert!(wakes(&wake, &office.dispatcher, 0), "the task would wait for ever beside an idle worker");
}

#[test]
fn a_start_is_not_tried_at_once_after_one_that_failed() {
    let mut office = Office::new(2);
    office.dispatcher.set_status(1, Status::Starting);
    assert!(!office.dispatcher.note_failed_start(1));
    assert!(!office.dispatcher.stays(1), "another worker is up");
    assert!(matches!(office.submit(0..1)[0], Wake::None));
    assert_eq!(office.next(0), 1);
    // Where there is no other, it must be tried.
    let mut dispatcher = Dispatcher::new(1, Policy::default());
    assert!(matches!(dispatcher.submit(task(0).0), Wake::Start(0)));
    assert!(!dispatcher.note_failed_start(0) && dispatcher.stays(0));
    assert!(!dispatcher.note_failed_start(0) && dispatcher.stays(0));
    assert!(dispatcher.note_failed_start(0), "three in a row are enough");
}

#[test]
fn failures_in_a_row_are_forgotten_by_a_result() {
    let mut office = Office::new(1);
    office.dispatcher.lanes[0].fail_starts(2);
    office.submit(0..1);
    office.next(0);
    office.run(0, 0);
    assert!(!office.dispatcher.note_failed_start(0));
}

// ---- steal --------------------------------------------------------------------------------------------

#[test]
fn half_of_what_waits_behind_a_task_is_taken_over() {
    let mut office = Office::new(2);
    office.submit(0..40);
    assert_eq!((office.next(0), office.next(0)), (10, 7));
    office.begin(0, 0);
    // The thief comes when the queue is empty.
    let left: Vec<_> = office.dispatcher.queue.drain(..).collect();
    // The newest batch, whole in the queue's order: 7 wait in it.
    assert_eq!(office.next(1), 4);
    let places: Vec<_> = (13..17).map(|n| office.dispatcher.lanes[1].find(office.id(n))).collect();
    assert_eq!(places, (0..4).map(|index| Some(at_position(0, index))).collect::<Vec<_>>());
    assert_eq!(office.state(13), State::Dispatched);
    drop(left);
}

#[test]
fn the_only_task_of_a_worker_that_runs_nothing_is_not_stolen() {
    let mut office = Office::new(2);
    office.submit(0..1);
    assert_eq!(office.next(0), 1);
    assert_eq!(office.next(1), 0, "it will begin in this moment");
    office.begin(0, 0);
    assert_eq!(office.next(1), 0, "it has begun");
}

#[test]
fn the_one_task_behind_a_running_one_is_stolen() {
    let mut office = Office::new(2);
    office.submit(0..2);
    assert_eq!((office.next(0), office.next(0)), (1, 1));
    office.begin(0, 0);
    assert_eq!(office.next(1), 1);
    assert_eq!(office.begin(1, 0), 0);
    assert_eq!(office.segments[0].claim(1).begin(), None, "never by both");
    let task = office.dispatcher.collect(1, at_position(0, 0)).expect("it runs there");
    assert_eq!(task.id(), office.id(1));
}

#[test]
fn a_segment_that_was_wiped_has_nothing_run_twice() {
    let mut office = Office::new(1);
    office.submit(0..8);
    office.next(0);
    office.begin(0, 0);
    office.segments[0].claim(0).open(0);
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::Kill(_)));
    office.dispatcher.recall(0, &mut Vec::new());
    assert_eq!(office.queue(), [4, 5, 6, 7], "what may have begun is not given to another");
    assert_eq!(office.dispatcher.reap(0, true).lost.len(), 4);
    // A count of passed frames that runs ahead: no room would ever be seen again.
    office.come_up(0);
    office.segments[0].pass(1000);
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::Kill(_)));
}

/// The fullest lane has nothing to spare, and another has: neither may keep the thief from working.
#[test]
fn a_thief_goes_where_there_is_something_to_spare() {
    for lone in [0, 1] {
        let mut office = Office::new(3);
        let busy = 1 - lone;
        office.submit(0..3);
        assert_eq!((office.next(busy), office.next(busy), office.next(lone)), (1, 1, 1));
        office.begin(busy, 0);
        assert_eq!(office.next(2), 1);
    }
}

#[test]
fn what_a_mad_worker_writes_harms_only_itself() {
    // A limit, and numbers of begun tasks, that no parent ever set.
    for word in [0, 1, u64::from(u32::MAX), u64::MAX << 32, u64::MAX, (u64::from(u32::MAX) << 32) | 2] {
        let mut office = Office::new(2);
        office.submit(0..40);
        office.next(0);
        office.next(0);
        let rest: Vec<_> = office.dispatcher.queue.drain(..).collect();
        for number in [0, 1] {
            office.segments[0].claim(number).scribble(word);
        }
        office.next(1);
        office.dispatcher.has_begun(office.id(0));
        office.dispatcher.limited(0);
        let _ = office.dispatcher.collect(0, at_position(0, 5));
        let Reaped { lost, .. } = office.dispatcher.reap(0, true);
        // None is lost: at the thief, in the queue, or lost.
        let stolen = office.dispatcher.lanes[1].in_flight();
        assert_eq!(lost.len() + stolen + office.dispatcher.queue.len(), 17, "{word:x}");
        drop(rest);
    }
}

// ---- replies ------------------------------------------------------------------------------------------

#[test]
fn only_a_task_that_has_begun_can_be_answered_and_once() {
    let mut office = Office::new(1);
    assert!(office.dispatcher.collect(0, at_position(0, 0)).is_err(), "before any batch");
    office.submit(0..8);
    assert_eq!(office.next(0), 4);
    office.begin(0, 0);
    for (number, index) in [(0, 1), (1, 0), (2, 0), (u32::MAX, 0), (0, u32::MAX)] {
        assert!(office.dispatcher.collect(0, at_position(number, index)).is_err(), "{number} {index}");
    }
    let task = office.dispatcher.collect(0, at_position(0, 0)).expect("it has begun");
    assert_eq!(task.id(), office.id(0));
    assert!(office.dispatcher.collect(0, at_position(0, 0)).is_err(), "a second time");
    assert_eq!(office.dispatcher.lanes[0].results(), 1);
}

#[test]
fn an_invalid_value_in_the_segment_is_an_error() {
    let mut office = Office::new(1);
    office.submit(0..2);
    office.next(0);
    office.segments[0].claim(0).scribble(u64::from(u32::MAX));
    assert!(office.dispatcher.collect(0, at_position(0, 0)).is_err());
}

// ---- recall, cancel, kill --------------------------------------------------------------------------------

#[test]
fn what_is_recalled_goes_to_the_front_in_order() {
    let mut office = Office::new(1);
    office.submit(0..20);
    assert_eq!((office.next(0), office.next(0)), (10, 5));
    office.begin(0, 0);
    office.begin(0, 0);
    let mut cancelled = Vec::new();
    office.dispatcher.recall(0, &mut cancelled);
    assert!(cancelled.is_empty());
    assert_eq!(office.queue(), (2..20).collect::<Vec<_>>());
    assert_eq!((office.state(1), office.state(2)), (State::Dispatched, State::Queued));
    assert_eq!(office.segments[0].claim(0).begin(), None, "it certainly never begins");
}

#[test]
fn one_is_taken_back_and_those_behind_it_go_to_the_queue() {
    let mut office = Office::new(1);
    office.submit(0..8);
    assert_eq!(office.next(0), 4);
    office.begin(0, 0);
    let (task, wake) = office.dispatcher.take_back(office.id(2));
    assert_eq!(task.map(|task| task.id()), Some(office.id(2)));
    assert_eq!(office.queue(), [3, 4, 5, 6, 7]);
    assert!(wakes(wake.last().expect("the driver looks again"), &office.dispatcher, 0));
    assert_eq!(office.dispatcher.totals.cancelled, 1);
    // One that runs stays; what lay behind it comes back with the attempt, and nothing is lost.
    let (task, _) = office.dispatcher.take_back(office.id(0));
    assert!(task.is_none());
    assert_eq!(office.queue(), [1, 3, 4, 5, 6, 7]);
    assert_eq!(office.dispatcher.lanes[0].in_flight(), 1);
    let (task, wake) = office.dispatcher.take_back(office.id(7));
    assert!(task.is_none() && wake.is_empty(), "it is at no lane");
}

#[test]
fn only_what_runs_is_killed() {
    let mut office = Office::new(1);
    office.submit(0..8);
    office.next(0);
    assert!(office.dispatcher.request_kill(office.id(0), TaskKill::Requested).is_none(), "it has not begun");
    office.begin(0, 0);
    assert!(!office.dispatcher.has_begun(office.id(1)) && office.dispatcher.has_begun(office.id(0)));
    let wake = office.dispatcher.request_kill(office.id(0), TaskKill::Requested).expect("it runs");
    assert!(wakes(&wake, &office.dispatcher, 0));
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::HandleKills));
    assert!(office.dispatcher.confirm_kill(0));
    let reason = KillReason::ForTask(office.id(0), TaskKill::Requested);
    assert_eq!(office.dispatcher.lanes[0].kill_reason(), Some(&reason));
    // It gets no more, and those that waited at it run elsewhere.
    assert_eq!(office.next(0), 0);
    let Reaped { lost, .. } = office.dispatcher.reap(0, true);
    let lost: Vec<_> = lost.iter().map(|(task, reason)| (task.id(), *reason)).collect();
    assert_eq!(lost, [(office.id(0), Some(TaskKill::Requested))]);
    assert_eq!(office.queue(), (1..8).collect::<Vec<_>>());
}

#[test]
fn a_task_that_is_done_before_the_check_is_not_killed() {
    let mut office = Office::new(1);
    office.submit(0..4);
    office.next(0);
    office.begin(0, 0);
    office.dispatcher.request_kill(office.id(0), TaskKill::OutOfTime);
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::HandleKills));
    let mut cancelled = Vec::new();
    office.dispatcher.recall(0, &mut cancelled);
    // Its reply was in the socket.
    office.dispatcher.collect(0, at_position(0, 0)).expect("it has begun");
    assert!(!office.dispatcher.confirm_kill(0));
    office.segments[0].pass(1);
    assert!(office.next(0) > 0, "the worker goes on");
}

// ---- death --------------------------------------------------------------------------------------------

#[test]
fn a_death_costs_what_ran_and_nothing_else() {
    let mut office = Office::new(1);
    office.submit(0..20);
    assert_eq!((office.next(0), office.next(0)), (10, 5));
    office.run(0, 0);
    office.begin(0, 0);
    let Reaped { lost, cancelled, wake, .. } = office.dispatcher.reap(0, true);
    assert_eq!(lost.iter().map(|(task, _)| task.id()).collect::<Vec<_>>(), [office.id(1)]);
    assert!(lost[0].1.is_none() && cancelled.is_empty());
    assert_eq!(office.queue(), (2..20).collect::<Vec<_>>());
    assert_eq!(office.dispatcher.totals.deaths, 1);
    // The driver is awake already; nobody else is there.
    assert!(wake.iter().all(|wake| matches!(wake, Wake::None)));
    assert!(office.dispatcher.stays(0));
    assert_eq!(office.dispatcher.lanes[0].failed_starts(), 0);
}

#[test]
fn a_retry_goes_to_the_front_with_its_number() {
    let mut office = Office::new(1);
    let (task, future) = task_with(0, TaskOptions::new().retries(1));
    let id = future.id();
    office.futures.push(future);
    office.dispatcher.submit(task);
    office.submit(1..4);
    office.next(0);
    office.begin(0, 0);
    assert!(office.dispatcher.reap(0, true).lost.is_empty());
    assert_eq!(office.queue(), [0, 1, 2, 3]);
    // Again, and this was its last.
    office.come_up(0);
    office.next(0);
    office.begin(0, 0);
    let lost = office.dispatcher.reap(0, true).lost;
    assert_eq!(lost.iter().map(|(task, _)| task.id()).collect::<Vec<_>>(), [id]);
}

#[test]
fn one_that_was_killed_is_not_tried_again() {
    let mut office = Office::new(1);
    let (task, future) = task_with(0, TaskOptions::new().retries(5));
    office.futures.push(future);
    office.dispatcher.submit(task);
    office.next(0);
    office.begin(0, 0);
    office.dispatcher.request_kill(office.id(0), TaskKill::OutOfTime);
    office.dispatcher.confirm_kill(0);
    assert_eq!(office.dispatcher.reap(0, true).lost.len(), 1);
}

#[test]
fn workers_that_die_before_any_task_break_the_pool_in_the_end() {
    let mut office = Office::new(1);
    for death in 1..=3 {
        office.come_up(0);
        office.submit(0..1);
        office.next(0);
        assert_eq!(office.dispatcher.reap(0, true).too_many_failed_starts, death == 3);
    }
}

/// What they had was taken back before they were seen to be dead: their streams had ended.
#[test]
fn nor_does_it_help_that_their_tasks_were_taken_back_first() {
    let mut office = Office::new(1);
    for death in 1..=3 {
        office.come_up(0);
        office.submit(0..1);
        office.next(0);
        office.dispatcher.recall(0, &mut Vec::new());
        assert_eq!(office.dispatcher.reap(0, true).too_many_failed_starts, death == 3);
    }
}

#[test]
fn a_pool_with_a_worker_is_not_broken_by_the_starts_of_others() {
    let mut office = Office::new(2);
    office.submit(0..4);
    office.next(0);
    office.begin(0, 0);
    for _ in 0..5 {
        office.dispatcher.set_status(1, Status::Starting);
        assert!(!office.dispatcher.note_failed_start(1));
        assert!(!office.dispatcher.stays(1), "it leaves what it holds to the other");
    }
    let reaped = office.dispatcher.reap(0, true);
    assert!(!reaped.too_many_failed_starts && reaped.lost.len() == 1);
    assert!(office.dispatcher.stays(0));
}

#[test]
fn a_start_that_failed_is_tried_again_by_those_who_work() {
    let mut office = Office::new(2);
    office.submit(0..4);
    office.next(0);
    office.begin(0, 0);
    office.dispatcher.set_status(1, Status::Starting);
    office.dispatcher.note_failed_start(1);
    office.dispatcher.stays(1);
    office.next(0);
    let Action::Sleep(Some(until)) = office.dispatcher.next_action(0, true, &mut office.garbage) else {
        panic!("it looks again")
    };
    assert!(until > Instant::now());
    office.dispatcher.no_start_before = Some(Instant::now());
    let step = office.dispatcher.next_action(0, true, &mut office.garbage);
    assert!(matches!(step, Action::RetryStart(Wake::Start(1))));
}

// ---- tasks per child, idle time --------------------------------------------------------------------------

#[test]
fn a_worker_gets_no_more_tasks_than_it_may_have() {
    let policy = Policy { max_tasks_per_child: Some(3), ..Policy::default() };
    let mut office = Office::with(1, policy);
    office.submit(0..40);
    assert_eq!((office.next(0), office.next(0)), (3, 0));
    for _ in 0..3 {
        office.run(0, 0);
    }
    office.segments[0].pass(1);
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::Close(_)));
    assert_eq!(office.dispatcher.lanes[0].status(), Status::Closing);
    let Reaped { lost, .. } = office.dispatcher.reap(0, true);
    assert!(lost.is_empty());
    assert_eq!(office.dispatcher.totals.deaths, 0, "it was told to");
    assert!(office.dispatcher.stays(0));
    assert_eq!(office.queue(), (3..40).collect::<Vec<_>>());
}

#[test]
fn one_that_is_worn_wakes_another_for_what_is_queued() {
    let policy = Policy { max_tasks_per_child: Some(1), ..Policy::default() };
    let mut office = Office::with(2, policy);
    office.submit(0..1);
    assert_eq!((office.next(0), office.next(1)), (1, 0));
    office.run(0, 0);
    // Lane 1 sleeps. The task comes while lane 0 is about to leave.
    office.dispatcher.queue.push_back(task(1).0);
    let Action::Close(wake) = office.dispatcher.next_action(0, true, &mut office.garbage) else {
        panic!("it is is_used_up")
    };
    assert!(wakes(&wake, &office.dispatcher, 1));
}

#[test]
fn an_idle_worker_leaves_after_its_time() {
    let policy = Policy { keep_alive: Some(Duration::from_secs(60)), ..Policy::default() };
    let mut office = Office::with(1, policy);
    let Action::Sleep(Some(until)) = office.dispatcher.next_action(0, true, &mut office.garbage) else {
        panic!("it sleeps")
    };
    assert!(until > Instant::now());
    // The second look doesn't begin to count anew.
    let Action::Sleep(Some(again)) = office.dispatcher.next_action(0, true, &mut office.garbage) else {
        panic!("it sleeps")
    };
    assert_eq!(again, until);
    let past = Instant::now().checked_sub(Duration::from_secs(61)).expect("a past");
    office.dispatcher.lanes[0].rest_from(Some(past));
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::Close(_)));
    assert!(office.dispatcher.idle.is_empty());
}

// ---- the end --------------------------------------------------------------------------------------------

#[test]
fn draining_runs_what_is_queued_and_then_lets_them_leave() {
    let mut office = Office::new(2);
    office.submit(0..2);
    assert_eq!(office.next(1), 1);
    assert_eq!(office.dispatcher.drain().len(), 2, "all_drivers looks");
    assert!(matches!(office.dispatcher.state, PoolState::Draining));
    assert_eq!(office.next(0), 1);
    office.run(0, 0);
    office.segments[0].pass(1);
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::Close(_)));
    office.begin(1, 0);
    assert_eq!(office.next(1), 0, "its task still runs");
    office.dispatcher.collect(1, at_position(0, 0)).expect("it has begun");
    assert!(matches!(office.dispatcher.next_action(1, true, &mut office.garbage), Action::Close(_)));
    for at in [0, 1] {
        office.dispatcher.reap(at, true);
        assert!(!office.dispatcher.stays(at));
    }
    assert!(office.dispatcher.has_no_drivers());
}

#[test]
fn cancelling_takes_all_back_that_has_not_begun() {
    let mut office = Office::new(2);
    office.submit(0..30);
    assert_eq!((office.next(0), office.next(1)), (7, 5));
    office.begin(0, 0);
    let mut cancelled = Vec::new();
    office.dispatcher.cancel_all(&mut cancelled);
    assert_eq!((cancelled.len(), office.dispatcher.queue.len()), (29, 0));
    assert_eq!(office.dispatcher.totals.cancelled, 29);
    assert_eq!(office.segments[1].claim(0).begin(), None);
    assert_eq!(office.next(0), 0, "what runs is not interrupted");
    assert!(matches!(office.dispatcher.next_action(1, true, &mut office.garbage), Action::Close(_)));
    // Breaking goes on top of it; going back to draining does not.
    office.dispatcher.drain();
    assert!(matches!(office.dispatcher.state, PoolState::Cancelling));
    assert!(!office.dispatcher.wants_worker());
}

#[test]
fn a_broken_dispatcher_gives_back_what_has_not_begun() {
    let mut office = Office::new(1);
    office.submit(0..8);
    office.next(0);
    office.begin(0, 0);
    office.futures[7].cancel();
    office.dispatcher.note_cancelled();
    let (lost, _) = office.dispatcher.break_down(Broken::new("first"));
    // Not the one that runs, and not the one that was cancelled.
    assert_eq!(lost.len(), 6);
    assert!(lost.iter().all(|task| task.entry.header().word.load().state() == State::Dispatched));
    office.dispatcher.break_down(Broken::new("second"));
    let PoolState::Broken(why) = &office.dispatcher.state else { panic!("it is broken") };
    assert_eq!(why.reason(), "first");
    // Its worker dies: no retry any more.
    assert_eq!(office.dispatcher.reap(0, true).lost.len(), 1);
}

#[test]
fn an_order_reaches_those_that_are_up() {
    let mut office = Office::new(2);
    office.dispatcher.set_status(1, Status::Starting);
    office.dispatcher.signal_all(Signal::TERM);
    assert!(matches!(office.dispatcher.next_action(0, true, &mut office.garbage), Action::HandleKills));
    assert_eq!(office.dispatcher.lanes[0].take_signal(), Some(Signal::TERM));
    assert_eq!(office.dispatcher.lanes[1].take_signal(), None, "it is given up before it is up");
}
