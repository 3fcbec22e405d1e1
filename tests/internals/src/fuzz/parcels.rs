//! Any bytes in the place of a parcel, and of a reply.
//!
//! ```text
//! mode 1 | where a part lies apart 1, how long 1 | parcel or reply
//! ```
//!
//! The mode's lowest bit makes the bytes a parcel of this very build, whose fingerprint no corpus can hold; the next one
//! makes its length right.

use super::Target;
use crate::error::{CodecError, Failed, Panicked, Stage, TaskError};
use crate::process_pool::internals::memory::in_proportion;
use crate::remote::codec::{Arrived, Bulk};
use crate::remote::function::{Fingerprint, Offset};
use crate::remote::outcome;
use crate::remote::parcel::{Header, Route};
use serde::{Deserialize, Serialize};
use serde_core::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;

pub(crate) const TARGET: Target = Target { name: "parcels", body, words: &["cfp1", "cfr1"], seeds };

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Named(String),
    Points { list: Vec<(i32, f64)>, by_name: BTreeMap<String, Option<u64>> },
    Pixels(#[serde(with = "serde_bytes")] Vec<u8>),
}

fn body(data: &[u8]) {
    let Some((&[mode, at, len], bytes)) = data.split_first_chunk() else { return };
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
    let at = usize::from(at).min(bytes.len());
    let apart = Apart::new(&bytes, at..(at + usize::from(len)).min(bytes.len()));
    parcel(&bytes, &apart);
    replies(&bytes, &apart);
}

/// The same bytes, a part of them in memory of its own.
struct Apart {
    rest: Vec<u8>,
    at: usize,
    part: Vec<u8>,
}

impl Apart {
    fn new(bytes: &[u8], range: std::ops::Range<usize>) -> Self {
        let rest = [&bytes[..range.start], &bytes[range.end..]].concat();
        Apart { rest, at: range.start, part: bytes[range].to_vec() }
    }

    fn with<T>(&self, read: impl FnOnce(Arrived<'_>) -> T) -> T {
        let bulk = Bulk::new(self.at, self.part.clone());
        read(Arrived::with_bulk(&self.rest, Some(&bulk)))
    }
}

fn parcel(bytes: &[u8], apart: &Apart) {
    let read = in_proportion(bytes.len(), 0, 0, || Header::read(bytes));
    if let Ok((header, argument)) = &read {
        assert_eq!(argument.len() + Header::LEN, bytes.len());
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
    apart.with(|arrived| {
        if let Ok((header, argument)) = Header::read(arrived) {
            let (whole, all) = read.as_ref().expect("whole, if in two parts");
            assert_eq!((&header, argument.len()), (whole, all.len()));
        }
    });
    for found in [Header::find_bulk(bytes), outcome::find_bulk(bytes)].into_iter().flatten() {
        assert!(found.start <= bytes.len() && found.start < found.end, "no place for a string: {found:?}");
    }
}

fn replies(bytes: &[u8], apart: &Apart) {
    let opened = in_proportion(bytes.len(), 0, 1024, || outcome::open(bytes, 1, 2).map(|all| all.len()));
    apart.with(|arrived| {
        if let Ok(outcome) = outcome::open(arrived, 1, 2) {
            assert_eq!(Some(outcome.len()), opened.ok(), "opened, if in two parts");
        }
    });
    one::<()>(bytes, apart, 64);
    one::<u64>(bytes, apart, 64);
    one::<String>(bytes, apart, 64);
    one::<Vec<u64>>(bytes, apart, 160);
    one::<Shape>(bytes, apart, 320);
}

fn one<T: DeserializeOwned + Serialize>(bytes: &[u8], apart: &Apart, per_byte: usize) {
    // What comes is an outcome, or lies behind the header of a reply.
    for bytes in [bytes, bytes.get(outcome::HEADER..).unwrap_or_default()] {
        let read = in_proportion(bytes.len(), per_byte, 4096, || outcome::read::<T>(bytes));
        if let Ok(value) = &read {
            let mut again = Vec::new();
            outcome::write::<&T>(Ok(value), &mut again);
            assert!(outcome::read::<T>(&again).is_ok(), "an outcome there and back");
        }
        let all = in_proportion(bytes.len(), per_byte + 16, 4096, || outcome::read_all::<T>(bytes));
        assert!(all.is_err() || bytes.first() == Some(&5), "a chunk that says it is none");
    }
    let shown = |read: Result<T, TaskError>| {
        read.ok().map(|value| {
            let mut bytes = Vec::new();
            outcome::write(Ok(value), &mut bytes);
            bytes
        })
    };
    if let Some(value) = apart.with(|arrived| shown(outcome::read(arrived))) {
        assert_eq!(Some(value), shown(outcome::read(bytes)), "another value in two parts");
    }
    let _ = apart.with(|arrived| outcome::read_all::<T>(arrived));
}

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
        let mut bytes = Vec::new();
        outcome::write(outcome, &mut bytes);
        bytes
    };
    let reply = |outcome: &[u8]| {
        let mut bytes = Vec::new();
        outcome::begin(Some(&header), &mut bytes);
        bytes.extend_from_slice(outcome);
        bytes
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
        add(format!("reply-{n}"), [0, 30, 4], reply(&written(Ok(shape.clone()))));
    }
    add("outcome-failed".into(), [0, 0, 0], written(Err(TaskError::Failed(failed))));
    for (n, error) in errors.into_iter().enumerate() {
        add(format!("outcome-error-{n}"), [0, 0, 0], written(Err(error)));
    }
    let mut chunk = Vec::new();
    outcome::write_all(shapes.iter().map(Ok), &mut chunk);
    add("chunk".into(), [0, 0, 0], chunk.clone());
    add("chunk-reply".into(), [0, 0, 0], reply(&chunk));
    let mut numbers = Vec::new();
    outcome::write_all((0..5_u32).map(u64::from).map(Ok), &mut numbers);
    add("chunk-numbers".into(), [0, 9, 8], numbers);
    add("chunk-that-lies".into(), [0, 0, 0], [&[5][..], &u64::MAX.to_le_bytes()].concat());
    let mut pixels = written(Ok(Shape::Pixels(vec![9; 40])));
    let at = pixels.len() as u8 - 40;
    add("pixels-apart".into(), [0, at, 40], pixels.clone());
    pixels.truncate(20);
    add("pixels-cut".into(), [0, 3, 4], pixels);
    add("parcel".into(), [3, 0, 0], parcel(b"argument"));
    add("parcel-empty".into(), [3, 0, 0], parcel(b""));
    add("parcel-apart".into(), [3, 74, 4], parcel(b"argument"));
    add("parcel-length-lies".into(), [1, 0, 0], [&parcel(b"argument")[..], b"more"].concat());
    add("parcel-cut".into(), [1, 0, 0], parcel(b"")[..50].to_vec());
    add("parcel-last-attempt".into(), [3, 0, 0], {
        let mut bytes = parcel(b"argument");
        bytes[4..8].fill(0xff);
        bytes
    });
    add("refused".into(), [0, 0, 0], {
        let mut bytes = Vec::new();
        outcome::begin(None, &mut bytes);
        outcome::write_bad_parcel(crate::remote::parcel::BadParcel::NoParcel, &mut bytes);
        bytes
    });
    named
}
