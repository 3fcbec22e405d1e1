//! What became of a task, on its way back: the reply.
//!
//! ```text
//! magic 4 | attempt 4 | nonce 8 | id 8 | outcome
//! ```
//!
//! A pool's own replies are the outcome alone: it knows whose they are.
//!
//! An outcome is one byte that says which kind, and what belongs to it. A value that carries blobs has the value's length and the
//! number of blobs before it and the blobs behind it, as in a parcel: what comes back comes by value. A chunk's is how long it
//! took in nanoseconds, and a list of outcomes, each with its length before it, so that one item that can't be decoded costs
//! that item. That of a chunk's only item is the time and the outcome.

use super::codec::{self, Arrived, Output};
use super::parcel::{BadParcel, Header, number, read_blobs, write_blob};
use crate::blob::{self, Blob, Held};
use crate::contain::{Panic, contain, drop_contained};
use crate::error::{
    Broken, CodecError, Failed, Panicked, Rejected, Stage, TaskError, TimeLimit, Unsupported, WorkerDied,
    WorkerLost,
};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub(super) const MAGIC: [u8; 4] = *b"cfr1";

/// What stands before each outcome.
pub(crate) const HEADER: usize = 24;

mod tag {
    pub(super) const DONE: u8 = 0;
    pub(super) const FAILED: u8 = 1;
    pub(super) const PANICKED: u8 = 2;
    pub(super) const CODEC: u8 = 3;
    pub(super) const REFUSED: u8 = 4;
    pub(super) const CHUNK: u8 = 5;
    pub(super) const DIED: u8 = 6;
    pub(super) const TIME_LIMIT: u8 = 7;
    pub(super) const LOST: u8 = 8;
    pub(super) const CANCELLED: u8 = 9;
    pub(super) const ABANDONED: u8 = 10;
    pub(super) const BROKEN: u8 = 11;
    pub(super) const CARRIES: u8 = 12;
    pub(super) const ITEM: u8 = 13;
}

/// Begins a reply to the parcel with this header; without one, to nobody in particular.
pub(crate) fn begin(header: Option<&Header>, reply: &mut Output) {
    let (attempt, nonce, id) = header.map_or((0, 0, 0), |header| (header.attempt, header.nonce, header.id));
    reply.extend_from_slice(&MAGIC);
    reply.extend_from_slice(&attempt.to_le_bytes());
    reply.extend_from_slice(&nonce.to_le_bytes());
    reply.extend_from_slice(&id.to_le_bytes());
}

/// The outcome in a reply to the task `id` of the process `nonce`.
pub(crate) fn open<'a>(
    reply: impl Into<Arrived<'a>>,
    nonce: u64,
    id: u64,
) -> Result<Arrived<'a>, CodecError> {
    let bad = |what: &str| Err(CodecError::new(Stage::DecodeResult, what));
    let Some((head, outcome)) = reply.into().front(HEADER) else {
        return bad("the reply is too short");
    };
    if head[..4] != MAGIC {
        return bad("these bytes are no reply");
    }
    // A parcel that couldn't be read is answered to nobody; the holder of the task sent it.
    let anonymous = (number(head, 8), number(head, 16)) == (0, 0)
        && matches!(outcome.bytes().first(), Some(&(tag::REFUSED | tag::CODEC)));
    if (number(head, 8), number(head, 16)) != (nonce, id) && !anonymous {
        return bad("the reply belongs to another task");
    }
    Ok(outcome)
}

/// Writes what a call gave. A result that can't be encoded becomes an error that says so.
pub(crate) fn write<R: Serialize>(outcome: Result<R, TaskError>, reply: &mut Output) {
    match outcome {
        Ok(value) => {
            let start = reply.len();
            reply.push(tag::DONE);
            let encoded = contain(|| {
                let (encoded, blobs) = blob::collect(|| codec::encode_into(&value, reply));
                // In here, since its drop may panic.
                drop(value);
                encoded.map(|()| blobs)
            });
            let reason = match encoded {
                Ok(Ok(blobs)) => return append_blobs(&blobs.into_vec(), start, reply),
                Ok(Err(reason)) => reason,
                Err(panic) => format!("`{}` panicked: {}", std::any::type_name::<R>(), panic.message()),
            };
            reply.truncate(start);
            write_error(&TaskError::Codec(CodecError::new(Stage::EncodeResult, reason)), reply);
        }
        Err(error) => {
            let start = reply.len();
            // Its texts are the user's code, and so is its drop.
            if let Err(panic) = contain(|| write_error(&error, reply)) {
                reply.truncate(start);
                write_error(&TaskError::Panicked(Panicked::caught(panic)), reply);
            }
            // The panic hook has told of it, in the worker's output.
            let _ = drop_contained(error);
        }
    }
}

/// Appends what a value carries to the outcome that begins at `start`.
fn append_blobs(blobs: &[Arc<Blob>], start: usize, reply: &mut Output) {
    if blobs.is_empty() {
        return;
    }
    reply[start] = tag::CARRIES;
    let len = (reply.len() - start - 1) as u64;
    let numbers = [&len.to_le_bytes()[..], &(blobs.len() as u32).to_le_bytes()].concat();
    reply.splice(start + 1..start + 1, numbers);
    for blob in blobs {
        write_blob(blob, reply);
    }
}

/// Reads a value and the blobs that it carries.
fn read_carrying<R: DeserializeOwned>(mut rest: Arrived<'_>) -> Result<R, TaskError> {
    let len = length(&mut rest)?;
    let (count, rest) = rest.front(4).ok_or_else(cut)?;
    let count = u32::from_le_bytes(count.try_into().map_err(|_| cut())?);
    let (value, blobs) = rest.split(len).ok_or_else(cut)?;
    let blobs = blobs.front(blobs.len()).ok_or_else(cut)?.0;
    let _held: Vec<Held> =
        read_blobs(blobs, count, &[]).map_err(|_| cut())?.into_iter().map(blob::hold).collect();
    read_value(value)
}

fn read_value<R: DeserializeOwned>(value: Arrived<'_>) -> Result<R, TaskError> {
    let bad = |reason: String| TaskError::Codec(CodecError::new(Stage::DecodeResult, reason));
    let panicked =
        |panic: Panic| bad(format!("`{}` panicked: {}", std::any::type_name::<R>(), panic.message()));
    contain(|| codec::decode(value)).map_err(panicked)?.map_err(bad)
}

pub(super) fn write_error(error: &TaskError, reply: &mut Output) {
    let (tag, parts) = match error {
        TaskError::Failed(failed) => {
            let mut parts = vec![Some(failed.type_name().to_owned())];
            let mut cause: Option<&dyn std::error::Error> = Some(failed.get_ref());
            while let Some(error) = cause {
                parts.push(Some(error.to_string()));
                cause = error.source();
            }
            (tag::FAILED, parts)
        }
        TaskError::Panicked(panic) => {
            let text = |part: Option<&str>| part.map(str::to_owned);
            let parts = [Some(panic.message()), panic.location(), panic.backtrace(), panic.worker()];
            (tag::PANICKED, parts.map(text).to_vec())
        }
        TaskError::Codec(codec) => {
            let stage = match codec.stage() {
                Stage::EncodeArgument => "encode argument",
                Stage::DecodeArgument => "decode argument",
                Stage::DecodeResult => "decode result",
                Stage::Parcel => "parcel",
                Stage::EncodeResult => "encode result",
            };
            (tag::CODEC, vec![Some(stage.to_owned()), Some(codec.reason().to_owned())])
        }
        TaskError::WorkerDied(died) => {
            let number = |number: Option<i32>| number.map(|number| number.to_string());
            let text = |part: Option<&str>| part.map(str::to_owned);
            let (pid, signal, code) =
                (Some(died.pid().to_string()), number(died.signal()), number(died.exit_code()));
            let (cause, host) = (text(died.cause()), text(died.host()));
            (tag::DIED, vec![pid, signal, code, cause, host, text(died.worker()), text(died.backtrace())])
        }
        TaskError::TimeLimit(over) => {
            let nanos = Some(over.limit().as_nanos().to_string());
            let text = |part: Option<&str>| part.map(str::to_owned);
            (tag::TIME_LIMIT, vec![nanos, text(over.worker()), text(over.backtrace())])
        }
        TaskError::WorkerLost(lost) => {
            let silence = lost.silent_for().map(|silence| silence.as_nanos().to_string());
            (tag::LOST, vec![Some(lost.node().to_owned()), silence, lost.cause().map(str::to_owned)])
        }
        TaskError::Cancelled => (tag::CANCELLED, vec![]),
        TaskError::Abandoned => (tag::ABANDONED, vec![]),
        // The reader says once more that the pool is broken, or that the task was rejected.
        TaskError::Broken(broken) => (tag::BROKEN, vec![Some(broken.why())]),
        TaskError::Rejected(rejected) => (tag::REFUSED, refusal(rejected)),
    };
    reply.push(tag);
    if let Err(reason) = codec::encode_into(&parts, reply) {
        unreachable!("texts can always be encoded: {reason}");
    }
}

/// A refusal by name, with its reason where it has one.
fn refusal(rejected: &Rejected) -> Vec<Option<String>> {
    let name = |name: &str| vec![Some(name.to_owned())];
    match rejected {
        Rejected::ShutDown => name("shut down"),
        Rejected::Full => name("full"),
        Rejected::NotPortable => name("not portable"),
        Rejected::Encoded => name("encoded"),
        Rejected::ForeignBuild => name("foreign build"),
        Rejected::StackSpent => name("stack spent"),
        Rejected::Unsupported(why) => vec![Some("unsupported".to_owned()), Some(why.to_string())],
    }
}

/// Answers a parcel of which nothing was run.
pub(crate) fn write_bad_parcel(why: BadParcel, reply: &mut Output) {
    write_error(&why.into(), reply);
}

/// Reads an outcome. Bytes that are none are an error like any other.
pub(crate) fn read<'a, R: DeserializeOwned>(outcome: impl Into<Arrived<'a>>) -> Result<R, TaskError> {
    let bad = |reason: String| TaskError::Codec(CodecError::new(Stage::DecodeResult, reason));
    let Some((&[tag], rest)) = outcome.into().front(1) else { return Err(bad("the reply is empty".into())) };
    match tag {
        tag::DONE => return read_value(rest),
        tag::CARRIES => return read_carrying(rest),
        _ => {}
    }
    let mut parts = codec::decode::<Vec<Option<String>>>(rest).map_err(bad)?.into_iter();
    let mut next = || parts.next().flatten();
    Err(match tag {
        tag::FAILED => {
            let type_name = next().unwrap_or_default();
            TaskError::Failed(Failed::from_elsewhere(type_name, std::iter::from_fn(next)))
        }
        tag::PANICKED => {
            let mut panic = Panicked::new(next().unwrap_or_default());
            panic = next().into_iter().fold(panic, Panicked::with_location);
            panic = next().into_iter().fold(panic, Panicked::with_backtrace);
            TaskError::Panicked(next().into_iter().fold(panic, Panicked::with_worker))
        }
        tag::CODEC => {
            let stage = match next().as_deref() {
                Some("encode argument") => Stage::EncodeArgument,
                Some("decode argument") => Stage::DecodeArgument,
                Some("decode result") => Stage::DecodeResult,
                Some("parcel") => Stage::Parcel,
                _ => Stage::EncodeResult,
            };
            TaskError::Codec(CodecError::new(stage, next().unwrap_or_default()))
        }
        tag::REFUSED => TaskError::Rejected(match next().as_deref() {
            Some("shut down") => Rejected::ShutDown,
            Some("full") => Rejected::Full,
            Some("not portable") => Rejected::NotPortable,
            Some("encoded") => Rejected::Encoded,
            Some("foreign build") => Rejected::ForeignBuild,
            Some("stack spent") => Rejected::StackSpent,
            _ => Rejected::Unsupported(Unsupported::new(&next().unwrap_or_default())),
        }),
        tag::DIED => {
            let mut died = WorkerDied::new(parsed(next()).unwrap_or(0));
            died = parsed(next()).into_iter().fold(died, WorkerDied::with_signal);
            died = parsed(next()).into_iter().fold(died, WorkerDied::with_exit_code);
            died = next().into_iter().fold(died, WorkerDied::with_cause);
            died = next().into_iter().fold(died, WorkerDied::with_host);
            died = next().into_iter().fold(died, WorkerDied::with_worker);
            TaskError::WorkerDied(next().into_iter().fold(died, WorkerDied::with_backtrace))
        }
        tag::TIME_LIMIT => {
            let over = TimeLimit::new(nanos(next()).unwrap_or_default());
            let over = next().into_iter().fold(over, TimeLimit::with_worker);
            TaskError::TimeLimit(next().into_iter().fold(over, TimeLimit::with_backtrace))
        }
        tag::LOST => {
            let lost = WorkerLost::new(next().unwrap_or_default());
            let lost = nanos(next()).into_iter().fold(lost, WorkerLost::with_silence);
            TaskError::WorkerLost(next().into_iter().fold(lost, WorkerLost::with_cause))
        }
        tag::CANCELLED => TaskError::Cancelled,
        tag::ABANDONED => TaskError::Abandoned,
        tag::BROKEN => TaskError::Broken(Broken::new(next().unwrap_or_default())),
        other => bad(format!("no outcome begins with {other}")),
    })
}

fn parsed<N: FromStr>(text: Option<String>) -> Option<N> {
    text?.parse().ok()
}

fn nanos(text: Option<String>) -> Option<Duration> {
    parsed(text).map(|nanos: u64| Duration::from_nanos(nanos))
}

/// Writes the outcomes of a chunk, as they come, and then how long that took.
pub(crate) fn write_all<R: Serialize>(
    outcomes: impl ExactSizeIterator<Item = Result<R, TaskError>>,
    time: impl FnOnce() -> Duration,
    reply: &mut Output,
) {
    let time_at = begin_timed(tag::CHUNK, reply);
    reply.extend_from_slice(&(outcomes.len() as u64).to_le_bytes());
    for outcome in outcomes {
        let at = reply.len();
        reply.extend_from_slice(&[0; 8]);
        write(outcome, reply);
        let len = (reply.len() - at - 8) as u64;
        reply[at..at + 8].copy_from_slice(&len.to_le_bytes());
    }
    set_time(time_at, time(), reply);
}

/// Writes the outcome of a chunk's only item, and how long that took.
pub(crate) fn write_item<R: Serialize>(
    outcome: Result<R, TaskError>,
    time: impl FnOnce() -> Duration,
    reply: &mut Output,
) {
    let time_at = begin_timed(tag::ITEM, reply);
    write(outcome, reply);
    set_time(time_at, time(), reply);
}

/// Leaves room for a time; says where.
fn begin_timed(tag: u8, reply: &mut Output) -> usize {
    reply.push(tag);
    reply.extend_from_slice(&[0; 8]);
    reply.len() - 8
}

fn set_time(at: usize, time: Duration, reply: &mut Output) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    reply[at..at + 8].copy_from_slice(&nanos.to_le_bytes());
}

/// What became of a chunk's only item, and how long it says that it took.
pub(crate) type Item<R> = (Result<R, TaskError>, Duration);

/// Reads the outcome of a chunk's only item, and how long it says that it took. `None` if it is none.
pub(crate) fn read_item<'a, R: DeserializeOwned>(
    outcome: impl Into<Arrived<'a>>,
) -> Result<Option<Item<R>>, TaskError> {
    let Some((&[tag::ITEM], mut rest)) = outcome.into().front(1) else { return Ok(None) };
    let time = Duration::from_nanos(eight(&mut rest)?);
    Ok(Some((read(rest), time)))
}

/// Reads the outcomes of a chunk, and how long it says that it took.
pub(crate) fn read_all<'a, R: DeserializeOwned>(
    outcome: impl Into<Arrived<'a>>,
) -> Result<(Vec<Result<R, TaskError>>, Duration), TaskError> {
    let outcome = outcome.into();
    let Some((&[tag::CHUNK], mut rest)) = outcome.front(1) else {
        return Err(read::<R>(outcome).err().unwrap_or_else(cut));
    };
    let time = Duration::from_nanos(eight(&mut rest)?);
    let count = length(&mut rest)?;
    // Each outcome has a length before it: no more of them than bytes.
    let mut outcomes = Vec::with_capacity(count.min(outcome.len() / 8));
    for _ in 0..count {
        let len = length(&mut rest)?;
        let (one, behind) = rest.split(len).ok_or_else(cut)?;
        rest = behind;
        outcomes.push(read(one));
    }
    if rest.is_empty() { Ok((outcomes, time)) } else { Err(cut()) }
}

fn length(rest: &mut Arrived<'_>) -> Result<usize, TaskError> {
    usize::try_from(eight(rest)?).map_err(|_| cut())
}

fn eight(rest: &mut Arrived<'_>) -> Result<u64, TaskError> {
    let (bytes, behind) = rest.front(8).ok_or_else(cut)?;
    *rest = behind;
    Ok(number(bytes, 0))
}

fn cut() -> TaskError {
    TaskError::Codec(CodecError::new(Stage::DecodeResult, "the result was cut short or grew on its way"))
}
