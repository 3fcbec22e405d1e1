//! [`Sizes`]: how many items make a chunk, and how many may be in flight.

use super::ahead::Ahead;
use super::options::MapOptions;
use super::pace::Pace;
use std::sync::Arc;
use std::time::Duration;

/// One per map; the sizes may change from chunk to chunk.
pub(crate) struct Sizes {
    size: usize,
    /// Where the sizes follow from how long items take.
    pace: Option<Arc<Pace>>,
    /// Whether short items share tasks.
    shares: bool,
    buffer: Buffer,
    /// How many chunks are to be in flight at least, however large they grow.
    pub(super) least: usize,
}

/// How many items may be in flight.
enum Buffer {
    Given(usize),
    ByTime(Ahead),
}

impl Sizes {
    /// `shares`: the executor's tasks have a cost that is worth sharing.
    pub(in crate::executor) fn new(options: &MapOptions, workers: usize, shares: bool) -> Self {
        // A few chunks a worker: enough that nobody waits for the consumer, few enough that memory stays small.
        const PER_WORKER: usize = 4;
        // An executor that says it has no workers can't tell how many it has.
        let workers = workers.max(1);
        let least = workers.saturating_mul(PER_WORKER);
        let size = options.chunksize.unwrap_or(1);
        let (size, buffer) = match options.buffersize {
            Some(buffersize) => (size.min(buffersize), Buffer::Given(buffersize)),
            None => (size, Buffer::ByTime(Ahead::new(workers, least.saturating_mul(size)))),
        };
        Sizes { size, pace: None, shares: shares && options.lets_items_share(), buffer, least }
    }

    /// As many in flight from beginning to end, and each item by itself: where nobody gave a number, for executors that
    /// run each task at once, and so gain nothing.
    pub(in crate::executor) fn fixed(options: &MapOptions, workers: usize) -> Self {
        let sizes = Self::new(options, workers, false);
        match &sizes.buffer {
            Buffer::Given(_) => sizes,
            Buffer::ByTime(ahead) => {
                let buffer = Buffer::Given(ahead.items(0, 0));
                Sizes { buffer, ..sizes }
            }
        }
    }

    /// What the map's tasks note how long items take in, if that is of use.
    pub(in crate::executor) fn measure(&mut self) -> Option<Arc<Pace>> {
        let is_of_use = self.shares || matches!(self.buffer, Buffer::ByTime(_));
        self.pace = is_of_use.then(|| Arc::new(Pace::new()));
        self.pace.clone()
    }

    /// Whether chunks are to be batches.
    pub(in crate::executor) fn shares(&self) -> bool {
        self.shares
    }

    /// From now on each item is a task; true if until now it was not so.
    #[cfg(feature = "stream")]
    pub(super) fn stop_sharing(&mut self) -> bool {
        if self.shares {
            self.size = 1;
        }
        std::mem::take(&mut self.shares)
    }

    /// The size of the next chunk, if it may be in flight where `in_air` items are already; at least `known` more come.
    pub(super) fn next(&mut self, in_air: usize, known: usize) -> Option<usize> {
        let mut size = self.size;
        if let Some(pace) = self.pace.as_ref().filter(|_| self.shares) {
            let room = self.buffer(1, known) / self.least;
            size = pace.next_size(self.size).min(room).min(known).max(1);
        }
        if self.buffer(size, known).saturating_sub(in_air) < size {
            return None;
        }
        self.size = size;
        Some(size)
    }

    fn buffer(&self, size: usize, known: usize) -> usize {
        match &self.buffer {
            Buffer::Given(buffersize) => *buffersize,
            Buffer::ByTime(ahead) => ahead.items(size, known),
        }
    }

    /// A chunk of so many items has come back, and says how long it took if the pace wasn't told.
    pub(super) fn came_back(&mut self, items: usize, time: Option<Duration>) {
        if let (Some(pace), Buffer::ByTime(ahead)) = (&self.pace, &mut self.buffer) {
            if let Some(time) = time {
                pace.note(time, items);
            }
            ahead.note(items, pace.each(), pace.bytes());
        }
    }

    /// An item took long.
    pub(super) fn forget(&mut self) {
        if let Some(pace) = &self.pace {
            pace.forget();
        }
        if let Buffer::ByTime(ahead) = &mut self.buffer {
            ahead.forget();
        }
    }
}
