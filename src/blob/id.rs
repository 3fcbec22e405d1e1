//! [`BlobId`]: names a blob in every process that has it.

use crate::sync::plain::{AtomicU64, Ordering};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::LazyLock;

/// 128 bits that nobody can guess.
///
/// *Not a hash of the content*: that would be the slowest step of all (a cryptographic one reads half a gigabyte a second), and a
/// pool on this machine gains nothing by it. Where content names a blob, in a store that several machines share, whoever puts it there
/// computes the hash, once a blob.
///
/// *Unguessable*, because it is all that stands for a blob inside a value: what a program decodes from text of a stranger's, inside a
/// task, must not name another task's blob by chance or by design.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlobId(pub(crate) u64, pub(crate) u64);

impl BlobId {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn new() -> Self {
        // The standard library seeds each from the system's randomness.
        static SECRETS: LazyLock<[RandomState; 2]> =
            LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // A fork has the same secrets and the same count.
        let name = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let [one, other] = &*SECRETS;
        BlobId(one.hash_one(name), other.hash_one(name))
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes[8..].copy_from_slice(&self.1.to_le_bytes());
        bytes
    }

    /// The id that `bytes` begin with, and what follows it.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (one, rest) = bytes.split_first_chunk()?;
        let (other, rest) = rest.split_first_chunk()?;
        Some((BlobId(u64::from_le_bytes(*one), u64::from_le_bytes(*other)), rest))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::BlobId;

    #[test]
    fn there_and_back_and_never_twice() {
        let (one, other) = (BlobId::new(), BlobId::new());
        assert_ne!(one, other);
        let bytes = [&one.to_bytes()[..], b"rest"].concat();
        assert_eq!(BlobId::read(&bytes), Some((one, &b"rest"[..])));
        assert_eq!(BlobId::read(&bytes[..15]), None);
    }
}
