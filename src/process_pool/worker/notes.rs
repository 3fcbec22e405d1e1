//! [`Notes`]: what this worker says beside its replies. Any thread of it may.
//!
//! They go through a socket of their own, so that no reply waits for one and none stands within another. The parent takes
//! them at once, whatever its logger does; so there is room but for moments, and where there is none for longer, records are
//! dropped and counted: a parent that is stopped holds up no task for long.

use crate::clock::deadline_after;
use crate::future::reporting::Speaking;
use crate::logging::{self, Record};
use crate::process_pool::sys::{self, Handle, Segment, Socket};
use crate::process_pool::wire::frames::{Blocking, Stream};
use crate::process_pool::wire::note::{self, Report, WINDOW};
use crate::sync::{Mutex, OnceLock};
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a record waits for room.
const PATIENCE: Duration = Duration::from_millis(100);

/// Between two looks whether reports are done with.
const SHORTEST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// Those of this process. Never dropped: a task may have closed the socket, and to close it a second time ends the process.
static NOTES: OnceLock<Notes> = OnceLock::new();

struct Notes {
    socket: Socket,
    segment: Arc<Segment>,
    sending: Mutex<Sending>,
    /// A fork of the worker has the socket too, and says nothing.
    process: u32,
}

#[derive(Default)]
struct Sending {
    /// What is left of a note that was begun: it goes before any other.
    rest: Vec<u8>,
    /// There was no room for longer than a record waits: until there is, none waits.
    is_stuck: bool,
    /// Records that found no room since the parent was told last.
    lost: u64,
    /// What the reports sent so far count as.
    reported: u64,
    /// There is nobody to tell.
    is_over: bool,
}

/// From now on notes go out by this handle, and what the program logs up to `level` is one.
pub(super) fn begin(handle: Handle, level: u32, segment: &Arc<Segment>) {
    let Ok(socket) = Socket::from_handle(handle) else { return };
    NOTES.get_or_init(|| Notes {
        socket,
        segment: segment.clone(),
        sending: Mutex::default(),
        process: std::process::id(),
    });
    let Ok(level) = u8::try_from(level) else { return };
    logging::forward_by(level, |record| {
        if let Some(notes) = NOTES.get() {
            notes.record(record);
        }
    });
}

/// From here on this thread runs that task, whose reports are notes.
pub(super) fn speaking_of(batch: u32, index: u32) -> Speaking {
    Speaking::away(move |message_type, words| {
        if let Some(notes) = NOTES.get() {
            notes.report(&Report { batch, index, message_type, words });
        }
    })
}

/// The worker is about to leave.
pub(super) fn end() {
    if let Some(notes) = NOTES.get() {
        let mut sending = notes.sending.lock();
        if sending.lost > 0 {
            let lost = sending.lost;
            sending.send(&notes.socket, note::lost(lost));
        }
    }
}

impl Notes {
    fn record(&self, record: &Record<'_>) {
        if std::process::id() != self.process {
            return;
        }
        // Before the lock: it takes memory.
        let note = note::record(record);
        self.sending.lock().record(&self.socket, note);
    }
}

impl Notes {
    /// Waits until those before it are done with, as far as it must.
    fn report(&self, report: &Report<'_>) {
        if std::process::id() != self.process {
            return;
        }
        let Some(note) = note::report(report) else {
            return logging::error(format_args!("a report of more than 4 GiB is dropped"));
        };
        // Nobody can wake it across the two processes: it looks, at first often.
        let mut pause = SHORTEST_PAUSE;
        // The thread that runs the tasks alone reports, so nothing is added in between.
        let reported = self.sending.lock().reported;
        while reported.wrapping_sub(self.segment.credit.done()) > WINDOW && !self.sending.lock().is_over {
            sys::pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let mut sending = self.sending.lock();
        sending.reported = reported.wrapping_add(report.cost());
        // What was begun before goes first, however long that takes.
        sending.push_all(&self.socket);
        sending.rest = note;
        sending.push_all(&self.socket);
    }
}

impl Sending {
    fn push_all(&mut self, socket: &Socket) {
        while !self.push(socket) {
            sys::await_room(socket, PATIENCE);
        }
    }

    fn record(&mut self, socket: &Socket, record: Option<Vec<u8>>) {
        let told = self.lost == 0 || self.send(socket, note::lost(self.lost));
        if told {
            self.lost = 0;
        }
        let sent = told && record.is_some_and(|record| self.send(socket, record));
        self.lost += u64::from(!sent);
    }

    /// False if there was no room for the first byte. What was begun is kept, and goes first next time.
    fn send(&mut self, socket: &Socket, note: Vec<u8>) -> bool {
        if !self.push(socket) {
            return false;
        }
        let len = note.len();
        self.rest = note;
        if self.push(socket) || self.rest.len() < len {
            return true;
        }
        self.rest = Vec::new();
        false
    }

    /// Sends what is left. False if there was no room for it in time.
    fn push(&mut self, socket: &Socket) -> bool {
        let mut until = None;
        while !self.rest.is_empty() && !self.is_over {
            match socket.send(&[IoSlice::new(&self.rest)], Blocking::No) {
                Ok(sent) => {
                    self.rest.drain(..sent);
                    (self.is_stuck, until) = (false, None);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let until = until.get_or_insert_with(|| deadline_after(PATIENCE));
                    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                    self.is_stuck |= left.is_none_or(|left| left.is_zero());
                    if self.is_stuck {
                        return false;
                    }
                    sys::await_room(socket, left.unwrap_or_default());
                }
                // The parent is gone, or a task has closed the socket.
                Err(_) => self.is_over = true,
            }
        }
        if self.is_over {
            self.rest = Vec::new();
        }
        true
    }
}
