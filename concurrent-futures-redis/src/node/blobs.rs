//! [`Blobs`]: the data that tasks share, as this node has fetched it: once, however many tasks carry it.

use crate::wire::BlobName;
use concurrent_futures::{SharedBlob, TaskError};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many bytes are kept at most that no task here carries.
const IDLE: usize = 256 << 20;

#[derive(Default)]
pub(super) struct Blobs(HashMap<BlobName, Kept>);

struct Kept {
    blob: SharedBlob,
    used: Instant,
}

impl Blobs {
    /// All of these, in their order; none if one is missing.
    pub(super) fn find_all(&mut self, names: &[BlobName], now: Instant) -> Option<Vec<SharedBlob>> {
        names.iter().map(|name| self.find(*name, now)).collect()
    }

    pub(super) fn find(&mut self, name: BlobName, now: Instant) -> Option<SharedBlob> {
        let kept = self.0.get_mut(&name)?;
        kept.used = now;
        Some(kept.blob.clone())
    }

    pub(super) fn keep(&mut self, name: BlobName, blob: SharedBlob, now: Instant) {
        self.0.insert(name, Kept { blob, used: now });
    }

    /// Drops what no task here carries: all that none has for `patience`, and, the longest unused first, what is more than may be idle.
    pub(super) fn trim(&mut self, patience: Duration, now: Instant) {
        self.trim_to(IDLE, patience, now);
    }

    fn trim_to(&mut self, most: usize, patience: Duration, now: Instant) {
        let (mut idle, mut gone) = (Vec::new(), Vec::new());
        for (name, kept) in &mut self.0 {
            if !kept.blob.is_last() {
                // From the end of the last task that carries it.
                kept.used = now;
            } else if now.saturating_duration_since(kept.used) >= patience {
                gone.push(*name);
            } else {
                idle.push((kept.used, kept.blob.len(), *name));
            }
        }
        for name in gone {
            self.0.remove(&name);
        }
        idle.sort_unstable_by_key(|(used, ..)| *used);
        let mut bytes: usize = idle.iter().map(|(_, len, _)| len).sum();
        for (_, len, name) in idle {
            if bytes <= most {
                break;
            }
            self.0.remove(&name);
            bytes -= len;
        }
    }
}

/// Reads what lies on the server under a name. What lies in it is among the `children`.
pub(super) fn read(name: BlobName, bytes: &[u8], children: &[SharedBlob]) -> Result<SharedBlob, Unusable> {
    if BlobName::of(bytes) != name {
        return Err(Unusable::Changed);
    }
    SharedBlob::from_bytes(bytes, children).map_err(Unusable::Unread)
}

/// Why shared data can't be used, and the tasks that carry it fail.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(
        "is not on the server any more: somebody has removed it; its client puts it there again at its next beat: submit the task again"
    )]
    Gone,
    #[error(
        "is not on the server as it was put there: somebody has changed it; submit the task again with a new `Shared` of the same data"
    )]
    Changed,
    #[error("can't be read: {0}")]
    Unread(TaskError),
}

#[cfg(test)]
mod tests {
    use super::{Blobs, Unusable, read};
    use crate::wire::BlobName;
    use concurrent_futures::{Shared, SharedBlob, SharedBytes, Task};
    use std::time::{Duration, Instant};

    type Nested = Shared<(SharedBytes, u8)>;

    /// A value of so many bytes and what lies in it, as they come from the server.
    fn nested(len: usize) -> Vec<(BlobName, Vec<u8>)> {
        let value: Nested = Shared::new((vec![1; len].into(), 1));
        let (mut task, _) = Task::new(|_: Nested| (), value);
        let shared = task.encode_once().unwrap().take_shared(0);
        shared.iter().map(SharedBlob::to_bytes).map(|bytes| (BlobName::of(&bytes), bytes)).collect()
    }

    #[test]
    fn only_what_the_name_says_is_taken() {
        let [(inner, inner_bytes), (outer, outer_bytes)] = &nested(100)[..] else { panic!() };
        let inside = read(*inner, inner_bytes, &[]).unwrap();
        assert!(matches!(read(*outer, inner_bytes, &[]), Err(Unusable::Changed)));
        assert!(matches!(read(*inner, &inner_bytes[..50], &[]), Err(Unusable::Changed)));
        assert!(matches!(read(*outer, outer_bytes, &[]), Err(Unusable::Unread(_))));
        assert!(read(*outer, outer_bytes, &[inside]).is_ok());
    }

    #[test]
    fn what_no_task_carries_goes_in_time() {
        let (mut blobs, now, patience) = (Blobs::default(), Instant::now(), Duration::from_secs(9));
        let [(inner, inner_bytes), (outer, outer_bytes)] = &nested(100)[..] else { panic!() };
        let inside = read(*inner, inner_bytes, &[]).unwrap();
        let outside = read(*outer, outer_bytes, std::slice::from_ref(&inside)).unwrap();
        blobs.keep(*inner, inside, now);
        blobs.keep(*outer, outside, now);
        let carried = blobs.find_all(&[*inner, *outer], now).unwrap();
        blobs.trim_to(0, patience, now + patience);
        assert!(blobs.find(*outer, now).is_some(), "a task carries it");
        blobs.trim_to(0, patience, now + patience);
        drop(carried);
        blobs.trim_to(100, patience, now + patience);
        assert_eq!(blobs.0.len(), 2, "unused for no time");
        blobs.trim_to(100, patience, now + patience * 2);
        assert_eq!(blobs.0.len(), 1, "the other lay in it until now");
        blobs.trim_to(0, patience, now + patience * 2);
        assert!(blobs.0.is_empty());
    }

    #[test]
    fn of_what_is_too_much_the_longest_unused_goes() {
        let (mut blobs, now) = (Blobs::default(), Instant::now());
        let names: Vec<BlobName> = (0..3)
            .map(|n| {
                let (name, bytes) = nested(100).remove(0);
                blobs.keep(name, read(name, &bytes, &[]).unwrap(), now + Duration::from_secs(n));
                name
            })
            .collect();
        blobs.find(names[0], now + Duration::from_secs(5));
        blobs.trim_to(200, Duration::from_secs(60), now + Duration::from_secs(5));
        let kept: Vec<bool> = names.iter().map(|name| blobs.0.contains_key(name)).collect();
        assert_eq!(kept, [true, false, true]);
    }
}
