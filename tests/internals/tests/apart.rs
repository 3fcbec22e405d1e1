//! Large strings that were received in memory of their own: the value is the same.

use concurrent_futures::internals::codec::{decode, decode_apart, encode, find_bulk};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::fmt::Debug;

const LARGE: usize = 200 << 10;

/// What a transport sees of a value before it decides.
const BEGINNING: usize = 4 << 10;

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Picture {
    name: String,
    sizes: Vec<u32>,
    #[serde(with = "serde_bytes")]
    pixels: Vec<u8>,
    kind: Kind,
    note: Option<String>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum Kind {
    Plain,
    Raw(ByteBuf),
    Both { left: ByteBuf, right: String },
}

fn picture(pixels: usize, kind: Kind) -> Picture {
    Picture { name: "p".into(), sizes: vec![1, 2, 3], pixels: vec![7; pixels], kind, note: Some("n".into()) }
}

#[track_caller]
fn same<T: Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: &T) {
    let bytes = encode(value).unwrap();
    let found = find_bulk(&bytes[..BEGINNING]).expect("it is large");
    assert!(found.len() >= LARGE);
    assert!(decode_apart::<T>(&bytes, found).unwrap() == *value);
}

#[test]
fn wherever_it_stands() {
    let large = ByteBuf::from(vec![9; LARGE]);
    same(&large);
    same(&"x".repeat(LARGE));
    same(&(1_u8, large.clone(), "behind".to_owned()));
    same(&Some(Some(large.clone())));
    same(&vec![ByteBuf::from(vec![1; 100]), large.clone(), large.clone()]);
    same(&BTreeMap::from([(1, "short".to_owned()), (2, "y".repeat(LARGE))]));
    same(&picture(LARGE, Kind::Plain));
    same(&picture(10, Kind::Raw(large.clone())));
    same(&picture(10, Kind::Both { left: large, right: "r".into() }));
    same(&vec![picture(10, Kind::Plain), picture(LARGE, Kind::Plain)]);
}

#[test]
fn as_another_type() {
    let bytes = encode(&picture(LARGE, Kind::Plain)).unwrap();
    let apart = || find_bulk(&bytes[..BEGINNING]).unwrap();
    let value: serde_json::Value = decode_apart(&bytes, apart()).unwrap();
    assert!(value == decode::<serde_json::Value>(&bytes).unwrap());
    decode_apart::<serde::de::IgnoredAny>(&bytes, apart()).unwrap();
    let bytes = encode(&ByteBuf::from(vec![9; LARGE])).unwrap();
    let apart = || find_bulk(&bytes[..BEGINNING]).unwrap();
    assert!(decode_apart::<Vec<u8>>(&bytes, apart()).unwrap() == vec![9; LARGE]);
    for error in [
        decode_apart::<[u8; 3]>(&bytes, apart()).unwrap_err(),
        decode_apart::<String>(&bytes, apart()).unwrap_err(),
        decode_apart::<u32>(&bytes, apart()).unwrap_err(),
    ] {
        assert!(error.contains("can't be decoded"), "{error}");
    }
    let mut text = encode(&"x".repeat(LARGE)).unwrap();
    text[1000] = 0xff;
    let apart = find_bulk(&text).unwrap();
    assert!(decode_apart::<String>(&text, apart).unwrap_err().contains("UTF-8"));
}

#[test]
fn short_ones_are_not_looked_for() {
    assert_eq!(find_bulk(&encode(&ByteBuf::from(vec![0; 1000])).unwrap()), None);
    assert_eq!(find_bulk(&encode(&picture(1000, Kind::Plain)).unwrap()), None);
    assert_eq!(find_bulk(&encode(&vec![1_u64; 100_000]).unwrap()), None);
    assert_eq!(find_bulk(&[]), None);
}

proptest! {
    /// Whatever was put apart: the same value or an error, never another value.
    #[test]
    fn the_wrong_bytes_apart(from in 0_usize..400, len in 0_usize..400) {
        let value = picture(100, Kind::Both { left: ByteBuf::from(vec![1; 50]), right: "right".into() });
        let bytes = encode(&value).unwrap();
        let from = from.min(bytes.len());
        if let Ok(read) = decode_apart::<Picture>(&bytes, from..(from + len).min(bytes.len())) {
            prop_assert_eq!(read, value);
        }
    }

    #[test]
    fn any_beginning(bytes in prop::collection::vec(prop_oneof![0_u8..32, any::<u8>()], 0..300)) {
        if let Some(found) = find_bulk(&bytes) {
            prop_assert!(found.start <= bytes.len() && found.start < found.end);
        }
    }
}
