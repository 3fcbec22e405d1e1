//! Any bytes, and good bytes with a few changed: an error or a value, never a panic, and never more memory than a few
//! times the bytes that are there. What comes from a worker is input, not trust.

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use wire_tests::{
    CodecError, Panicked, Stage, TaskError, is_head, is_welcome, lying, open, parcel, read, read_all,
    read_frames, reply, unpack, welcome, write, write_all,
};

/// Notes how much each thread has at a time, and at most.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(by: isize) {
    // A thread that ends frees things after its cells are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + by);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: everything is the system allocator's; only numbers are noted beside it, and noting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` on these bytes; it may hold a few times as much, beside what any message costs.
fn in_proportion<T>(bytes: usize, per_byte: usize, fixed: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.get();
    MOST.set(before);
    let value = work();
    let held = usize::try_from(MOST.get() - before).unwrap();
    let allowed = fixed + per_byte * bytes;
    assert!(held <= allowed, "{held} held for {bytes} bytes, {allowed} allowed");
    value
}

/// What a message costs whatever is in it: the texts of an error.
const SMALL: usize = 4 << 10;

/// Room that an inbox begins with, once as it is and once while it moves.
const INBOX: usize = 3 * (64 << 10);

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

/// As one value and as a chunk of them, of several types.
fn outcomes(bytes: &[u8]) {
    fn one<T: DeserializeOwned>(bytes: &[u8], per_byte: usize) {
        in_proportion(bytes.len(), per_byte, SMALL, || drop(read::<T>(bytes)));
        in_proportion(bytes.len(), per_byte + 16, SMALL, || drop(read_all::<T>(bytes)));
    }
    one::<()>(bytes, 64);
    one::<u64>(bytes, 64);
    one::<String>(bytes, 64);
    one::<Vec<u64>>(bytes, 160);
    one::<Shape>(bytes, 320);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_frames(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1..500_usize) {
        let frames = in_proportion(bytes.len(), 8, INBOX, || read_frames(&bytes, piece));
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

    #[test]
    fn spoilt_frames(
        bytes in spoilt(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6).prop_map(|bodies| {
            bodies.iter().flat_map(|body| reply(1, 2, body)).collect()
        })),
        piece in 1..500_usize,
    ) {
        let _ = in_proportion(bytes.len(), 8, INBOX, || read_frames(&bytes, piece));
    }

    #[test]
    fn a_length_that_lies_takes_no_memory(len in any::<usize>(), body in (0..100_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len])) {
        let bytes = lying(len, &body);
        let _ = in_proportion(bytes.len(), 8, INBOX, || read_frames(&bytes, 4096));
    }

    #[test]
    fn any_bytes_as_a_head(bytes in any::<[u8; 24]>(), kind in 0..9_u8) {
        let mut bytes = bytes;
        is_head(&bytes);
        bytes[0] = kind;
        bytes[1..4].fill(0);
        bytes[12..16].fill(0);
        prop_assert_eq!(is_head(&bytes), (1..=6).contains(&kind));
    }

    #[test]
    fn any_bytes_as_a_welcome(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        in_proportion(bytes.len(), 8, SMALL, || is_welcome(&bytes));
    }

    #[test]
    fn a_spoilt_welcome(bytes in spoilt(any::<(String, Vec<u64>, Vec<u8>)>().prop_map(|(n, a, i)| welcome(&n, a, i)))) {
        // It is written and read once more, and compared.
        in_proportion(bytes.len(), 24, SMALL, || is_welcome(&bytes));
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
        let unpacked = in_proportion(bytes.len(), 0, SMALL, || unpack(&bytes));
        prop_assert!(unpacked.is_err());
    }

    #[test]
    fn a_spoilt_parcel(bytes in spoilt(prop::collection::vec(any::<u8>(), 0..200).prop_map(|argument| parcel(&argument)))) {
        if let Ok(argument) = in_proportion(bytes.len(), 0, SMALL, || unpack(&bytes)) {
            prop_assert_eq!(argument.len(), bytes.len() - 72);
        }
    }
}
