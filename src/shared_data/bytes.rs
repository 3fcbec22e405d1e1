//! [`SharedBytes`]: bytes that no process copies.

#[cfg(feature = "process")]
use crate::blob::{self, Blob, BlobId, Content, LARGE};
#[cfg(feature = "process")]
use crate::process_pool::{blob_of, blob_with};
use serde_core::de::{Deserialize, Deserializer, Error as _};
use serde_core::ser::{Error as _, Serialize, Serializer};
use std::fmt;
use std::io;
use std::ops::{Bound, Deref, Range, RangeBounds};
use std::sync::Arc;

/// Bytes that any number of processes read where they lie: written once, copied never. Clones and [slices](SharedBytes::slice) are handles
/// to the same memory, read-only for everybody from the beginning, this process too.
///
/// On Linux, 64 KiB or more lie in memory that worker processes map: the bytes are there once, however many workers a pool has, and
/// a task that carries them costs what one costs that doesn't. A worker maps them when a task that carries them is sent to it, and
/// unmaps them when the last handle in the parent is gone. Fewer bytes, and all on systems without sealed memory, lie on the heap
/// of each process that was sent them, once. What the system refuses (a descriptor, memory that can be shared) makes them slower, and
/// is no error.
///
/// On threads nothing is encoded. [`Task::encode`](crate::Task::encode) puts them into the parcel, from where a transport may take
/// them as [`SharedBlob`](crate::SharedBlob), so that they cross once. In a *result* they are copied, as
/// any bytes are. Serde carries them only inside a task or its result: any other serializer gets an error that says so; to write
/// the bytes elsewhere, serialize `&*bytes`.
///
/// *Differs from Python's* `multiprocessing.shared_memory`: it has no name, needs no `unlink`, and is gone with its last handle, also if
/// processes are killed.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{SharedBytes, prelude::*};
///
/// fn count((text, byte): (SharedBytes, u8)) -> usize {
///     text.iter().filter(|b| **b == byte).count()
/// }
///
/// let text = SharedBytes::with(1 << 20, |bytes| bytes.fill(b'a'))?;
/// let pool = ProcessPoolExecutor::new(2);
/// let counts: Result<Vec<usize>, _> = pool.map(count, (b'a'..=b'c').map(|byte| (text.clone(), byte))).collect();
/// assert_eq!(counts?, [1 << 20, 0, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SharedBytes {
    whole: Arc<Whole>,
    part: Range<usize>,
}

#[cfg(feature = "process")]
type Whole = Blob;
/// Without processes there is nothing to map.
#[cfg(not(feature = "process"))]
type Whole = Vec<u8>;

impl SharedBytes {
    /// `len` bytes, all zero at first, that `fill` writes where they stay. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// If there is not that much memory.
    ///
    /// # Panics
    ///
    /// If `fill` does.
    pub fn with(len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        #[cfg(feature = "process")]
        if len >= LARGE {
            return Ok(SharedBytes::whole(blob_with(len, fill)?));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len)?;
        bytes.resize(len, 0);
        fill(&mut bytes);
        Ok(SharedBytes::on_heap(bytes))
    }

    /// A part of it, over the same memory. A worker that gets only this maps all of it, too.
    ///
    /// # Panics
    ///
    /// If the range ends behind the bytes, or before it begins.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::SharedBytes;
    ///
    /// let bytes = SharedBytes::from(b"shared memory".to_vec());
    /// assert_eq!(&*bytes.slice(7..), b"memory");
    /// ```
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let len = self.part.len();
        let start = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.checked_add(1),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => Some(len),
        };
        let (Some(start), Some(end)) = (start, end) else {
            panic!("a range beyond all memory of {len} bytes")
        };
        assert!(start <= end && end <= len, "the range {start}..{end} of {len} bytes");
        let part = self.part.start + start..self.part.start + end;
        SharedBytes { whole: self.whole.clone(), part }
    }

    #[cfg(feature = "process")]
    fn on_heap(bytes: Vec<u8>) -> Self {
        SharedBytes::whole(Blob::new(Content::Heap(bytes), Vec::new()))
    }

    #[cfg(feature = "process")]
    fn whole(blob: Blob) -> Self {
        let part = 0..blob.bytes().len();
        SharedBytes { whole: Arc::new(blob), part }
    }

    #[cfg(not(feature = "process"))]
    fn on_heap(bytes: Vec<u8>) -> Self {
        let part = 0..bytes.len();
        SharedBytes { whole: Arc::new(bytes), part }
    }
}

/// Copies large ones to where other processes can map them, once and at once; small ones stay where they are.
impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        #[cfg(feature = "process")]
        return SharedBytes::whole(blob_of(bytes, Vec::new()));
        #[cfg(not(feature = "process"))]
        return SharedBytes::on_heap(bytes);
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        #[cfg(feature = "process")]
        let whole = self.whole.bytes();
        #[cfg(not(feature = "process"))]
        let whole = &self.whole;
        &whole[self.part.clone()]
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.part.len())
    }
}

/// What another serializer is told.
const NOT_IN_A_TASK: &str =
    "`SharedBytes` can be sent only inside a task of a pool; serialize `&*bytes` to write them";

impl Serialize for SharedBytes {
    #[cfg(feature = "process")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !blob::attach(&self.whole) {
            return Err(S::Error::custom(NOT_IN_A_TASK));
        }
        let BlobId(one, other) = self.whole.id();
        (one, other, self.part.start as u64, self.part.end as u64).serialize(serializer)
    }

    #[cfg(not(feature = "process"))]
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(NOT_IN_A_TASK))
    }
}

impl<'de> Deserialize<'de> for SharedBytes {
    #[cfg(feature = "process")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (one, other, start, end) = <(u64, u64, u64, u64)>::deserialize(deserializer)?;
        let missing = || D::Error::custom("these shared bytes are not here");
        let whole = blob::find(BlobId(one, other)).ok_or_else(missing)?;
        let part = |len: usize| {
            let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
            (start <= end && end <= len).then_some(start..end)
        };
        let part = part(whole.bytes().len()).ok_or_else(missing)?;
        Ok(SharedBytes { whole, part })
    }

    #[cfg(not(feature = "process"))]
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("these shared bytes are not here"))
    }
}
