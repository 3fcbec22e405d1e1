//! [`Notes`]: what a worker says beside its replies, as the parent hears it; and [`Records`], what it logged, on its way to
//! this process's logger.
//!
//! A driver takes notes off the socket and never calls the logger, which is the user's code and may take any time: a thread of
//! the pool's own does. What waits for that thread is bounded. So the worker finds room for its notes however slow the logger
//! is, and a flood of records costs records, which are counted, and no task its time.

use super::pool::{Pool, SERVES};
use crate::contain::contain;
use crate::logging::{self, Record};
use crate::process_pool::sys::Socket;
use crate::process_pool::wire::frames::{Blocking, Stream};
use crate::process_pool::wire::message::ProtocolError;
use crate::process_pool::wire::note::{self, Note};
use crate::sync::plain::{AtomicBool, AtomicUsize, Ordering};
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
    worker: Arc<str>,
    heard: Mutex<Heard>,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Heard {
    /// What has come and is no whole note yet.
    bytes: Vec<u8>,
    /// Records that found no room in this process since the logger was told last.
    lost: u64,
}

impl Notes {
    pub(crate) fn new(socket: Socket, worker: &str) -> Self {
        Notes { socket, worker: worker.into(), heard: Mutex::default(), is_over: AtomicBool::new(false) }
    }

    /// What to sleep for, as long as something may come.
    pub(super) fn socket(&self) -> Option<&Socket> {
        (!self.is_over.load(Ordering::Relaxed)).then_some(&self.socket)
    }

    /// Takes what is there. The error is what no worker writes.
    pub(super) fn hear(&self, pool: &Pool) -> Result<(), ProtocolError> {
        let mut heard = self.heard.lock();
        for _ in 0..MAX_READS {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            heard.bytes.reserve(ROOM);
            match self.socket.receive(&mut heard.bytes, Blocking::No) {
                Ok(got) if got > 0 => {
                    let taken = self.take(&mut heard, pool);
                    self.is_over.fetch_or(taken.is_err(), Ordering::Relaxed);
                    taken?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Half a note of one that is gone is none.
                Ok(_) | Err(_) => self.is_over.store(true, Ordering::Relaxed),
            }
        }
        Ok(())
    }

    /// The worker is dead: what it said before comes first.
    pub(super) fn hear_last(&self, pool: &Pool) {
        // Its descendants may say more: nobody waits for them.
        let _ = self.hear(pool);
        let lost = std::mem::take(&mut self.heard.lock().lost);
        if lost > 0 {
            pool.log(Said::Record { worker: self.worker.clone(), record: lost_records(lost) });
        }
        pool.records.await_said(LAST_RECORDS);
    }

    fn take(&self, heard: &mut Heard, pool: &Pool) -> Result<(), ProtocolError> {
        let Heard { bytes, lost } = heard;
        let mut rest = &bytes[..];
        while let Some(note) = note::next(&mut rest)? {
            match note {
                Note::Record(record) => self.log(record, lost, pool),
                Note::Lost(count) => *lost = lost.saturating_add(count),
            }
        }
        let taken = bytes.len() - rest.len();
        bytes.drain(..taken);
        // A long one is rare.
        if bytes.is_empty() {
            bytes.shrink_to(ROOM);
        }
        Ok(())
    }

    fn log(&self, record: Record<'_>, lost: &mut u64, pool: &Pool) {
        let said = |record| Said::Record { worker: self.worker.clone(), record };
        if *lost > 0 && pool.log(said(lost_records(*lost))) {
            *lost = 0;
        }
        if *lost > 0 || !pool.log(said(owned(record))) {
            *lost = lost.saturating_add(1);
        }
    }
}


/// What is for the thread that calls the logger.
enum Said {
    Record { worker: Arc<str>, record: Record<'static> },
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
    fn log(&self, said: Said) -> bool {
        let size = said.size();
        if self.records.waiting.fetch_add(size, Ordering::Relaxed) > MOST_WAITING {
            self.records.waiting.fetch_sub(size, Ordering::Relaxed);
            return false;
        }
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
    let text = format!("{count} log records of this worker are lost: they came faster than they could be taken");
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
