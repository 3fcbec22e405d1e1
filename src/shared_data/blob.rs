//! [`SharedBlob`]: shared data that a parcel doesn't have in it.

use crate::blob::{Blob, BlobId};
use crate::error::TaskError;
use crate::process_pool::blob_arrived;
use crate::remote::parcel::{BadParcel, Known, Parcel, WrittenBlob, write_blob};
use std::fmt;
use std::sync::Arc;

/// What a task carries as [`Shared`](crate::Shared) or [`SharedBytes`](crate::SharedBytes), encoded and outside its parcel: for
/// transports of one's own, which send it once, however many tasks carry it. Clones are handles to the same data.
///
/// Whoever sends takes it [out of the parcel](Parcel::take_shared) and delivers [its bytes](SharedBlob::to_bytes) by any road.
/// Whoever receives makes it again [of the bytes](SharedBlob::from_bytes), keeps it for the tasks to come, and puts it
/// [back into the parcel](Parcel::with_shared) of each task that carries it. A
/// [`ProcessPoolExecutor`](crate::ProcessPoolExecutor) that runs such parcels ([`Task::forward`](crate::Task::forward)) sends it
/// once to each worker.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Parcel, Shared, SharedBlob, Task, remote};
///
/// fn count(text: Shared<String>) -> usize {
///     text.len()
/// }
///
/// let text = Shared::new("long".repeat(100_000));
/// let (mut task, future) = Task::new(count, text);
/// let mut parcel = task.encode_once()?;
/// let apart = parcel.take_shared(64 << 10);
/// assert!(parcel.as_bytes().len() < 200 && apart[0].len() > 400_000);
/// task.start();
///
/// // Elsewhere, in the order in which they are.
/// let mut arrived = Vec::new();
/// for blob in &apart {
///     arrived.push(SharedBlob::from_bytes(&blob.to_bytes(), &arrived)?);
/// }
/// let parcel = Parcel::with_shared(parcel.into_bytes(), &arrived)?;
/// // SAFETY: this process has just made the parcel.
/// let reply = unsafe { remote::execute(parcel.as_bytes()) };
/// task.complete(&reply);
/// assert_eq!(future.result()?, 400_000);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[derive(Clone)]
pub struct SharedBlob(Arc<Blob>);

impl SharedBlob {
    /// Names the data in every process that has it: 128 bits that nobody can guess. *Not* a hash: equal data has another id
    /// wherever it was made anew.
    pub fn id(&self) -> u128 {
        let BlobId(one, other) = self.0.id();
        u128::from(one) << 64 | u128::from(other)
    }

    /// How many bytes the encoded data has, without its id and what else is sent with it.
    #[expect(
        clippy::len_without_is_empty,
        reason = "an encoded value is never empty, and bytes as few are not taken apart"
    )]
    pub fn len(&self) -> usize {
        self.0.bytes().len()
    }

    /// Whether this is the only handle in this process: no task carries it, no program holds it as `Shared` or `SharedBytes`, and
    /// it lies in no other that is held.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// What to send: the data, its id, and the ids of what lies in it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let ids = (self.0.children().len() + 1) * BlobId::LEN;
        let mut bytes = Vec::with_capacity(self.0.bytes().len() + ids + 12);
        write_blob(&self.0, &mut bytes);
        bytes
    }

    /// Reads what [`to_bytes`](SharedBlob::to_bytes) gave. `children` has whatever lies in it: everything that was before it in
    /// [`Parcel::take_shared`] will do. Whether the bytes were altered on the way is for the transport to know; they are decoded only
    /// by a task that carries them.
    ///
    /// On Linux, 64 KiB and more go to memory that worker processes map, and are on this machine once.
    ///
    /// # Errors
    ///
    /// [`TaskError::Codec`] at [`Stage::Parcel`](crate::Stage::Parcel), if the bytes are cut, or something that lies in it is not among
    /// the `children`.
    pub fn from_bytes(bytes: &[u8], children: &[SharedBlob]) -> Result<Self, TaskError> {
        let known: Known = children.iter().map(|child| (child.0.id(), child.0.clone())).collect();
        let (WrittenBlob { id, children, content }, rest) = WrittenBlob::read(bytes, &known)?;
        if !rest.is_empty() {
            return Err(BadParcel::Cut.into());
        }
        Ok(SharedBlob(Arc::new(blob_arrived(id, content, children))))
    }
}

impl Parcel {
    /// Takes shared data out of the parcel: each piece of at least so many bytes, with whatever lies in it, each behind those that
    /// lie in it. What is smaller stays in the parcel by value.
    ///
    /// Without what was taken the parcel can't be run: it is to be put [back](Parcel::with_shared) first.
    pub fn take_shared(&mut self, least: usize) -> Vec<SharedBlob> {
        self.take_blobs(least).into_iter().map(SharedBlob).collect()
    }

    /// As [`from_bytes`](Parcel::from_bytes), of a parcel that this was [taken out of](Parcel::take_shared).
    ///
    /// # Errors
    ///
    /// As `from_bytes`; also if something lies in what the parcel has by value and is not in `shared`. What else is missing is the
    /// error of the task, when its argument is decoded.
    pub fn with_shared(bytes: Vec<u8>, shared: &[SharedBlob]) -> Result<Self, TaskError> {
        Parcel::with_blobs(bytes, shared.iter().map(|blob| blob.0.clone()).collect())
    }
}

impl fmt::Debug for SharedBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBlob")
            .field("id", &self.0.id())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::SharedBlob;
    use crate::blob::hold;
    use crate::error::{Stage, TaskError};
    use crate::executor::Task;
    use crate::remote::codec::decode;
    use crate::remote::parcel::Parcel;
    use crate::shared_data::{Shared, SharedBytes};

    type Argument = (Shared<(SharedBytes, Shared<u8>)>, Shared<SharedBytes>, SharedBytes, Shared<String>);

    fn sum((large, small, _, text): Argument) -> usize {
        let (bytes, number) = &*large;
        bytes.len() + usize::from(**number) + small.len() + text.len()
    }

    #[test]
    fn the_large_are_taken_out_with_what_lies_in_them_and_come_back() {
        let bytes = SharedBytes::from(vec![7; 100_000]);
        let large = Shared::new((bytes.slice(1..), Shared::new(9)));
        // A small one in which a large one lies, a large and a small one.
        let argument = (large, Shared::new(bytes.clone()), bytes.slice(..3), Shared::new("small".to_owned()));
        let (mut task, _future) = Task::new(sum, argument);
        let mut parcel = task.encode_once().expect("it can be encoded");
        let whole = parcel.as_bytes().len();
        let apart = parcel.take_shared(10_000);
        assert_eq!(apart.len(), 1, "only the bytes are large: what they lie in is not");
        assert!(whole > 100_000 && parcel.as_bytes().len() < 1000);
        assert!(parcel.take_shared(10_000).is_empty());
        let all = parcel.take_shared(0);
        assert_eq!(all.len(), 4);
        let mut arrived: Vec<SharedBlob> = Vec::new();
        for blob in apart.iter().chain(&all) {
            let again = SharedBlob::from_bytes(&blob.to_bytes(), &arrived).expect("whole");
            assert_eq!((again.id(), again.len()), (blob.id(), blob.len()));
            arrived.push(again);
        }
        let parcel = Parcel::with_shared(parcel.into_bytes(), &arrived).expect("whole");
        let (_, argument) = parcel.call().expect("whole");
        let _held: Vec<_> = parcel.split().1.iter().cloned().map(hold).collect();
        assert_eq!(sum(decode(argument).expect("all is there")), 99_999 + 9 + 100_000 + 5);
    }

    #[test]
    fn what_lies_in_a_large_one_goes_with_it() {
        let large = Shared::new((vec![1_u8; 100_000], Shared::new(9_u8)));
        let (mut task, _future) = Task::new(|_: Shared<(Vec<u8>, Shared<u8>)>| (), large.clone());
        let mut parcel = task.encode_once().expect("it can be encoded");
        let apart = parcel.take_shared(64 << 10);
        assert_eq!(apart.iter().map(|blob| blob.len() > 1000).collect::<Vec<_>>(), [false, true]);
        let bad = |tried: Result<SharedBlob, TaskError>| match tried.map(|blob| blob.len()) {
            Err(TaskError::Codec(error)) => assert_eq!(error.stage(), Stage::Parcel),
            other => panic!("{other:?}"),
        };
        let bytes = apart[1].to_bytes();
        bad(SharedBlob::from_bytes(&bytes, &[]));
        bad(SharedBlob::from_bytes(&bytes[1..], &apart));
        bad(SharedBlob::from_bytes(&[&bytes[..], b"!"].concat(), &apart));
        (0..bytes.len()).step_by(999).for_each(|cut| bad(SharedBlob::from_bytes(&bytes[..cut], &apart)));
        drop((parcel, task, large));
        let [inner, outer] = &apart[..] else { panic!("{apart:?}") };
        assert!(outer.is_last() && !inner.is_last(), "it lies in the other");
        assert!(!outer.clone().is_last());
    }
}
