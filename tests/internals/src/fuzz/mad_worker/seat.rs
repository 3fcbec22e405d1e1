//! [`Seat`]: where a worker sits that has gone mad.

#![expect(unsafe_code, reason = "a segment as words, argued in the place")]

use crate::process_pool::parent::outbound::Outbound;
use crate::process_pool::parent::results::Results;
use crate::process_pool::shared::Layout;
use crate::process_pool::shared::results::RESULT_SLOTS;
use crate::process_pool::sys::{Event, GRAIN, MemoryFile, Segment, Socket, WritableMemory};
use crate::process_pool::worker::plane::ResultMemory;
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Its parts of a pool, of which the parent has the other ends.
pub(super) struct Seat {
    pub(super) segment: Arc<Segment>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) event: Arc<Event>,
    pub(super) results: Arc<Results>,
    /// The worker's memory for large values, as long as it was sane.
    pub(super) plane: Arc<ResultMemory>,
    /// All of that memory.
    pub(super) memory: RefCell<WritableMemory>,
    pub(super) is_written: Cell<bool>,
    _theirs: OwnedFd,
}

/// Of each result slot.
pub(super) const ROOM: usize = 4 * GRAIN;

impl Seat {
    pub(super) fn new() -> Self {
        let (ours, theirs) = Socket::pair().expect("a socket");
        let segment = Arc::new(Segment::create().expect("a segment").0);
        let event = Arc::new(Event::new().expect("an event"));
        let file = MemoryFile::create(RESULT_SLOTS * ROOM).expect("memory");
        let theirs_too =
            |file: &MemoryFile| MemoryFile::of(file.handle().expect("a handle")).expect("a file");
        let plane = Arc::new(ResultMemory::new(theirs_too(&file), &segment));
        let memory = RefCell::new(file.map_to_write(0, RESULT_SLOTS * ROOM).expect("a mapping"));
        let results = Arc::new(Results::on(file, &segment));
        let outbound = Arc::new(Outbound::new(ours));
        let is_written = Cell::new(true);
        Seat { segment, outbound, event, results, plane, memory, is_written, _theirs: theirs }
    }

    /// The segment as the worker sees it that has gone mad.
    pub(super) fn words(&self) -> &[AtomicU64] {
        let segment: &Layout = &self.segment;
        // SAFETY: a segment is that long, aligned for words, and nothing but atomics; it lives as long as the seat.
        unsafe { std::slice::from_raw_parts((&raw const *segment).cast(), size_of::<Layout>() / 8) }
    }

    pub(super) fn wipe(&self) {
        self.outbound.clear();
        for word in self.words().iter().filter(|word| word.load(Ordering::Relaxed) != 0) {
            word.store(0, Ordering::Relaxed);
        }
        if self.is_written.take() {
            // In part no text.
            let bytes: Vec<u8> = (0..RESULT_SLOTS * ROOM).map(|at| (at / 64) as u8).collect();
            self.memory.borrow_mut().write(0, &bytes);
        }
    }
}
