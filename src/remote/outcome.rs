//! What became of a task, on its way back: the reply.
//!
//! ```text
//! magic 4 | attempt 4 | nonce 8 | id 8 | outcome
//! ```
//!
//! An outcome is one byte that says which kind, and what belongs to it. A chunk's is a list of outcomes, each with its
//! length before it, so that one item that can't be decoded costs that item.

use super::codec::{self, Arrived};
use super::parcel::{Header, number};
use crate::contain::{Panic, contain, drop_contained};
use crate::error::{Broken, CodecError, Failed, Panicked, Stage, TaskError};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::ops::Range;

const MAGIC: [u8; 4] = *b"cfr1";

/// What stands before each outcome.
pub(crate) const HEADER: usize = 24;

mod tag {
    pub(super) const DONE: u8 = 0;
    pub(super) const FAILED: u8 = 1;
    pub(super) const PANICKED: u8 = 2;
    pub(super) const CODEC: u8 = 3;
    pub(super) const REFUSED: u8 = 4;
    pub(super) const CHUNK: u8 = 5;
}

/// Begins a reply to the parcel with this header; without one, to nobody in particular.
pub(crate) fn begin(header: Option<&Header>, reply: &mut Vec<u8>) {
    let (attempt, nonce, id) = header.map_or((0, 0, 0), |header| (header.attempt, header.nonce, header.id));
    reply.extend_from_slice(&MAGIC);
    reply.extend_from_slice(&attempt.to_le_bytes());
    reply.extend_from_slice(&nonce.to_le_bytes());
    reply.extend_from_slice(&id.to_le_bytes());
}

/// The outcome in a reply to the task `id` of the process `nonce`.
pub(crate) fn open<'a>(reply: impl Into<Arrived<'a>>, nonce: u64, id: u64) -> Result<Arrived<'a>, TaskError> {
    let bad = |what: &str| Err(TaskError::Codec(CodecError::new(Stage::DecodeResult, what)));
    let Some((head, outcome)) = reply.into().front(HEADER) else {
        return bad("the reply is too short");
    };
    if head[..4] != MAGIC {
        return bad("these bytes are no reply");
    }
    // A parcel that couldn't be read is answered to nobody; the holder of the task sent it.
    let anonymous =
        (number(head, 8), number(head, 16)) == (0, 0) && outcome.bytes().first() == Some(&tag::REFUSED);
    if (number(head, 8), number(head, 16)) != (nonce, id) && !anonymous {
        return bad("the reply belongs to another task");
    }
    Ok(outcome)
}

/// Where the first large string of a result lies, if the reply's beginning shows it.
pub(crate) fn find_bulk(beginning: &[u8]) -> Option<Range<usize>> {
    const VALUE: usize = HEADER + 1;
    let is_value = beginning.get(HEADER) == Some(&tag::DONE);
    let found = is_value.then(|| codec::find_bulk(&beginning[VALUE..])).flatten()?;
    Some(found.start + VALUE..found.end.checked_add(VALUE)?)
}

/// Writes what a call gave. A result that can't be encoded becomes an error that says so.
pub(crate) fn write<R: Serialize>(outcome: Result<R, TaskError>, reply: &mut Vec<u8>) {
    match outcome {
        Ok(value) => {
            let start = reply.len();
            reply.push(tag::DONE);
            let encoded = contain(|| {
                let encoded = codec::encode_into(&value, reply);
                // In here, since its drop may panic.
                drop(value);
                encoded
            });
            let reason = match encoded {
                Ok(Ok(())) => return,
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

fn write_error(error: &TaskError, reply: &mut Vec<u8>) {
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
                Stage::DecodeArgument => "decode argument",
                _ => "encode result",
            };
            (tag::CODEC, vec![Some(stage.to_owned()), Some(codec.reason().to_owned())])
        }
        // The reader says once more that the pool is broken.
        TaskError::Broken(broken) => (tag::REFUSED, vec![Some(broken.why())]),
        other => (tag::REFUSED, vec![Some(other.to_string())]),
    };
    reply.push(tag);
    if let Err(reason) = codec::encode_into(&parts, reply) {
        unreachable!("texts can always be encoded: {reason}");
    }
}

/// Answers a parcel of which nothing was run.
pub(crate) fn write_refusal(why: &str, reply: &mut Vec<u8>) {
    write_error(&TaskError::Broken(Broken::new(why)), reply);
}

/// Reads an outcome. Bytes that are none are an error like any other.
pub(crate) fn read<'a, R: DeserializeOwned>(outcome: impl Into<Arrived<'a>>) -> Result<R, TaskError> {
    let bad = |reason: String| TaskError::Codec(CodecError::new(Stage::DecodeResult, reason));
    let Some((&[tag], rest)) = outcome.into().front(1) else { return Err(bad("the reply is empty".into())) };
    if tag == tag::DONE {
        let panicked =
            |panic: Panic| bad(format!("`{}` panicked: {}", std::any::type_name::<R>(), panic.message()));
        return contain(|| codec::decode(rest)).map_err(panicked)?.map_err(bad);
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
                Some("decode argument") => Stage::DecodeArgument,
                _ => Stage::EncodeResult,
            };
            TaskError::Codec(CodecError::new(stage, next().unwrap_or_default()))
        }
        tag::REFUSED => TaskError::Broken(Broken::new(next().unwrap_or_default())),
        other => bad(format!("no outcome begins with {other}")),
    })
}

/// Writes the outcomes of a chunk, as they come.
pub(crate) fn write_all<R: Serialize>(
    outcomes: impl ExactSizeIterator<Item = Result<R, TaskError>>,
    reply: &mut Vec<u8>,
) {
    reply.push(tag::CHUNK);
    reply.extend_from_slice(&(outcomes.len() as u64).to_le_bytes());
    for outcome in outcomes {
        let at = reply.len();
        reply.extend_from_slice(&[0; 8]);
        write(outcome, reply);
        let len = (reply.len() - at - 8) as u64;
        reply[at..at + 8].copy_from_slice(&len.to_le_bytes());
    }
}

/// Reads the outcomes of a chunk.
pub(crate) fn read_all<'a, R: DeserializeOwned>(
    outcome: impl Into<Arrived<'a>>,
) -> Result<Vec<Result<R, TaskError>>, TaskError> {
    let outcome = outcome.into();
    let Some((&[tag::CHUNK], mut rest)) = outcome.front(1) else {
        return Err(read::<R>(outcome).err().unwrap_or_else(cut));
    };
    let count = length(&mut rest)?;
    // Each outcome has a length before it: no more of them than bytes.
    let mut outcomes = Vec::with_capacity(count.min(outcome.len() / 8));
    for _ in 0..count {
        let len = length(&mut rest)?;
        let (one, behind) = rest.split(len).ok_or_else(cut)?;
        rest = behind;
        outcomes.push(read(one));
    }
    if rest.is_empty() { Ok(outcomes) } else { Err(cut()) }
}

fn length(rest: &mut Arrived<'_>) -> Result<usize, TaskError> {
    let (bytes, behind) = rest.front(8).ok_or_else(cut)?;
    *rest = behind;
    usize::try_from(number(bytes, 0)).map_err(|_| cut())
}

fn cut() -> TaskError {
    TaskError::Codec(CodecError::new(Stage::DecodeResult, "the results of a chunk arrived cut or grown"))
}
