//! [`Sizes`]: how many items make a chunk, and how many may be in the air.

use super::options::MapOptions;
use super::pace::Pace;
use std::sync::Arc;

/// One per map; the size may change from chunk to chunk.
pub(super) struct Sizes {
    size: usize,
    /// Where the size follows from how long items take.
    pub(super) pace: Option<Arc<Pace>>,
    buffersize: usize,
    /// How many chunks are to be in the air at least, however large they grow.
    pub(super) least: usize,
}

impl Sizes {
    pub(super) fn new(options: &MapOptions, workers: usize, pace: Option<Arc<Pace>>) -> Self {
        // A few chunks a worker: enough that nobody waits for the consumer, few enough that memory stays small.
        const PER_WORKER: usize = 4;
        // An executor that says it has no workers can't tell how many it has.
        let least = workers.max(1).saturating_mul(PER_WORKER);
        let size = options.chunksize.unwrap_or(1);
        let buffersize = options.buffersize.unwrap_or_else(|| least.saturating_mul(size));
        Sizes { size: size.min(buffersize), pace, buffersize, least }
    }

    /// The size of the next chunk, if it may go into the air where `in_air` items are already; at least `known` more come.
    pub(super) fn next(&mut self, in_air: usize, known: usize) -> Option<usize> {
        let size = self.pace.as_ref().map_or(self.size, |pace| {
            pace.next_size(self.size).min(self.buffersize / self.least).min(known).max(1)
        });
        if self.buffersize - in_air < size {
            return None;
        }
        self.size = size;
        Some(size)
    }
}
