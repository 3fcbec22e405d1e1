//! Long strings that lie elsewhere: the value is the same.

use concurrent_futures::internals::codec::{decode, decode_apart, encode, encode_apart};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::fmt::Debug;

const LARGE: usize = 200 << 10;

/// Shorter ones stay where they are.
const LEAST: usize = 4 << 10;

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
    let (bytes, memory) = encode_apart(value, usize::MAX).unwrap();
    assert!(memory.len() >= LARGE && bytes.len() < LEAST, "{} {}", bytes.len(), memory.len());
    for is_owned in [false, true] {
        assert!(decode_apart::<T>(&bytes, &memory, is_owned).unwrap() == *value);
    }
    let error = decode::<T>(&bytes).unwrap_err();
    assert!(error.contains("lies apart"), "{error}");
    // With room for none of them, or for the first alone.
    for most in [0, LARGE + 100] {
        let (bytes, memory) = encode_apart(value, most).unwrap();
        assert!(decode_apart::<T>(&bytes, &memory, true).unwrap() == *value);
    }
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
    same(&BTreeMap::from([("y".repeat(LARGE), 2)]));
    same(&picture(LARGE, Kind::Plain));
    same(&picture(10, Kind::Raw(large.clone())));
    same(&picture(10, Kind::Both { left: large, right: "r".repeat(LARGE) }));
    same(&vec![picture(10, Kind::Plain), picture(LARGE, Kind::Plain)]);
}

#[test]
fn as_another_type() {
    let picture = picture(LARGE, Kind::Plain);
    let (bytes, memory) = encode_apart(&picture, usize::MAX).unwrap();
    let value: serde_json::Value = decode_apart(&bytes, &memory, true).unwrap();
    assert!(value == decode::<serde_json::Value>(&encode(&picture).unwrap()).unwrap());
    decode_apart::<serde::de::IgnoredAny>(&bytes, &memory, true).unwrap();
    let (bytes, memory) = encode_apart(&ByteBuf::from(vec![9; LARGE]), usize::MAX).unwrap();
    assert!(decode_apart::<Vec<u8>>(&bytes, &memory, false).unwrap() == vec![9; LARGE]);
    for error in [
        decode_apart::<[u8; 3]>(&bytes, &memory, false).unwrap_err(),
        decode_apart::<String>(&bytes, &memory, false).unwrap_err(),
        decode_apart::<u32>(&bytes, &memory, false).unwrap_err(),
    ] {
        assert!(error.contains("can't be decoded"), "{error}");
    }
    let (bytes, mut memory) = encode_apart(&"x".repeat(LARGE), usize::MAX).unwrap();
    memory[1000] = 0xff;
    for is_owned in [false, true] {
        assert!(decode_apart::<String>(&bytes, &memory, is_owned).unwrap_err().contains("UTF-8"));
        assert!(decode_apart::<Kind>(&bytes, &memory, is_owned).is_err());
    }
}

#[test]
fn short_ones_stay_where_they_are() {
    for (len, apart) in [(0, 0), (LEAST - 1, 0), (LEAST, LEAST), (LEAST + 1, LEAST + 1)] {
        assert_eq!(encode_apart(&"x".repeat(len), usize::MAX).unwrap().1.len(), apart);
        assert_eq!(encode_apart(&ByteBuf::from(vec![0; len]), usize::MAX).unwrap().1.len(), apart);
    }
    assert!(encode_apart(&vec![1_u64; 100_000], usize::MAX).unwrap().1.is_empty());
}

/// An impl that swallows the error of a part that lies apart, after the part.
#[test]
fn what_is_encoded_in_vain_is_freed() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    encode_apart(&("x".repeat(LARGE), Fails), usize::MAX).unwrap_err();
}

proptest! {
    /// Whatever lies elsewhere: a value or an error.
    #[test]
    fn any_memory(cut in 0_usize..20_000, at in 0_usize..20_000, byte: u8) {
        let value = picture(5000, Kind::Both { left: ByteBuf::from(vec![1; 5000]), right: "r".repeat(5000) });
        let (bytes, mut memory) = encode_apart(&value, usize::MAX).unwrap();
        memory.truncate(cut);
        if let Some(place) = memory.get_mut(at) {
            *place = byte;
        }
        let read = decode_apart::<Picture>(&bytes, &memory, true);
        prop_assert!(read.is_ok() <= (cut >= 15_000));
    }
}
