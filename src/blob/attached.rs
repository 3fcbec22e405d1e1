//! [`Attached`]: the blobs that a task carries, the list that its encoding makes.
//!
//! Serde gives an impl nothing but a serializer, which may be another than the codec's own (serde_json's, inside `Json<T>`). So the
//! list lies beside it, with the thread: it is there exactly while a task is being encoded.

use super::Blob;
use std::cell::RefCell;
use std::sync::Arc;

/// Each once, and each after those that lie in it. Most tasks that carry any carry one, which takes no allocation.
#[derive(Default)]
pub(crate) struct Attached {
    pub(crate) first: Option<Arc<Blob>>,
    pub(crate) others: Vec<Arc<Blob>>,
}

impl Attached {
    fn add(&mut self, blob: &Arc<Blob>) {
        let Some(first) = &self.first else {
            self.first = Some(blob.clone());
            return;
        };
        if first.id() != blob.id() && !self.others.iter().any(|listed| listed.id() == blob.id()) {
            self.others.push(blob.clone());
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Blob>> {
        self.first.iter().chain(&self.others)
    }

    pub(crate) fn into_vec(self) -> Vec<Arc<Blob>> {
        self.first.into_iter().chain(self.others).collect()
    }
}

crate::sync::thread_local! {
    static ATTACHED: RefCell<Option<Attached>> = const { RefCell::new(None) };
}

/// The list of an encoding that this one interrupts; it is back when that goes on, also after a panic.
struct Interrupted(Option<Attached>);

impl Drop for Interrupted {
    fn drop(&mut self) {
        let _ = ATTACHED.try_with(|list| list.replace(self.0.take()));
    }
}

/// Encodes something, and gives the blobs with it that it carries.
///
/// `Serialize` may submit tasks itself: each has a list of its own.
pub(crate) fn collect<R>(encode: impl FnOnce() -> R) -> (R, Attached) {
    // In the destructor of another thread-local this one may be gone: then nothing can be carried.
    let outer = ATTACHED.try_with(|list| list.replace(Some(Attached::default()))).unwrap_or_default();
    let _outer = Interrupted(outer);
    let encoded = encode();
    let blobs = ATTACHED.try_with(RefCell::take).ok().flatten().unwrap_or_default();
    (encoded, blobs)
}

/// Whether this thread is encoding a task.
pub(crate) fn is_collecting() -> bool {
    ATTACHED.try_with(|list| list.borrow().is_some()).unwrap_or(false)
}

/// Has the task that this thread is encoding carry a blob. False if it is encoding none.
pub(crate) fn attach(blob: &Arc<Blob>) -> bool {
    let add = |list: &RefCell<Option<Attached>>| {
        let mut list = list.borrow_mut();
        let Some(list) = &mut *list else { return false };
        blob.children().iter().chain([blob]).for_each(|blob| list.add(blob));
        true
    };
    ATTACHED.try_with(add).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::{Blob, attach, collect};
    use crate::blob::Content;
    use crate::contain::contain;
    use std::sync::Arc;

    fn blob(children: &[&Arc<Blob>]) -> Arc<Blob> {
        Arc::new(Blob::new(Content::Heap(vec![1]), children.iter().map(|child| (*child).clone()).collect()))
    }

    #[test]
    fn each_is_listed_once_and_after_what_lies_in_it() {
        let (inner, other) = (blob(&[]), blob(&[]));
        let outer = blob(&[&inner]);
        let (attached, list) = collect(|| [&other, &outer, &inner, &other].map(attach));
        assert_eq!(attached, [true; 4]);
        let ids: Vec<_> = list.iter().map(|blob| blob.id()).collect();
        assert_eq!(ids, [other.id(), inner.id(), outer.id()]);
        assert!(!attach(&other), "nothing is being encoded");
    }

    #[test]
    fn an_encoding_inside_another_has_its_own_list_and_a_panic_takes_none_away() {
        let (one, other) = (blob(&[]), blob(&[]));
        let (_, list) = collect(|| {
            assert!(attach(&one));
            let (_, inner) = collect(|| attach(&other));
            assert_eq!(inner.iter().count(), 1);
            assert!(contain(|| collect(|| panic!("in a Serialize"))).is_err());
            assert!(attach(&one));
        });
        assert_eq!(list.iter().map(|blob| blob.id()).collect::<Vec<_>>(), [one.id()]);
        assert!(!attach(&one));
    }
}
