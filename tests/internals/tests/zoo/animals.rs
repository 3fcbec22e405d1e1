//! The types, and strategies that make values of them.

use proptest::prelude::*;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

// ---- attributes --------------------------------------------------------------------------------------

/// Nearly every attribute of a field, in an order in which a shift would go unnoticed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attributed {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) first_one: Option<Vec<u8>>,
    pub(crate) plain: Vec<u8>,
    #[serde(skip)]
    pub(crate) never: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) often: Vec<u32>,
    #[serde(rename(serialize = "out", deserialize = "in"), default)]
    pub(crate) one_way: u32,
    #[serde(alias = "other", alias = "another")]
    pub(crate) aliased: u32,
    #[serde(skip_serializing, default = "seven")]
    pub(crate) unwritten: u32,
    #[serde(skip_deserializing)]
    pub(crate) unread: u32,
    #[serde(deserialize_with = "null_is_zero")]
    pub(crate) lenient: u32,
    pub(crate) last: Option<u32>,
    pub(crate) more: More,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flattening {
    #[serde(flatten)]
    pub(crate) more: More,
    #[serde(flatten)]
    pub(crate) also: Attributed,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct More {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) extra: Option<Box<More>>,
    pub(crate) address: Option<IpAddr>,
}

fn seven() -> u32 {
    7
}

fn null_is_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

pub(crate) fn attributed() -> impl Strategy<Value = Attributed> {
    let numbers = any::<[u32; 6]>();
    let parts =
        (any::<Option<Vec<u8>>>(), any::<Vec<u8>>(), any::<Vec<u32>>(), any::<Option<IpAddr>>(), numbers);
    parts.prop_map(
        |(first_one, plain, often, address, [never, one_way, aliased, unwritten, unread, lenient])| {
            let inner = Box::new(More { extra: None, address });
            let more = More { extra: address.map(|_| inner), address };
            let last = often.last().copied();
            Attributed {
                first_one,
                plain,
                never,
                often,
                one_way,
                aliased,
                unwritten,
                unread,
                lenient,
                last,
                more,
            }
        },
    )
}

/// Beside [`SkipsDeserializing`]: as many fields, other ones.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SkipsSerializing {
    #[serde(skip_serializing, default)]
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SkipsDeserializing {
    #[serde(default)]
    pub(crate) a: u32,
    #[serde(skip_deserializing)]
    pub(crate) b: u32,
    pub(crate) c: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Renamed {
    #[serde(rename = "c")]
    pub(crate) a: u32,
    #[serde(rename = "b")]
    pub(crate) c: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flat {
    pub(crate) id: u32,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, serde_json::Value>,
}

// ---- enums -------------------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Tagged {
    External(External),
    Internal(Internal),
    Adjacent(Adjacent),
    Untagged(Untagged),
    Renumbered(Renumbered),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum External {
    Unit,
    New(u64),
    Tuple(u8, u8),
    Struct { a: Option<u8>, b: Vec<String> },
    Empty(),
    EmptyStruct {},
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(crate) enum Internal {
    Unit,
    New(SystemTime),
    Struct { a: Option<IpAddr>, b: External },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c", rename_all = "kebab-case")]
pub(crate) enum Adjacent {
    Unit,
    New(String),
    Tuple(i64, f64),
    Struct { a: char },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Untagged {
    Nothing,
    Small(u8),
    Wide(i64),
    Float(f32),
    Address(SocketAddr),
    Text(String),
    Pair(u8, Option<String>),
    Named { x: External },
    Any(serde_json::Value),
}

/// Its variants have other numbers on the way in than on the way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Renumbered {
    #[serde(skip_deserializing)]
    #[expect(dead_code, reason = "moves the numbers of the others")]
    Gone(u32),
    #[serde(alias = "b")]
    A(u32),
    B(u32),
    C(u32),
}

pub(crate) fn tagged() -> impl Strategy<Value = Tagged> {
    let seconds = any::<u32>().prop_map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s.into()));
    let external = prop_oneof![
        Just(External::Unit),
        any::<u64>().prop_map(External::New),
        any::<(u8, u8)>().prop_map(|(a, b)| External::Tuple(a, b)),
        (any::<Option<u8>>(), any::<Vec<String>>()).prop_map(|(a, b)| External::Struct { a, b }),
        Just(External::Empty()),
        Just(External::EmptyStruct {}),
    ]
    .boxed();
    let internal = prop_oneof![
        Just(Internal::Unit),
        seconds.prop_map(Internal::New),
        (any::<Option<IpAddr>>(), external.clone()).prop_map(|(a, b)| Internal::Struct { a, b }),
    ];
    let adjacent = prop_oneof![
        Just(Adjacent::Unit),
        ".*".prop_map(Adjacent::New),
        (any::<i64>(), -1e9..1e9).prop_map(|(a, b)| Adjacent::Tuple(a, b)),
        any::<char>().prop_map(|a| Adjacent::Struct { a }),
    ];
    let untagged = prop_oneof![
        Just(Untagged::Nothing),
        any::<u8>().prop_map(Untagged::Small),
        any::<i64>().prop_map(Untagged::Wide),
        (-1e9_f32..1e9).prop_map(Untagged::Float),
        any::<SocketAddr>().prop_map(Untagged::Address),
        ".*".prop_map(Untagged::Text),
        (any::<u8>(), any::<Option<String>>()).prop_map(|(a, b)| Untagged::Pair(a, b)),
        external.clone().prop_map(|x| Untagged::Named { x }),
        json_value().prop_map(Untagged::Any),
    ];
    let renumbered = (0..3, any::<u32>()).prop_map(|(which, n)| match which {
        0 => Renumbered::A(n),
        1 => Renumbered::B(n),
        _ => Renumbered::C(n),
    });
    prop_oneof![
        external.prop_map(Tagged::External),
        internal.prop_map(Tagged::Internal),
        adjacent.prop_map(Tagged::Adjacent),
        untagged.prop_map(Tagged::Untagged),
        renumbered.prop_map(Tagged::Renumbered),
    ]
}

pub(crate) fn json_value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e12_f64..1e12).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(".{0,3}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

// ---- what JSON can't tell apart, or can't carry -------------------------------------------------------

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exotic {
    pub(crate) nested: Option<Option<u8>>,
    pub(crate) deeper: Option<Option<Option<()>>>,
    pub(crate) unit: Option<()>,
    pub(crate) wide: (u128, i128),
    pub(crate) letter: char,
    pub(crate) by_pair: BTreeMap<(i8, Option<bool>), String>,
    pub(crate) by_unit: BTreeMap<Option<()>, u8>,
    pub(crate) by_key: BTreeMap<Key, u8>,
    pub(crate) bytes: serde_bytes::ByteBuf,
    pub(crate) address: IpAddr,
    pub(crate) time: Duration,
    pub(crate) array: [u16; 32],
    pub(crate) unit_struct: Marker,
    pub(crate) text: Box<str>,
    pub(crate) result: Result<u8, String>,
    pub(crate) range: std::ops::Range<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Marker;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Key {
    Unit,
    Named { a: u8 },
    New(String),
}

pub(crate) fn exotic() -> impl Strategy<Value = Exotic> {
    let options = (
        any::<Option<Option<u8>>>(),
        any::<Option<Option<Option<()>>>>(),
        any::<Option<()>>(),
        any::<Result<u8, String>>(),
    );
    let maps = (
        any::<BTreeMap<(i8, Option<bool>), String>>(),
        any::<BTreeMap<Option<()>, u8>>(),
        any::<BTreeMap<(Option<String>, u8), u8>>(),
    );
    let rest = (
        any::<(u128, i128, char, i64)>(),
        any::<Vec<u8>>(),
        any::<IpAddr>(),
        any::<[u16; 32]>(),
        any::<Duration>(),
        ".*",
    );
    (options, maps, rest).prop_map(
        |(
            (nested, deeper, unit, result),
            (by_pair, by_unit, by_key),
            ((wide, signed, letter, end), bytes, address, array, time, text),
        )| {
            let by_key = by_key.into_iter().map(|((name, n), value)| match name {
                Some(name) => (Key::New(name), value),
                None if n < 9 => (Key::Unit, value),
                None => (Key::Named { a: n }, value),
            });
            Exotic {
                nested,
                deeper,
                unit,
                wide: (wide, signed),
                letter,
                by_pair,
                by_unit,
                by_key: by_key.collect(),
                bytes: bytes.into(),
                address,
                time,
                array,
                unit_struct: Marker,
                text: text.into(),
                result,
                range: 0..end,
            }
        },
    )
}

/// Written as the bare scalar: a sequence of them mixes kinds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Bool(bool),
    U8(u8),
    I16(i16),
    U64(u64),
    I128(i128),
    Text(String),
    Nothing,
    Seq(Vec<u8>),
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Scalar::Bool(value) => serializer.serialize_bool(*value),
            Scalar::U8(value) => serializer.serialize_u8(*value),
            Scalar::I16(value) => serializer.serialize_i16(*value),
            Scalar::U64(value) => serializer.serialize_u64(*value),
            Scalar::I128(value) => serializer.serialize_i128(*value),
            Scalar::Text(value) => serializer.serialize_str(value),
            Scalar::Nothing => serializer.serialize_unit(),
            Scalar::Seq(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scalar")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(u8::try_from(value).map_or(Scalar::U64(value), Scalar::U8))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
                value.try_into().map(Scalar::I16).map_err(E::custom)
            }

            fn visit_i128<E>(self, value: i128) -> Result<Scalar, E> {
                Ok(Scalar::I128(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Nothing)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                let mut all = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    all.push(byte);
                }
                Ok(Scalar::Seq(all))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Values that come back as the variant they were: small ones are `U8`, negative ones `I16`, huge ones `I128`.
pub(crate) fn any_scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        1 => any::<bool>().prop_map(Scalar::Bool),
        9 => any::<u8>().prop_map(Scalar::U8),
        1 => (i16::MIN..0).prop_map(Scalar::I16),
        1 => (256..u64::MAX).prop_map(Scalar::U64),
        1 => (i128::MIN..i128::from(i64::MIN)).prop_map(Scalar::I128),
        1 => ".{0,3}".prop_map(Scalar::Text),
        1 => Just(Scalar::Nothing),
        1 => any::<Vec<u8>>().prop_map(Scalar::Seq),
    ]
}

// ---- impls written by hand, most of them wrong ---------------------------------------------------------

/// Counts to its number without saying so before.
pub(crate) struct Unannounced(pub(crate) u32);

impl Serialize for Unannounced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        (0..self.0).try_for_each(|n| seq.serialize_element(&n))?;
        seq.end()
    }
}

/// Says five and counts to its number.
pub(crate) struct Misannounced(pub(crate) u32);

impl Serialize for Misannounced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_tuple(5)?;
        (0..self.0).try_for_each(|n| seq.serialize_element(&n))?;
        seq.end()
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Units(pub(crate) Vec<()>);

pub(crate) struct KeyWithoutValue;

impl Serialize for KeyWithoutValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_key("key")?;
        map.end()
    }
}

pub(crate) struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("on purpose")
    }
}

/// Made for serde_json: looks for a token that only its deserializer understands.
pub(crate) type Wild = Box<serde_json::value::RawValue>;

/// One of its parts fails half-way, and it goes on.
pub(crate) struct SwallowsWriting;

impl Serialize for SwallowsWriting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Fails;
        impl Serialize for Fails {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut seq = serializer.serialize_seq(Some(2))?;
                seq.serialize_element(&1)?;
                Err(serde::ser::Error::custom("half-way"))
            }
        }
        let mut tuple = serializer.serialize_tuple(2)?;
        let _ = tuple.serialize_element(&Fails);
        tuple.serialize_element(&1)?;
        tuple.end()
    }
}

/// Takes the error of a sequence for an empty one.
#[derive(Debug)]
pub(crate) struct SwallowsReading;

impl<'de> Deserialize<'de> for SwallowsReading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lenient;
        impl<'de> Deserialize<'de> for Lenient {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let _ = Vec::<u8>::deserialize(deserializer);
                Ok(Lenient)
            }
        }
        <(Lenient, u8)>::deserialize(deserializer).map(|_| SwallowsReading)
    }
}

/// Reads the first element of however many.
#[derive(Debug)]
pub(crate) struct TakesOne;

impl<'de> Deserialize<'de> for TakesOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = TakesOne;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one or more")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TakesOne, A::Error> {
                seq.next_element::<u8>()?;
                Ok(TakesOne)
            }
        }
        deserializer.deserialize_seq(One)
    }
}

#[derive(Debug)]
pub(crate) struct TakesNothing;

impl<'de> Deserialize<'de> for TakesNothing {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(TakesNothing)
    }
}

#[derive(Debug)]
pub(crate) struct KeysOnly;

impl<'de> Deserialize<'de> for KeysOnly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = KeysOnly;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeysOnly, A::Error> {
                while map.next_key::<u8>()?.is_some() {}
                Ok(KeysOnly)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}
