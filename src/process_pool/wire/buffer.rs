//! [`PooledBuffer`]: the memory of large payloads, kept from one to the next. Fresh memory costs more, page by page, than
//! what is done with it.

use crate::sync::plain::Mutex;

/// Empties a buffer, and keeps its memory only if that is small or was mostly used: where large frames come one after the
/// other, fresh memory for each would cost more than the copying. Never more than 32 MiB.
pub(crate) fn reuse(buffer: &mut Vec<u8>) {
    const SMALL: usize = 1 << 20;
    const MOST: usize = 32 << 20;
    let (used, room) = (buffer.len(), buffer.capacity());
    if room > MOST || (room > SMALL && used < room / 4) {
        *buffer = Vec::new();
    }
    buffer.clear();
}

/// A large argument's bytes. When the last frame and the last task that need them are gone, their memory is kept for
/// the next large argument of the process: fresh memory costs more than the encoding.
pub(crate) struct PooledBuffer(Vec<u8>);

impl PooledBuffer {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        PooledBuffer(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Memory for the next one, or none.
    pub(crate) fn spare() -> Vec<u8> {
        std::mem::take(&mut *SPARE.lock())
    }

    pub(crate) fn keep(mut room: Vec<u8>) {
        reuse(&mut room);
        let mut spare = SPARE.lock();
        if room.capacity() > spare.capacity() {
            std::mem::swap(&mut *spare, &mut room);
        }
        drop(spare);
    }

    /// Frees what is kept.
    pub(crate) fn release() {
        drop(PooledBuffer::spare());
    }
}

/// One, of at most 32 MiB.
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        PooledBuffer::keep(std::mem::take(&mut self.0));
    }
}
