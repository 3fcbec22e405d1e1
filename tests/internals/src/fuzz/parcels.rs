//! Any bytes in the place of a parcel, and of a reply.
//!
//! ```text
//! mode 1 | where the memory for long strings begins 2 | parcel or reply, with the memory at its end
//! ```
//!
//! The mode's lowest bit makes the bytes a parcel of this very build, whose fingerprint no corpus can hold; the next one
//! makes its length right.

use super::Target;
use crate::error::{CodecError, Failed, Panicked, Stage, TaskError};
use crate::process_pool::internals::codec::with_memory;
use crate::process_pool::internals::memory::in_proportion;
use crate::remote::codec::{Arrived, Output};
use crate::remote::fingerprint::Fingerprint;
use crate::remote::function::Offset;
use crate::remote::outcome;
use crate::remote::parcel::{Header, Parcel, Parts, Route};
use serde::{Deserialize, Serialize};
use serde_core::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

pub(crate) const TARGET: Target = Target { name: "parcels", body, words: &["cfp1", "cfr1"], seeds };

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Named(String),
    Points { list: Vec<(i32, f64)>, by_name: BTreeMap<String, Option<u64>> },
    Pixels(#[serde(with = "serde_bytes")] Vec<u8>),
}

fn body(data: &[u8]) {
    let Some((&[mode, low, high], bytes)) = data.split_first_chunk() else { return };
    let mut bytes = bytes.to_vec();
    if mode & 1 != 0
        && let Some(head) = bytes.get_mut(..Header::LEN)
    {
        head[..4].copy_from_slice(b"cfp1");
        head[40..60].copy_from_slice(Fingerprint::own().as_bytes());
    }
    if mode & 2 != 0 && bytes.len() >= Header::LEN {
        let len = (bytes.len() - Header::LEN) as u64;
        bytes[64..72].copy_from_slice(&len.to_le_bytes());
    }
    let at = usize::from(u16::from_le_bytes([low, high])).min(bytes.len());
    parcel(&bytes);
    replies(&bytes, at);
}

fn parcel(bytes: &[u8]) {
    // A blob is at least 28 bytes, and some hundred in memory, twice.
    let _ = in_proportion(bytes.len(), 32, 1024, || Parcel::from_bytes(bytes.to_vec()));
    let read = in_proportion(bytes.len(), 0, 0, || Parts::read(bytes));
    if let Ok(Parts { header, argument, blobs }) = &read {
        assert_eq!(Header::LEN + argument.len() + blobs.0.len(), bytes.len());
        // Any address may be asked for; it is in the executable's code, or it is refused.
        let _ = (header.route.runner.resolve(), header.route.function.resolve());
        let mut again = Vec::new();
        header.write(argument.len(), &mut again);
        assert_eq!(again[..60], bytes[..60], "a header there and back");
        if header.attempt < u32::MAX {
            Header::try_again(&mut again);
            again.extend_from_slice(argument.bytes());
            let next = Header::read(&again).expect("as good as the first").0;
            assert_eq!(next, Header { attempt: header.attempt + 1, ..*header });
        }
    }
}

fn replies(bytes: &[u8], at: usize) {
    let _ = in_proportion(bytes.len(), 0, 1024, || outcome::open(bytes, 1, 2).map(|all| all.len()));
    one::<()>(bytes, at, 64);
    one::<u64>(bytes, at, 64);
    one::<String>(bytes, at, 64);
    one::<Vec<u64>>(bytes, at, 160);
    one::<Shape>(bytes, at, 320);
}

fn one<T: DeserializeOwned + Serialize>(bytes: &[u8], at: usize, per_byte: usize) {
    // What comes is an outcome, or lies behind the header of a reply.
    for bytes in [bytes, bytes.get(outcome::HEADER..).unwrap_or_default()] {
        let read = in_proportion(bytes.len(), per_byte, 4096, || outcome::read::<T>(bytes));
        if let Ok(value) = &read {
            let mut again = Output::default();
            outcome::write::<&T>(Ok(value), &mut again);
            assert!(outcome::read::<T>(&*again).is_ok(), "an outcome there and back");
        }
        let all = in_proportion(bytes.len(), per_byte + 16, 4096, || outcome::read_all::<T>(bytes));
        assert!(all.is_err() || bytes.first() == Some(&5), "a chunk that says it is none");
        let item = in_proportion(bytes.len(), per_byte, 4096, || outcome::read_item::<T>(bytes));
        assert!(!matches!(item, Ok(Some(_))) || bytes.first() == Some(&13), "an item that says it is none");
    }
    let shown = |read: Result<T, TaskError>| {
        read.ok().map(|value| {
            let mut bytes = Output::default();
            outcome::write(Ok(value), &mut bytes);
            bytes.into_parts().0
        })
    };
    let (reply, memory) = bytes.split_at(at);
    let read = |is_owned| with_memory(reply, memory, is_owned, |arrived| shown(outcome::read(arrived)));
    assert_eq!(read(true), read(false), "another value where it lies");
    let all = |arrived: Arrived<'_>| outcome::read_all::<T>(arrived).is_ok();
    let _ = in_proportion(bytes.len(), per_byte + 16, 4096, || with_memory(reply, memory, true, all));
}

/// What a chunk in the corpus says that it took.
const TIME: Duration = Duration::from_micros(7);

fn seeds() -> Vec<(String, Vec<u8>)> {
    let route = Route { runner: Offset::from_raw(7), function: Offset::from_raw(9) };
    let header = Header { attempt: 3, id: 2, nonce: 1, route };
    let parcel = |argument: &[u8]| {
        let mut bytes = Vec::new();
        header.write(argument.len(), &mut bytes);
        bytes.extend_from_slice(argument);
        // A build's own: put in again when it is read.
        bytes[40..60].fill(0);
        bytes
    };
    let written = |outcome: Result<Shape, TaskError>| {
        let mut bytes = Output::default();
        outcome::write(outcome, &mut bytes);
        bytes.into_parts().0
    };
    let reply = |outcome: &[u8]| {
        let mut bytes = Output::default();
        outcome::begin(Some(&header), &mut bytes);
        bytes.extend_from_slice(outcome);
        bytes.into_parts().0
    };
    let shapes = [
        Shape::Empty,
        Shape::Named("name".into()),
        Shape::Points { list: vec![(1, 2.5), (-3, 4.0)], by_name: BTreeMap::from([("a".into(), Some(1))]) },
        Shape::Pixels(vec![9; 40]),
    ];
    let errors = [
        TaskError::Panicked(Panicked::new("boom").with_location("src/main.rs:1").with_worker("w-1")),
        TaskError::Codec(CodecError::new(Stage::EncodeResult, "no")),
        TaskError::Abandoned,
    ];
    let failed =
        Failed::from_elsewhere("Io".to_owned(), ["no file".to_owned(), "cause".to_owned()].into_iter());
    let mut named = Vec::new();
    let mut add =
        |name: String, how: [u8; 3], bytes: Vec<u8>| named.push((name, [&how[..], &bytes].concat()));
    for (n, shape) in shapes.iter().enumerate() {
        add(format!("outcome-{n}"), [0, 0, 0], written(Ok(shape.clone())));
        add(format!("reply-{n}"), [0, 0, 0], reply(&written(Ok(shape.clone()))));
    }
    add("outcome-failed".into(), [0, 0, 0], written(Err(TaskError::Failed(failed))));
    for (n, error) in errors.into_iter().enumerate() {
        add(format!("outcome-error-{n}"), [0, 0, 0], written(Err(error)));
    }
    let mut chunk = Output::default();
    outcome::write_all(shapes.iter().map(Ok), || TIME, &mut chunk);
    add("chunk".into(), [0, 0, 0], chunk.to_vec());
    add("chunk-reply".into(), [0, 0, 0], reply(&chunk));
    let mut item = Output::default();
    outcome::write_item(Ok(&shapes[1]), || TIME, &mut item);
    add("item".into(), [0, 0, 0], item.to_vec());
    add("item-reply".into(), [0, 0, 0], reply(&item));
    add("item-cut".into(), [0, 0, 0], item[..8].to_vec());
    let mut numbers = Output::default();
    outcome::write_all((0..5_u32).map(u64::from).map(Ok), || TIME, &mut numbers);
    add("chunk-numbers".into(), [0, 0, 0], numbers.to_vec());
    add("chunk-that-lies".into(), [0, 0, 0], [&[5][..], &[0; 8], &u64::MAX.to_le_bytes()].concat());
    let mut pixels = written(Ok(Shape::Pixels(vec![9; 40])));
    let rest = pixels.len() - 42;
    let apart = [&pixels[..rest], &[27, 40, 0], &[9; 40]].concat();
    add("pixels-apart".into(), [0, rest as u8 + 3, 0], apart);
    pixels.truncate(20);
    add("pixels-cut".into(), [0, 0, 0], pixels);
    add("parcel".into(), [3, 0, 0], parcel(b"argument"));
    add("parcel-empty".into(), [3, 0, 0], parcel(b""));
    add("parcel-length-lies".into(), [1, 0, 0], [&parcel(b"argument")[..], b"more"].concat());
    add("parcel-cut".into(), [1, 0, 0], parcel(b"")[..50].to_vec());
    add("parcel-last-attempt".into(), [3, 0, 0], {
        let mut bytes = parcel(b"argument");
        bytes[4..8].fill(0xff);
        bytes
    });
    add("refused".into(), [0, 0, 0], {
        let mut bytes = Output::default();
        outcome::begin(None, &mut bytes);
        outcome::write_bad_parcel(crate::remote::parcel::BadParcel::NoParcel, &mut bytes);
        bytes.into_parts().0
    });
    named
}
