//! [`Lane`]: one worker's place in the dispatcher. What was shipped to it, and what is known of its life.

use super::message::ProtocolError;
use super::outbound::Outbound;
use super::shared::{Claimed, Layout, SLOTS, slot};
use super::sys::{Bell, Mapping, Signal};
use super::task::{EncodedTask, frame};
use crate::id::FutureId;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Lane {
    pub(super) status: Status,
    /// It is to have a driver, which nobody has started yet.
    pub(super) awaits_driver: bool,
    /// It is on the list of drivers that sleep and could take a task.
    pub(super) is_idle: bool,
    /// How to wake the driver; there while it has a thread.
    pub(super) event: Option<Arc<Bell>>,
    pub(super) pid: Option<u32>,
    segment: Option<Arc<Mapping>>,
    /// Where batches are put; there while a worker is up.
    outbound: Option<Arc<Outbound>>,
    batches: [SentBatch; SLOTS],
    /// Batches sent to this worker, which is the next one's number. It runs over, as the worker's own count of frames does,
    /// and begins at 0 again: of two batches in flight each has the other slot all the same, since 2^32 is even, and what
    /// is compared are differences and equals of numbers that are [`SLOTS`] apart at most.
    sent: u32,
    was_given_work: bool,
    /// Starts that failed in a row.
    pub(super) failed_starts: u32,
    /// Results that came from this worker.
    pub(super) results: u64,
    /// It is to get no more tasks, and to end when it has done what it has.
    pub(super) is_retiring: bool,
    /// It has been or is about to be killed, and why.
    pub(super) kill_reason: Option<KillReason>,
    /// Running tasks to be ended, and what they get.
    pub(super) kills: Vec<(FutureId, TaskKill)>,
    /// A signal that the worker is to get, whatever it does.
    pub(super) order: Option<Signal>,
    pub(super) idle_since: Option<Instant>,
    pub(super) busy_since: Option<Instant>,
    /// Over all the workers that sat here.
    pub(super) busy: Duration,
    pub(super) done: u64,
    pub(super) starts: u64,
}

/// Where a worker's life stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Status {
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
pub(super) enum TaskKill {
    /// The future's `kill`.
    Requested,
    /// Its own time limit.
    OutOfTime,
}

/// Why a worker is killed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum KillReason {
    ForTask(FutureId, TaskKill),
    /// It can't be talked to.
    Protocol(String),
    /// It closed its end of the stream, as a process that dies does first; its death is awaited.
    Silent,
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

impl Lane {
    /// A worker takes its place.
    pub(super) fn attach(&mut self, segment: Arc<Mapping>, outbound: Arc<Outbound>) {
        self.status = Status::Up;
        self.segment = Some(segment);
        self.outbound = Some(outbound);
    }

    /// The worker is gone: everything that was about it alone goes too. Nothing is in flight.
    pub(super) fn clear(&mut self) {
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

    /// What the worker shares, while one is up.
    pub(super) fn segment(&self) -> Option<&Arc<Mapping>> {
        self.segment.as_ref()
    }

    /// Whether this worker was ever sent a task.
    pub(super) fn was_given_work(&self) -> bool {
        self.was_given_work
    }

    /// Whether its worker has nothing to do and its driver doesn't sleep: it looks for something before it does.
    pub(super) fn is_awake(&self) -> bool {
        self.status == Status::Up && !self.is_idle && self.in_flight() == 0
    }

    /// Whether there can be a task here that another worker may take over: besides the one that runs, or that begins next.
    pub(super) fn may_have_stealable(&self) -> bool {
        self.in_flight() > 1
    }

    /// Tasks that were shipped and are neither resolved nor recalled.
    pub(super) fn in_flight(&self) -> usize {
        self.batches.iter().map(|batch| batch.open).sum()
    }

    /// Whether another batch may be sent: its slot is not in use on either side.
    pub(super) fn has_room(&self) -> bool {
        let Some(segment) = &self.segment else { return false };
        let used = self.sent.wrapping_sub(segment.over());
        self.status == Status::Up
            && !self.is_retiring
            && self.kill_reason.is_none()
            && self.kills.is_empty()
            && (used as usize) < SLOTS
            && self.batches[slot(self.sent)].open == 0
    }

    /// Takes `tasks` on as the next batch and puts its frame in the outbound. The limit is set here, before the first byte
    /// is sent.
    pub(super) fn ship(&mut self, tasks: Vec<EncodedTask>) -> Arc<Outbound> {
        let (number, count) = (self.sent, tasks.len());
        if self.in_flight() == 0 {
            self.busy_since = Some(Instant::now());
        }
        self.idle_since = None;
        let segment = self.segment.as_ref().expect("it has room, so it is up");
        segment.claim(number).open(count as u32);
        let outbound = self.outbound.clone().expect("it has room, so it is up");
        outbound.put(frame(number, &tasks));
        let tasks = tasks.into_iter().map(Some).collect();
        self.batches[slot(number)] = SentBatch { number, limit: count as u32, tasks, open: count };
        self.sent = number.wrapping_add(1);
        self.was_given_work = true;
        outbound
    }

    /// As if so many batches and results had been before.
    #[cfg(test)]
    pub(super) fn begin_at(&mut self, sent: u32, results: u64) {
        (self.sent, self.results) = (sent, results);
        self.segment.as_ref().expect("it is up").pass(sent);
    }

    /// A reply came: the task it belongs to. It must have begun and be open.
    pub(super) fn collect(&mut self, number: u32, index: u32) -> Result<EncodedTask, ProtocolError> {
        let begun = self.claimed(number)?.begun;
        let batch = &mut self.batches[slot(number)];
        if batch.number != number || index >= begun {
            return Err(ProtocolError("a reply to a task that it never began"));
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
    /// segment says what it can't say: then anything may have begun, and it is better to lose too many than to run twice.
    pub(super) fn recall(&mut self, number: u32, to: u32) -> Vec<EncodedTask> {
        if self.claimed(number).is_err() {
            return Vec::new();
        }
        let Some(segment) = &self.segment else { return Vec::new() };
        let now = segment.claim(number).lower(to);
        let batch = &mut self.batches[slot(number)];
        // Looked at again: it may have been scribbled on in between.
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
    pub(super) fn recall_all(&mut self) -> Vec<EncodedTask> {
        // The oldest first.
        self.numbers().rev().flat_map(|number| self.recall(number, 0)).collect()
    }

    /// Whoever has begun and has no result: after a death, the lost tasks.
    pub(super) fn give_up(&mut self) -> Vec<EncodedTask> {
        self.stop_clock();
        self.batches
            .iter_mut()
            .flat_map(|batch| {
                batch.open = 0;
                batch.tasks.drain(..).flatten()
            })
            .collect()
    }

    /// Where a task lies.
    pub(super) fn find(&self, id: FutureId) -> Option<(u32, u32)> {
        self.batches.iter().find_map(|batch| {
            let is_it = |task: &Option<EncodedTask>| task.as_ref().is_some_and(|task| task.id() == id);
            batch.tasks.iter().position(is_it).map(|index| (batch.number, index as u32))
        })
    }

    /// How many of a batch may begin. Only the holder of the dispatcher changes it.
    pub(super) fn limit(&self, number: u32) -> u32 {
        self.claimed(number).map_or(0, |claimed| claimed.limit)
    }

    pub(super) fn has_begun(&self, number: u32, index: u32) -> bool {
        self.claimed(number).is_ok_and(|claimed| index < claimed.begun)
    }

    /// Tasks that have not begun, by batch, the newest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (u32, u32)> {
        self.numbers().filter_map(|number| {
            let claimed = self.claimed(number).ok()?;
            let waiting = claimed.limit.saturating_sub(claimed.begun);
            (waiting > 0 && self.batches[slot(number)].open > 0).then_some((number, waiting))
        })
    }

    /// How many tasks have not begun.
    pub(super) fn waiting_tasks(&self) -> usize {
        self.waiting().map(|(_, waiting)| waiting as usize).sum()
    }

    /// How many tasks can be taken over from here: never the only one of a worker that runs nothing.
    pub(super) fn stealable(&self) -> usize {
        let waiting = self.waiting_tasks();
        let is_lone = waiting == 1 && self.running().next().is_none();
        if is_lone { 0 } else { waiting }
    }

    /// What runs, or has run with its result on the way.
    pub(super) fn running(&self) -> impl Iterator<Item = &EncodedTask> {
        self.batches.iter().flat_map(|batch| {
            let begun = self.claimed(batch.number).map_or(0, |claimed| claimed.begun as usize);
            batch.tasks.iter().take(begun).flatten()
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

    /// An error if the segment says what no worker writes there.
    pub(super) fn check_claims(&self) -> Result<(), ProtocolError> {
        let ahead = self
            .segment
            .as_ref()
            .is_some_and(|segment| self.sent.wrapping_sub(segment.over()) as usize > SLOTS);
        let batches = self.batches.iter().filter(|batch| batch.open > 0);
        batches
            .map(|batch| self.claimed(batch.number))
            .find_map(Result::err)
            .map_or_else(|| if ahead { Err(INVALID) } else { Ok(()) }, Err)
    }

    /// Whether the worker should soon be heard of: it has something to read and does nothing else, or is through with
    /// all it was sent, and a result is still to come.
    pub(super) fn should_progress(&self) -> bool {
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

    fn stop_clock(&mut self) {
        if let Some(since) = self.busy_since.take() {
            self.busy += since.elapsed();
        }
    }
}
