//! The blobs that this process was given: where decoding finds them, with the values that were decoded from them.

use super::{Blob, BlobId};
use crate::contain::drop_contained;
use crate::logging;
use crate::sync::plain::Mutex;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value that was decoded from a blob; what `T` is, the next who wants it says.
type Value = Arc<dyn Any + Send + Sync>;

struct Stored {
    blob: Arc<Blob>,
    /// Of each type that it was decoded as, mostly one.
    values: Vec<Value>,
    /// How many [`Held`] there are.
    holds: usize,
}

/// One for the process, not one for each thread: a task may decode on threads of its own.
static STORE: Mutex<BTreeMap<BlobId, Stored>> = Mutex::new(BTreeMap::new());

/// As long as one of these is there, the blob is in the store.
#[derive(Debug)]
pub(crate) struct Held(BlobId);

/// Puts a blob into the store. One of that id that is there already stays, with the values that were decoded from it.
pub(crate) fn hold(blob: Arc<Blob>) -> Held {
    let id = blob.id();
    let mut store = STORE.lock();
    store.entry(id).or_insert(Stored { blob, values: Vec::new(), holds: 0 }).holds += 1;
    Held(id)
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut store = STORE.lock();
        let Some(stored) = store.get_mut(&self.0) else { return };
        stored.holds -= 1;
        let gone = if stored.holds == 0 { store.remove(&self.0) } else { None };
        drop(store);
        // The values' drops are the user's.
        if let Err(panic) = drop_contained(gone) {
            logging::error(format_args!("the drop of a shared value panicked: {}", panic.message()));
        }
    }
}

/// The blob of that id.
pub(crate) fn find(id: BlobId) -> Option<Arc<Blob>> {
    STORE.lock().get(&id).map(|stored| stored.blob.clone())
}

/// The value of that type that was decoded from the blob before.
pub(crate) fn value<T: Any + Send + Sync>(id: BlobId) -> Option<Arc<T>> {
    let store = STORE.lock();
    let values = &store.get(&id)?.values;
    values.iter().find_map(|value| value.clone().downcast().ok())
}

/// Keeps a value that was decoded from the blob, for the next who wants it. If another thread was quicker, its value is it.
pub(crate) fn keep_value<T: Any + Send + Sync>(id: BlobId, decoded: Arc<T>) -> Arc<T> {
    let mut store = STORE.lock();
    let Some(stored) = store.get_mut(&id) else { return decoded };
    let earlier = stored.values.iter().find_map(|value| value.clone().downcast().ok());
    if earlier.is_none() {
        stored.values.push(decoded.clone());
    }
    drop(store);
    earlier.unwrap_or(decoded)
}

#[cfg(test)]
mod tests {
    use super::{Blob, find, hold, keep_value, value};
    use crate::blob::Content;
    use std::sync::Arc;

    #[test]
    fn it_is_there_as_long_as_somebody_holds_it_and_its_values_with_it() {
        let blob = Arc::new(Blob::new(Content::Heap(vec![1, 2]), Vec::new()));
        let id = blob.id();
        assert!(find(id).is_none());
        let again = Arc::new(Blob::arrived(id, Content::Heap(vec![1, 2]), Vec::new()));
        let (one, other) = (hold(blob.clone()), hold(again));
        assert_eq!(find(id).map(|found| found.serial()), Some(blob.serial()));
        let first = keep_value(id, Arc::new(7_u32));
        assert!(Arc::ptr_eq(&first, &keep_value(id, Arc::new(8_u32))));
        assert_eq!(keep_value(id, Arc::new("text")).len(), 4);
        drop(one);
        assert_eq!(value::<u32>(id).as_deref(), Some(&7));
        drop(other);
        assert!(find(id).is_none() && value::<u32>(id).is_none());
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
