//! [`Out`]: how many bytes of a client's are on the server or with nodes.

use concurrent_futures::SharedBlob;
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Out {
    /// Of arguments.
    bytes: usize,
    /// Of the data that they share, once.
    shared: usize,
    /// By how many tasks that are out each of it is carried.
    carriers: HashMap<u128, usize>,
}

impl Out {
    /// Whether a task may go out as well: one that brings shared data of its own if all of it stays within `window`; one that
    /// brings none if the arguments do. One may always go alone.
    pub(super) fn fits(&self, len: usize, shared: &[SharedBlob], window: usize) -> bool {
        let is_new = |blob: &&SharedBlob| !self.carries(blob.id());
        let brought = shared.iter().filter(is_new).map(SharedBlob::len).sum::<usize>();
        let is_alone = self.bytes == 0;
        is_alone || self.bytes + len + if brought > 0 { self.shared + brought } else { 0 } <= window
    }

    /// Whether a task that is out carries it.
    pub(super) fn carries(&self, shared: u128) -> bool {
        self.carriers.contains_key(&shared)
    }

    pub(super) fn add(&mut self, len: usize, shared: &[SharedBlob]) {
        self.bytes += len;
        for blob in shared {
            let carriers = self.carriers.entry(blob.id()).or_default();
            self.shared += if *carriers == 0 { blob.len() } else { 0 };
            *carriers += 1;
        }
    }

    pub(super) fn remove(&mut self, len: usize, shared: &[SharedBlob]) {
        self.bytes -= len;
        for blob in shared {
            let Some(carriers) = self.carriers.get_mut(&blob.id()) else { continue };
            *carriers -= 1;
            if *carriers == 0 {
                self.carriers.remove(&blob.id());
                self.shared -= blob.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Out;
    use concurrent_futures::{SharedBlob, SharedBytes, Task};

    fn blob(len: usize) -> SharedBlob {
        let (mut task, _) = Task::new(|_: SharedBytes| (), vec![1; len].into());
        task.encode_once().unwrap().take_shared(0).remove(0)
    }

    #[test]
    fn what_tasks_share_counts_once() {
        let (table, other) = (blob(80), blob(90));
        let (one, both) = ([table.clone()], [table, other]);
        let mut out = Out::default();
        assert!(out.fits(500, &both, 100), "alone");
        out.add(10, &one);
        assert!(out.fits(90, &one, 100) && !out.fits(91, &one, 100));
        assert!(out.fits(10, &[], 100) && !out.fits(10, &both, 100) && out.fits(10, &both, 190));
        out.add(10, &one);
        out.remove(10, &one);
        assert!(!out.fits(10, &both, 189) && out.fits(10, &both, 190), "once, and as long as one carries it");
        out.remove(10, &one);
        assert!(out.carriers.is_empty() && (out.bytes, out.shared) == (0, 0));
    }
}
