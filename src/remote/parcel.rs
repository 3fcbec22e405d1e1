//! [`Parcel`]: one task on its way to another process, as bytes.
//!
//! ```text
//! magic 4 | attempt 4 | nonce 8 | id 8 | runner 8 | function 8 | fingerprint 20 | blobs 4 | length 8 | argument
//! each blob:  id 16 | children 4 | the id of each child 16 | length 8 | bytes
//! ```
//!
//! Numbers are little-endian. The *nonce* names the process that waits for the reply, the *id* the task there, the
//! *attempt* says which try this is, so that a transport which delivers twice, late or to the wrong door is noticed.
//! The *runner* is the compiled code that decodes the argument, calls the function and encodes the result: it alone
//! knows the types. The *blobs* are those that the argument carries, each behind its *children*, those that lie in it; a pool,
//! which sends blobs by themselves, puts none into its parcels, and another transport may take the large ones out.

use super::codec::Arrived;
use super::fingerprint::Fingerprint;
use super::function::Offset;
use super::reply::ReturnAddress;
use crate::blob::{Blob, BlobId, Content};
use crate::error::{CodecError, Rejected, Stage, TaskError};
use crate::id::FutureId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

const MAGIC: [u8; 4] = *b"cfp1";

/// A task, encoded: by [`Task::encode`](crate::Task::encode), for [`remote::execute`](crate::remote::execute).
///
/// Its bytes may go by any road to any process that runs the very same build.
#[derive(Clone)]
pub struct Parcel {
    attempt: u32,
    /// Without the blobs.
    bytes: Vec<u8>,
    blobs: Vec<Arc<Blob>>,
    /// With them, once somebody asked for that.
    whole: OnceLock<Vec<u8>>,
}

impl Parcel {
    pub(crate) fn new(header: &Header, argument: &[u8], blobs: Vec<Arc<Blob>>) -> Self {
        let mut bytes = Vec::with_capacity(Header::LEN + argument.len());
        header.write(argument.len(), &mut bytes);
        bytes.extend_from_slice(argument);
        Parcel { attempt: header.attempt, bytes, blobs, whole: OnceLock::new() }
    }

    /// Which try it is, from 1: each `encode` of the same task makes a new one.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Reads the bytes of a parcel that came from elsewhere: whether they are one, whole, and of this build. What it names and
    /// carries is not looked at: [`execute`](crate::remote::execute) says what must be true of it.
    ///
    /// # Errors
    ///
    /// [`TaskError::Codec`] at [`Stage::Parcel`], or
    /// [`Rejected::ForeignBuild`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, TaskError> {
        Parcel::with_blobs(bytes, Vec::new())
    }

    /// Reads the bytes of one that these were taken out of by [`take_blobs`](Self::take_blobs).
    pub(crate) fn with_blobs(mut bytes: Vec<u8>, mut blobs: Vec<Arc<Blob>>) -> Result<Self, TaskError> {
        let Parts { header, argument, blobs: (by_value, count) } = Parts::read(&bytes)?;
        let (by_value, end) = (read_blobs(by_value, count, &blobs)?, Header::LEN + argument.len());
        blobs.extend(by_value);
        bytes.truncate(end);
        Header::set_blobs(&mut bytes, 0);
        Ok(Parcel { attempt: header.attempt, bytes, blobs, whole: OnceLock::new() })
    }

    /// Takes blobs out of it: those of at least so many bytes, and whatever lies in them. They are in the order of the parcel, each
    /// behind those that lie in it.
    pub(crate) fn take_blobs(&mut self, least: usize) -> Vec<Arc<Blob>> {
        let is_large = |blob: &&Arc<Blob>| blob.bytes().len() >= least;
        let large = self.blobs.iter().filter(is_large);
        let apart: BTreeSet<BlobId> =
            large.flat_map(|blob| blob.children().iter().chain([blob])).map(|blob| blob.id()).collect();
        let (taken, left) = self.blobs.drain(..).partition(|blob| apart.contains(&blob.id()));
        (self.blobs, self.whole) = (left, OnceLock::new());
        taken
    }

    /// Makes it the next attempt of the same task.
    pub fn try_again(&mut self) {
        Header::try_again(&mut self.bytes);
        self.attempt = self.attempt.wrapping_add(1);
        self.whole = OnceLock::new();
    }

    /// Where its reply goes, for whoever passes it on.
    pub fn return_address(&self) -> ReturnAddress {
        ReturnAddress::new(self.attempt, number(&self.bytes, 8), number(&self.bytes, 16))
    }

    /// The code that it names, and its argument.
    pub(crate) fn call(&self) -> Result<(Route, &[u8]), TaskError> {
        let (header, argument) = Header::read(&self.bytes)?;
        Ok((header.route, argument.bytes()))
    }

    /// What its argument carries, and it without that.
    pub(crate) fn split(&self) -> (&[u8], &[Arc<Blob>]) {
        (&self.bytes, &self.blobs)
    }

    /// What to send. What the argument carries as [`Shared`](crate::Shared) or [`SharedBytes`](crate::SharedBytes) is in it, once.
    pub fn as_bytes(&self) -> &[u8] {
        if self.blobs.is_empty() { &self.bytes } else { self.whole.get_or_init(|| self.join()) }
    }

    /// What to send, owned.
    pub fn into_bytes(mut self) -> Vec<u8> {
        match self.whole.take() {
            Some(whole) => whole,
            None if self.blobs.is_empty() => self.bytes,
            None => self.join(),
        }
    }

    fn join(&self) -> Vec<u8> {
        let size = |blob: &Arc<Blob>| BlobId::LEN * (1 + blob.children().len()) + 12 + blob.bytes().len();
        let blobs = self.blobs.iter().map(size);
        let mut whole = Vec::with_capacity(self.bytes.len() + blobs.sum::<usize>());
        whole.extend_from_slice(&self.bytes);
        Header::set_blobs(&mut whole, self.blobs.len() as u32);
        for blob in &self.blobs {
            write_blob(blob, &mut whole);
        }
        whole
    }
}

/// A blob by value: in a parcel, in a reply, or by itself.
pub(crate) fn write_blob(blob: &Blob, out: &mut Vec<u8>) {
    out.extend_from_slice(&blob.id().to_bytes());
    out.extend_from_slice(&(blob.children().len() as u32).to_le_bytes());
    blob.children().iter().for_each(|child| out.extend_from_slice(&child.id().to_bytes()));
    out.extend_from_slice(&(blob.bytes().len() as u64).to_le_bytes());
    out.extend_from_slice(blob.bytes());
}

/// Reads what `write_blob` wrote, behind one another: all of these bytes. What lies in a blob is before it, or among the `known`. It
/// takes memory in proportion to the bytes, whatever they say.
pub(super) fn read_blobs(
    mut bytes: &[u8],
    count: u32,
    known: &[Arc<Blob>],
) -> Result<Vec<Arc<Blob>>, BadParcel> {
    let mut blobs = Vec::new();
    let mut known: Known = known.iter().map(|blob| (blob.id(), blob.clone())).collect();
    for _ in 0..count {
        let (WrittenBlob { id, children, content }, rest) = WrittenBlob::read(bytes, &known)?;
        let blob = Arc::new(Blob::arrived(id, Content::Heap(content.to_vec()), children));
        known.insert(id, blob.clone());
        blobs.push(blob);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(blobs) } else { Err(BadParcel::Cut) }
}

pub(crate) type Known = BTreeMap<BlobId, Arc<Blob>>;

/// A blob as `write_blob` wrote it.
pub(crate) struct WrittenBlob<'a> {
    pub(crate) id: BlobId,
    pub(crate) children: Vec<Arc<Blob>>,
    pub(crate) content: &'a [u8],
}

impl<'a> WrittenBlob<'a> {
    /// Reads the one that `bytes` begin with, and what follows it.
    pub(crate) fn read(bytes: &'a [u8], known: &Known) -> Result<(Self, &'a [u8]), BadParcel> {
        let (id, rest) = BlobId::read(bytes).ok_or(BadParcel::Cut)?;
        let (number, mut rest) = rest.split_first_chunk().ok_or(BadParcel::Cut)?;
        let mut children = Vec::new();
        for _ in 0..u32::from_le_bytes(*number) {
            let (child, behind) = BlobId::read(rest).ok_or(BadParcel::Cut)?;
            children.push(Arc::clone(known.get(&child).ok_or(BadParcel::Cut)?));
            rest = behind;
        }
        let (len, rest) = rest.split_first_chunk().ok_or(BadParcel::Cut)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| BadParcel::Cut)?;
        let (content, rest) = rest.split_at_checked(len).ok_or(BadParcel::Cut)?;
        Ok((WrittenBlob { id, children, content }, rest))
    }
}

/// A parcel as it was read.
pub(crate) struct Parts<'a> {
    pub(crate) header: Header,
    pub(crate) argument: Arrived<'a>,
    /// The bytes of those that it has by value, and how many they are.
    pub(crate) blobs: (&'a [u8], u32),
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("attempt", &self.attempt)
            .field("bytes", &self.bytes.len())
            .field("blobs", &self.blobs)
            .finish_non_exhaustive()
    }
}

/// Code to run and what to run it on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    pub(crate) runner: Offset,
    pub(crate) function: Offset,
}

/// A parcel without its argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) attempt: u32,
    pub(crate) id: u64,
    pub(crate) nonce: u64,
    pub(crate) route: Route,
}

impl Header {
    pub(crate) const LEN: usize = 72;

    pub(crate) fn new(id: FutureId, attempt: u32, route: Route) -> Self {
        Header { attempt, id: id.get(), nonce: nonce(), route }
    }

    pub(crate) fn write(&self, argument: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.attempt.to_le_bytes());
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.route.runner.to_raw().to_le_bytes());
        out.extend_from_slice(&self.route.function.to_raw().to_le_bytes());
        out.extend_from_slice(Fingerprint::own().as_bytes());
        // No blobs.
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(argument as u64).to_le_bytes());
    }

    /// Makes a parcel, or the beginning of one, the next try.
    pub(crate) fn try_again(parcel: &mut [u8]) {
        let attempt = &mut parcel[4..8];
        let next = u32::from_le_bytes(attempt.try_into().expect("four bytes")).wrapping_add(1);
        attempt.copy_from_slice(&next.to_le_bytes());
    }

    /// Says how many blobs follow the argument, in a parcel or the beginning of one.
    fn set_blobs(parcel: &mut [u8], count: u32) {
        parcel[60..64].copy_from_slice(&count.to_le_bytes());
    }

    /// Reads a parcel: what it says and its argument.
    pub(crate) fn read<'a>(parcel: impl Into<Arrived<'a>>) -> Result<(Header, Arrived<'a>), BadParcel> {
        Parts::read(parcel).map(|Parts { header, argument, .. }| (header, argument))
    }
}

impl<'a> Parts<'a> {
    pub(crate) fn read(parcel: impl Into<Arrived<'a>>) -> Result<Self, BadParcel> {
        let Some((head, rest)) = parcel.into().front(Header::LEN) else { return Err(BadParcel::Cut) };
        if head[..4] != MAGIC {
            return Err(BadParcel::NoParcel);
        }
        if head[40..40 + Fingerprint::LEN] != *Fingerprint::own().as_bytes() {
            return Err(BadParcel::Foreign);
        }
        let count = u32::from_le_bytes(head[60..64].try_into().expect("four bytes"));
        let len = usize::try_from(number(head, 64)).map_err(|_| BadParcel::Cut)?;
        let (argument, blobs) = rest.split(len).ok_or(BadParcel::Cut)?;
        if (count == 0) != blobs.is_empty() {
            return Err(BadParcel::Cut);
        }
        let blobs = blobs.front(blobs.len()).ok_or(BadParcel::Cut)?.0;
        let route = Route {
            runner: Offset::from_raw(number(head, 24)),
            function: Offset::from_raw(number(head, 32)),
        };
        let (nonce, id) = (number(head, 8), number(head, 16));
        let header = Header { attempt: (number(head, 0) >> 32) as u32, id, nonce, route };
        Ok(Parts { header, argument, blobs: (blobs, count) })
    }
}

/// Why bytes are no parcel for this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadParcel {
    NoParcel,
    Cut,
    Foreign,
    /// It names code that isn't the executable's.
    NoCode,
}

impl From<BadParcel> for TaskError {
    fn from(why: BadParcel) -> Self {
        match why {
            BadParcel::Foreign => TaskError::Rejected(Rejected::ForeignBuild),
            other => TaskError::Codec(CodecError::new(Stage::Parcel, other.to_string())),
        }
    }
}

impl fmt::Display for BadParcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadParcel::NoParcel => "these bytes are no parcel",
            BadParcel::Cut => "the parcel was cut short or grew on its way",
            BadParcel::Foreign => {
                "the parcel comes from another build of the program; run the same executable at both ends"
            }
            BadParcel::NoCode => "the parcel names a function that this executable doesn't have",
        })
    }
}

/// Eight bytes as a number; the caller has checked that they are there.
pub(crate) fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Names this process among all that ever sent parcels: process ids come again.
pub(crate) fn nonce() -> u64 {
    static NONCE: LazyLock<u64> = LazyLock::new(|| {
        use std::hash::{BuildHasher, Hasher};
        // The standard library seeds each `RandomState` from the system's randomness.
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.finish()
    });
    *NONCE
}

#[cfg(test)]
mod tests {
    use super::{BadParcel, Header, Offset, Parcel, Route, read_blobs, write_blob};
    use crate::blob::{Blob, Content};
    use crate::id::FutureId;
    use std::sync::Arc;

    fn header() -> Header {
        let route = Route { runner: Offset::from_raw(7), function: Offset::from_raw(9) };
        Header::new(FutureId::new(), 3, route)
    }

    #[test]
    fn there_and_back() {
        let (sent, parcel) = (header(), Parcel::new(&header(), b"argument", Vec::new()));
        let (read, argument) = Header::read(parcel.as_bytes()).expect("whole");
        assert_eq!((read.attempt, read.route, read.nonce), (3, sent.route, sent.nonce));
        assert_eq!((argument.bytes(), parcel.attempt()), (&b"argument"[..], 3));
        let mut bytes = parcel.into_bytes();
        Header::try_again(&mut bytes);
        assert_eq!(Header::read(&bytes).expect("whole").0.attempt, 4);
    }

    #[test]
    fn blobs_arrive_with_what_lies_in_them() {
        let blob = |children| Arc::new(Blob::new(Content::Heap(vec![7; 3]), children));
        let inner = blob(Vec::new());
        let (outer, other) = (blob(vec![inner.clone()]), blob(Vec::new()));
        let mut bytes = Vec::new();
        [&inner, &other, &outer].iter().for_each(|blob| write_blob(blob, &mut bytes));
        let read = read_blobs(&bytes, 3, &[]).expect("whole");
        let children: Vec<Vec<_>> =
            read.iter().map(|blob| blob.children().iter().map(|child| child.id()).collect()).collect();
        assert_eq!(children, [vec![], vec![], vec![inner.id()]]);
        assert!(read.iter().all(|blob| blob.bytes() == [7; 3]));
        for cut in 0..bytes.len() {
            assert_eq!(read_blobs(&bytes[..cut], 3, &[]).err(), Some(BadParcel::Cut));
        }
        assert_eq!(read_blobs(&bytes, 2, &[]).err(), Some(BadParcel::Cut));
        // One that lies in what comes before it.
        let mut bytes = Vec::new();
        [&outer, &inner].iter().for_each(|blob| write_blob(blob, &mut bytes));
        assert_eq!(read_blobs(&bytes, 2, &[]).err(), Some(BadParcel::Cut));
    }

    #[test]
    fn what_is_no_parcel_says_why() {
        let bytes = Parcel::new(&header(), b"argument", Vec::new()).into_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(Header::read(&bytes[..cut]).err(), Some(BadParcel::Cut));
        }
        assert_eq!(Header::read(&[&bytes[..], b"!"].concat()).err(), Some(BadParcel::Cut));
        assert_eq!(Header::read(&[0; 100]).err(), Some(BadParcel::NoParcel));
        let mut foreign = bytes;
        foreign[45] ^= 1;
        assert_eq!(Header::read(&foreign).err(), Some(BadParcel::Foreign));
    }
}
