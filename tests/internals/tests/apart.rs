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
    for len in [LEAST / 8 - 1, LEAST / 8] {
        let apart = if len * 8 < LEAST { 0 } else { LEAST };
        assert_eq!(encode_apart(&vec![1_u64; len], usize::MAX).unwrap().1.len(), apart);
        assert_eq!(encode_apart(&vec!['c'; len * 2], usize::MAX).unwrap().1.len(), 0, "rare in bulk");
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Copy)]
struct Meters(f32);

#[test]
fn runs_of_numbers_too() {
    same(&vec![7_u8; LARGE]);
    same(&(0..LARGE as u32).collect::<Vec<_>>());
    same(&(0..LARGE as i64).map(|n| -n).collect::<Vec<_>>());
    same(&vec![Meters(1.5); LARGE]);
    same(&(0..LARGE).map(|n| n as i8).collect::<Vec<_>>());
    same(&(0..LARGE).map(|n| n as u16).collect::<Vec<_>>());
    same(&(0..LARGE).map(|n| n as i16).collect::<Vec<_>>());
    same(&(0..LARGE).map(|n| n % 3 == 0).collect::<Vec<_>>());
    same(&(1_u8, vec![1.5_f64; LARGE], "behind".to_owned(), vec![vec![3_i32; LARGE], vec![], vec![4]]));
    same(&BTreeMap::from([("y".repeat(LARGE), (0..LARGE as u64).collect::<std::collections::HashSet<_>>())]));
    // About as many as are moved at once.
    for len in (1020..1030).chain(4090..4100).chain(16_380..16_900) {
        let numbers: Vec<u32> = (0..len).collect();
        let (bytes, memory) = encode_apart(&(&numbers, 9), usize::MAX).unwrap();
        assert_eq!(memory.len(), if len < 1024 { 0 } else { 4 * len as usize });
        for is_owned in [false, true] {
            assert_eq!(
                decode_apart::<(Vec<u32>, u8)>(&bytes, &memory, is_owned).unwrap(),
                (numbers.clone(), 9)
            );
        }
    }
}

/// A sequence that says so of its length, and has these elements.
struct Said<T>(usize, Vec<T>);

impl<T: Serialize> Serialize for Said<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Says<I>(usize, I);
        impl<I: Iterator> Iterator for Says<I> {
            type Item = I::Item;

            fn next(&mut self) -> Option<I::Item> {
                self.0 = self.0.saturating_sub(1);
                self.1.next()
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.0, Some(self.0))
            }
        }
        serializer.collect_seq(Says(self.0, self.1.iter()))
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Number {
    Small(u32),
    Other(i64),
    Text(String),
}

/// What is not as long as it says, or ends otherwise than it begins, is as if nothing of it had ever lain apart.
#[test]
fn runs_that_come_to_another_end() {
    let numbers: Vec<u32> = (0..60_000).collect();
    for said in [0, 1, 2000, 59_999, 60_000, 60_001, 70_000, 1 << 30, usize::MAX] {
        let (bytes, memory) = encode_apart(&(Said(said, numbers.clone()), 9), 1 << 20).unwrap();
        for is_owned in [false, true] {
            let read = decode_apart::<(Vec<u32>, u8)>(&bytes, &memory, is_owned).unwrap();
            assert!(read == (numbers.clone(), 9), "{said}");
        }
    }
    for at in [1, 1000, 4096, 5000, 30_000, 59_999] {
        for other in [Number::Other(-1), Number::Text("t".into()), Number::Text("t".repeat(LARGE))] {
            let mut mixed: Vec<Number> = numbers.iter().copied().map(Number::Small).collect();
            mixed[at] = other;
            let (bytes, memory) = encode_apart(&mixed, usize::MAX).unwrap();
            assert!(decode_apart::<Vec<Number>>(&bytes, &memory, true).unwrap() == mixed, "{at}");
        }
    }
}

#[test]
fn a_run_elsewhere_that_is_not_what_it_says_is_refused() {
    let said = |count: &[u8], kind: u8, number: &[u8]| [&[28][..], count, &[kind], number].concat();
    let memory = [0; 64];
    const LONG: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    for is_owned in [false, true] {
        let refused = |bytes: &[u8]| decode_apart::<Vec<f64>>(bytes, &memory, is_owned).unwrap_err();
        assert_eq!(decode_apart::<Vec<f64>>(&said(&[8], 12, &[0]), &memory, is_owned), Ok(vec![0.0; 8]));
        for (count, number) in [(&[9][..], &[0][..]), (&[1], &[57]), (&[1], LONG), (LONG, &[0]), (LONG, LONG)]
        {
            let error = refused(&said(count, 12, number));
            assert!(error.contains("a run that lies apart is not there"), "{error}");
        }
        // No numbers, or none that ever lie apart.
        for kind in [0, 9, 13, 15, 18, 21, 28, 255] {
            assert!(refused(&said(&[1], kind, &[0])).contains("not of numbers"));
        }
        for cut in 0..4 {
            refused(&said(&[8], 12, &[0])[..cut]);
        }
        // None is read twice, as no string is.
        let twice = [&[20, 2][..], &said(&[8], 12, &[0]), &said(&[8], 12, &[0])].concat();
        assert!(decode_apart::<Vec<Vec<f64>>>(&twice, &memory, is_owned).is_err());
        assert!(decode_apart::<[f64; 3]>(&said(&[8], 12, &[0]), &memory, is_owned).is_err());
    }
    for is_owned in [false, true] {
        let flags = decode_apart::<Vec<bool>>(&said(&[3], 1, &[0]), &[1, 0, 2], is_owned);
        assert!(flags.unwrap_err().contains("a bool is none"));
    }
    assert!(decode::<Vec<f64>>(&said(&[1], 12, &[0])).unwrap_err().contains("not there"));
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
