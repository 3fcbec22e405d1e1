//! [`Submit`]: the way of a lazy map's items to its executor.

use super::batch::{Batch, shared};
use super::chunk::{Chunk, Items, run_chunk};
use super::pace::Pace;
use crate::error::TaskError;
use crate::executor::local::Launch;
use crate::future::TaskOptions;
use crate::future::meter::Meter;
use std::sync::Arc;

/// One per map.
pub(crate) trait Submit<A, R>: Send {
    /// Hands items to the executor, as one task. `start` is the place of the first in the input.
    fn submit(&mut self, items: Items<A>, start: usize, meter: Option<Meter>) -> Chunk<A, R>;

    /// Gives each item of the batch that has not begun a task of its own. The executor has accepted them with the batch,
    /// so they run or resolve as the batch itself would.
    fn part(&mut self, _: &Batch<A, R>) -> Vec<Chunk<A, R>> {
        Vec::new()
    }
}

impl<A, R, F: FnMut(Items<A>, usize, Option<Meter>) -> Chunk<A, R> + Send> Submit<A, R> for F {
    fn submit(&mut self, items: Items<A>, start: usize, meter: Option<Meter>) -> Chunk<A, R> {
        self(items, start, meter)
    }
}

/// To an executor of this process.
pub(in crate::executor) struct ToPool<L, F> {
    pub(in crate::executor) pool: L,
    pub(in crate::executor) f: Arc<F>,
    pub(in crate::executor) tasks: Option<TaskOptions>,
    /// Where it is of use how long items take.
    pub(in crate::executor) pace: Option<Arc<Pace>>,
    /// Whether items share tasks; then there is a pace.
    pub(in crate::executor) shares: bool,
}

impl<L, A, R, F> Submit<A, R> for ToPool<L, F>
where
    L: Launch,
    A: Send + 'static,
    R: Send + 'static,
    F: Fn(A) -> Result<R, TaskError> + Send + Sync + 'static,
{
    /// Nothing is encoded, so there is nothing to count.
    fn submit(&mut self, items: Items<A>, start: usize, _: Option<Meter>) -> Chunk<A, R> {
        if let Some(pace) = self.pace.as_ref().filter(|_| self.shares) {
            let (chunk, entry) = shared(&self.f, pace, items.into_vec(), start);
            self.pool.accept(entry);
            return chunk;
        }
        let (f, pace, len) = (self.f.clone(), self.pace.clone(), items.len());
        let run = move || Ok(run_chunk(items, &*f, pace.as_deref()));
        let future = self.pool.launch_items(self.tasks.clone(), start..start + len, run);
        Chunk::of(future, len)
    }

    fn part(&mut self, batch: &Batch<A, R>) -> Vec<Chunk<A, R>> {
        let mut chunks = Vec::new();
        let Some(pace) = &self.pace else { return chunks };
        self.pool.accept_parts(&mut || {
            let (items, start) = batch.part();
            let parts =
                items.into_iter().zip(start..).map(|(item, at)| shared(&self.f, pace, vec![item], at));
            let (parted, entries): (Vec<_>, Vec<_>) = parts.unzip();
            chunks.extend(parted);
            entries
        });
        chunks
    }
}
