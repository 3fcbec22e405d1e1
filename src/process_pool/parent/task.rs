//! [`EncodedTask`]: a task, encoded, as the pool keeps it until its future is resolved.

use crate::blob::{self, Attached, Blob};
use crate::error::TaskError;
use crate::future::cell::{Entry, Kept};
use crate::future::publish::publish_here;
use crate::future::state::Phase;
use crate::id::FutureId;
use crate::process_pool::sys::SealedMemory;
use crate::process_pool::wire::batch::{About, BATCH_BYTES, Shipped, TaskBytes, TaskFlags};
use crate::process_pool::wire::buffer::PooledBuffer;
use crate::remote::codec::{Apart, Output, Plane};
use crate::spans;
use crate::sync::thread;
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct EncodedTask {
    pub(crate) entry: Unresolved,
    /// Made at submit: while a driver ships, it holds up every submitter.
    bytes: TaskBytes,
    /// How many times it may be run again after a death.
    retries: u32,
    /// Whether its time is limited.
    pub(crate) is_limited: bool,
    /// Whether there is something to tell about it, beside its call.
    has_about: bool,
    /// Whether somebody is told what it reports.
    pub(crate) reports: bool,
    // What belongs to the argument and lies elsewhere: here as long as the task may have to be sent. Most have nothing of it.
    blob: Option<Arc<Blob>>,
    carried: Option<Box<Carried>>,
}

struct Carried {
    /// Behind the first.
    blobs: Vec<Arc<Blob>>,
    /// What of the argument lies in the pool's arena.
    apart: Apart,
}

/// A task's entry, as long as the pool owes it a resolution. If it is dropped before that (a thread of the pool panics
/// while it holds it, or the pool is dropped with it in the queue), its future fails: nothing waits for a result that
/// never comes.
pub(crate) struct Unresolved {
    entry: Option<Entry>,
    /// The pool cancelled it and is to publish that. Where a future's `cancel` came first, that publishes.
    is_to_cancel: Cell<bool>,
}

impl Unresolved {
    fn new(entry: Entry) -> Self {
        Unresolved { entry: Some(entry), is_to_cancel: Cell::new(false) }
    }

    /// The task is resolved, or somebody else resolves it.
    pub(crate) fn release(mut self) -> Entry {
        self.entry.take().expect("taken by value only")
    }
}

impl Deref for Unresolved {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry.as_ref().expect("taken by value only")
    }
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let word = &entry.header().word;
        // A cancel may take possession of a queued task at this moment; the others belong to this thread alone.
        let (from, to) = match word.load().phase() {
            Phase::Dispatched => (Phase::Dispatched, Phase::Failed),
            Phase::Cancelling if self.is_to_cancel.get() => (Phase::Cancelling, Phase::Cancelled),
            Phase::Queued if word.claim().is_some() => (Phase::Running, Phase::Failed),
            _ => return,
        };
        let resolve = move |entry: &Entry| {
            entry.fill(if to == Phase::Cancelled { TaskError::Cancelled } else { TaskError::Abandoned });
            publish_here(&**entry, from, to);
        };
        if !std::thread::panicking() {
            return resolve(&entry);
        }
        // The thread that panics may hold the dispatcher's lock, which the future's callbacks may want.
        let on_another_thread = entry.clone();
        if thread::Builder::new().spawn(move || resolve(&on_another_thread)).is_err() {
            resolve(&entry);
        }
    }
}

impl EncodedTask {
    /// Encodes a task; its work is dropped. Long strings and runs of the argument go to the `plane`, if there is one.
    pub(crate) fn new(entry: Entry, plane: Option<Arc<dyn Plane>>) -> Result<Self, (Entry, TaskError)> {
        thread_local! {
            /// Arguments are encoded here first, so that each then takes just the bytes it needs.
            static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        // `Serialize` may submit tasks itself: then the inner submit finds the scratch gone and makes its own. So does a
        // submit in the destructor of another thread-local, when this one is gone for good.
        let mut bytes = SCRATCH.try_with(RefCell::take).unwrap_or_default();
        let put_back = |bytes| {
            let _ = SCRATCH.try_with(|scratch| scratch.replace(bytes));
        };
        bytes.clear();
        if bytes.capacity() == 0 {
            // The last argument was large, so perhaps this one is as well.
            bytes = PooledBuffer::spare();
        }
        let mut output = Output::new(bytes, plane);
        let (encoded, blobs) = blob::collect(|| entry.encode(Kept::Nothing, &mut output));
        let route = match encoded {
            Ok(route) => route,
            Err(error) => return Err((entry, error)),
        };
        let is_for_elsewhere = output.is_for_elsewhere;
        let (mut bytes, apart) = output.into_parts();
        let options = entry.options();
        let (retries, is_limited) = (options.get_retries(), options.get_timeout().is_some());
        let has_about = options.get_label().is_some() || options.get_stop_after().is_some();
        let reports = options.report_to().is_some();
        let flags = TaskFlags { rings_when_begun: is_limited, is_for_elsewhere, has_about, reports };
        let bytes = if bytes.len() < BATCH_BYTES {
            let small = TaskBytes::small(route, flags, &bytes);
            if bytes.capacity() <= 2 * BATCH_BYTES {
                put_back(bytes);
            } else {
                put_back(Vec::with_capacity(64));
                PooledBuffer::keep(bytes);
            }
            small
        } else {
            // A queued argument is not to hold memory that it doesn't use.
            if bytes.len() < bytes.capacity() / 2 {
                bytes.shrink_to_fit();
            }
            TaskBytes::large(route, flags, PooledBuffer::of(bytes))
        };
        // Those that came by value, in a parcel or a result, and are carried on.
        blobs.iter().for_each(|blob| blob.seal(SealedMemory::of_bytes));
        // The plane is shared by all threads: what has nothing there doesn't count as one that holds it.
        let Attached { first: blob, others: blobs } = blobs;
        let carries = !blobs.is_empty() || !apart.is_empty();
        let carried = carries.then(|| Box::new(Carried { blobs, apart }));
        Ok(EncodedTask {
            entry: Unresolved::new(entry),
            bytes,
            blob,
            carried,
            retries,
            is_limited,
            has_about,
            reports,
        })
    }

    /// It is about to be resolved: its argument is freed first, so that a thread that waits for it finds a large one's
    /// memory free for the next.
    pub(crate) fn into_unresolved(self) -> Unresolved {
        self.entry
    }

    /// The worker that runs it could not be ended and may read its argument at any time: that place is never used again.
    pub(crate) fn abandon_argument(&mut self) {
        self.carried.iter_mut().for_each(|carried| carried.apart.abandon());
    }

    pub(crate) fn id(&self) -> FutureId {
        self.entry.header().id
    }

    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.entry.options().get_timeout()
    }

    /// What of it goes into a batch.
    pub(crate) fn shipped(&self) -> Shipped<'_> {
        let about = || {
            let options = self.entry.options();
            About {
                attempt: options.get_retries() - self.retries + 1,
                stop_after: options.get_stop_after(),
                label: options.get_label().map(|label| &**label),
            }
        };
        Shipped { bytes: &self.bytes, id: self.id(), about: self.has_about.then(about) }
    }

    /// What the worker must have before it.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Arc<Blob>> {
        self.blob.iter().chain(self.carried.iter().flat_map(|carried| &carried.blobs))
    }

    /// Bytes that it takes in a frame.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Which run of it is its last so far, from 1. Not looked for where nobody is told.
    pub(crate) fn attempt(&self) -> u32 {
        if !spans::is_wanted() {
            return 1;
        }
        self.entry.options_if_any().map_or(1, |options| options.get_retries() - self.retries + 1)
    }

    /// Takes one of its retries, if one is left and it was not asked to stop.
    pub(crate) fn try_again(&mut self) -> bool {
        let again = self.retries > 0 && !self.entry.header().word.load().is_asked();
        if again {
            self.retries -= 1;
            self.has_about = true;
        }
        again
    }

    /// It is asked to stop, where it runs.
    pub(crate) fn note_asked(&self) {
        self.entry.header().word.mark_asked();
    }

    // Its phase, as it moves from place to place: only for the holder of the dispatcher's lock.

    pub(crate) fn is_queued(&self) -> bool {
        self.entry.header().word.load().phase() == Phase::Queued
    }

    /// From the queue to a lane. False if it was cancelled.
    pub(crate) fn dispatch(&self) -> bool {
        self.entry.header().word.dispatch()
    }

    /// From a lane back to the queue.
    pub(crate) fn recall(&self) {
        self.entry.header().word.recall();
    }

    /// From a lane to its end, which the pool publishes.
    pub(crate) fn cancel_dispatched(&self) {
        self.entry.header().word.cancel_dispatched();
        self.entry.is_to_cancel.set(true);
    }

    /// From the queue to its end, which the caller publishes. False if it was cancelled before.
    pub(crate) fn begin_cancel(&self) -> bool {
        let begins = self.entry.header().word.begin_cancel().is_some();
        self.entry.is_to_cancel.set(begins);
        begins
    }
}
