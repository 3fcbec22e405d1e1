//! [`Shared`]: a value that crosses once.

#[cfg(feature = "process")]
use crate::blob::{self, Blob, BlobId};
#[cfg(feature = "process")]
use crate::process_pool::blob_of;
#[cfg(feature = "process")]
use crate::remote::codec;
use serde_core::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_core::ser::{Error as _, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
#[cfg(feature = "process")]
use std::sync::OnceLock;

/// A value that many tasks use: a table, a model, a configuration. Clones are handles to the same value.
///
/// As an argument, or anywhere in one, it crosses to each worker process *once*, however many tasks carry it:
///
/// - On threads, and wherever else a task runs in this process, it is an [`Arc`]: nothing is encoded.
/// - A [`ProcessPoolExecutor`](crate::ProcessPoolExecutor) encodes the value when a task first carries it. Each worker decodes it when
///   a task there first needs it, and keeps it until the last handle in the parent is gone, queued tasks' included. Tasks carry an id.
///   So a worker decodes it once, a worker that takes the place of another decodes it again, and a worker's initializer may
///   have it, too.
/// - [`Task::encode`](crate::Task::encode) puts it into the parcel, by value: once in each parcel, whatever the number of handles in it.
///   A transport may take it out again, as [`SharedBlob`](crate::SharedBlob), and send it once: the executor of
///   `concurrent-futures-redis` does, once to the server and from there once to each node.
///
/// The value must not be changed: a change by interior mutability stays in the process that made it. For bytes that no process
/// needs to decode see [`SharedBytes`](crate::SharedBytes), which lie in memory once for all processes.
///
/// As a *result*, or in one, the value is encoded into each result that has it and decoded from it: it comes back, but not cheaper
/// than without `Shared`.
///
/// Serde carries it only inside a task or its result: any other serializer gets an error that says so. To write the value elsewhere,
/// serialize `&*shared`. A value that can't be encoded or decoded is the error of each task that carries it, [`TaskError::Codec`].
///
/// *Differs from Python*, where a pool pickles an argument again for each task, and a large one is passed by the initializer and a
/// global variable, or as `multiprocessing.shared_memory`, whose removal is the program's task.
///
/// [`TaskError::Codec`]: crate::TaskError::Codec
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Shared, prelude::*};
///
/// fn price((table, item): (Shared<Vec<u64>>, usize)) -> u64 {
///     table[item]
/// }
///
/// let table = Shared::new((0..100_000).map(|n| n * n).collect::<Vec<u64>>());
/// let pool = ProcessPoolExecutor::new(2);
/// let prices: Result<Vec<u64>, _> = pool.map(price, (0..100).map(|item| (table.clone(), item))).collect();
/// assert_eq!(prices?[9], 81);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: T,
    /// The encoded value, once a task has carried it.
    #[cfg(feature = "process")]
    blob: OnceLock<Arc<Blob>>,
}

impl<T> Shared<T> {
    /// A handle to a value. It is not encoded yet: if it can't be, that is the error of the task that carries it.
    pub fn new(value: T) -> Self {
        Shared(Arc::new(Inner {
            value,
            #[cfg(feature = "process")]
            blob: OnceLock::new(),
        }))
    }

    /// The value again, if this is its last handle in this process. In a worker it never is: the worker keeps one for the next task.
    ///
    /// # Errors
    ///
    /// The handle, if there are others.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::Shared;
    ///
    /// let (one, other) = { let one = Shared::new(vec![1, 2]); (one.clone(), one) };
    /// let one = one.into_inner().unwrap_err();
    /// drop(other);
    /// assert_eq!(one.into_inner().unwrap(), [1, 2]);
    /// ```
    pub fn into_inner(self) -> Result<T, Self> {
        Arc::try_unwrap(self.0).map(|inner| inner.value).map_err(Shared)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> AsRef<T> for Shared<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Shared::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.0.value).finish()
    }
}

/// What another serializer is told.
const NOT_IN_A_TASK: &str =
    "`Shared` can be sent only inside a task of a pool; serialize `&*shared` to write its value";

#[cfg(feature = "process")]
impl<T: Serialize> Shared<T> {
    /// The encoded value. No lock is held while it is encoded, which is the user's code: two threads that carry it first at the same
    /// moment both do, and one of the two is kept.
    fn blob(&self) -> Result<&Arc<Blob>, String> {
        if let Some(blob) = self.0.blob.get() {
            return Ok(blob);
        }
        let mut output = codec::Output::default();
        let (encoded, children) = blob::collect(|| codec::encode_into(&self.0.value, &mut output));
        encoded?;
        Ok(self.0.blob.get_or_init(|| Arc::new(blob_of(output.into_parts().0, children.into_vec()))))
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    #[cfg(feature = "process")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attach = || {
            let blob = self.blob()?;
            if blob::attach(blob) { Ok(blob.id()) } else { Err(NOT_IN_A_TASK.to_owned()) }
        };
        if !blob::is_collecting() {
            return Err(S::Error::custom(NOT_IN_A_TASK));
        }
        let is_known = self.0.blob.get().is_some();
        let attached = if is_known { attach() } else { deeper(attach) };
        let BlobId(one, other) = attached.map_err(S::Error::custom)?;
        // Not one number of 128 bits, which serde can't keep for `flatten` and `untagged`.
        (one, other).serialize(serializer)
    }

    #[cfg(not(feature = "process"))]
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(NOT_IN_A_TASK))
    }
}

impl<'de, T: DeserializeOwned + Send + Sync + 'static> Deserialize<'de> for Shared<T> {
    #[cfg(feature = "process")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (one, other) = <(u64, u64)>::deserialize(deserializer)?;
        let id = BlobId(one, other);
        if let Some(inner) = blob::value::<Inner<T>>(id) {
            return Ok(Shared(inner));
        }
        let Some(blob) = blob::find(id) else {
            return Err(D::Error::custom("this shared value is not here"));
        };
        let value = deeper(|| codec::decode(blob.bytes())).map_err(D::Error::custom)?;
        let inner = Inner { value, blob: OnceLock::from(blob) };
        Ok(Shared(blob::keep_value(id, Arc::new(inner))))
    }

    #[cfg(not(feature = "process"))]
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("this shared value is not here"))
    }
}

/// Encodes or decodes what lies in a shared value: each is on the stack above the one that it lies in.
#[cfg(feature = "process")]
fn deeper<R>(inside: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    use std::cell::Cell;
    /// Each holds as many levels as any value.
    const MOST: u8 = 16;
    crate::sync::thread_local! {
        static DEPTH: Cell<u8> = const { Cell::new(0) };
    }
    struct Back(u8);
    impl Drop for Back {
        fn drop(&mut self) {
            DEPTH.set(self.0);
        }
    }
    let depth = DEPTH.get();
    if depth == MOST {
        return Err(format!("more than {MOST} shared values lie inside one another"));
    }
    DEPTH.set(depth + 1);
    let _back = Back(depth);
    inside()
}
