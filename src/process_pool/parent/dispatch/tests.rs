//! Dispatch against fake workers: segments of this process's own, that the tests begin tasks on.

mod addressed;
mod death;
mod leave;
mod recall;
mod resize;
mod ship;
mod spares;
mod steal;
mod wake;

use super::{Action, Dispatcher, Policy, Wake};
use crate::State;
use crate::executor::Task;
use crate::future::{Future, TaskOptions};
use crate::process_pool::parent::lane::Position;
use crate::process_pool::parent::outbound::Outbound;
use crate::process_pool::parent::task::EncodedTask;
use crate::process_pool::sys::{Event, Segment, Socket};
use crate::process_pool::wire::batch;
use crate::process_pool::wire::frames::{Handle, Piece};
use crate::process_pool::wire::message::{HEAD, Head};
use std::sync::Arc;

/// A dispatcher and, at each of its lanes, a worker that does what the test says.
struct Fixture {
    dispatcher: Dispatcher,
    segments: Vec<Arc<Segment>>,
    /// The workers' ends of their sockets: what is sent there nobody reads.
    ends: Vec<Handle>,
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

impl Fixture {
    /// All workers are up and look for work.
    fn new(workers: usize) -> Self {
        Self::with(workers, Policy::default())
    }

    fn with(workers: usize, policy: Policy) -> Self {
        let mut fixture = Fixture {
            dispatcher: Dispatcher::new(workers, policy),
            segments: Vec::new(),
            ends: Vec::new(),
            garbage: Vec::new(),
            futures: Vec::new(),
        };
        for at in 0..workers {
            assert_eq!(fixture.dispatcher.add_lane(), at);
            fixture.segments.push(Arc::new(Segment::create().expect("a segment").0));
            fixture.dispatcher.set_event(at, Arc::new(Event::new().expect("an event")));
            fixture.come_up(at);
        }
        fixture
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
    batch::frame(number, tasks.iter().map(EncodedTask::shipped))
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
