//! [`Blob`]: bytes that cross to another process once, however many tasks carry them.
//!
//! A value inside a task stands for its blob by the blob's id. So three things are needed: the *list* of the blobs that a task
//! carries, which its encoding makes (`attached.rs`); whoever delivers the task, who sees to it that the blobs are there before it;
//! and where they are, the *store* in which decoding finds them (`store.rs`).
//!
//! | where a blob comes from | what holds its bytes |
//! |---|---|
//! | `Shared`, `SharedBytes`, if large | sealed memory, whose descriptor is passed to workers |
//! | the same, if small or where the system has no such memory | the heap |
//! | a descriptor that came, in a worker | the same sealed memory, mapped |
//! | a frame or a parcel that came | the heap |
//!
//! Its last owner's drop has every worker that was sent the blob forget it.

mod attached;
mod id;
mod store;

pub(crate) use attached::{Attached, attach, collect, is_collecting};
pub(crate) use id::BlobId;
pub(crate) use store::{Held, find, hold, keep_value, value};

use crate::sync::plain::{AtomicU64, Mutex, Ordering};
use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock, Weak};

/// What can be passed to another process.
#[cfg(unix)]
pub(crate) type Handle = std::os::fd::OwnedFd;
#[cfg(windows)]
pub(crate) type Handle = std::os::windows::io::OwnedHandle;
#[cfg(not(any(unix, windows)))]
pub(crate) type Handle = std::fs::File;

/// Memory that nobody can change any more, which other processes can map.
pub(crate) trait Sealed: Send + Sync {
    fn bytes(&self) -> &[u8];

    fn handle(&self) -> &Arc<Handle>;
}

/// Fewer bytes cross by value: descriptors are few, and each such memory has one here and one in each worker.
pub(crate) const LARGE: usize = 64 << 10;

/// Where the bytes are.
pub(crate) enum Content {
    Heap(Vec<u8>),
    Sealed(Box<dyn Sealed>),
}

/// Somebody at another process, who was sent a blob.
pub(crate) trait Holder: Send + Sync {
    /// The blob's last owner in this process is gone. Called anywhere, also with locks held: it blocks on nothing.
    fn forget(&self, id: BlobId, serial: u64);
}

/// See the module.
pub(crate) struct Blob {
    id: BlobId,
    /// No two blobs of a process have the same, also if they have the same id.
    serial: u64,
    content: Content,
    /// A sealed copy of what is on the heap, or that there can't be one.
    copy: OnceLock<Option<Box<dyn Sealed>>>,
    /// What the values in it carry, and what those carry, each before what it lies in.
    children: Vec<Arc<Blob>>,
    holders: Mutex<Vec<Weak<dyn Holder>>>,
}

impl Blob {
    /// A new one.
    pub(crate) fn new(content: Content, children: Vec<Arc<Blob>>) -> Self {
        Blob::arrived(BlobId::new(), content, children)
    }

    /// One of another process.
    pub(crate) fn arrived(id: BlobId, content: Content, children: Vec<Arc<Blob>>) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Blob { id, serial, content, copy: OnceLock::new(), children, holders: Mutex::new(Vec::new()) }
    }

    pub(crate) fn id(&self) -> BlobId {
        self.id
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Heap(bytes) => bytes,
            Content::Sealed(memory) => memory.bytes(),
        }
    }

    /// By which another process can map it.
    pub(crate) fn handle(&self) -> Option<&Arc<Handle>> {
        match &self.content {
            Content::Heap(_) => self.copy.get()?.as_ref().map(|copy| copy.handle()),
            Content::Sealed(memory) => Some(memory.handle()),
        }
    }

    /// Copies large bytes to where other processes can map them, unless they are there or that was tried before.
    pub(crate) fn seal<S: Sealed + 'static>(&self, make: impl FnOnce(&[u8]) -> io::Result<S>) {
        let Content::Heap(bytes) = &self.content else { return };
        if bytes.len() >= LARGE {
            self.copy.get_or_init(|| make(bytes).ok().map(|made| Box::new(made) as Box<dyn Sealed>));
        }
    }

    pub(crate) fn children(&self) -> &[Arc<Blob>] {
        &self.children
    }

    /// Has `holder` told when the last owner is gone.
    pub(crate) fn tell(&self, holder: Weak<dyn Holder>) {
        let mut holders = self.holders.lock();
        // Those of workers that are gone.
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(holder);
    }
}

// A panic leaves none half changed: its bytes never change, and nothing of the user's runs while a lock here is held. So what has one
// is unwind safe in every feature set.
impl UnwindSafe for Blob {}
impl RefUnwindSafe for Blob {}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let holders = std::mem::take(&mut *self.holders.lock());
        for holder in holders.iter().filter_map(Weak::upgrade) {
            holder.forget(self.id, self.serial);
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("id", &self.id).field("len", &self.bytes().len()).finish_non_exhaustive()
    }
}
