//! The codec.

use crate::remote::codec;
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::ops::Range;

/// As in the crate.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    codec::encode_into(value, out)
}

/// As in the crate.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    codec::decode(bytes)
}

/// Where a value's first large string lies, by the value's beginning.
pub fn find_bulk(beginning: &[u8]) -> Option<Range<usize>> {
    codec::find_bulk(beginning)
}

/// As [`decode`], of bytes of which some came apart.
pub fn decode_apart<T: DeserializeOwned>(bytes: &[u8], apart: Range<usize>) -> Result<T, String> {
    let bulk = codec::Bulk::new(apart.start, bytes[apart.clone()].to_vec());
    let rest = [&bytes[..apart.start], &bytes[apart.end..]].concat();
    codec::decode(codec::Arrived::with_bulk(&rest, Some(&bulk)))
}

/// The value alone in a buffer.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    codec::encode_into(value, &mut out)?;
    Ok(out)
}
