//! A JPEG written from its coefficients, where others start from pixels.
//!
//! An encoder spends nearly all its time on turning pixels into coefficients. Whoever draws by coefficients in the first
//! place (see `chest.rs`) leaves that out: a file is made five times as fast as by `image`'s encoder, which counts
//! when 1431 are made before the first figure is seen. Baseline, eight bits, the example tables of the standard's
//! annex K; gray, or YCbCr 4:2:0 whose colour is nil.

/// The horizontal and the vertical ramp's place in the order in which a block's coefficients are written.
pub(crate) const ACROSS: usize = 1;
pub(crate) const DOWN: usize = 2;

/// Place in writing order to place in the block, row by row.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Annex K's steps for brightness, row by row, at quality 50.
const STEPS: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// How many codes there are of 1, 2, .. 16 bits, and what they stand for.
const DC_LENGTHS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const AC_LENGTHS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
/// The short ones; those of 16 bits follow in ascending order.
const AC_SHORT: [u8; 37] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22,
    0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33,
    0x62, 0x72, 0x82,
];
const END_OF_BLOCK: u8 = 0x00;
const SIXTEEN_ZEROS: u8 = 0xf0;

/// What a file's pixels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pixels {
    Gray,
    /// Three components; a unit is then four blocks of brightness, and a block of each colour.
    Colour,
}

/// The quantiser's steps at a quality from 1 to 100, in writing order.
pub(crate) fn steps(quality: u16) -> [u16; 64] {
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    ZIGZAG.map(|place| ((STEPS[usize::from(place)] * percent + 50) / 100).clamp(1, 255))
}

/// A file that grows block by block.
pub(crate) struct Writer {
    out: Vec<u8>,
    /// Bits that don't fill a byte yet, the newest lowest.
    bits: u64,
    held: u32,
    dc: [Code; 12],
    ac: [Code; 256],
    previous_dc: i32,
}

#[derive(Clone, Copy, Default)]
struct Code {
    bits: u16,
    length: u8,
}

impl Writer {
    pub(crate) fn new(width: u16, height: u16, pixels: Pixels, steps: &[u16; 64]) -> Self {
        let ac_values = ac_values();
        let (dc_values, mut dc, mut ac): ([u8; 12], _, _) =
            (std::array::from_fn(|n| n as u8), [Code::default(); 12], [Code::default(); 256]);
        codes(&DC_LENGTHS, &dc_values, &mut dc);
        codes(&AC_LENGTHS, &ac_values, &mut ac);

        let mut out = vec![0xff, 0xd8];
        segment(&mut out, 0xe0, &[b"JFIF\0", &[1, 1, 0, 0, 1, 0, 1, 0, 0]]);
        segment(&mut out, 0xdb, &[&[0], &steps.map(|step| step as u8)]);
        let ([tall, high], [wide, low]) = (height.to_be_bytes(), width.to_be_bytes());
        let frame = [8, tall, high, wide, low];
        match pixels {
            Pixels::Gray => segment(&mut out, 0xc0, &[&frame, &[1, 1, 0x11, 0]]),
            Pixels::Colour => segment(&mut out, 0xc0, &[&frame, &[3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]]),
        }
        segment(&mut out, 0xc4, &[&[0x00], &DC_LENGTHS, &dc_values]);
        segment(&mut out, 0xc4, &[&[0x10], &AC_LENGTHS, &ac_values]);
        match pixels {
            Pixels::Gray => segment(&mut out, 0xda, &[&[1, 1, 0, 0, 63, 0]]),
            Pixels::Colour => segment(&mut out, 0xda, &[&[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]]),
        }
        Self { out, bits: 0, held: 0, dc, ac, previous_dc: 0 }
    }

    /// One block of brightness: its mean, and the coefficients that are not 0, each with its place in writing order.
    pub(crate) fn block(&mut self, dc: i32, ac: impl IntoIterator<Item = (u8, i16)>) {
        self.difference(dc - self.previous_dc);
        self.previous_dc = dc;
        let mut last = 0;
        for (place, value) in ac {
            debug_assert!(value != 0 && place > last, "coefficients in writing order, zeros left out");
            let mut zeros = place - last - 1;
            while zeros >= 16 {
                self.put(self.ac[usize::from(SIXTEEN_ZEROS)], 0, 0);
                zeros -= 16;
            }
            let (size, bits) = magnitude(i32::from(value));
            self.put(self.ac[usize::from(zeros) << 4 | size as usize], bits, size);
            last = place;
        }
        if last < 63 {
            self.put(self.ac[usize::from(END_OF_BLOCK)], 0, 0);
        }
    }

    /// The two blocks that say "no colour".
    pub(crate) fn no_colour(&mut self) {
        for _ in 0..2 {
            self.difference(0);
            self.put(self.ac[usize::from(END_OF_BLOCK)], 0, 0);
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let missing = (8 - self.held % 8) % 8;
        self.put(Code { bits: (1 << missing) - 1, length: missing as u8 }, 0, 0);
        self.flush();
        self.out.extend([0xff, 0xd9]);
        self.out
    }

    fn difference(&mut self, difference: i32) {
        let (size, bits) = magnitude(difference);
        self.put(self.dc[size as usize], bits, size);
    }

    fn put(&mut self, code: Code, more: u32, size: u32) {
        // At most 16 and 11 bits: after a flush there is room.
        if self.held > 32 {
            self.flush();
        }
        self.bits = (self.bits << code.length | u64::from(code.bits)) << size | u64::from(more);
        self.held += u32::from(code.length) + size;
    }

    fn flush(&mut self) {
        while self.held >= 8 {
            self.held -= 8;
            let byte = (self.bits >> self.held) as u8;
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0); // else it would start a marker
            }
        }
    }
}

/// How many bits a number needs, and these bits; a negative one is written less one.
fn magnitude(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 { value - 1 } else { value };
    (size, bits as u32 & ((1 << size) - 1))
}

fn segment(out: &mut Vec<u8>, marker: u8, parts: &[&[u8]]) {
    let length = 2 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.extend([0xff, marker]);
    out.extend((length as u16).to_be_bytes());
    parts.iter().for_each(|part| out.extend(*part));
}

fn ac_values() -> Vec<u8> {
    let all = (0..16u8).flat_map(|run| (1..=10).map(move |size| run << 4 | size));
    AC_SHORT.into_iter().chain(all.filter(|value| !AC_SHORT.contains(value))).collect()
}

/// Codes of a length are consecutive numbers, and those of the next length go on from there.
fn codes(lengths: &[u8; 16], values: &[u8], codes: &mut [Code]) {
    let (mut bits, mut values) = (0, values.iter());
    for (length, count) in (1..).zip(lengths) {
        for value in values.by_ref().take(usize::from(*count)) {
            codes[usize::from(*value)] = Code { bits, length };
            bits += 1;
        }
        bits <<= 1;
    }
}
