//! Any bytes, and good bytes with a few changed: an error or a value, never a panic, and never more memory than a few
//! times the bytes that are there. What comes from a worker is input, not trust.

use concurrent_futures::internals::memory::{Counting, HELD, LARGEST, MOST};
use concurrent_futures::internals::wire::{
    is_head, is_welcome, lying, open, parcel, read, read_all, read_frames, reply, unpack, welcome, write,
    write_all,
};
use concurrent_futures::{CodecError, Panicked, Stage, TaskError};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What may be allocated for so many bytes: a few times as much in all, beside what any message costs; and at once no
/// more than the bytes themselves, beside that, where no factor says why it is more.
#[derive(Clone, Copy)]
struct Allowed {
    /// In all, for each byte.
    per_byte: usize,
    /// At once, for each byte.
    at_once: usize,
    /// In all, and at once, whatever is in the message.
    fixed: (usize, usize),
}

/// Runs `work` on these bytes.
fn in_proportion<T>(bytes: usize, allowed: Allowed, work: impl FnOnce() -> T) -> T {
    let before = HELD.get();
    MOST.set(before);
    LARGEST.set(0);
    let value = work();
    let (held, largest) = (usize::try_from(MOST.get() - before).unwrap(), LARGEST.get());
    let in_all = allowed.fixed.0 + allowed.per_byte * bytes;
    assert!(held <= in_all, "{held} held for {bytes} bytes, {in_all} allowed");
    // The words around a text that an error quotes.
    const WORDS: usize = 256;
    let at_once = allowed.fixed.1.max(allowed.at_once * bytes + WORDS);
    assert!(largest <= at_once, "{largest} asked for at once for {bytes} bytes, {at_once} allowed");
    value
}

/// What a message costs whatever is in it: the texts of an error.
const SMALL: (usize, usize) = (4 << 10, 4 << 10);

/// Room that an inbox begins with, once as it is and once while it moves.
const INBOX: (usize, usize) = (3 * (64 << 10), 64 << 10);

/// Frames whose lengths may lie: for such a length an inbox takes three times as much again as is there, so that an
/// honest one grows in few steps.
const FRAMES: Allowed = Allowed { per_byte: 8, at_once: 4, fixed: INBOX };

/// It is written and read once more, and compared: what is written to grows by doubling.
const WELCOME: Allowed = Allowed { per_byte: 24, at_once: 2, fixed: SMALL };

/// Parcels and their refusals are read where they lie.
const IN_PLACE: Allowed = Allowed { per_byte: 0, at_once: 1, fixed: SMALL };

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Named(String),
    Points { list: Vec<(i32, f64)>, by_name: BTreeMap<String, Option<u64>> },
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Empty),
        any::<String>().prop_map(Shape::Named),
        any::<(Vec<(i32, u16)>, BTreeMap<String, Option<u64>>)>().prop_map(|(list, by_name)| {
            let list = list.into_iter().map(|(a, b)| (a, f64::from(b))).collect();
            Shape::Points { list, by_name }
        }),
    ]
}

/// One task's outcome, of any kind.
fn outcome() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => shape().prop_map(|value| write(Ok(value))),
        1 => any::<String>().prop_map(|text| write::<()>(Err(TaskError::Panicked(Panicked::new(text))))),
        1 => any::<String>().prop_map(|text| {
            write::<()>(Err(TaskError::Codec(CodecError::new(Stage::EncodeResult, text))))
        }),
        1 => Just(write::<()>(Err(TaskError::Abandoned))),
    ]
}

/// One so long that what it costs in any case is nothing beside it.
fn long_outcome() -> impl Strategy<Value = Vec<u8>> {
    let text = |len: usize| "t".repeat(len);
    prop_oneof![
        (0..100_000_usize).prop_map(move |len| write(Ok(text(len)))),
        (0..20_000_usize).prop_map(|len| write(Ok((0..len as u64).collect::<Vec<_>>()))),
        (0..100_000_usize)
            .prop_map(move |len| write::<()>(Err(TaskError::Panicked(Panicked::new(text(len)))))),
        (0..5_000_u64).prop_map(|len| write_all((0..len).map(Ok).collect())),
        (0..100_usize).prop_map(move |len| write_all((0..len).map(|n| Ok(text(n * 10))).collect())),
    ]
}

/// Good bytes with a few changed, cut off, or added.
fn spoilt(good: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (good, changes, any::<prop::sample::Index>(), 0..4_u8, prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(mut bytes, changes, cut, how, more)| {
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            match how {
                0 => bytes.truncate(cut.index(bytes.len() + 1)),
                1 => bytes.extend(more),
                _ => {}
            }
            bytes
        })
}

/// As one value and as a chunk of them, of several types. An element of a list takes a byte on the wire at least and its
/// size in memory, twice that where the list's room grows; an element of a chunk takes eight bytes at least. A text that
/// lies where something else belongs is quoted in the error, whose room grows by doubling too.
fn outcomes(bytes: &[u8]) {
    fn one<T: DeserializeOwned>(bytes: &[u8], per_byte: usize, at_once: usize) {
        let allowed = Allowed { per_byte, at_once, fixed: SMALL };
        in_proportion(bytes.len(), allowed, || drop(read::<T>(bytes)));
        let per_item = size_of::<Result<T, TaskError>>().div_ceil(8);
        let allowed = Allowed { per_byte: per_byte + 16, at_once: at_once.max(per_item), fixed: SMALL };
        in_proportion(bytes.len(), allowed, || drop(read_all::<T>(bytes)));
    }
    one::<()>(bytes, 64, 2);
    one::<u64>(bytes, 64, 2);
    one::<String>(bytes, 64, 2);
    one::<Vec<u64>>(bytes, 160, 2 * size_of::<u64>());
    one::<Shape>(bytes, 320, 2 * size_of::<(i32, f64)>());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_frames(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1..500_usize) {
        let frames = in_proportion(bytes.len(), FRAMES, || read_frames(&bytes, piece));
        if let Ok(frames) = frames {
            prop_assert!(frames.iter().map(|frame| frame.2).sum::<usize>() <= bytes.len());
        }
    }

    #[test]
    fn frames_arrive_as_they_were_sent(
        bodies in prop::collection::vec((any::<u32>(), any::<u32>(), (0..3000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len])), 0..8),
        piece in 1..5000_usize,
    ) {
        let bytes: Vec<u8> = bodies.iter().flat_map(|(a, b, body)| reply(*a, *b, body)).collect();
        let expected: Vec<_> = bodies.iter().map(|(a, b, body)| (*a, *b, body.len())).collect();
        prop_assert_eq!(read_frames(&bytes, piece), Ok(expected));
    }

    /// None is larger than its frame, or the room that there is in any case.
    #[test]
    fn frames_that_do_not_lie_take_no_more_than_themselves(lens in prop::collection::vec(0..400_000_usize, 1..4), piece in 10_000..500_000_usize) {
        let frames: Vec<Vec<u8>> = lens.iter().map(|len| reply(1, 2, &vec![7; *len])).collect();
        let longest = frames.iter().map(Vec::len).max().unwrap_or_default();
        let bytes = frames.concat();
        let allowed = Allowed { per_byte: 4, at_once: 1, fixed: INBOX };
        let read = in_proportion(longest, allowed, || read_frames(&bytes, piece));
        prop_assert_eq!(read.unwrap().len(), lens.len());
    }

    #[test]
    fn spoilt_frames(
        bytes in spoilt(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6).prop_map(|bodies| {
            bodies.iter().flat_map(|body| reply(1, 2, body)).collect()
        })),
        piece in 1..500_usize,
    ) {
        let _ = in_proportion(bytes.len(), FRAMES, || read_frames(&bytes, piece));
    }

    #[test]
    fn a_length_that_lies_takes_no_memory(len in any::<usize>(), body in (0..100_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len])) {
        let bytes = lying(len, &body);
        let _ = in_proportion(bytes.len(), FRAMES, || read_frames(&bytes, 4096));
    }

    #[test]
    fn any_bytes_as_a_head(bytes in any::<[u8; 24]>(), kind in 0..15_u8) {
        let mut bytes = bytes;
        is_head(&bytes);
        bytes[0] = kind;
        bytes[1..4].fill(0);
        bytes[12..16].fill(0);
        // What a message doesn't use is zero.
        let unused = match kind {
            1 | 8 | 9 => &bytes[8..12],
            4 | 5 => &[],
            _ => &bytes[4..12],
        };
        let is_known = (1..=13).contains(&kind);
        prop_assert_eq!(is_head(&bytes), is_known && unused.iter().all(|byte| *byte == 0));
        bytes[4..12].fill(0);
        prop_assert_eq!(is_head(&bytes), is_known);
    }

    #[test]
    fn any_bytes_as_a_welcome(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        in_proportion(bytes.len(), WELCOME, || is_welcome(&bytes));
    }

    #[test]
    fn a_spoilt_welcome(bytes in spoilt(any::<(String, Vec<u64>, Vec<u8>)>().prop_map(|(n, a, i)| welcome(&n, a, i)))) {
        in_proportion(bytes.len(), WELCOME, || is_welcome(&bytes));
    }

    #[test]
    fn any_bytes_as_an_outcome(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        outcomes(&bytes);
        let _ = open(&bytes, 1, 2);
    }

    #[test]
    fn plausible_bytes_as_an_outcome(bytes in prop::collection::vec(prop_oneof![3 => 0..30_u8, 1 => any::<u8>()], 0..200)) {
        outcomes(&bytes);
    }

    #[test]
    fn a_spoilt_outcome(bytes in spoilt(outcome())) {
        outcomes(&bytes);
    }

    #[test]
    fn a_long_outcome_that_is_spoilt(bytes in spoilt(long_outcome())) {
        outcomes(&bytes);
    }

    #[test]
    fn a_long_welcome_that_is_spoilt(bytes in spoilt((0..100_000_usize, 0..9_000_u64).prop_map(|(len, count)| {
        welcome("w", (0..count).collect(), vec![7; len])
    }))) {
        in_proportion(bytes.len(), WELCOME, || is_welcome(&bytes));
    }

    #[test]
    fn a_spoilt_chunk(bytes in spoilt(prop::collection::vec(shape(), 0..6).prop_map(|values| {
        write_all(values.into_iter().map(Ok).collect())
    }))) {
        outcomes(&bytes);
    }

    #[test]
    fn outcomes_arrive_as_they_were(values in prop::collection::vec(shape(), 0..6)) {
        for value in &values {
            prop_assert_eq!(&read::<Shape>(&write(Ok(value.clone()))).unwrap(), value);
        }
        let chunk = write_all(values.iter().cloned().map(Ok).collect());
        let read: Result<Vec<Shape>, _> = read_all(&chunk).unwrap().into_iter().collect();
        prop_assert_eq!(read.unwrap(), values);
    }

    #[test]
    fn any_bytes_as_a_parcel(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let unpacked = in_proportion(bytes.len(), IN_PLACE, || unpack(&bytes));
        prop_assert!(unpacked.is_err());
    }

    #[test]
    fn a_spoilt_parcel(bytes in spoilt(prop::collection::vec(any::<u8>(), 0..200).prop_map(|argument| parcel(&argument)))) {
        if let Ok(argument) = in_proportion(bytes.len(), IN_PLACE, || unpack(&bytes)) {
            prop_assert!(argument.len() <= bytes.len() - 72);
        }
    }
}
