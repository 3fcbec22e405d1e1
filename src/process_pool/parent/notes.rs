//! [`Notes`]: what a worker says beside its replies, as the parent hears it; and [`Records`], what it logged, on its way to
//! this process's logger.
//!
//! What tasks report goes to a thread of its own, and with it, behind it, the end of such a task. The worker waits until
//! enough of it is done with.
//!
//! A driver takes notes off the socket and never calls the logger, which is the user's code and may take any time: a thread of
//! the pool's own does. What waits for that thread is bounded. So the worker finds room for its notes however slow the logger
//! is, and a flood of records costs records, which are counted, and no task its time.

use super::lane::Position;
use super::pool::{Pool, SERVES};
use super::resolve::Resolved;
use crate::contain::contain;
use crate::future::cell::Entry;
use crate::logging::{self, Record};
use crate::process_pool::sys::{Segment, Socket};
use crate::process_pool::wire::frames::{Blocking, Stream};
use crate::process_pool::wire::message::ProtocolError;
use crate::process_pool::wire::note::{self, Note, Report, WINDOW};
use crate::sync::plain::{AtomicUsize, Ordering};
use crate::sync::{Mutex, channel, thread};
use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of records that may wait for the logger.
const MOST_WAITING: usize = 16 << 20;

/// Read at a time.
const ROOM: usize = 64 << 10;

/// So many reads at most before something else is looked at; they take all that a socket holds.
const MAX_READS: usize = 16;

/// How long a worker's death waits for the logger to see what the worker said before.
const LAST_RECORDS: Duration = Duration::from_millis(100);

/// Of one worker.
pub(crate) struct Notes {
    socket: Socket,
    lane: usize,
    worker: Arc<str>,
    /// What has come and is no whole note yet.
    bytes: Vec<u8>,
    /// Records that found no room in this process since the logger was told last.
    lost: u64,
    /// What the reports that came so far count as.
    reported: u64,
    progress: Arc<Progress>,
    is_over: bool,
}

impl Notes {
    pub(crate) fn new(socket: Socket, lane: usize, worker: &str, segment: &Arc<Segment>) -> Self {
        let progress = Arc::new(Progress { done: Mutex::new(0), segment: segment.clone() });
        let (worker, bytes) = (worker.into(), Vec::new());
        Notes { socket, lane, worker, bytes, lost: 0, reported: 0, progress, is_over: false }
    }

    /// What to sleep for, as long as something may come.
    pub(super) fn socket(&self) -> Option<&Socket> {
        (!self.is_over).then_some(&self.socket)
    }

    /// Takes what is there. `ended` are tasks that are in no table any more and may have reported something before. The error is
    /// what no worker writes.
    pub(super) fn hear(
        &mut self,
        pool: &Arc<Pool>,
        ended: &[(Position, Entry)],
    ) -> Result<(), ProtocolError> {
        for _ in 0..MAX_READS {
            if self.is_over {
                break;
            }
            self.bytes.reserve(ROOM);
            match self.socket.receive(&mut self.bytes, Blocking::No) {
                Ok(got) if got > 0 => {
                    let bytes = std::mem::take(&mut self.bytes);
                    let taken = self.take(&bytes, pool, ended);
                    self.is_over = taken.is_err();
                    self.bytes = bytes;
                    self.bytes.drain(..taken?);
                    // A long one is rare.
                    if self.bytes.is_empty() {
                        self.bytes.shrink_to(ROOM);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Half a note of one that is gone is none.
                Ok(_) | Err(_) => self.is_over = true,
            }
        }
        Ok(())
    }

    /// The worker is dead: what it said before comes first.
    pub(super) fn hear_last(&mut self, pool: &Arc<Pool>) {
        // Its descendants may say more: nobody waits for them.
        let _ = self.hear(pool, &[]);
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            // One for each worker: it may be what comes on top of all that waits.
            pool.say_anyway(Said::Record { worker: self.worker.clone(), record: lost_records(lost) });
        }
        pool.records.await_said(LAST_RECORDS);
    }

    /// Takes whole notes; returns how many bytes they are.
    fn take(
        &mut self,
        bytes: &[u8],
        pool: &Arc<Pool>,
        ended: &[(Position, Entry)],
    ) -> Result<usize, ProtocolError> {
        let mut rest = bytes;
        while let Some(note) = note::next(&mut rest)? {
            match note {
                Note::Record(record) => self.keep(record, pool),
                Note::Lost(count) => self.lost = self.lost.saturating_add(count),
                Note::Report(report) => self.pass_on(&report, pool, ended)?,
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn keep(&mut self, record: Record<'_>, pool: &Pool) {
        let said = |record| Said::Record { worker: self.worker.clone(), record };
        if self.lost > 0 && pool.say(said(lost_records(self.lost))) {
            self.lost = 0;
        }
        if self.lost > 0 || !pool.say(said(owned(record))) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn pass_on(
        &mut self,
        report: &Report<'_>,
        pool: &Arc<Pool>,
        ended: &[(Position, Entry)],
    ) -> Result<(), ProtocolError> {
        if self.reported.wrapping_sub(*self.progress.done.lock()) > WINDOW {
            return Err(ProtocolError("more reports than may be under way"));
        }
        self.reported = self.reported.wrapping_add(report.cost());
        let position = Position { batch: report.batch, index: report.index };
        let is_it = |(at, _): &&(Position, Entry)| *at == position;
        let task = ended.iter().find(is_it).map(|(_, task)| task.clone());
        let task = task.or_else(|| pool.dispatcher.lock().reporting(self.lane, position));
        let (words, message_type) = (report.words.to_vec(), report.message_type);
        let reported = task.map(|task| Reported {
            task,
            words,
            message_type,
            cost: report.cost(),
            progress: self.progress.clone(),
        });
        match reported {
            Some(reported) => pool.hand_on(Resolved::Report(reported)),
            // A task that has ended, of which nobody wants to hear any more.
            None => self.progress.add(report.cost()),
        }
        Ok(())
    }
}

/// How much of a worker's reports is done with.
struct Progress {
    done: Mutex<u64>,
    segment: Arc<Segment>,
}

impl Progress {
    fn add(&self, cost: u64) {
        let mut done = self.done.lock();
        *done = done.wrapping_add(cost);
        self.segment.credit.set(*done);
    }
}

/// What a task has reported, for its `on_report`.
pub(super) struct Reported {
    task: Entry,
    words: Vec<u8>,
    message_type: u64,
    cost: u64,
    progress: Arc<Progress>,
}

impl Reported {
    /// Calls the user's code: no lock is held.
    pub(super) fn tell(self) {
        if let Some(to) = self.task.options().report_to() {
            to.read(self.task.header().id, self.message_type, &self.words);
        }
        self.progress.add(self.cost);
    }
}

/// What is for the thread that calls the logger.
enum Said {
    Record {
        worker: Arc<str>,
        record: Record<'static>,
    },
    /// Whoever waits for what was said before.
    Mark(channel::Sender<()>),
}

/// What workers have logged and the logger has not seen yet.
#[derive(Default)]
pub(crate) struct Records {
    sender: Mutex<Option<channel::Sender<Said>>>,
    waiting: Arc<AtomicUsize>,
}

impl Records {
    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.sender.lock().take();
    }

    /// Waits until the logger has seen what was said so far, and no longer than that.
    fn await_said(&self, time: Duration) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let (mark, reached) = channel::bounded(1);
        let is_sent = self.sender.lock().as_ref().is_some_and(|sender| sender.send(Said::Mark(mark)).is_ok());
        if is_sent {
            // The logger takes as long as it likes, and a death doesn't wait for that.
            let _ = reached.recv_timeout(time);
        }
    }
}

impl Pool {
    /// Hands on what was said; false if too much waits already.
    fn say(&self, said: Said) -> bool {
        self.records.waiting.load(Ordering::Relaxed) <= MOST_WAITING && self.say_anyway(said)
    }

    /// The same, however much waits.
    fn say_anyway(&self, said: Said) -> bool {
        let size = said.size();
        self.records.waiting.fetch_add(size, Ordering::Relaxed);
        let mut sender = self.records.sender.lock();
        if sender.is_none() {
            *sender = self.start_logging_thread();
        }
        let is_sent = sender.as_ref().is_some_and(|sender| sender.send(said).is_ok());
        if !is_sent {
            self.records.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        is_sent
    }

    fn start_logging_thread(&self) -> Option<channel::Sender<Said>> {
        let (sender, receiver) = channel::unbounded::<Said>();
        let (id, waiting) = (self.id, self.records.waiting.clone());
        let call = move || {
            SERVES.set(Some(id));
            for said in receiver {
                let size = said.size();
                // The logger is contained by itself; should anything else panic, the next records are still seen.
                let _ = contain(|| said.tell());
                waiting.fetch_sub(size, Ordering::Relaxed);
            }
        };
        let name = format!("{}_logs", self.config.launch.name_prefix);
        let handle = thread::Builder::new().name(name).spawn(call).ok()?;
        self.threads.lock().push(handle);
        Some(sender)
    }
}

impl Said {
    /// Bytes that it takes, about.
    fn size(&self) -> usize {
        const EACH: usize = 256;
        match self {
            Said::Record { record, .. } => {
                let pairs = record.pairs.iter().map(|(key, value)| EACH + key.len() + value.len());
                EACH + record.text.len() + record.target.len() + pairs.sum::<usize>()
            }
            Said::Mark(_) => 0,
        }
    }

    fn tell(self) {
        match self {
            Said::Record { worker, record } => logging::forward(&record, &worker),
            Said::Mark(mark) => drop(mark.send(())),
        }
    }
}

/// Says how many there are not.
fn lost_records(count: u64) -> Record<'static> {
    /// A warning.
    const LEVEL: u8 = 2;
    let text =
        format!("{count} log records of this worker are lost: they came faster than they could be taken");
    Record { level: LEVEL, target: "concurrent_futures".into(), text: text.into(), ..Record::default() }
}

fn owned(record: Record<'_>) -> Record<'static> {
    fn own(text: Cow<'_, str>) -> Cow<'static, str> {
        Cow::Owned(text.into_owned())
    }
    Record {
        level: record.level,
        target: own(record.target),
        module: record.module.map(own),
        file: record.file.map(own),
        line: record.line,
        text: own(record.text),
        pairs: record.pairs.into_iter().map(|(key, value)| (own(key), own(value))).collect(),
    }
}
