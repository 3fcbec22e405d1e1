//! How values travel between processes: serde in a binary format of our own.
//!
//! The promise: *what arrives is what the type's own serde impls would give through `serde_json`, or a clear error.*
//! It follows from how the format is made rather than from a list of checks:
//!
//! - **Every value says what it is** (a tag), every struct field and enum variant which one it is (its name), every
//!   container how many it holds (counted, not believed). So fields that are skipped, renamed, defaulted or unknown,
//!   `untagged`, `tag`, `flatten` and `serde_json::Value` arrive as they do through JSON, and an impl that reads
//!   something else than was written gets an error, never another value's bytes.
//! - **What JSON can't tell apart is told apart**: `Some(None)` and `None`, `Some(())` and `None`, NaN by its bits, maps
//!   with any key. An impl that asks *what is there* (`deserialize_any`) gets the answer that JSON would give; one that
//!   asks for an `Option` or a `u8` gets exactly what was written.
//! - `is_human_readable()` is true, as JSON's: an impl must not find itself buffered by serde in one mode (which is
//!   always the readable one) and written in the other.
//!
//! What keeps it small and fast: a name is written once in a message, later it is a number; a sequence of scalars
//! carries one tag for all of them (see [`wire`]).
//!
//! | on the way | file |
//! |---|---|
//! | tags, numbers, limits | `wire.rs` |
//! | bytes of which some lie apart | `output.rs`, `arrived.rs` |
//! | value to bytes | `encode.rs`, many numbers at a time in `encode/scalars.rs`, to where they lie apart in `encode/front.rs`, names to numbers in `names.rs` |
//! | bytes to value | `decode.rs`, parts of containers in `decode/access.rs`, many numbers at a time in `decode/scalars.rs` |
//! | the wrapper for what only `serde_json` can carry | `json.rs` |

mod arrived;
mod decode;
mod encode;
mod error;
#[cfg(feature = "json")]
mod json;
mod names;
mod output;
mod wire;

pub(crate) use arrived::{Arrived, Counted, Looked, ReadApart};
use decode::Decoder;
use encode::Encoder;
pub(crate) use output::{Apart, Output, Place, Plane};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::any::type_name;
use std::fmt;

#[cfg(feature = "json")]
pub use json::Json;

/// Appends the value to `out`.
///
/// # Errors
///
/// Names the type and what to do. `out` is then as it was, also when an impl of the user's panics, but for what it holds
/// apart.
pub(crate) fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Output) -> Result<(), String> {
    let encoder = Encoder::new(std::mem::take(&mut **out), std::mem::take(&mut out.apart));
    let mut lent = Lent { len: encoder.out.len(), encoder, out };
    let written = value.serialize(&mut lent.encoder).and_then(|()| lent.encoder.finish());
    written.map_err(|error| advice::<T>("encoded", error))?;
    lent.len = lent.encoder.out.len();
    Ok(())
}

/// Reads back the one value that `bytes` hold, all of them.
///
/// Any bytes may come: they never cause a panic, a deep recursion, or an allocation out of proportion to their number.
///
/// # Errors
///
/// Names the type and what to do.
pub(crate) fn decode<'a, T: DeserializeOwned>(bytes: impl Into<Arrived<'a>>) -> Result<T, String> {
    let mut decoder = Decoder::new(bytes.into());
    let value = T::deserialize(&mut decoder).map_err(|error| advice::<T>("decoded", error))?;
    decoder.finish().map_err(|error| advice::<T>("decoded", error))?;
    Ok(value)
}

#[cold]
fn advice<T: ?Sized>(done: &str, error: impl fmt::Display) -> String {
    format!(
        "`{}` can't be {done}: {error}; if serde_json can carry it, pass it inside the wrapper `Json<T>` (feature `json`)",
        type_name::<T>()
    )
}

/// A buffer that an encoder has, and that its owner gets back without the bytes of a value that didn't come to its end.
struct Lent<'a> {
    encoder: Encoder,
    out: &'a mut Output,
    len: usize,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        **self.out = std::mem::take(&mut self.encoder.out);
        self.out.apart = std::mem::take(&mut self.encoder.apart);
        self.out.truncate(self.len);
    }
}
