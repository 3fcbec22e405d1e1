//! Runs of numbers, which the codec writes and reads many at a time: nothing of that can be seen but the time it takes.
//! Each sequence is compared with the same one handed over, or lying there, element by element.

use crate::animals::{TakesNothing, TakesOne};
use concurrent_futures::internals::codec::{decode, encode, encode_into};
use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::ser::{Error as _, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;

/// What a sequence may hold, written as the bare thing.
#[derive(Debug, Clone)]
enum Item {
    U8(u8),
    I32(i32),
    U32(u32),
    F32(f32),
    I64(i64),
    U64(u64),
    F64(f64),
    I16(i16),
    Wide(u128),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    Some(Box<Item>),
    /// In as many newtypes.
    Newtypes(u8, Box<Item>),
    Seq(Vec<Item>),
    Variant(u8),
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Item::U8(value) => serializer.serialize_u8(*value),
            Item::I32(value) => serializer.serialize_i32(*value),
            Item::U32(value) => serializer.serialize_u32(*value),
            Item::F32(value) => serializer.serialize_f32(*value),
            Item::I64(value) => serializer.serialize_i64(*value),
            Item::U64(value) => serializer.serialize_u64(*value),
            Item::F64(value) => serializer.serialize_f64(*value),
            Item::I16(value) => serializer.serialize_i16(*value),
            Item::Wide(value) => serializer.serialize_u128(*value),
            Item::Bool(value) => serializer.serialize_bool(*value),
            Item::Text(value) => serializer.serialize_str(value),
            Item::Bytes(value) => serializer.serialize_bytes(value),
            Item::Some(value) => serializer.serialize_some(value),
            Item::Newtypes(levels, value) => Newtypes(*levels, value).serialize(serializer),
            Item::Seq(items) => items.serialize(serializer),
            Item::Variant(value) => serializer.serialize_newtype_variant("Item", 0, "Variant", value),
        }
    }
}

/// A value in that many newtypes.
struct Newtypes<'a, T: ?Sized>(u8, &'a T);

impl<T: Serialize + ?Sized> Serialize for Newtypes<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => self.1.serialize(serializer),
            levels => serializer.serialize_newtype_struct("N", &Newtypes(levels - 1, self.1)),
        }
    }
}

/// The same sequence, one element at a time, as impls written by hand do it.
struct OneByOne<'a, T>(&'a [T]);

impl<T: Serialize> Serialize for OneByOne<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|item| seq.serialize_element(item))?;
        seq.end()
    }
}

fn number() -> impl Strategy<Value = Item> {
    prop_oneof![
        any::<u8>().prop_map(Item::U8),
        any::<i32>().prop_map(Item::I32),
        any::<u32>().prop_map(Item::U32),
        any::<f32>().prop_map(Item::F32),
        any::<i64>().prop_map(Item::I64),
        any::<u64>().prop_map(Item::U64),
        any::<f64>().prop_map(Item::F64),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let simple = prop_oneof![
        4 => number(),
        1 => any::<i16>().prop_map(Item::I16),
        1 => any::<u128>().prop_map(Item::Wide),
        1 => any::<bool>().prop_map(Item::Bool),
        1 => ".{0,3}".prop_map(Item::Text),
        1 => any::<Vec<u8>>().prop_map(Item::Bytes),
        1 => any::<u8>().prop_map(Item::Variant),
    ];
    simple.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| Item::Some(Box::new(item))),
            (0..9_u8, inner.clone()).prop_map(|(levels, item)| Item::Newtypes(levels, Box::new(item))),
            prop::collection::vec(inner, 0..4).prop_map(Item::Seq),
        ]
    })
}

/// Numbers of one kind, some of them, or a few, in newtypes, around whatever else there is.
fn sequence() -> impl Strategy<Value = Vec<Item>> {
    let length = prop_oneof![0..4_usize, 500..520_usize, 0..1300_usize];
    let run = (number(), length, 0..9_u8).prop_map(|(number, length, levels)| {
        let wrapped = |at| match at % 3 {
            0 if levels > 0 => Item::Newtypes(levels, Box::new(number.clone())),
            _ => number.clone(),
        };
        (0..length).map(wrapped).collect::<Vec<_>>()
    });
    let others = prop::collection::vec(item(), 0..3);
    prop::collection::vec((run, others), 0..3)
        .prop_map(|parts| parts.into_iter().flat_map(|(run, others)| run.into_iter().chain(others)).collect())
}

/// A run and the same numbers with a tag each: the bytes of both.
fn both_ways(kind: u8, numbers: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let count = u8::try_from(numbers.len()).unwrap();
    assert!(count < 0x80);
    let run = [&[21, count, kind][..], &numbers.concat()].concat();
    let tagged: Vec<u8> = numbers.iter().flat_map(|number| [&[kind][..], number].concat()).collect();
    (run, [&[20, count][..], &tagged].concat())
}

#[derive(Debug, PartialEq, Deserialize)]
struct Newtype<T>(T);

/// Holds itself for ever.
#[derive(Debug, PartialEq, Deserialize)]
struct Endless(Box<Endless>);

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Small(u8),
    Signed(i64),
    Float(f64),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_at_a_time_is_one_by_one(items in sequence()) {
        prop_assert_eq!(encode(&items).unwrap(), encode(&OneByOne(&items)).unwrap());
        let among = (1_u8, &items, vec![&items; 2], "end");
        let apart = (1_u8, OneByOne(&items), [OneByOne(&items), OneByOne(&items)], "end");
        // A pair is a tuple, which says the same as a sequence of two.
        prop_assert_eq!(encode(&among).unwrap(), encode(&apart).unwrap());
    }

    #[test]
    fn a_run_is_read_as_the_same_numbers_one_by_one(
        (kind, width) in prop_oneof![Just((2, 1)), Just((6, 4)), Just((7, 4)), Just((8, 4)), Just((10, 8)), Just((11, 8)), Just((12, 8)), Just((3, 1)), Just((4, 2))],
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff), any::<u8>()], 0..160),
    ) {
        fn same<T: DeserializeOwned + Debug>((run, tagged): &(Vec<u8>, Vec<u8>)) {
            match (decode::<T>(run), decode::<T>(tagged)) {
                // By their text: a NaN equals nothing.
                (Ok(run), Ok(tagged)) => assert_eq!(format!("{run:?}"), format!("{tagged:?}")),
                (Err(_), Err(_)) => {}
                (run, tagged) => panic!("{run:?} and {tagged:?}"),
            }
        }
        let numbers: Vec<Vec<u8>> = bytes.chunks_exact(width).map(<[u8]>::to_vec).take(100).collect();
        let both = both_ways(kind, &numbers);
        same::<Vec<u8>>(&both);
        same::<VecDeque<u16>>(&both);
        same::<Vec<i32>>(&both);
        same::<BTreeSet<u32>>(&both);
        same::<Vec<i64>>(&both);
        same::<Vec<u64>>(&both);
        same::<Vec<u128>>(&both);
        same::<Vec<f32>>(&both);
        same::<Vec<f64>>(&both);
        same::<Vec<bool>>(&both);
        same::<Vec<String>>(&both);
        same::<Vec<Option<Option<u32>>>>(&both);
        same::<Vec<Newtype<Newtype<f64>>>>(&both);
        same::<Vec<Untagged>>(&both);
        same::<Vec<serde_json::Value>>(&both);
        same::<serde_json::Value>(&both);
        same::<serde_bytes::ByteBuf>(&both);
        same::<Vec<IgnoredAny>>(&both);
        same::<[u64; 3]>(&both);
        same::<(u8, u8)>(&both);
        same::<Vec<Endless>>(&both);
        same::<Vec<TakesNothing>>(&both);
        same::<TakesOne>(&both);
        same::<(Vec<u8>, u8)>(&both);
    }
}

#[test]
fn each_element_is_serialized_once() {
    struct Counts<'a>(&'a Cell<usize>, Item);
    impl Serialize for Counts<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            self.1.serialize(serializer)
        }
    }
    let others = [
        Item::Text("in the middle".into()),
        Item::U64(1),
        Item::I16(1),
        Item::Newtypes(9, Box::new(Item::U8(1))),
        Item::Newtypes(9, Box::new(Item::Bool(true))),
        Item::Seq(vec![Item::U8(1); 600]),
        Item::Some(Box::new(Item::U8(1))),
    ];
    for other in others {
        for at in [0, 1, 2, 511, 512, 513, 1025] {
            let calls = Cell::new(0);
            let mut items: Vec<_> = (0..2000).map(|_| Counts(&calls, Item::U8(7))).collect();
            items[at].1 = other.clone();
            encode(&items).unwrap();
            assert_eq!(calls.get(), 2000, "{other:?} at {at}");
        }
    }
}

#[test]
fn newtypes_count_as_deep_as_they_are() {
    for outer in 110..=128 {
        for inner in 0..=12 {
            for last in [Item::U8(1), Item::Text("a".into()), Item::Seq(vec![Item::U8(1)])] {
                let items = [Item::U8(1), Item::U8(2), Item::Newtypes(inner, Box::new(last))];
                let many = encode(&Newtypes(outer, &items[..]));
                let one = encode(&Newtypes(outer, &OneByOne(&items)));
                assert_eq!(many.is_ok(), one.is_ok(), "{inner} in {outer}");
                assert_eq!(many.ok(), one.ok());
            }
        }
    }
    // What comes after is as deep as if nothing had been before it.
    let items = vec![Item::U8(1), Item::Newtypes(3, Box::new(Item::Text("a".into())))];
    encode(&vec![items; 100]).unwrap();
    let deep = |levels| [Item::U8(1), Item::Newtypes(levels, Box::new(Item::U8(1)))].to_vec();
    encode(&deep(127)).unwrap();
    encode(&deep(128)).unwrap_err();
}

#[test]
fn what_an_iterator_says_of_its_length_is_not_believed() {
    struct Says(u32, (usize, Option<usize>));
    impl Serialize for Says {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            struct Iter(std::ops::Range<u32>, (usize, Option<usize>));
            impl Iterator for Iter {
                type Item = u32;

                fn next(&mut self) -> Option<u32> {
                    self.0.next()
                }

                fn size_hint(&self) -> (usize, Option<usize>) {
                    self.1
                }
            }
            serializer.collect_seq(Iter(0..self.0, self.1))
        }
    }
    for count in [0, 1, 2, 127, 128, 129, 5000] {
        for says in [(0, None), (0, Some(0)), (200, Some(200)), (7, Some(3)), (usize::MAX, Some(usize::MAX))]
        {
            let back: Vec<u32> = decode(&encode(&Says(count, says)).unwrap()).unwrap();
            assert!(back.into_iter().eq(0..count), "{count} that say {says:?}");
        }
    }
}

#[test]
fn an_element_that_fails_or_panics_in_mid_run() {
    enum End {
        Error,
        Panic,
        LateError,
    }
    struct Fails<'a>(u32, u32, &'a End);
    impl Serialize for Fails<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.2 {
                _ if self.0 != self.1 => serializer.serialize_u32(self.0),
                End::Error => Err(S::Error::custom("this one fails")),
                End::Panic => panic!("on purpose"),
                End::LateError => {
                    serializer.serialize_seq(Some(1))?;
                    Err(S::Error::custom("this one fails"))
                }
            }
        }
    }
    /// Goes on after an error.
    struct Swallows<T>(T);
    impl<T: Serialize> Serialize for Swallows<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(None)?;
            let _ = seq.serialize_element(&self.0);
            seq.serialize_element(&1)?;
            seq.end()
        }
    }
    for end in [End::Error, End::LateError, End::Panic] {
        for at in [0, 1, 2, 127, 128, 129, 400] {
            let items: Vec<_> = (0..500).map(|n| Fails(n, at, &end)).collect();
            let mut out = b"before".to_vec();
            let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                encode_into(&items, &mut out).unwrap_err()
            }));
            match (written, &end) {
                (Ok(error), _) => assert!(error.contains("this one fails"), "{error}"),
                (Err(_), end) => assert!(matches!(end, End::Panic)),
            }
            assert_eq!(out, b"before");
            if !matches!(end, End::Panic) {
                let error = encode(&Swallows(&items)).unwrap_err();
                assert!(error.contains("a part of it failed"), "{error}");
            }
        }
    }
}
