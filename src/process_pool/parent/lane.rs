//! [`Lane`]: one worker's place in the dispatcher. What was shipped to it, and where its life stands.
//!
//! A lane is only ever changed under the dispatcher's lock. The dispatcher counts some properties of all its lanes
//! ([`is_awake`](Lane::is_awake), [`may_have_stealable`](Lane::may_have_stealable)), so only its methods call those that
//! take `&mut self`.

mod kills;

use super::outbound::Outbound;
use super::results::Results;
use super::task::EncodedTask;
use crate::executor::WarmUp;
use crate::id::FutureId;
use crate::process_pool::shared::Layout;
use crate::process_pool::shared::claim::{Claimed, SLOTS, slot};
use crate::process_pool::sys::{Event, Segment, Signal};
use crate::process_pool::wire::batch;
use crate::process_pool::wire::message::ProtocolError;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Lane {
    status: Status,
    /// It is to have a driver, which has not been started yet.
    awaits_driver: bool,
    /// Who awaits its start.
    warm_ups: Vec<Arc<WarmUp>>,
    /// It is on the list of drivers that sleep and could take a task.
    is_idle: bool,
    /// How to wake the driver; there while it has a thread.
    event: Option<Arc<Event>>,
    pid: Option<u32>,
    segment: Option<Arc<Segment>>,
    /// Where batches are put; there while a worker is up.
    outbound: Option<Arc<Outbound>>,
    /// Where the worker's large results lie, if it has such memory.
    memory_for_results: Option<Arc<Results>>,
    batches: [SentBatch; SLOTS],
    /// Batches sent to this worker, which is the next one's number. It wraps to 0, as the worker's own count of frames
    /// does: of two batches in flight each has the other slot all the same, because 2^32 is even, and only differences of
    /// numbers that are [`SLOTS`] apart at most are ever asked for.
    sent: u32,
    was_given_work: bool,
    /// Starts that failed in a row.
    failed_starts: u32,
    /// Results that came from this worker.
    results: u64,
    /// It is to get no more tasks, and to end when it has done those it has.
    is_retiring: bool,
    /// It has been or is about to be killed, and why.
    kill_reason: Option<KillReason>,
    /// Running tasks to be ended, and why.
    kills: Vec<(FutureId, TaskKill)>,
    /// A signal that the worker is to get, whatever it does.
    pending_signal: Option<Signal>,
    idle_since: Option<Instant>,
    busy_since: Option<Instant>,
    /// Over all the workers of this lane.
    busy: Duration,
    done: u64,
    starts: u64,
}

/// Where a worker's life stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Status {
    /// No worker and no driver.
    #[default]
    Vacant,
    /// A driver, and perhaps a process, which can't take tasks yet.
    Starting,
    Up,
    /// Told to leave; nothing is in flight.
    Closing,
}

/// Why a running task's worker is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskKill {
    /// The future's `kill`.
    Requested,
    /// The task's own time limit.
    OutOfTime,
}

/// Why a worker is killed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KillReason {
    ForTask(FutureId, TaskKill),
    Protocol(ProtocolError),
    /// It has work and does nothing, as if stopped.
    NoProgress,
    /// It closed its end of the stream, as a process that dies does first; its death is awaited.
    StreamClosed,
    /// It crashed by this signal, and the handler that was to tell where didn't end.
    StuckCrash(i32),
    /// It closed its end of the stream and did not exit.
    OutlivedStream,
}

/// Where a shipped task is: its batch, and its index in there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    pub(crate) batch: u32,
    pub(crate) index: u32,
}

const INVALID: ProtocolError = ProtocolError("an invalid value in the shared segment");

/// A batch that was sent.
#[derive(Default)]
struct SentBatch {
    number: u32,
    /// What the segment should say: only the parent sets it.
    limit: u32,
    /// By index; empty once resolved or recalled.
    tasks: Vec<Option<EncodedTask>>,
    /// How many are there.
    open: usize,
}

// ---- a worker comes and goes ----------------------------------------------------------------------------

impl Lane {
    pub(crate) fn set_status(&mut self, status: Status) {
        self.status = status;
    }

    /// It gets a driver, which somebody is to start.
    pub(crate) fn await_driver(&mut self) {
        self.awaits_driver = true;
    }

    /// Whether a driver is still to be started; whoever asks starts it.
    pub(crate) fn claim_start(&mut self) -> bool {
        std::mem::take(&mut self.awaits_driver)
    }

    /// Somebody wants to know when its worker is up.
    pub(crate) fn await_start(&mut self, warm_up: &Arc<WarmUp>) {
        self.warm_ups.push(warm_up.clone());
    }

    /// Who does.
    pub(crate) fn warm_ups(&self) -> &[Arc<WarmUp>] {
        &self.warm_ups
    }

    pub(crate) fn take_warm_ups(&mut self) -> Vec<Arc<WarmUp>> {
        std::mem::take(&mut self.warm_ups)
    }

    pub(crate) fn set_event(&mut self, event: Arc<Event>) {
        self.event = Some(event);
    }

    pub(crate) fn note_process(&mut self, pid: u32) {
        self.pid = Some(pid);
        self.starts += 1;
    }

    pub(crate) fn note_failed_start(&mut self) {
        self.failed_starts = self.failed_starts.saturating_add(1);
    }

    /// A worker is up.
    pub(crate) fn attach(&mut self, segment: Arc<Segment>, outbound: Arc<Outbound>) {
        self.status = Status::Up;
        if let Some(event) = &self.event {
            outbound.set_event(event.clone());
        }
        self.segment = Some(segment);
        self.outbound = Some(outbound);
    }

    pub(crate) fn set_results(&mut self, results: Option<Arc<Results>>) {
        self.memory_for_results = results;
    }

    /// The worker is gone: everything that was about it alone goes too. Nothing is in flight.
    pub(crate) fn detach(&mut self) {
        debug_assert!(self.in_flight() == 0);
        self.stop_clock();
        let kept = Lane {
            event: self.event.take(),
            failed_starts: self.failed_starts,
            busy: self.busy,
            done: self.done,
            starts: self.starts,
            ..Lane::default()
        };
        *self = Lane { status: Status::Starting, ..kept };
    }

    pub(crate) fn forget_process(&mut self) {
        self.pid = None;
    }

    pub(crate) fn forget_driver(&mut self) {
        (self.pid, self.event) = (None, None);
    }

    pub(crate) fn set_idle(&mut self, is_idle: bool) {
        self.is_idle = is_idle;
    }

    pub(crate) fn retire(&mut self) {
        self.is_retiring = true;
    }

    /// Since when it has been without work: from now on, unless it was before.
    pub(crate) fn rests_since(&mut self) -> Instant {
        *self.idle_since.get_or_insert_with(Instant::now)
    }
}

// ---- what is asked of it --------------------------------------------------------------------------------

impl Lane {
    pub(crate) fn status(&self) -> Status {
        self.status
    }

    pub(crate) fn awaits_driver(&self) -> bool {
        self.awaits_driver
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.is_idle
    }

    pub(crate) fn event(&self) -> Option<&Arc<Event>> {
        self.event.as_ref()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// What the worker shares, while one is up.
    pub(crate) fn segment(&self) -> Option<&Arc<Segment>> {
        self.segment.as_ref()
    }

    pub(crate) fn memory_for_results(&self) -> Option<&Arc<Results>> {
        self.memory_for_results.as_ref()
    }

    pub(crate) fn failed_starts(&self) -> u32 {
        self.failed_starts
    }

    /// How many came from this worker.
    pub(crate) fn results(&self) -> u64 {
        self.results
    }

    pub(crate) fn is_retiring(&self) -> bool {
        self.is_retiring
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn starts(&self) -> u64 {
        self.starts
    }

    pub(crate) fn busy(&self) -> Duration {
        self.busy + self.busy_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether this worker was ever sent a task.
    pub(crate) fn was_given_work(&self) -> bool {
        self.was_given_work
    }

    /// Whether its worker has nothing to do and its driver doesn't sleep: the driver looks for work before it does.
    pub(crate) fn is_awake(&self) -> bool {
        self.status == Status::Up && !self.is_idle && self.in_flight() == 0
    }

    /// Whether there can be a task here that another worker may steal: besides the one that runs, or that begins next.
    pub(crate) fn may_have_stealable(&self) -> bool {
        self.in_flight() > 1
    }

    /// Tasks that were shipped and are neither resolved nor recalled.
    pub(crate) fn in_flight(&self) -> usize {
        self.batches.iter().map(|batch| batch.open).sum()
    }

    /// Whether another batch may be sent: its slot is not in use on either side.
    pub(crate) fn has_room(&self) -> bool {
        let Some(segment) = &self.segment else { return false };
        let used = self.sent.wrapping_sub(segment.over());
        self.status == Status::Up
            && !self.is_retiring
            && self.kill_reason.is_none()
            && self.kills.is_empty()
            && (used as usize) < SLOTS
            && self.batches[slot(self.sent)].open == 0
    }

    /// Where a task is.
    pub(crate) fn find(&self, id: FutureId) -> Option<Position> {
        self.batches.iter().find_map(|batch| {
            let is_it = |task: &Option<EncodedTask>| task.as_ref().is_some_and(|task| task.id() == id);
            let index = batch.tasks.iter().position(is_it)?;
            Some(Position { batch: batch.number, index: index as u32 })
        })
    }

    /// The task there, while it is in flight.
    pub(crate) fn task_at(&self, position: Position) -> Option<&EncodedTask> {
        let batch = &self.batches[slot(position.batch)];
        let is_it = batch.number == position.batch;
        batch.tasks.get(position.index as usize).filter(|_| is_it)?.as_ref()
    }

    /// How many of a batch may begin. It changes only under the dispatcher's lock.
    pub(crate) fn limit(&self, number: u32) -> u32 {
        self.claimed(number).map_or(0, |claimed| claimed.limit)
    }

    pub(crate) fn has_begun(&self, position: Position) -> bool {
        self.claimed(position.batch).is_ok_and(|claimed| position.index < claimed.begun)
    }

    /// Tasks that have not begun, by batch, the newest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (u32, u32)> {
        self.numbers().filter_map(|number| {
            let claimed = self.claimed(number).ok()?;
            let waiting = claimed.limit.saturating_sub(claimed.begun);
            (waiting > 0 && self.batches[slot(number)].open > 0).then_some((number, waiting))
        })
    }

    /// How many tasks have not begun.
    pub(crate) fn waiting_tasks(&self) -> usize {
        self.waiting().map(|(_, waiting)| waiting as usize).sum()
    }

    /// How many tasks can be stolen from here: never the only one of a worker that runs nothing.
    pub(crate) fn stealable(&self) -> usize {
        let waiting = self.waiting_tasks();
        let is_lone = waiting == 1 && self.running().next().is_none();
        if is_lone { 0 } else { waiting }
    }

    /// What runs, or has run with its result on the way.
    pub(crate) fn running(&self) -> impl Iterator<Item = &EncodedTask> {
        self.running_at().map(|(_, task)| task)
    }

    /// The same, with where each is.
    pub(crate) fn running_at(&self) -> impl Iterator<Item = (Position, &EncodedTask)> {
        self.batches.iter().flat_map(|batch| {
            let begun = self.claimed(batch.number).map_or(0, |claimed| claimed.begun as usize);
            batch.tasks.iter().take(begun).enumerate().filter_map(|(index, task)| {
                Some((Position { batch: batch.number, index: index as u32 }, task.as_ref()?))
            })
        })
    }

    /// What has begun, with when, as the worker noted it.
    pub(crate) fn begun(&self) -> impl Iterator<Item = (FutureId, u64)> {
        self.running_at().filter_map(|(Position { batch, index }, task)| {
            Some((task.id(), self.segment.as_ref()?.task_clock.begun(batch, index)?))
        })
    }

    /// The claim word of a batch, checked: the worker can write to it.
    fn claimed(&self, number: u32) -> Result<Claimed, ProtocolError> {
        let segment: &Layout =
            self.segment.as_deref().ok_or(ProtocolError("a reply before its first task"))?;
        let claimed = segment.claim(number).load();
        let batch = &self.batches[slot(number)];
        if batch.number == number && (claimed.begun > claimed.limit || claimed.limit != batch.limit) {
            return Err(INVALID);
        }
        Ok(claimed)
    }

    /// An error if the claim words or `over` have values that no worker writes.
    pub(crate) fn check_claims(&self) -> Result<(), ProtocolError> {
        let is_ahead = self
            .segment
            .as_ref()
            .is_some_and(|segment| self.sent.wrapping_sub(segment.over()) as usize > SLOTS);
        let open = self.batches.iter().filter(|batch| batch.open > 0);
        match open.map(|batch| self.claimed(batch.number)).find_map(Result::err) {
            Some(error) => Err(error),
            None if is_ahead => Err(INVALID),
            None => Ok(()),
        }
    }

    /// Whether the worker should do something soon: it has something to read and runs nothing, or has passed all frames it
    /// was sent while a result is still to come.
    pub(crate) fn should_progress(&self) -> bool {
        let Some(segment) = &self.segment else { return false };
        let unread = segment.over() != self.sent;
        let silent = if unread { self.running().next().is_none() } else { self.in_flight() > 0 };
        self.status == Status::Up && silent
    }

    /// The numbers of the batches that have open tasks, the newest first.
    fn numbers(&self) -> impl DoubleEndedIterator<Item = u32> + use<> {
        let last = (1..=SLOTS as u32).map(|back| self.sent.wrapping_sub(back));
        let open = |number: &u32| {
            let batch = &self.batches[slot(*number)];
            batch.open > 0 && batch.number == *number
        };
        let mut numbers = [None; SLOTS];
        numbers.iter_mut().zip(last.filter(open)).for_each(|(place, number)| *place = Some(number));
        numbers.into_iter().flatten()
    }
}

// ---- tasks come and go ----------------------------------------------------------------------------------

impl Lane {
    /// Ships `tasks` as the next batch: puts its frame into the out-buffer. The limit is set here, before the first byte
    /// is sent.
    pub(crate) fn ship(&mut self, tasks: Vec<EncodedTask>) -> Arc<Outbound> {
        let (number, count) = (self.sent, tasks.len());
        if self.in_flight() == 0 {
            self.busy_since = Some(Instant::now());
        }
        self.idle_since = None;
        let segment = self.segment.as_ref().expect("it has room, so it is up");
        segment.claim(number).open(count as u32);
        let outbound = self.outbound.clone().expect("it has room, so it is up");
        let blobs = tasks.iter().flat_map(EncodedTask::blobs);
        outbound.put(blobs, batch::frame(number, tasks.iter().map(EncodedTask::shipped)));
        let tasks = tasks.into_iter().map(Some).collect();
        self.batches[slot(number)] = SentBatch { number, limit: count as u32, tasks, open: count };
        self.sent = number.wrapping_add(1);
        self.was_given_work = true;
        outbound
    }

    /// The task that a reply belongs to. It must have begun and be open.
    pub(crate) fn collect(&mut self, position: Position) -> Result<EncodedTask, ProtocolError> {
        let Position { batch: number, index } = position;
        let begun = self.claimed(number)?.begun;
        let batch = &mut self.batches[slot(number)];
        if batch.number != number || index >= begun {
            return Err(ProtocolError("a reply to a task that never began"));
        }
        let task = batch.tasks.get_mut(index as usize).and_then(Option::take);
        let task = task.ok_or(ProtocolError("a second reply to a task"))?;
        batch.open -= 1;
        self.results += 1;
        self.failed_starts = 0;
        self.done += 1;
        if self.in_flight() == 0 {
            self.stop_clock();
        }
        Ok(task)
    }

    /// Takes back what has not begun of batch `number`, from index `to` on: it certainly never will. Nothing, where the
    /// segment has an invalid value: then anything may have begun, and to lose too much is better than to run it twice.
    pub(crate) fn recall(&mut self, number: u32, to: u32) -> Vec<EncodedTask> {
        if self.claimed(number).is_err() {
            return Vec::new();
        }
        let Some(segment) = &self.segment else { return Vec::new() };
        let now = segment.claim(number).lower(to);
        let batch = &mut self.batches[slot(number)];
        // Looked at again: the worker may have written to it in between.
        if now.begun > now.limit || now.limit != batch.limit.min(to.max(now.begun)) {
            return Vec::new();
        }
        let above = batch.tasks.len().min(now.limit as usize);
        let recalled: Vec<EncodedTask> = batch.tasks.drain(above..).flatten().collect();
        batch.limit = now.limit;
        batch.open -= recalled.len();
        if self.in_flight() == 0 {
            self.stop_clock();
        }
        recalled
    }

    /// Takes back all that has not begun, in order.
    pub(crate) fn recall_all(&mut self) -> Vec<EncodedTask> {
        // The oldest first.
        self.numbers().rev().flat_map(|number| self.recall(number, 0)).collect()
    }

    /// After a recall: takes out what has begun and has no result.
    pub(crate) fn take_unfinished(&mut self) -> Vec<EncodedTask> {
        self.stop_clock();
        self.batches
            .iter_mut()
            .flat_map(|batch| {
                batch.open = 0;
                batch.tasks.drain(..).flatten()
            })
            .collect()
    }

    fn stop_clock(&mut self) {
        if let Some(since) = self.busy_since.take() {
            self.busy += since.elapsed();
        }
    }
}

#[cfg(test)]
impl Lane {
    // As if all this had been before.
    pub(crate) fn begin_at(&mut self, sent: u32, results: u64) {
        (self.sent, self.results) = (sent, results);
        self.segment.as_ref().expect("it is up").pass(sent);
    }

    pub(crate) fn rest_from(&mut self, since: Option<Instant>) {
        self.idle_since = since;
    }

    pub(crate) fn fail_starts(&mut self, count: u32) {
        self.failed_starts = count;
    }
}
