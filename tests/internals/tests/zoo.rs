//! The zoo: what serde's attributes and odd types do to a format. Each animal arrives as it would through serde_json or
//! better, or is an error that names its type and `Json<T>`; inside `Json<T>` each passes that serde_json can carry.

#[path = "zoo/animals.rs"]
mod animals;
#[path = "zoo/processes.rs"]
mod processes;
#[path = "zoo/runs.rs"]
mod runs;

use animals::*;
use concurrent_futures::Json;
use concurrent_futures::internals::codec::{decode, encode, encode_into};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

/// Through the codec and through serde_json: the same.
#[track_caller]
fn as_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_vec(value).expect("serde_json writes it");
    let json: T = serde_json::from_slice(&text).expect("serde_json reads it");
    let ours: T = decode(&encode(value).unwrap()).unwrap();
    assert_eq!(ours, json);
    in_json(value, &json);
}

/// Through the codec as it was, whatever serde_json makes of it.
#[track_caller]
fn exact<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(&decode::<T>(&encode(value).unwrap()).unwrap(), value);
}

/// What serde_json carries, the wrapper carries.
#[track_caller]
fn in_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, wanted: &T) {
    struct Borrowed<'a, T>(&'a T);
    impl<T: Serialize> Serialize for Borrowed<'_, T> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Json(self.0).serialize(serializer)
        }
    }
    let bytes = encode(&Borrowed(value)).unwrap();
    assert_eq!(&decode::<Json<T>>(&bytes).unwrap().0, wanted);
}

/// Written as one type, read as another: as serde_json, or a clear error where `may_fail`.
#[track_caller]
fn crossing<A: Serialize, B: DeserializeOwned + PartialEq + Debug>(value: &A) {
    let json = serde_json::from_slice::<B>(&serde_json::to_vec(value).unwrap()).map_err(|e| e.to_string());
    match (decode::<B>(&encode(value).unwrap()), json) {
        (Ok(ours), Ok(json)) => assert_eq!(ours, json),
        (Ok(ours), Err(json)) => panic!("{ours:?}, where serde_json says {json}"),
        (Err(error), _) => clear::<B>(&error),
    }
}

/// A short float read as a long one: by its shortest digits, as JSON's. Where two such texts are equally near (3276400.25
/// is .2 as much as .3), the standard library and serde_json choose differently: either is right.
#[track_caller]
fn widening(float: f32) {
    let json: f64 = serde_json::from_slice(&serde_json::to_vec(&float).unwrap()).unwrap();
    let ours: f64 = decode(&encode(&float).unwrap()).unwrap();
    let value: serde_json::Value = decode(&encode(&float).unwrap()).unwrap();
    assert_eq!(value, serde_json::json!(ours));
    assert_eq!(ours as f32, float);
    let exact = f64::from(float);
    let as_near = ((ours - exact).abs() - (json - exact).abs()).abs() <= exact.abs() * f64::EPSILON;
    let equally_near = as_near && ours.to_string().len() == json.to_string().len();
    assert!(ours == json || equally_near, "{float}: {ours} where serde_json says {json}");
}

#[track_caller]
fn clear<T: ?Sized>(error: &str) {
    assert!(error.contains(std::any::type_name::<T>()), "{error}");
    assert!(error.contains("Json<T>"), "{error}");
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(bytes: &[u8], says: &str) {
    let error = decode::<T>(bytes).unwrap_err();
    clear::<T>(&error);
    assert!(error.contains(says), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn attributes(animal in attributed()) {
        as_json(&animal);
        as_json(&vec![animal.clone(); 3]);
        as_json(&Flattening { more: animal.more.clone(), also: animal });
    }

    #[test]
    fn enums(animals in prop::collection::vec(tagged(), 0..5)) {
        as_json(&animals);
    }

    #[test]
    fn json_values(value in json_value()) {
        as_json(&value);
        as_json(&Flat { id: 7, rest: BTreeMap::from([("k".to_owned(), value.clone())]) });
        as_json(&Untagged::Any(value));
    }

    #[test]
    fn what_json_cannot_tell_apart(animal in exotic()) {
        exact(&animal);
        exact(&vec![animal.clone(), animal]);
    }

    #[test]
    fn sequences(
        mixed in prop::collection::vec(any_scalar(), 0..300),
        floats in prop::collection::vec(any::<f64>(), 0..300),
        small in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        exact(&mixed.clone());
        as_json(&small);
        let bits: Vec<u64> = floats.iter().map(|f| f.to_bits()).collect();
        let back: Vec<f64> = decode(&encode(&floats).unwrap()).unwrap();
        prop_assert_eq!(back.iter().map(|f| f.to_bits()).collect::<Vec<_>>(), bits);
        exact(&vec![mixed, Vec::new(), vec![Scalar::U8(1)]]);
    }

    /// By their bits: infinities, and every NaN with its sign and what it carries.
    #[test]
    fn floats_of_every_kind(
        wide in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..100),
        narrow in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 1..100),
        which in 0..ODD_64.len(), at in any::<prop::sample::Index>(),
    ) {
        let (mut wide, mut narrow) = (wide, narrow);
        let (odd_64, odd_32) = (f64::from_bits(ODD_64[which]), f32::from_bits(ODD_32[which]));
        let (in_wide, in_narrow) = (at.index(wide.len()), at.index(narrow.len()));
        wide[in_wide] = odd_64;
        narrow[in_narrow] = odd_32;
        let sent = (wide, narrow, (odd_64, Some(odd_32)));
        let (wide, narrow, (one_64, one_32)): (Vec<f64>, Vec<f32>, (f64, Option<f32>)) =
            decode(&encode(&sent).unwrap()).unwrap();
        prop_assert_eq!(bits_64(&wide), bits_64(&sent.0));
        prop_assert_eq!(bits_32(&narrow), bits_32(&sent.1));
        prop_assert_eq!((one_64.to_bits(), one_32.map(f32::to_bits)), (ODD_64[which], Some(ODD_32[which])));
    }

    #[test]
    fn wide_numbers_in_json(wide: u128, signed: i128) {
        in_json(&(wide, signed), &(wide, signed));
        in_json(&vec![wide; 3], &vec![wide; 3]);
    }

    /// What could borrow is owned on arrival. A type that does borrow (`&str`, a `#[serde(borrow)]`) is no argument: it
    /// is not `DeserializeOwned`, since nothing stays that it could point to.
    #[test]
    fn what_could_borrow(text in ".*", bytes: Vec<u8>) {
        let lent = Lent { text: Cow::Borrowed(&text), list: Cow::Borrowed(&bytes) };
        let (ours, json): (Lent<'static>, Lent<'static>) = (
            decode(&encode(&lent).unwrap()).unwrap(),
            serde_json::from_slice(&serde_json::to_vec(&lent).unwrap()).unwrap(),
        );
        prop_assert_eq!(&ours, &json);
        prop_assert_eq!(&ours, &lent);
        let owned: (Cow<'static, str>, Box<str>, Box<[u8]>) = (text.into(), "boxed".into(), bytes.into());
        as_json(&owned);
    }

    #[test]
    fn one_type_out_another_in(narrow in any::<i32>(), wide in any::<u64>(), float in any::<f32>(), text in ".{0,2}") {
        crossing::<_, i64>(&narrow);
        crossing::<_, u8>(&narrow);
        crossing::<_, u64>(&narrow);
        crossing::<_, u128>(&wide);
        crossing::<_, f64>(&wide);
        crossing::<_, i8>(&wide);
        crossing::<_, Option<u64>>(&wide);
        crossing::<_, u64>(&Some(wide));
        if float.is_finite() {
            widening(float);
        }
        crossing::<_, char>(&text);
        crossing::<_, Vec<u8>>(&text);
        crossing::<_, u64>(&text);
        crossing::<_, (i32, u64)>(&vec![wide, wide]);
        crossing::<_, Vec<u64>>(&(narrow, wide));
        crossing::<_, HashMap<String, u32>>(&SkipsDeserializing { a: 1, b: 2, c: 3 });
        crossing::<_, SkipsDeserializing>(&SkipsSerializing { a: 1, b: 2, c: 3 });
        crossing::<_, Renamed>(&SkipsSerializing { a: 1, b: 2, c: 3 });
        crossing::<_, String>(&External::Unit);
        crossing::<_, External>(&"Unit");
        crossing::<_, External>(&HashMap::from([("New", wide)]));
        crossing::<_, serde_json::Value>(&External::Tuple(1, 2));
        crossing::<_, serde_bytes::ByteBuf>(&vec![1_u8, 2]);
        crossing::<_, Vec<u8>>(&serde_bytes::ByteBuf::from(vec![1, 2]));
        crossing::<_, serde_json::Value>(&serde_bytes::ByteBuf::from(vec![1, 2]));
        crossing::<_, ()>(&None::<u8>);
    }
}

/// Zeros, infinities, the NaN of this machine, and others: signalling, negative, with every bit set.
const ODD_64: [u64; 8] = [
    0,
    1 << 63,
    0x7ff0 << 48,
    0xfff0 << 48,
    0x7ff8 << 48,
    (0x7ff0 << 48) | 1,
    (0xfff8 << 48) | 0xabc,
    u64::MAX,
];
const ODD_32: [u32; 8] = [
    0,
    1 << 31,
    0x7f80 << 16,
    0xff80 << 16,
    0x7fc0 << 16,
    (0x7f80 << 16) | 1,
    (0xffc0 << 16) | 0xabc,
    u32::MAX,
];

fn bits_64(floats: &[f64]) -> Vec<u64> {
    floats.iter().map(|float| float.to_bits()).collect()
}

fn bits_32(floats: &[f32]) -> Vec<u32> {
    floats.iter().map(|float| float.to_bits()).collect()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lent<'a> {
    text: Cow<'a, str>,
    list: Cow<'a, [u8]>,
}

#[test]
fn what_serde_refuses_is_an_error_that_names_the_type() {
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"not \xff utf-8"));
    let error = encode(path).unwrap_err();
    clear::<std::path::Path>(&error);
    assert!(error.contains("UTF-8"), "{error}");
    assert!(encode(&Json(path)).is_err());

    // Made for serde_json's own deserializer. It passes inside the wrapper.
    let raw: Wild = serde_json::from_str("{\"a\": [1]}").unwrap();
    let bytes = encode(&raw).unwrap();
    clear::<Wild>(&decode::<Wild>(&bytes).unwrap_err());
    let back: Json<Wild> = decode(&encode(&Json(raw)).unwrap()).unwrap();
    assert_eq!(back.get(), "{\"a\": [1]}");
    as_json(&serde_json::Number::from(7));
}

#[test]
fn a_float_between_two_texts() {
    for float in [3_276_400.2, -3_276_400.2, 0.5, 1e-45, f32::MAX, 16_777_216.0] {
        widening(float);
    }
}

#[test]
fn depth_has_a_limit_on_both_sides() {
    fn limited<T: Serialize + DeserializeOwned + Debug>(nest: impl Fn(usize) -> T, levels: usize) {
        let deepest = 128 / levels;
        let value = nest(deepest - 1);
        decode::<T>(&encode(&value).unwrap()).unwrap();
        let error = encode(&nest(deepest + 1)).unwrap_err();
        clear::<T>(&error);
        assert!(error.contains("128"), "{error}");
    }
    limited(|depth| (0..depth).fold(Nest(Vec::new()), |inner, _| Nest(vec![inner])), 2);
    limited(
        |depth| (0..depth).fold(Chain { next: None }, |inner, _| Chain { next: Some(Box::new(inner)) }),
        2,
    );
    limited(|depth| (0..depth).fold(Peano::Zero, |inner, _| Peano::Next(Box::new(inner))), 1);
    limited(|depth| (0..depth).fold(Peano::Zero, |inner, _| Peano::Pair(Box::new(inner), 1)), 2);

    // Far deeper ones don't use the stack up, also in the wrapper.
    let chain = (0..100_000).fold(Chain { next: None }, |inner, _| Chain { next: Some(Box::new(inner)) });
    clear::<Chain>(&encode(&chain).unwrap_err());
    assert!(encode(&Json(&chain)).unwrap_err().contains("127"));
    std::mem::forget(chain); // dropping it would.

    // Bytes that say they are deep: SOME, SEQ of one, VARIANT; with and without a type that is.
    for bytes in [vec![17; 100_000], [20, 1].repeat(100_000), [25, 0, 1, b'x'].repeat(100_000)] {
        refused::<Nest>(&bytes, "");
        refused::<Chain>(&bytes, "");
        refused::<serde_json::Value>(&bytes, "");
        refused::<serde::de::IgnoredAny>(&bytes, "");
    }
    refused::<Nest>(&[20, 1].repeat(100_000), "128");
    refused::<Endless>(&[15], "128");
}

#[test]
fn lengths_that_were_not_known_or_not_true() {
    assert_eq!(
        decode::<Vec<u32>>(&encode(&Unannounced(200)).unwrap()).unwrap(),
        (0..200).collect::<Vec<_>>()
    );
    assert_eq!(
        decode::<Vec<u32>>(&encode(&Misannounced(300)).unwrap()).unwrap(),
        (0..300).collect::<Vec<_>>()
    );
    assert!(decode::<Vec<u32>>(&encode(&Misannounced(0)).unwrap()).unwrap().is_empty());
    exact(&Units(vec![(); 1000]));
    let nested: Vec<Vec<u32>> = decode(&encode(&vec![Unannounced(200), Unannounced(3)]).unwrap()).unwrap();
    assert_eq!(nested.iter().map(Vec::len).collect::<Vec<_>>(), [200, 3]);
    assert!(encode(&KeyWithoutValue).unwrap_err().contains("key"));
}

#[test]
fn impls_that_swallow_errors_do_not_pass() {
    clear::<SwallowsWriting>(&encode(&SwallowsWriting).unwrap_err());
    refused::<SwallowsReading>(&encode(&(vec!["a"], 1_u8)).unwrap(), "invalid type");
    refused::<TakesOne>(&encode(&[1_u8, 2]).unwrap(), "not asked for");
    refused::<TakesNothing>(&encode(&1_u8).unwrap(), "not read");
    refused::<Vec<TakesNothing>>(&encode(&[1_u8, 2]).unwrap(), "not read");
    refused::<KeysOnly>(&encode(&BTreeMap::from([(1_u8, 2_u8), (3, 4)])).unwrap(), "value");
}

#[test]
fn the_buffer_keeps_what_it_had() {
    let mut out = b"before".to_vec();
    encode_into(&7_u8, &mut out).unwrap();
    assert_eq!(out, b"before\x02\x07");
    encode_into(&KeyWithoutValue, &mut out).unwrap_err();
    assert_eq!(out, b"before\x02\x07");
    let panics =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| encode_into(&(1_u8, Panics), &mut out)));
    assert!(panics.is_err());
    assert_eq!(out, b"before\x02\x07");
}

#[test]
fn names_are_spelled_once_and_bulk_has_no_tags() {
    let one = encode(&Attributed::default()).unwrap().len();
    let many = encode(&vec![Attributed::default(); 1000]).unwrap().len();
    assert!(many < one * 500, "{many} bytes for 1000, {one} for one");
    assert_eq!(encode(&vec![1.5_f64; 1000]).unwrap().len(), 8000 + 4);
    assert_eq!(encode(&[[1_u8; 32]; 2]).unwrap().len(), 2 + 2 * (3 + 32));
}

#[test]
fn many_names() {
    // More than the table has places for, and the same letters at two addresses.
    let names: Vec<&'static str> = (0..500).map(|n| &*format!("field {n}").leak()).collect();
    let again: Vec<&'static str> = (0..500).map(|n| &*format!("field {n}").leak()).collect();
    let bytes = encode(&(Named(&names), Named(&again), Named(&names))).unwrap();
    let back: [BTreeMap<String, usize>; 3] = decode(&bytes).unwrap();
    for map in &back {
        assert_eq!(map.len(), 500);
        assert!(map.iter().all(|(name, n)| *name == format!("field {n}")));
    }
}

/// Has one field per name.
struct Named<'a>(&'a [&'static str]);

impl Serialize for Named<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Named", self.0.len())?;
        for (n, name) in self.0.iter().enumerate() {
            fields.serialize_field(name, &n)?;
        }
        fields.end()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Nest(Vec<Nest>);

#[derive(Debug, Serialize, Deserialize)]
struct Chain {
    next: Option<Box<Chain>>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Peano {
    Zero,
    Next(Box<Peano>),
    Pair(Box<Peano>, u8),
}

/// No value of it exists; reading one must end all the same.
#[derive(Debug, Deserialize)]
struct Endless(#[expect(dead_code, reason = "only read")] Box<Endless>);
