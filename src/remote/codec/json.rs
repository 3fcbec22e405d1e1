//! The wrapper for types that only serde_json can carry.

use serde_core::de::{DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};
use serde_core::ser::{Error as _, Serializer};
use serde_core::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// As many as serde_json reads.
const MAX_DEPTH: u8 = 127;

/// Carries its value as JSON text, for types that know serde_json and nothing else.
///
/// Arguments and results of tasks in other processes travel in a binary format that gives what serde_json would give,
/// faster. A few types are made for serde_json itself: `RawValue`, numbers of arbitrary precision, impls that look for
/// its deserializer. For those the task fails with a [`TaskError::Codec`](crate::TaskError::Codec) that names this wrapper,
/// and inside it they pass.
///
/// It is what is inside it: it dereferences, and `.0` moves the value out. In any other format it is the bytes of the
/// text.
///
/// # Examples
///
/// ```
/// use concurrent_futures::Json;
/// use serde_json::{Value, json};
///
/// fn temperature(reading: Json<Value>) -> Option<f64> {
///     reading["data"]["temperature"].as_f64()
/// }
///
/// // With a pool of processes: `pool.submit(temperature, Json(reading))`.
/// let reading = json!({ "data": { "temperature": 28.5 } });
/// assert_eq!(temperature(Json(reading)), Some(28.5));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Json(value)
    }
}

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Vec::new();
        let mut json = serde_json::Serializer::with_formatter(&mut text, Shallow(0));
        self.0.serialize(&mut json).map_err(S::Error::custom)?;
        serializer.serialize_bytes(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Text(PhantomData))
    }
}

struct Text<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Text<T> {
    type Value = Json<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a JSON text")
    }

    fn visit_bytes<E: serde_core::de::Error>(self, text: &[u8]) -> Result<Json<T>, E> {
        serde_json::from_slice(text).map(Json).map_err(E::custom)
    }

    /// Formats without bytes give them one by one.
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<T>, A::Error> {
        let mut text = Vec::new();
        while let Some(byte) = elements.next_element()? {
            text.push(byte);
        }
        serde_json::from_slice(&text).map(Json).map_err(A::Error::custom)
    }
}

/// Compact text, and an error in place of a stack that overflows: serde_json limits the depth only when it reads.
struct Shallow(u8);

impl Shallow {
    fn enter(&mut self) -> io::Result<()> {
        if self.0 == MAX_DEPTH {
            return Err(io::Error::other(format!("more than {MAX_DEPTH} values lie inside one another")));
        }
        self.0 += 1;
        Ok(())
    }
}

impl serde_json::ser::Formatter for Shallow {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0 -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0 -= 1;
        writer.write_all(b"}")
    }
}
