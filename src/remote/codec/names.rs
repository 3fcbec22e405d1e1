//! The names of fields and variants that a message has spelled: each is written once, later it is a number.

use super::wire::write_varint;

/// More than one message usually has; a name that finds its place taken is looked for among all.
const PLACES: usize = 64;

pub(super) struct Names {
    known: Vec<&'static str>,
    /// By a name's address, the number it has, plus one. Only a hint.
    places: [u32; PLACES],
}

impl Names {
    pub(super) fn new() -> Self {
        Names { known: Vec::new(), places: [0; PLACES] }
    }

    #[inline]
    pub(super) fn write(&mut self, name: &'static str, out: &mut Vec<u8>) {
        let place = place(name);
        match (self.places[place] as usize).checked_sub(1) {
            // The same address and length: no need to look at the letters.
            Some(number) if std::ptr::eq(self.known[number], name) => write_varint(number, out),
            _ => self.write_other(name, place, out),
        }
    }

    #[inline(never)]
    fn write_other(&mut self, name: &'static str, place: usize, out: &mut Vec<u8>) {
        let found = self.known.iter().position(|known| *known == name);
        let number = found.unwrap_or(self.known.len());
        write_varint(number, out);
        if found.is_none() {
            self.known.push(name);
            write_varint(name.len(), out);
            out.extend_from_slice(name.as_bytes());
        }
        // The address that was seen last: the same name may stand in the program twice.
        self.known[number] = name;
        self.places[place] = u32::try_from(number + 1).unwrap_or(0);
    }
}

#[inline]
fn place(name: &str) -> usize {
    let mixed = (name.as_ptr().addr() as u64 ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - PLACES.ilog2())) as usize
}
