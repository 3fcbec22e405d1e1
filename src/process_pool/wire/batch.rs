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
use std::sync::Arc;

/// Arguments of one batch, together: so many bytes of a frame are copied at most.
pub(crate) const BATCH_BYTES: usize = 64 << 10;

/// How a task is to be run, beside its parcel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TaskFlags {
    /// The worker rings the doorbell when it begins this task, because its time is limited.
    pub(crate) rings_when_begun: bool,
    /// The reply is all in one place: the parent passes it on.
    pub(crate) is_for_elsewhere: bool,
}

impl TaskFlags {
    fn to_byte(self) -> u8 {
        u8::from(self.rings_when_begun) | u8::from(self.is_for_elsewhere) << 1
    }

    fn of_byte(byte: u8) -> Self {
        TaskFlags { rings_when_begun: byte & 1 != 0, is_for_elsewhere: byte & 2 != 0 }
    }
}

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
    pub(crate) fn small(header: &Header, flags: TaskFlags, argument: &[u8]) -> Self {
        TaskBytes::Small(beginning(header, flags, argument.len(), argument))
    }

    pub(crate) fn large(header: &Header, flags: TaskFlags, argument: PooledBuffer) -> Self {
        let beginning = beginning(header, flags, argument.bytes().len(), &[]);
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
fn beginning(header: &Header, flags: TaskFlags, len: usize, here: &[u8]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(PARCEL_AT + Header::LEN + here.len());
    put_length(&mut bytes, 1 + Header::LEN + len);
    bytes.push(flags.to_byte());
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
    pub(crate) flags: TaskFlags,
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
        Some(ArrivedTask { flags: TaskFlags::of_byte(flags[0]), parcel })
    }
}
