//! The body of a batch: [`TaskBytes`] and [`frame`] write it, [`Tasks`] reads it.
//!
//! ```text
//! each task:  length 8 | flags 1 | runner 8 | function 8 | argument       the length is that of what follows it
//! ```
//!
//! Less than a parcel says: by its place in the batch the parent knows whose it is and whose the reply, and the hello has said
//! that both run the same build.

use super::buffer::PooledBuffer;
use super::frames::Piece;
use super::message::{HEAD, Head, LENGTH, Message};
use crate::remote::codec::Arrived;
use crate::remote::function::Offset;
use crate::remote::parcel::{Route, number};
use std::sync::Arc;

/// Arguments of one batch, together: so many bytes of a frame are copied at most.
pub(crate) const BATCH_BYTES: usize = 64 << 10;

/// How a task is to be run, beside its call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TaskFlags {
    /// The worker rings the doorbell when it begins this task, because its time is limited.
    pub(crate) rings_when_begun: bool,
    /// The reply is all in one place: the parent passes it on.
    pub(crate) is_for_elsewhere: bool,
    /// Somebody is told what the task reports.
    pub(crate) reports: bool,
}

impl TaskFlags {
    fn to_byte(self) -> u8 {
        u8::from(self.rings_when_begun) | u8::from(self.is_for_elsewhere) << 1 | u8::from(self.reports) << 2
    }

    fn of_byte(byte: u8) -> Self {
        TaskFlags { rings_when_begun: byte & 1 != 0, is_for_elsewhere: byte & 2 != 0, reports: byte & 4 != 0 }
    }
}

/// What stands before an argument, behind the length.
const BEFORE: usize = 1 + 8 + 8;

// ---- writing --------------------------------------------------------------------------------------------

/// A task as it stands in a batch. Small ones are copied into frames, large arguments are sent from where they are.
pub(crate) struct TaskBytes {
    route: Route,
    flags: TaskFlags,
    argument: Argument,
}

enum Argument {
    /// So many arguments are this small that an allocation for each would be felt.
    Here(u8, [u8; HERE]),
    Small(Box<[u8]>),
    Large(Arc<PooledBuffer>),
}

/// What is no longer makes an [`Argument`] no larger than the others do.
const HERE: usize = 22;

impl TaskBytes {
    pub(crate) fn small(route: Route, flags: TaskFlags, argument: &[u8]) -> Self {
        let mut here = [0; HERE];
        let argument = match here.get_mut(..argument.len()) {
            Some(part) => {
                part.copy_from_slice(argument);
                Argument::Here(argument.len() as u8, here)
            }
            None => Argument::Small(argument.into()),
        };
        TaskBytes { route, flags, argument }
    }

    pub(crate) fn large(route: Route, flags: TaskFlags, argument: PooledBuffer) -> Self {
        TaskBytes { route, flags, argument: Argument::Large(Arc::new(argument)) }
    }

    fn argument(&self) -> &[u8] {
        match &self.argument {
            Argument::Here(len, bytes) => &bytes[..usize::from(*len)],
            Argument::Small(bytes) => bytes,
            Argument::Large(bytes) => bytes.bytes(),
        }
    }

    /// Bytes that it takes in a frame.
    pub(crate) fn len(&self) -> usize {
        LENGTH + BEFORE + self.argument().len()
    }

    /// Appends what stands before the argument.
    fn begin(&self, bytes: &mut Vec<u8>) {
        let mut head = [0; LENGTH + BEFORE];
        let len = (BEFORE + self.argument().len()) as u64;
        head[..8].copy_from_slice(&len.to_le_bytes());
        head[8] = self.flags.to_byte();
        head[9..17].copy_from_slice(&self.route.runner.to_raw().to_le_bytes());
        head[17..].copy_from_slice(&self.route.function.to_raw().to_le_bytes());
        bytes.extend_from_slice(&head);
    }
}

/// The frame of a batch.
pub(crate) fn frame<'t>(
    number: u32,
    tasks: impl ExactSizeIterator<Item = &'t TaskBytes> + Clone,
) -> Vec<Piece> {
    let len: usize = tasks.clone().map(TaskBytes::len).sum();
    let message = Message::Batch { number, tasks: tasks.len() as u32 };
    let mut pieces = Vec::with_capacity(1);
    let mut bytes = Vec::with_capacity(HEAD + len.min(BATCH_BYTES + LENGTH + BEFORE));
    bytes.extend_from_slice(&Head { message, len }.to_bytes());
    for task in tasks {
        task.begin(&mut bytes);
        if let Argument::Large(argument) = &task.argument {
            pieces.push(Piece::Owned(std::mem::take(&mut bytes)));
            pieces.push(Piece::Shared(argument.clone()));
        } else {
            bytes.extend_from_slice(task.argument());
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
    pub(crate) route: Route,
    pub(crate) argument: Arrived<'a>,
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
        let (head, argument) = task.front(BEFORE)?;
        let (flags, offset) = (TaskFlags::of_byte(head[0]), |at| Offset::from_raw(number(head, at)));
        Some(ArrivedTask { flags, route: Route { runner: offset(1), function: offset(9) }, argument })
    }
}
