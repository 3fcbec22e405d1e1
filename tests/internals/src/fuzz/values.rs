//! Any bytes in the place of a value: an error or a value, never much memory; what was read can be written and is the same;
//! also where long strings and runs lie elsewhere.
//!
//! ```text
//! where the memory for long strings begins 2 | value, with the memory at its end
//! ```

use super::Target;
use crate::process_pool::internals::codec::with_memory;
use crate::process_pool::internals::memory::in_proportion;
use crate::remote::codec::{Json, Output, decode, encode_into};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_core::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub(crate) const TARGET: Target =
    Target { name: "codec", body, words: &["inner", "next", "Unit", "New", "Tuple", "Struct", "id"], seeds };

#[derive(Clone, Default, Serialize, Deserialize)]
struct Deep {
    inner: Vec<Deep>,
    #[serde(default)]
    next: Option<Box<Deep>>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Animal {
    Unit,
    New(f64),
    Tuple(u8, String),
    Struct { a: Vec<u16>, b: Option<(i8, char)>, c: BTreeMap<String, bool> },
}

#[derive(Clone, Serialize, Deserialize)]
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

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { pixels: ByteBuf, note: String },
    Two,
}

#[derive(Clone, Serialize, Deserialize)]
struct Picture {
    name: String,
    sizes: Vec<u32>,
    #[serde(with = "serde_bytes")]
    pixels: Vec<u8>,
    raw: Option<ByteBuf>,
    note: Option<String>,
}

fn body(data: &[u8]) {
    let Some((at, bytes)) = data.split_first_chunk() else { return };
    let at = usize::from(u16::from_le_bytes(*at)).min(bytes.len());
    one::<u8>(bytes, 0);
    one::<(bool, char, u128, f32)>(bytes, 0);
    one::<String>(bytes, 1);
    one::<ByteBuf>(bytes, 1);
    one::<Vec<()>>(bytes, 0);
    one::<Vec<Vec<u64>>>(bytes, 24);
    one::<Vec<[u64; 16]>>(bytes, 128);
    one::<[u64; 32]>(bytes, 0);
    one::<Vec<Option<Option<String>>>>(bytes, 32);
    one::<BTreeSet<Option<bool>>>(bytes, 16);
    one::<BTreeMap<Option<String>, Deep>>(bytes, 400);
    one::<Deep>(bytes, 100);
    one::<Vec<Animal>>(bytes, 128);
    one::<serde_json::Value>(bytes, 200);
    one::<Loose>(bytes, 200);
    one::<Tagged>(bytes, 200);
    one::<Picture>(bytes, 200);
    one::<Json<serde_json::Value>>(bytes, 200);
    one::<std::net::SocketAddr>(bytes, 0);
    one::<std::time::Duration>(bytes, 0);
    // Those have an order of their own each time, or can't be written.
    read::<HashMap<u32, String>>(bytes, 64);
    read::<HashSet<()>>(bytes, 8);
    read::<IgnoredAny>(bytes, 0);
    read::<std::time::SystemTime>(bytes, 0);
    read::<std::path::PathBuf>(bytes, 1);
    in_two_parts::<String>(bytes, at);
    in_two_parts::<ByteBuf>(bytes, at);
    in_two_parts::<Vec<u8>>(bytes, at);
    in_two_parts::<Vec<f64>>(bytes, at);
    in_two_parts::<Vec<Vec<u32>>>(bytes, at);
    in_two_parts::<serde_json::Value>(bytes, at);
    in_two_parts::<Tagged>(bytes, at);
    in_two_parts::<Picture>(bytes, at);
    in_two_parts::<Vec<Animal>>(bytes, at);
}

fn read<T: DeserializeOwned>(bytes: &[u8], per_byte: usize) -> Option<T> {
    in_proportion(bytes.len(), 64 + 4 * per_byte, 4096, || decode::<T>(bytes).ok())
}

fn written<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let mut bytes = Output::default();
    encode_into(value, &mut bytes).ok().map(|()| bytes.into_parts().0)
}

fn one<T: DeserializeOwned + Serialize>(bytes: &[u8], per_byte: usize) {
    // What is spelled more shortly than it is written may be too deep to be written.
    let Some(first) = read::<T>(bytes, per_byte).and_then(|value| written(&value)) else { return };
    let again = decode::<T>(&first).unwrap_or_else(|error| panic!("it was written just now: {error}"));
    assert_eq!(Some(first), written(&again), "another value there and back");
}

fn in_two_parts<T: DeserializeOwned + Serialize>(bytes: &[u8], at: usize) {
    let (value, memory) = bytes.split_at(at);
    let read = |is_owned| {
        in_proportion(bytes.len(), 64 + 4 * 200, 4096, || {
            with_memory(value, memory, is_owned, |arrived| decode::<T>(arrived)).ok()
        })
    };
    let (Some(owned), Some(lent)) = (read(true), read(false)) else { return };
    assert_eq!(written(&owned), written(&lent), "another value where it lies");
    one::<T>(&written(&owned).unwrap_or_default(), 200);
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let picture = Picture {
        name: "p".into(),
        sizes: vec![1, 2, 3],
        pixels: vec![7; 50],
        raw: Some(ByteBuf::from(vec![8; 20])),
        note: None,
    };
    let deep = |levels: usize| {
        (0..levels)
            .fold(Deep::default(), |inner, _| Deep { inner: vec![inner.clone()], next: Some(Box::default()) })
    };
    let animals = vec![
        Animal::Unit,
        Animal::New(1.5),
        Animal::Tuple(3, "three".into()),
        Animal::Struct { a: vec![1, 2], b: Some((-1, 'x')), c: BTreeMap::from([("k".into(), true)]) },
    ];
    let json = serde_json::json!({ "id": 3, "a": [1, -2, 2.5, null, "text"], "b": { "c": true } });
    let mut named: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, at: [u8; 2], bytes: Option<Vec<u8>>| {
        named.push((name.to_owned(), [&at[..], &bytes.expect("it can be written")].concat()));
    };
    add("number", [0, 0], written(&7_u8));
    add("scalars", [0, 0], written(&(true, 'z', u128::MAX, f32::NAN)));
    add("text", [0, 0], written(&"a text"));
    add("bytes", [0, 0], written(&ByteBuf::from(vec![1; 5])));
    add("units", [0, 0], written(&vec![(); 40]));
    add("lists", [0, 0], written(&vec![vec![1_u64], vec![], vec![2, 3]]));
    add("arrays", [0, 0], written(&vec![[5_u64; 16]; 2]));
    add("options", [0, 0], written(&vec![Some(Some("a")), Some(None), None]));
    add("map", [0, 0], written(&BTreeMap::from([(1_u32, "one"), (2, "two")])));
    add("deep", [0, 0], written(&deep(4)));
    add(
        "deeper-than-allowed",
        [0, 0],
        Some([&[23, 1, 0, 5][..], b"inner", &[20, 1, 23, 1, 0].repeat(70)].concat()),
    );
    add("animals", [0, 0], written(&animals));
    add("json", [0, 0], written(&json));
    add("json-inside", [0, 0], written(&Json(json)));
    add("picture", [0, 0], written(&picture));
    let bytes = written(&picture).unwrap_or_default();
    // The pixels' tag, length and bytes, in whose place stands where they lie.
    let at = bytes.windows(50).position(|window| window == [7; 50]).unwrap_or_default();
    let apart = [&bytes[..at - 2], &[27, 50, 0], &bytes[at + 50..]].concat();
    add("picture-apart", (apart.len() as u16).to_le_bytes(), Some([&apart[..], &[7; 50]].concat()));
    add("text-apart", [3, 0], Some([&[26, 4, 1][..], b"!text"].concat()));
    add("apart-beyond", [3, 0], Some([&[26, 5, 1][..], b"!text"].concat()));
    add("apart-twice", [8, 0], Some([&[20, 2, 27, 4, 0, 27, 4, 0][..], b"text"].concat()));
    add(
        "run-apart",
        [4, 0],
        Some([&[28, 2, 12, 0][..], &1.5_f64.to_le_bytes(), &2.5_f64.to_le_bytes()].concat()),
    );
    add("run-apart-of-bytes", [4, 0], Some([&[28, 4, 2, 1][..], b"!four"].concat()));
    add("run-apart-beyond", [4, 0], Some([&[28, 3, 6, 0][..], &[1; 11]].concat()));
    add("runs-apart", [10, 0], Some([&[20, 2, 28, 1, 6, 0, 28, 1, 6, 4][..], &[1; 8]].concat()));
    add("tagged", [0, 0], written(&Tagged::One { pixels: ByteBuf::from(vec![1; 9]), note: "n".into() }));
    add("tagged-two", [0, 0], written(&Tagged::Two));
    add("address", [0, 0], written(&std::net::SocketAddr::from(([127, 0, 0, 1], 80))));
    add("duration", [0, 0], written(&std::time::Duration::from_millis(1500)));
    add("time", [0, 0], written(&std::time::SystemTime::UNIX_EPOCH));
    // A `Deep` in a `Deep`, whose every list claims all the bytes that follow it.
    let (levels, padding) = (60, 3000);
    let mut claims = Vec::new();
    for level in 1..=levels {
        claims.extend([23, 1, 0]);
        claims.extend_from_slice(if level == 1 { b"\x05inner" } else { b"" });
        let claim = padding + (levels - level) * 6;
        claims.extend([20, 0x80 | (claim & 0x7f) as u8, (claim >> 7) as u8]);
    }
    claims.resize(claims.len() + padding, 0);
    add("claims-together", [0, 0], Some(claims));
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for tag in 18..=28_u8 {
        add(&format!("claims-much-{tag}"), [0, 0], Some([&[tag][..], &huge, &[0; 9]].concat()));
        add(&format!("claims-inside-claims-{tag}"), [0, 0], Some([tag, 0x7f].repeat(100)));
    }
    named
}
