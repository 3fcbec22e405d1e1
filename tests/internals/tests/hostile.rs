//! Bytes that nobody wrote: never a panic, never an allocation out of proportion to them, and no wrong value from an
//! encoding that was cut.

use concurrent_futures::Json;
use concurrent_futures::internals::codec::{decode, encode};
use concurrent_futures::internals::memory::{Counting, HELD, MOST};
use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was held at once during `work`, above what was held before.
fn most_held(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    work();
    usize::try_from(MOST.get() - before).unwrap()
}

/// Decodes as many types; whatever happens must be in proportion to the bytes.
fn everything(bytes: &[u8]) {
    one::<u8>(bytes, 0);
    one::<(bool, char, u128, f32)>(bytes, 0);
    one::<String>(bytes, 1);
    one::<serde_bytes::ByteBuf>(bytes, 1);
    one::<Vec<()>>(bytes, 0);
    one::<Vec<Vec<u64>>>(bytes, 24);
    one::<Vec<[u64; 16]>>(bytes, 128);
    one::<[u64; 32]>(bytes, 0);
    one::<Vec<Option<Option<String>>>>(bytes, 32);
    one::<HashMap<u32, String>>(bytes, 64);
    one::<HashSet<()>>(bytes, 8);
    one::<BTreeMap<Option<String>, Deep>>(bytes, 400);
    one::<Deep>(bytes, 100);
    one::<Vec<Animal>>(bytes, 128);
    one::<serde_json::Value>(bytes, 200);
    one::<Loose>(bytes, 200);
    one::<IgnoredAny>(bytes, 0);
    one::<Json<serde_json::Value>>(bytes, 200);
    one::<std::net::SocketAddr>(bytes, 0);
    one::<std::time::SystemTime>(bytes, 0);
    one::<std::path::PathBuf>(bytes, 1);
}

/// `per_byte`: what a value of the type may hold in memory for one byte of its encoding, about. Beside it stand the
/// names (16 bytes each, two bytes at least on the wire, doubled as they grow), what a container sets aside for its
/// claimed elements at each level, and the text of an error.
fn one<T: DeserializeOwned>(bytes: &[u8], per_byte: usize) {
    let held = most_held(|| drop(decode::<T>(bytes)));
    let allowed = 4096 + bytes.len() * (64 + 4 * per_byte);
    assert!(
        held <= allowed,
        "{}: {held} held for {} bytes: {bytes:?}",
        std::any::type_name::<T>(),
        bytes.len()
    );
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Deep {
    inner: Vec<Deep>,
    #[serde(default)]
    next: Option<Box<Deep>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Animal {
    Unit,
    New(f64),
    Tuple(u8, String),
    Struct { a: Vec<u16>, b: Option<(i8, char)>, c: BTreeMap<String, bool> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Small(Vec<u8>),
    Animal(Animal),
    Flat {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, serde_json::Value>,
    },
}

fn animal() -> impl Strategy<Value = Animal> {
    prop_oneof![
        Just(Animal::Unit),
        (-1e9..1e9).prop_map(Animal::New),
        any::<(u8, String)>().prop_map(|(a, b)| Animal::Tuple(a, b)),
        any::<(Vec<u16>, Option<(i8, char)>, BTreeMap<String, bool>)>()
            .prop_map(|(a, b, c)| Animal::Struct { a, b, c }),
    ]
}

/// Bytes that look like the format: tags, small numbers, some letters, now and then anything.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => 1..29_u8, 3 => 0..8_u8, 1 => any::<u8>(), 1 => Just(b'a')];
    prop::collection::vec(byte, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in any::<Vec<u8>>()) {
        everything(&bytes);
    }

    #[test]
    fn plausible_bytes(bytes in plausible()) {
        everything(&bytes);
    }

    #[test]
    fn a_cut_encoding_is_an_error(animals in prop::collection::vec(animal(), 1..4), at in any::<prop::sample::Index>()) {
        let bytes = encode(&animals).unwrap();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(decode::<Vec<Animal>>(cut).is_err());
        everything(cut);
        let longer = [&bytes[..], &[15][..]].concat();
        let error = decode::<Vec<Animal>>(&longer).unwrap_err();
        prop_assert!(error.contains("not read"), "{}", error);
    }

    #[test]
    fn a_flipped_bit_is_survived(animals in prop::collection::vec(animal(), 1..4), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = encode(&animals).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        everything(&bytes);
    }
}

#[test]
fn claims_are_not_believed() {
    // A sequence, a run, a map, a struct, a text that claim 2^63 or as many as there are bytes of nothing.
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for tag in 18..=28_u8 {
        everything(&[&[tag][..], &huge, &[0; 100]].concat());
        everything(&[&[tag][..], &[0x80 | 0x10, 0x4e], &[0; 9_000]].concat());
        // Each inside the other, each claiming all that is left.
        everything(&[tag, 0x7f].repeat(100));
        everything(&[&[tag, 0x7f, 12][..], &[0; 1000]].concat());
    }
    // A `Deep` in a `Deep` in a `Deep`, whose every list claims all the bytes that follow it.
    for padding in [100, 1_000, 10_000, 100_000] {
        let mut bytes = Vec::new();
        for level in 0..60 {
            bytes.extend([23, 1, 0]);
            bytes.extend(if level == 0 { &b"\x05inner"[..] } else { b"" });
            let claim = padding + (60 - level - 1) * 5;
            bytes.extend([
                20,
                0x80 | (claim & 0x7f) as u8,
                0x80 | (claim >> 7 & 0x7f) as u8,
                (claim >> 14) as u8,
            ]);
        }
        bytes.resize(bytes.len() + padding, 0);
        everything(&bytes);
    }
    // More than one element per byte is no way to spell units.
    let units = encode(&vec![(); 1_000_000]).unwrap();
    assert_eq!(units.len(), 1_000_004);
    assert_eq!(decode::<Vec<()>>(&units).unwrap().len(), 1_000_000);
    // A run's tag that is none of a scalar's, units among them.
    for kind in [0, 15, 16, 17, 20, 21, 25, 26, 255] {
        let error = decode::<Vec<()>>(&[21, 3, kind, 0, 0, 0]).unwrap_err();
        assert!(error.contains("run"), "{error}");
    }
}

#[test]
fn each_kind_of_nonsense_is_named() {
    fn says<T: DeserializeOwned + Debug>(bytes: &[u8], what: &str) {
        let error = decode::<T>(bytes).unwrap_err();
        assert!(error.contains(what) && error.contains(std::any::type_name::<T>()), "{error}");
    }
    says::<u8>(&[], "end too early");
    says::<u8>(&[2], "end too early");
    says::<u8>(&[0], "tag");
    says::<u8>(&[200], "tag");
    says::<bool>(&[1, 2], "bool");
    says::<char>(&[9, 0, 0xd8, 0, 0], "char");
    says::<String>(&[18, 1, 0xff], "UTF-8");
    says::<String>(&[18, 0x80], "number");
    says::<String>(&[18, 5, b'a'], "end too early");
    says::<Vec<u8>>(&[20, 5, 2, 1], "count");
    says::<Vec<u64>>(&[21, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0], "count");
    says::<Animal>(&[24, 1, 4, b'U'], "never spelled");
    says::<Animal>(&[24, 0, 1, b'X'], "unknown variant");
    says::<Animal>(&[24, 0, 3, b'N', b'e', b'w'], "unit variant");
    says::<Deep>(&[23, 0], "missing field");
    says::<(u8, u8)>(&[20, 1, 2, 1], "invalid length");
    says::<(u8, u8)>(&[21, 3, 2, 1, 1, 1], "not asked for");
}
