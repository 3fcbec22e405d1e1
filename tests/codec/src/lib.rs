//! The crate's codec with a door: its own entrances are internal to the crate.

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

#[path = "../../../src/remote/codec/mod.rs"]
mod codec;

pub use codec::Json;

/// As in the crate.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    codec::encode_into(value, out)
}

/// As in the crate.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    codec::decode(bytes)
}

/// The value alone in a buffer.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    codec::encode_into(value, &mut out)?;
    Ok(out)
}
