//! The body of a batch: [`TaskBytes`] and [`frame`] write it, [`Tasks`] reads it.
//!
//! ```text
//! each task:  length 8 | flags 1 | parcel       the length is that of flags and parcel
//! ```

use super::buffer::PooledBuffer;
use super::frames::Piece;
use super::message::{HEAD, Head, LENGTH, Message, put_length};
use crate::remote::codec::Arrived;
use crate::remote::parcel::Header;
use std::ops::Range;
use std::sync::Arc;

/// Arguments of one batch, together: so many bytes of a frame are copied at most.
pub(crate) const BATCH_BYTES: usize = 64 << 10;

/// A flag: the worker rings the doorbell when it begins this task, because its time is limited.
const RING_WHEN_BEGUN: u8 = 1;

/// What stands before a parcel: its length and the flags.
const PARCEL_AT: usize = LENGTH + 1;

// ---- writing --------------------------------------------------------------------------------------------

/// A task as it stands in a batch. Small ones are copied into frames, large arguments are sent from where they are.
pub(crate) enum TaskBytes {
    Small(Box<[u8]>),
    /// The beginning, and the argument behind it.
    Large(Box<[u8]>, Arc<PooledBuffer>),
}

impl TaskBytes {
    pub(crate) fn small(header: &Header, rings_when_begun: bool, argument: &[u8]) -> Self {
        TaskBytes::Small(beginning(header, rings_when_begun, argument.len(), argument))
    }

    pub(crate) fn large(header: &Header, rings_when_begun: bool, argument: PooledBuffer) -> Self {
        let beginning = beginning(header, rings_when_begun, argument.bytes().len(), &[]);
        TaskBytes::Large(beginning, Arc::new(argument))
    }

    /// Bytes that it takes in a frame.
    pub(crate) fn len(&self) -> usize {
        match self {
            TaskBytes::Small(bytes) => bytes.len(),
            TaskBytes::Large(beginning, argument) => beginning.len() + argument.bytes().len(),
        }
    }

    /// Counts one more attempt in the parcel.
    pub(crate) fn try_again(&mut self) {
        let (TaskBytes::Small(bytes) | TaskBytes::Large(bytes, _)) = self;
        Header::try_again(&mut bytes[PARCEL_AT..]);
    }
}

/// All that stands before an argument of `len` bytes, and those of them that are `here`.
fn beginning(header: &Header, rings_when_begun: bool, len: usize, here: &[u8]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(PARCEL_AT + Header::LEN + here.len());
    put_length(&mut bytes, 1 + Header::LEN + len);
    bytes.push(if rings_when_begun { RING_WHEN_BEGUN } else { 0 });
    header.write(len, &mut bytes);
    bytes.extend_from_slice(here);
    bytes.into_boxed_slice()
}

/// The frame of a batch.
pub(crate) fn frame<'t>(
    number: u32,
    tasks: impl ExactSizeIterator<Item = &'t TaskBytes> + Clone,
) -> Vec<Piece> {
    let len: usize = tasks.clone().map(TaskBytes::len).sum();
    let message = Message::Batch { number, tasks: tasks.len() as u32 };
    let mut pieces = Vec::with_capacity(1);
    let mut bytes = Vec::with_capacity(HEAD + len.min(BATCH_BYTES + PARCEL_AT + Header::LEN));
    bytes.extend_from_slice(&Head { message, len }.to_bytes());
    for task in tasks {
        match task {
            TaskBytes::Small(task) => bytes.extend_from_slice(task),
            TaskBytes::Large(beginning, argument) => {
                bytes.extend_from_slice(beginning);
                pieces.push(Piece::Owned(std::mem::take(&mut bytes)));
                pieces.push(Piece::Shared(argument.clone()));
            }
        }
    }
    pieces.push(Piece::Owned(bytes));
    pieces
}

// ---- reading --------------------------------------------------------------------------------------------

/// The tasks of a batch that has arrived, one after the other.
pub(crate) struct Tasks<'a>(Arrived<'a>);

/// One of them.
pub(crate) struct ArrivedTask<'a> {
    pub(crate) rings_when_begun: bool,
    pub(crate) parcel: Arrived<'a>,
}

impl<'a> Tasks<'a> {
    pub(crate) fn new(body: Arrived<'a>) -> Self {
        Tasks(body)
    }

    /// The next task; `None` if no whole one is left.
    pub(crate) fn next(&mut self) -> Option<ArrivedTask<'a>> {
        let (len, behind) = self.0.front(LENGTH)?;
        let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
        let (task, behind) = behind.split(len)?;
        self.0 = behind;
        let (flags, parcel) = task.front(1)?;
        Some(ArrivedTask { rings_when_begun: flags[0] & RING_WHEN_BEGUN != 0, parcel })
    }
}

/// Which part of a batch is received out of band: the large string of a task that travels alone.
pub(crate) fn find_bulk(message: &Message, beginning: &[u8]) -> Option<Range<usize>> {
    let Message::Batch { tasks: 1, .. } = message else { return None };
    let found = Header::find_bulk(beginning.get(PARCEL_AT..)?)?;
    Some(found.start + PARCEL_AT..found.end.checked_add(PARCEL_AT)?)
}
