//! What goes over the wire, with a door: the crate's frames, parcels and outcomes are internal to it.

#![expect(
    dead_code,
    unused_imports,
    reason = "the sources are the crate's; here only their reading half is used"
)]
#![expect(unreachable_pub, reason = "public in the crate, of which this is a part")]
#![cfg_attr(docsrs, expect(rustdoc::broken_intra_doc_links, reason = "the rest of the crate is not here"))]

#[path = "../../../src/contain.rs"]
mod contain;
#[path = "../../../src/error/mod.rs"]
mod error;
#[path = "../../../src/id.rs"]
mod id;
#[path = "../../../src/remote/mod.rs"]
mod remote;
#[path = "."]
mod process_pool {
    #[path = "../../../src/process_pool/wire/mod.rs"]
    pub(crate) mod wire;
}
mod stream;
#[path = "../../../src/sync.rs"]
mod sync;

pub use error::{CodecError, Panicked, Stage, TaskError};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

pub use stream::{is_head, is_welcome, lying, read as read_frames, reply, welcome};

/// The outcome in a reply to task `id` of process `nonce`.
pub fn open(reply: &[u8], nonce: u64, id: u64) -> Result<&[u8], TaskError> {
    remote::outcome::open(reply, nonce, id).map(|outcome| outcome.bytes())
}

/// One task's outcome.
pub fn read<R: DeserializeOwned>(outcome: &[u8]) -> Result<R, TaskError> {
    remote::outcome::read(outcome)
}

/// A chunk's outcomes.
pub fn read_all<R: DeserializeOwned>(outcome: &[u8]) -> Result<Vec<Result<R, TaskError>>, TaskError> {
    remote::outcome::read_all(outcome)
}

/// One task's outcome, as a worker writes it.
pub fn write<R: Serialize>(outcome: Result<R, TaskError>) -> Vec<u8> {
    let mut bytes = Vec::new();
    remote::outcome::write(outcome, &mut bytes);
    bytes
}

/// A chunk's outcomes, as a worker writes them.
pub fn write_all<R: Serialize>(outcomes: Vec<Result<R, TaskError>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    remote::outcome::write_all(outcomes.into_iter(), &mut bytes);
    bytes
}

/// A parcel for no function at all.
pub fn parcel(argument: &[u8]) -> Vec<u8> {
    use remote::function::Offset;
    use remote::parcel::{Header, Parcel, Route};
    let route = Route { runner: Offset::from_raw(7), function: Offset::from_raw(9) };
    Parcel::new(&Header::new(id::FutureId::new(), 1, route), argument).into_bytes()
}

/// The argument in a parcel, or why bytes are none.
pub fn unpack(parcel: &[u8]) -> Result<&[u8], String> {
    remote::parcel::Header::read(parcel).map(|(_, argument)| argument.bytes()).map_err(|bad| bad.to_string())
}
