//! The body of a batch: [`TaskBytes`] and [`frame`] write it, [`Tasks`] reads it.
//!
//! ```text
//! each task:  length 8 | flags 1 | id 8 | runner 8 | function 8 | [about] | argument    the length is that of what follows it
//! about:      attempt 4 | nanoseconds after which it is to stop 8 | length of the label 4, all ones for none | label
//! ```
//!
//! Few tasks have anything to tell *about* them; a flag says so.
//!
//! Less than a parcel says: by its place in the batch the parent knows whose it is and whose the reply, and the hello has said
//! that both run the same build.

use super::buffer::PooledBuffer;
use super::frames::Piece;
use super::message::{HEAD, Head, LENGTH, Message};
use crate::id::FutureId;
use crate::remote::codec::Arrived;
use crate::remote::function::Offset;
use crate::remote::parcel::{Route, number};
use std::sync::Arc;
use std::time::Duration;

/// Arguments of one batch, together: so many bytes of a frame are copied at most.
pub(crate) const BATCH_BYTES: usize = 64 << 10;

/// How a task is to be run, beside its call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TaskFlags {
    /// The worker rings the doorbell when it begins this task, because its time is limited.
    pub(crate) rings_when_begun: bool,
    /// The reply is all in one place: the parent passes it on.
    pub(crate) is_for_elsewhere: bool,
    /// There is something about it. Set where it is shipped.
    pub(crate) has_about: bool,
    /// Somebody is told what the task reports.
    pub(crate) reports: bool,
}

impl TaskFlags {
    fn to_byte(self) -> u8 {
        u8::from(self.rings_when_begun)
            | u8::from(self.is_for_elsewhere) << 1
            | u8::from(self.has_about) << 2
            | u8::from(self.reports) << 3
    }

    fn of_byte(byte: u8) -> Self {
        TaskFlags {
            rings_when_begun: byte & 1 != 0,
            is_for_elsewhere: byte & 2 != 0,
            has_about: byte & 4 != 0,
            reports: byte & 8 != 0,
        }
    }
}

/// What a worker is told of a task beside its call, for the task itself to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct About<'t> {
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) stop_after: Option<Duration>,
    pub(crate) label: Option<&'t str>,
}

/// What stands before an argument, behind the length, where there is nothing about it.
const BEFORE: usize = 1 + 8 + 8 + 8;

/// What is about a task, before its label.
const ABOUT: usize = 4 + 8 + 4;

impl About<'static> {
    /// Of a task of which there is nothing to tell.
    pub(crate) const NOTHING: Self = About { attempt: 1, stop_after: None, label: None };
}

impl<'t> About<'t> {
    fn len(&self) -> usize {
        ABOUT + self.label.map_or(0, str::len)
    }

    /// A limit of more than some centuries is none.
    fn append_to(&self, bytes: &mut Vec<u8>) {
        let after =
            self.stop_after.and_then(|after| u64::try_from(after.as_nanos()).ok()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&self.attempt.to_le_bytes());
        bytes.extend_from_slice(&after.to_le_bytes());
        let len =
            self.label.map_or(u32::MAX, |label| u32::try_from(label.len()).expect("no label has 4 GiB"));
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(self.label.unwrap_or_default().as_bytes());
    }

    /// And what lies behind it.
    fn read(bytes: Arrived<'t>) -> Option<(Self, Arrived<'t>)> {
        let (head, rest) = bytes.front(ABOUT)?;
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (after, len) = (number(head, 4), word(12));
        let (label, rest) = match len {
            u32::MAX => (None, rest),
            len => rest.front(len as usize).map(|(label, rest)| (Some(label), rest))?,
        };
        let label = label.map(std::str::from_utf8).transpose().ok()?;
        let stop_after = (after != u64::MAX).then(|| Duration::from_nanos(after));
        Some((About { attempt: word(0), stop_after, label }, rest))
    }
}

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

    /// Bytes that it takes in a frame, where there is nothing about it.
    pub(crate) fn len(&self) -> usize {
        LENGTH + BEFORE + self.argument().len()
    }
}

/// A task that goes into a batch.
#[derive(Clone, Copy)]
pub(crate) struct Shipped<'t> {
    pub(crate) bytes: &'t TaskBytes,
    pub(crate) id: FutureId,
    pub(crate) about: Option<About<'t>>,
}

impl Shipped<'_> {
    fn len(&self) -> usize {
        self.bytes.len() + self.about.as_ref().map_or(0, About::len)
    }

    /// Appends what stands before the argument.
    fn begin(&self, bytes: &mut Vec<u8>) {
        let mut head = [0; LENGTH + BEFORE];
        let TaskBytes { route, flags, .. } = self.bytes;
        let flags = TaskFlags { has_about: self.about.is_some(), ..*flags };
        head[..8].copy_from_slice(&((self.len() - LENGTH) as u64).to_le_bytes());
        head[8] = flags.to_byte();
        head[9..17].copy_from_slice(&self.id.get().to_le_bytes());
        head[17..25].copy_from_slice(&route.runner.to_raw().to_le_bytes());
        head[25..].copy_from_slice(&route.function.to_raw().to_le_bytes());
        bytes.extend_from_slice(&head);
        if let Some(about) = &self.about {
            about.append_to(bytes);
        }
    }
}

/// The frame of a batch.
pub(crate) fn frame<'t>(
    number: u32,
    tasks: impl ExactSizeIterator<Item = Shipped<'t>> + Clone,
) -> Vec<Piece> {
    let len: usize = tasks.clone().map(|task| task.len()).sum();
    let message = Message::Batch { number, tasks: tasks.len() as u32 };
    let mut pieces = Vec::with_capacity(1);
    let mut bytes = Vec::with_capacity(HEAD + len.min(BATCH_BYTES + LENGTH + BEFORE));
    bytes.extend_from_slice(&Head { message, len }.to_bytes());
    for task in tasks {
        task.begin(&mut bytes);
        if let Argument::Large(argument) = &task.bytes.argument {
            pieces.push(Piece::Owned(std::mem::take(&mut bytes)));
            pieces.push(Piece::Shared(argument.clone()));
        } else {
            bytes.extend_from_slice(task.bytes.argument());
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
    pub(crate) id: FutureId,
    pub(crate) about: About<'a>,
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
        let (head, behind) = task.front(BEFORE)?;
        let (flags, offset) = (TaskFlags::of_byte(head[0]), |at| Offset::from_raw(number(head, at)));
        let route = Route { runner: offset(9), function: offset(17) };
        let id = FutureId::from_raw(number(head, 1))?;
        let (about, argument) = match flags.has_about {
            true => About::read(behind)?,
            false => (About::NOTHING, behind),
        };
        Some(ArrivedTask { flags, id, about, route, argument })
    }
}
