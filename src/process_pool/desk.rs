//! [`Desk`]: one worker's place in the book. What was shipped to it, and what is known of its life.

use super::door::Door;
use super::message::Garbled;
use super::page::{Claimed, FLIGHTS, Page, slot};
use super::record::{Record, frame};
use super::sys::{Bell, Mapping, Signal};
use crate::id::FutureId;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Desk {
    pub(super) status: Status,
    /// How to wake the driver; there while it has a thread.
    pub(super) bell: Option<Arc<Bell>>,
    pub(super) pid: Option<u32>,
    page: Option<Arc<Mapping>>,
    /// Where batches are put; there while a worker is up.
    door: Option<Arc<Door>>,
    flights: [Flight; FLIGHTS],
    /// Batches sent to this worker, which is the next one's number.
    sent: u32,
    /// Starts that failed in a row.
    pub(super) failed_starts: u32,
    /// Results that came from this worker.
    pub(super) results: u64,
    /// It is to get no more tasks, and to end when it has done what it has.
    pub(super) is_retiring: bool,
    /// It has been or is about to be killed, and why.
    pub(super) condemned: Option<Sentence>,
    /// Running tasks to be ended, and what they get.
    pub(super) kills: Vec<(FutureId, Reason)>,
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
pub(super) enum Reason {
    /// The future's `kill`.
    Asked,
    /// Its own time limit.
    OutOfTime,
}

/// Why a worker is killed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sentence {
    ForTask(FutureId, Reason),
    /// It can't be talked to.
    Garbled(String),
    /// It closed its end of the stream, as a process that dies does first; its death is awaited.
    Silent,
}

const NONSENSE: Garbled = Garbled("nonsense by the shared page");

/// A batch that was sent.
#[derive(Default)]
struct Flight {
    number: u32,
    /// What the page should say: only the parent sets it.
    limit: u32,
    /// By index; empty once resolved or recalled.
    records: Vec<Option<Record>>,
    /// How many are there.
    open: usize,
}

impl Desk {
    /// A worker takes its place.
    pub(super) fn occupy(&mut self, page: Arc<Mapping>, door: Arc<Door>) {
        self.status = Status::Up;
        self.page = Some(page);
        self.door = Some(door);
    }

    /// The worker is gone: everything that was about it alone goes too. Nothing is in flight.
    pub(super) fn clear(&mut self) {
        debug_assert!(self.in_flight() == 0);
        self.stop_clock();
        let kept = Desk {
            bell: self.bell.take(),
            failed_starts: self.failed_starts,
            busy: self.busy,
            done: self.done,
            starts: self.starts,
            ..Desk::default()
        };
        *self = Desk { status: Status::Starting, ..kept };
    }

    /// What the worker shares, while one is up.
    pub(super) fn page(&self) -> Option<&Arc<Mapping>> {
        self.page.as_ref()
    }

    /// Whether this worker was ever sent a task.
    pub(super) fn was_given_work(&self) -> bool {
        self.sent > 0
    }

    /// Tasks that were shipped and are neither resolved nor recalled.
    pub(super) fn in_flight(&self) -> usize {
        self.flights.iter().map(|flight| flight.open).sum()
    }

    /// Whether another batch may be sent: its slot is not in use on either side.
    pub(super) fn has_room(&self) -> bool {
        let Some(page) = &self.page else { return false };
        let used = self.sent.wrapping_sub(page.over());
        self.status == Status::Up
            && !self.is_retiring
            && self.condemned.is_none()
            && self.kills.is_empty()
            && (used as usize) < FLIGHTS
            && self.flights[slot(self.sent)].open == 0
    }

    /// Takes `records` on as the next batch and puts its frame in the door. The limit is set here, before the first byte
    /// is sent.
    pub(super) fn take_on(&mut self, records: Vec<Record>) -> Arc<Door> {
        let (number, tasks) = (self.sent, records.len());
        if self.in_flight() == 0 {
            self.busy_since = Some(Instant::now());
        }
        self.idle_since = None;
        let page = self.page.as_ref().expect("it has room, so it is up");
        page.claim(number).open(tasks as u32);
        let door = self.door.clone().expect("it has room, so it is up");
        door.put(frame(number, &records));
        let records = records.into_iter().map(Some).collect();
        self.flights[slot(number)] = Flight { number, limit: tasks as u32, records, open: tasks };
        self.sent = number.wrapping_add(1);
        door
    }

    /// A reply came: the task it belongs to. It must have begun and be open.
    pub(super) fn collect(&mut self, number: u32, index: u32) -> Result<Record, Garbled> {
        let begun = self.claimed(number)?.begun;
        let flight = &mut self.flights[slot(number)];
        if flight.number != number || index >= begun {
            return Err(Garbled("a reply to a task that it never began"));
        }
        let record = flight.records.get_mut(index as usize).and_then(Option::take);
        let record = record.ok_or(Garbled("a second reply to a task"))?;
        flight.open -= 1;
        self.results += 1;
        self.failed_starts = 0;
        self.done += 1;
        if self.in_flight() == 0 {
            self.stop_clock();
        }
        Ok(record)
    }

    /// Takes back what has not begun of batch `number`, from index `to` on: it certainly never will. Nothing, where the
    /// page says what it can't say: then anything may have begun, and it is better to blame too much than to run twice.
    pub(super) fn recall(&mut self, number: u32, to: u32) -> Vec<Record> {
        if self.claimed(number).is_err() {
            return Vec::new();
        }
        let Some(page) = &self.page else { return Vec::new() };
        let now = page.claim(number).lower(to);
        let flight = &mut self.flights[slot(number)];
        // Looked at again: it may have been scribbled on in between.
        if now.begun > now.limit || now.limit != flight.limit.min(to.max(now.begun)) {
            return Vec::new();
        }
        let above = flight.records.len().min(now.limit as usize);
        let recalled: Vec<Record> = flight.records.drain(above..).flatten().collect();
        flight.limit = now.limit;
        flight.open -= recalled.len();
        if self.in_flight() == 0 {
            self.stop_clock();
        }
        recalled
    }

    /// Takes back all that has not begun, in order.
    pub(super) fn recall_all(&mut self) -> Vec<Record> {
        // The oldest first.
        self.numbers().rev().flat_map(|number| self.recall(number, 0)).collect()
    }

    /// Whoever has begun and has no result: after a death, those it is blamed on.
    pub(super) fn give_up(&mut self) -> Vec<Record> {
        self.stop_clock();
        self.flights
            .iter_mut()
            .flat_map(|flight| {
                flight.open = 0;
                flight.records.drain(..).flatten()
            })
            .collect()
    }

    /// Where a task lies.
    pub(super) fn find(&self, id: FutureId) -> Option<(u32, u32)> {
        self.flights.iter().find_map(|flight| {
            let is_it = |record: &Option<Record>| record.as_ref().is_some_and(|record| record.id() == id);
            flight.records.iter().position(is_it).map(|index| (flight.number, index as u32))
        })
    }

    /// How many of a batch may begin. Only the holder of the book changes it.
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
            (waiting > 0 && self.flights[slot(number)].open > 0).then_some((number, waiting))
        })
    }

    /// How many tasks have not begun.
    pub(super) fn all_waiting(&self) -> usize {
        self.waiting().map(|(_, waiting)| waiting as usize).sum()
    }

    /// How many tasks can be taken over from here: never the only one of a worker that runs nothing.
    pub(super) fn to_spare(&self) -> usize {
        let waiting = self.all_waiting();
        let is_lone = waiting == 1 && self.running().next().is_none();
        if is_lone { 0 } else { waiting }
    }

    /// What runs, or has run with its result on the way.
    pub(super) fn running(&self) -> impl Iterator<Item = &Record> {
        self.flights.iter().flat_map(|flight| {
            let begun = self.claimed(flight.number).map_or(0, |claimed| claimed.begun as usize);
            flight.records.iter().take(begun).flatten()
        })
    }

    /// The claim word of a batch, checked: the worker can write to it.
    fn claimed(&self, number: u32) -> Result<Claimed, Garbled> {
        let page: &Page = self.page.as_deref().ok_or(Garbled("a reply before its first task"))?;
        let claimed = page.claim(number).load();
        let flight = &self.flights[slot(number)];
        if flight.number == number && (claimed.begun > claimed.limit || claimed.limit != flight.limit) {
            return Err(NONSENSE);
        }
        Ok(claimed)
    }

    /// An error if the page says what no worker writes there.
    pub(super) fn check_page(&self) -> Result<(), Garbled> {
        let ahead =
            self.page.as_ref().is_some_and(|page| self.sent.wrapping_sub(page.over()) as usize > FLIGHTS);
        let flights = self.flights.iter().filter(|flight| flight.open > 0);
        flights
            .map(|flight| self.claimed(flight.number))
            .find_map(Result::err)
            .map_or_else(|| if ahead { Err(NONSENSE) } else { Ok(()) }, Err)
    }

    /// Whether the worker should soon be heard of: it has something to read and does nothing else, or is through with
    /// all it was sent, and a result is still to come.
    pub(super) fn owes_a_sign(&self) -> bool {
        let Some(page) = &self.page else { return false };
        let unread = page.over() != self.sent;
        let silent = if unread { self.running().next().is_none() } else { self.in_flight() > 0 };
        self.status == Status::Up && silent
    }

    /// The numbers of the batches that have open tasks, the newest first.
    fn numbers(&self) -> impl DoubleEndedIterator<Item = u32> + use<> {
        let last = (1..=FLIGHTS as u32).map(|back| self.sent.wrapping_sub(back));
        let open = |number: &u32| {
            let flight = &self.flights[slot(*number)];
            flight.open > 0 && flight.number == *number
        };
        let mut numbers = [None; FLIGHTS];
        numbers.iter_mut().zip(last.filter(open)).for_each(|(place, number)| *place = Some(number));
        numbers.into_iter().flatten()
    }

    fn stop_clock(&mut self) {
        if let Some(since) = self.busy_since.take() {
            self.busy += since.elapsed();
        }
    }
}
