//! [`LastWords`]: what a worker under `panic = "abort"` leaves behind, the panic that ended it.

use crate::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Room for them, in bytes.
pub(crate) const LAST_WORDS: usize = 16 << 10;

/// One outcome, encoded.
#[repr(C, align(64))]
pub(crate) struct LastWords {
    /// Bytes of `text`, and 1 more; 0 while there are none.
    len: AtomicU32,
    text: [AtomicU8; LAST_WORDS],
}

impl LastWords {
    /// Worker: leaves `text`, cut to what there is room for.
    pub(crate) fn leave(&self, text: &[u8]) {
        let len = text.len().min(LAST_WORDS);
        for (place, byte) in self.text.iter().zip(&text[..len]) {
            place.store(*byte, Ordering::Relaxed);
        }
        // ORDERING: Release pairs with `read`: a reader that sees the length sees the text. The worker's death, which the
        // kernel reports, orders both as well.
        self.len.store(len as u32 + 1, Ordering::Release);
    }

    /// Parent: reads them, after the death.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        // ORDERING: Acquire pairs with `leave`.
        let len = self.len.load(Ordering::Acquire).checked_sub(1)? as usize;
        Some(self.text.iter().take(len).map(|byte| byte.load(Ordering::Relaxed)).collect())
    }
}
