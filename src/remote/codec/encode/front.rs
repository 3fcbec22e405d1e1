//! [`Front`]: the first scalars of a long run, which are written to the plane while the others are still to come.
//!
//! So a long run is never whole in the buffer, and is copied once, part by part, out of memory that the processor has near.
//! What doesn't turn out as long as it was said, or ends with something that is no scalar of its kind, is fetched back, as if
//! it had never been there.

use super::{Encoder, LEAST_APART, tag, width, write_varint};
use crate::remote::codec::wire::is_bulk;

/// So much is collected before it goes there.
const PART: usize = 16 << 10;

/// Longer runs whose length nobody said are written where they are: the buffer that holds them is no longer one that is
/// kept for the next value, and fresh memory for each costs more than the way through the socket.
const MOST_AT_ONCE: usize = 512 << 10;

/// Room in the plane, and how much of it is filled.
pub(super) struct Front {
    number: u64,
    held: usize,
    written: usize,
}

impl Encoder {
    /// Some more of the run is in the buffer, which is to have `whole` bytes in the end; zero if it stays in the buffer.
    #[inline]
    pub(super) fn move_front(&mut self, whole: &mut usize) {
        if *whole > 0 && self.run_len() >= PART && !self.move_part(*whole) {
            *whole = 0;
        }
    }

    #[inline(never)]
    fn move_part(&mut self, whole: usize) -> bool {
        if self.run.apart.is_none() {
            let Some(number) = self.apart.hold(whole) else {
                self.reserve(whole - self.run_len().min(whole));
                return false;
            };
            self.run.apart = Some(Front { number, held: whole, written: 0 });
        }
        let (from, len) = (self.run.kind_at + 1, self.run_len());
        let Some(front) = &mut self.run.apart else { return false };
        if len > front.held - front.written {
            return false;
        }
        self.apart.write(front.number, front.written, &self.out[from..]);
        front.written += len;
        self.out.truncate(from);
        true
    }

    /// Has all of the run in the buffer again.
    #[inline(never)]
    pub(super) fn fetch_front(&mut self) {
        let Some(front) = self.run.apart.take() else { return };
        let from = self.run.kind_at + 1;
        match self.apart.read_back(front.number, front.written, front.held) {
            Some(bytes) => drop(self.out.splice(from..from, bytes)),
            None => self.lost = true,
        }
    }

    /// The sequence is at its end: puts the run into the plane, if it may lie there and there is room. Else it is in the
    /// buffer, and this says of how many elements.
    #[inline(never)]
    pub(super) fn finish_run(&mut self) -> Option<usize> {
        let (from, len) = (self.run.kind_at + 1, self.run_len());
        let lies = match self.run.apart.take() {
            Some(front) if front.written + len == front.held => {
                self.apart.write(front.number, front.written, &self.out[from..]);
                Some((front.number, front.held))
            }
            None if is_bulk(self.run.kind) && (LEAST_APART..=MOST_AT_ONCE).contains(&len) => {
                self.apart.put(&self.out[from..]).map(|number| (number, len))
            }
            other => {
                self.run.apart = other;
                self.fetch_front();
                None
            }
        };
        let Some((number, len)) = lies else { return Some(self.run_count()) };
        let kind = std::mem::take(&mut self.run.kind);
        self.out.truncate(self.run.tag_at);
        self.out.push(tag::APART_RUN);
        write_varint(len / width(kind).unwrap_or(1), &mut self.out);
        self.out.push(kind);
        write_varint(number as usize, &mut self.out);
        None
    }
}
