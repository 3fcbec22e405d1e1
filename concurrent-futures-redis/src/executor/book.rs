//! [`Book`]: the client's table of tasks that have no result yet, and where each of them stands. No input or output: the rules
//! C1 to C5 of `PROTOCOL.md`, for the threads that talk to the server.

use super::hear::Heard;
use super::out::Out;
use crate::engine::Witness;
use crate::wire::{Answer, AttemptId, EntryId, Kind, Name, len_with_names};
use concurrent_futures::{FutureId, Parcel, SharedBlob, State, Task, TaskError, WorkerLost};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every task that has no result yet.
pub(super) struct Book {
    client: Name,
    /// For how long a node is silent at least that is given up.
    lease: Duration,
    /// By number: in the order of submission.
    tasks: BTreeMap<u64, Record>,
    by_id: HashMap<FutureId, u64>,
    /// What is to be submitted; some have left the table since.
    queue: VecDeque<u64>,
    queued: usize,
    /// What is not queued: on the server, or on its way there.
    out: Out,
    next: u64,
    /// The last answer of this life that was looked at: what lies before it was too.
    mark: EntryId,
    /// The names that may have begun tasks of this client in this life.
    known: HashSet<Name>,
    doubts: Option<Doubts>,
    pub(super) totals: Totals,
}

/// What has happened, in numbers.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) finished: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) deaths: u64,
    pub(super) lost: u64,
    pub(super) resubmitted: u64,
    pub(super) late: u64,
}

struct Record {
    task: Task,
    parcel: Arc<Parcel>,
    /// What it shares with others and the parcel doesn't have.
    shared: Arc<[SharedBlob]>,
    attempt: u32,
    retries: u32,
    place: Place,
}

/// Where a task stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Not sent, or certainly not arrived.
    Queued,
    /// SUBMIT was sent and not answered.
    Unsure,
    /// In the stream, or with a node; without an entry if a node holds it from an earlier life.
    Shipped(Option<EntryId>),
    /// It was shipped in a life that is over.
    Doubt,
}

/// After a new life began: who has to say what became of the tasks of the old one.
struct Doubts {
    since: Instant,
    names: HashSet<Name>,
    /// A witness is known to be missing already.
    is_missing: bool,
}

/// A task on its way into the stream.
pub(super) struct Outgoing {
    pub(super) id: AttemptId,
    pub(super) time_limit: Option<Duration>,
    pub(super) parcel: Arc<Parcel>,
    pub(super) shared: Arc<[SharedBlob]>,
}

/// A task that is over: what is to be done without the lock, since it runs the user's callbacks.
pub(super) enum Ended {
    Reply(Task, Vec<u8>),
    Error(Task, TaskError),
}

impl Record {
    /// How many bytes of its own go to the server.
    fn len(&self) -> usize {
        len_with_names(self.shared.len(), self.parcel.as_bytes().len())
    }
}

impl Book {
    pub(super) fn new(client: Name, lease: Duration) -> Self {
        Book {
            client,
            lease,
            tasks: BTreeMap::new(),
            by_id: HashMap::new(),
            queue: VecDeque::new(),
            queued: 0,
            out: Out::default(),
            next: 1,
            mark: EntryId::ZERO,
            known: HashSet::new(),
            doubts: None,
            totals: Totals::default(),
        }
    }

    pub(super) fn client(&self) -> &Name {
        &self.client
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// How many were submitted to this executor and are not sent.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// How many are in the stream or with nodes.
    pub(super) fn dispatched(&self) -> usize {
        self.tasks.len() - self.queued
    }

    pub(super) fn mark(&self) -> EntryId {
        self.mark
    }

    // ---- in -----------------------------------------------------------------------------------------

    /// A task, and what was taken out of its parcel.
    pub(super) fn enter(&mut self, task: Task, parcel: Parcel, shared: Vec<SharedBlob>) {
        let seq = self.next;
        self.next += 1;
        let retries = task.options().get_retries();
        self.by_id.insert(task.id(), seq);
        let (parcel, shared) = (Arc::new(parcel), shared.into());
        let record = Record { task, parcel, shared, attempt: 1, retries, place: Place::Queued };
        self.tasks.insert(seq, record);
        self.queue.push_back(seq);
        self.queued += 1;
    }

    /// Whether a task that is not queued carries it.
    pub(super) fn carries(&self, shared: u128) -> bool {
        self.out.carries(shared)
    }

    /// The next tasks to submit: at most `most`, and no more than `bytes` but for the first, and than `window` with all that is
    /// out, but for one alone. From here on they are unsure.
    pub(super) fn take_batch(&mut self, most: usize, bytes: usize, window: usize) -> Vec<Outgoing> {
        let (mut batch, mut size) = (Vec::new(), 0);
        while batch.len() < most
            && let Some(seq) = self.queue.pop_front()
        {
            let Some(record) = self.tasks.get_mut(&seq).filter(|record| record.place == Place::Queued) else {
                continue;
            };
            let len = record.len();
            let is_too_large = !batch.is_empty() && size + len > bytes;
            if is_too_large || !self.out.fits(len, &record.shared, window) {
                self.queue.push_front(seq);
                break;
            }
            size += len;
            self.out.add(len, &record.shared);
            record.place = Place::Unsure;
            self.queued -= 1;
            batch.push(Outgoing {
                id: AttemptId { client: self.client.clone(), seq, attempt: record.attempt },
                time_limit: record.task.options().get_timeout(),
                parcel: record.parcel.clone(),
                shared: record.shared.clone(),
            });
        }
        batch
    }

    /// SUBMIT was answered: what it put into the stream.
    pub(super) fn note_shipped(&mut self, batch: &[Outgoing], entries: &[EntryId]) {
        for (outgoing, entry) in batch.iter().zip(entries) {
            if let Some(record) = self.current(&outgoing.id)
                && record.place == Place::Unsure
            {
                record.place = Place::Shipped(Some(*entry));
            }
        }
    }

    /// SUBMIT has certainly done nothing.
    pub(super) fn take_back_batch(&mut self, batch: &[Outgoing]) {
        for outgoing in batch.iter().rev() {
            if self.current(&outgoing.id).is_some_and(|record| record.place == Place::Unsure) {
                self.requeue(outgoing.id.seq);
            }
        }
    }

    // ---- out ----------------------------------------------------------------------------------------

    /// C2: answers of this life, in their order.
    pub(super) fn answers(&mut self, heard: Vec<Heard>) -> Vec<Ended> {
        heard.into_iter().filter_map(|(answer, reply)| self.answer(&answer, reply)).collect()
    }

    /// C2: an answer of this life. What lies at the mark or before it was looked at already. Without a reply it is no answer
    /// of a node's.
    pub(super) fn answer(&mut self, answer: &Answer, reply: Option<Vec<u8>>) -> Option<Ended> {
        let at = answer.entry?;
        if at <= self.mark {
            return None;
        }
        self.mark = at;
        let reply = reply?;
        let (seq, attempt) = (answer.id.seq, answer.id.attempt);
        // A result of any attempt is as good as another; a verdict on an earlier one says nothing of this one.
        let is_of_this = self.tasks.get(&seq).is_some_and(|record| {
            *answer.id.client == *self.client
                && (answer.kind == Kind::Done || record.attempt == attempt && record.place != Place::Queued)
        });
        if !is_of_this {
            self.totals.late += 1;
            return None;
        }
        match answer.kind {
            Kind::Done => self.remove(seq).map(|record| Ended::Reply(record.task, reply)),
            Kind::Verdict => self.remove(seq).map(|record| Ended::Reply(record.task, reply)),
            Kind::Died => {
                self.totals.deaths += 1;
                if self.try_again(seq) {
                    return None;
                }
                self.remove(seq).map(|record| Ended::Reply(record.task, reply))
            }
            Kind::Lost => {
                let told = String::from_utf8_lossy(&reply);
                // A node that ended it before a worker had it says why; else the server says that the node is gone.
                let lost = match told.split_once('\n') {
                    Some((node, cause)) => WorkerLost::new(node).with_cause(cause),
                    None => WorkerLost::new(&*told).with_silence(self.lease).with_cause("its lease ran out"),
                };
                self.charge(seq, lost)
            }
        }
    }

    /// It may have begun, and nobody can say what became of it.
    fn charge(&mut self, seq: u64, lost: WorkerLost) -> Option<Ended> {
        self.totals.lost += 1;
        if self.try_again(seq) {
            return None;
        }
        let task = self.remove(seq)?.task;
        let label = task.options().get_label().cloned();
        let lost = lost.with_task(task.id(), label);
        Some(Ended::Error(task, TaskError::WorkerLost(lost)))
    }

    /// Takes one of its retries, if one is left: it is queued as its next attempt.
    fn try_again(&mut self, seq: u64) -> bool {
        let Some(record) = self.tasks.get_mut(&seq).filter(|record| record.retries > 0) else { return false };
        record.retries -= 1;
        record.attempt += 1;
        Arc::make_mut(&mut record.parcel).try_again();
        self.totals.resubmitted += 1;
        self.requeue(seq);
        true
    }

    fn requeue(&mut self, seq: u64) {
        if let Some(record) = self.tasks.get_mut(&seq)
            && record.place != Place::Queued
        {
            record.place = Place::Queued;
            self.out.remove(record.len(), &record.shared);
            self.queue.push_front(seq);
            self.queued += 1;
        }
    }

    fn remove(&mut self, seq: u64) -> Option<Record> {
        let record = self.tasks.remove(&seq)?;
        self.by_id.remove(&record.task.id());
        if record.place == Place::Queued {
            self.queued -= 1;
        } else {
            self.out.remove(record.len(), &record.shared);
        }
        Some(record)
    }

    fn current(&mut self, id: &AttemptId) -> Option<&mut Record> {
        self.tasks.get_mut(&id.seq).filter(|record| record.attempt == id.attempt)
    }

    /// Ends all that is not sent.
    pub(super) fn take_queued(&mut self) -> Vec<Task> {
        let queued: Vec<u64> = self.of_place(|place| place == Place::Queued);
        self.queue.clear();
        queued.into_iter().filter_map(|seq| self.remove(seq)).map(|record| record.task).collect()
    }

    /// Ends everything.
    pub(super) fn take_all(&mut self) -> Vec<Task> {
        let all: Vec<u64> = self.tasks.keys().copied().collect();
        self.queue.clear();
        all.into_iter().filter_map(|seq| self.remove(seq)).map(|record| record.task).collect()
    }

    fn of_place(&self, is: impl Fn(Place) -> bool) -> Vec<u64> {
        self.tasks.iter().filter(|(_, record)| is(record.place)).map(|(seq, _)| *seq).collect()
    }

    // ---- one task -----------------------------------------------------------------------------------

    pub(super) fn state(&self, id: FutureId) -> State {
        let place = self.by_id.get(&id).and_then(|seq| self.tasks.get(seq)).map(|record| record.place);
        if place == Some(Place::Queued) { State::Queued } else { State::Dispatched }
    }

    /// Takes a task out for good that is not sent.
    pub(super) fn take_if_queued(&mut self, id: FutureId) -> Option<Task> {
        let seq = *self.by_id.get(&id)?;
        self.tasks.get(&seq).filter(|record| record.place == Place::Queued)?;
        self.remove(seq).map(|record| record.task)
    }

    /// Its attempt, and its entry if it is in the stream.
    pub(super) fn attempt(&self, id: FutureId) -> Option<(AttemptId, Option<EntryId>)> {
        let seq = *self.by_id.get(&id)?;
        let record = self.tasks.get(&seq)?;
        let entry = if let Place::Shipped(entry) = record.place { entry } else { None };
        Some((AttemptId { client: self.client.clone(), seq, attempt: record.attempt }, entry))
    }

    /// CANCEL said that this attempt never begins.
    pub(super) fn take_cancelled(&mut self, id: &AttemptId) -> Option<Task> {
        self.current(id)?;
        self.remove(id.seq).map(|record| record.task)
    }

    /// What is in the stream or with nodes, with its entry.
    pub(super) fn shipped(&self) -> Vec<FutureId> {
        let shipped = self.tasks.values().filter(|record| matches!(record.place, Place::Shipped(Some(_))));
        shipped.map(|record| record.task.id()).collect()
    }

    /// What is on the server or with nodes, for people.
    pub(super) fn outside(&self) -> impl Iterator<Item = (FutureId, Option<Arc<str>>)> {
        let outside = self.tasks.values().filter(|record| record.place != Place::Queued);
        outside.map(|record| (record.task.id(), record.task.options().get_label().cloned()))
    }

    // ---- names --------------------------------------------------------------------------------------

    /// C4: names may be added at once,
    pub(super) fn learn(&mut self, names: impl IntoIterator<Item = Name>) {
        self.known.extend(names);
    }

    pub(super) fn known(&self) -> HashSet<Name> {
        self.known.clone()
    }

    /// and forgotten only when every answer is read that was there when a BEAT no longer had them.
    pub(super) fn forget(&mut self, names: &[Name]) {
        for name in names {
            self.known.remove(name);
        }
    }

    // ---- breaks and lives ---------------------------------------------------------------------------

    /// C1: after a new session, a SCAN and a READ to the end. What is nowhere never got there.
    pub(super) fn reconcile(&mut self, scan: &[(AttemptId, Option<EntryId>)]) {
        let found: HashMap<(u64, u32), Option<EntryId>> =
            scan.iter().map(|(id, entry)| ((id.seq, id.attempt), *entry)).collect();
        let mut nowhere = Vec::new();
        for (seq, record) in &mut self.tasks {
            if matches!(record.place, Place::Unsure | Place::Shipped(_)) {
                match found.get(&(*seq, record.attempt)) {
                    Some(entry) => record.place = Place::Shipped(*entry),
                    None => nowhere.push(*seq),
                }
            }
        }
        nowhere.into_iter().rev().for_each(|seq| self.requeue(seq));
    }

    /// C3: another life has begun. Nothing of the old one is believed.
    pub(super) fn begin_life(&mut self, now: Instant) {
        self.mark = EntryId::ZERO;
        let mut any = false;
        for record in self.tasks.values_mut() {
            if matches!(record.place, Place::Unsure | Place::Shipped(_)) {
                record.place = Place::Doubt;
            }
            any |= record.place == Place::Doubt;
        }
        let names = std::mem::take(&mut self.known);
        self.doubts = match self.doubts.take() {
            _ if !any => None,
            None => Some(Doubts { since: now, names, is_missing: false }),
            // What happened in the life between has no witness.
            Some(mut doubts) => {
                doubts.names.extend(names);
                Some(Doubts { since: now, names: doubts.names, is_missing: true })
            }
        };
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubts.is_some()
    }

    /// C3: whether each name of the old life has testified, or is missing because a lease has passed.
    pub(super) fn hear_witnesses(&mut self, witnesses: &[Witness], lease: Duration, now: Instant) -> bool {
        self.known.extend(witnesses.iter().map(|(name, _)| name.clone()));
        let Some(doubts) = &mut self.doubts else { return false };
        let testified: HashSet<&Name> = witnesses.iter().filter_map(|(_, said)| said.was.as_ref()).collect();
        let all_are_heard = doubts.names.iter().all(|name| testified.contains(name));
        if !all_are_heard && now.saturating_duration_since(doubts.since) < lease {
            return false;
        }
        doubts.is_missing |= !all_are_heard;
        true
    }

    /// C3: settles what is in doubt, after every answer of the new life was read.
    pub(super) fn settle_doubts(&mut self, witnesses: &[Witness]) -> Vec<Ended> {
        let Some(doubts) = self.doubts.take() else { return Vec::new() };
        let mine = |id: &&AttemptId| *id.client == *self.client;
        let number = |id: &AttemptId| (id.seq, id.attempt);
        let held: HashSet<(u64, u32)> =
            witnesses.iter().flat_map(|(_, said)| &said.held).filter(mine).map(number).collect();
        // With the name that the node had when it answered.
        let answered = |(_, said): &'_ Witness| {
            let was = said.was.clone().unwrap_or_else(|| UNKNOWN.into());
            said.recent.iter().filter(mine).map(|id| (number(id), was.clone())).collect::<Vec<_>>()
        };
        let recent: HashMap<(u64, u32), Name> = witnesses.iter().flat_map(answered).collect();
        let mut missing = doubts.names;
        witnesses.iter().filter_map(|(_, said)| said.was.as_ref()).for_each(|was| _ = missing.remove(was));
        let is_missing = doubts.is_missing || witnesses.iter().any(|(_, said)| said.is_incomplete);
        let mut ended = Vec::new();
        for seq in self.of_place(|place| place == Place::Doubt).into_iter().rev() {
            let Some(record) = self.tasks.get_mut(&seq) else { continue };
            let attempt = (seq, record.attempt);
            if held.contains(&attempt) {
                record.place = Place::Shipped(None);
            } else if let Some(node) = recent.get(&attempt) {
                let lost =
                    WorkerLost::new(&**node).with_cause("the server started again and lost the answer");
                ended.extend(self.charge(seq, lost));
            } else if is_missing {
                ended.extend(self.charge(seq, of_missing(&missing, self.lease)));
            } else {
                self.requeue(seq);
            }
        }
        ended
    }

    /// C5: the server has forgotten this client, and the nodes with it. It goes on under another name.
    pub(super) fn be_forgotten(&mut self, client: Name) -> Vec<Ended> {
        self.client = client;
        self.mark = EntryId::ZERO;
        self.doubts = None;
        let out = self.of_place(|place| place != Place::Queued);
        let cause = "this client was cut off from the server for longer than its keys live";
        let lost = WorkerLost::new(UNKNOWN).with_cause(cause);
        out.into_iter().rev().filter_map(|seq| self.charge(seq, lost.clone())).collect()
    }
}

/// In the place of a node's name.
const UNKNOWN: &str = "(not known which)";

/// What a task is lost by whose node has not come to the server's new life.
fn of_missing(missing: &HashSet<Name>, lease: Duration) -> WorkerLost {
    let mut names: Vec<&str> = missing.iter().map(|name| &**name).collect();
    names.sort_unstable();
    match names[..] {
        [] => WorkerLost::new(UNKNOWN)
            .with_cause("the server started again, and a node can't tell what it had begun"),
        [node] => {
            let lost = WorkerLost::new(node).with_silence(lease);
            lost.with_cause("the server started again, and the node was not heard from since")
        }
        _ => {
            let names = names.join(", ");
            WorkerLost::new(UNKNOWN)
                .with_silence(lease)
                .with_cause(format!("the server started again, and none of {names} was heard from since"))
        }
    }
}

impl Ended {
    /// Resolves the future; runs its callbacks.
    pub(super) fn resolve(self) -> bool {
        match self {
            Ended::Error(task, error) => !task.fail(error),
            Ended::Reply(task, reply) => match task.try_complete(&reply) {
                Ok(_) => true,
                Err((task, error)) => !task.fail(TaskError::Codec(error)),
            },
        }
    }
}
