//! How values become bytes and come back.

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

pub(crate) fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    let encoded = postcard::to_extend(value, std::mem::take(out)).map_err(|error| error.to_string());
    match encoded {
        Ok(bytes) => {
            *out = bytes;
            Ok(())
        }
        Err(reason) => {
            out.truncate(start);
            Err(format!("`{}`: {reason}", std::any::type_name::<T>()))
        }
    }
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(format!("`{}`: bytes are left over", std::any::type_name::<T>())),
        Err(error) => Err(format!("`{}`: {error}", std::any::type_name::<T>())),
    }
}
