//! Cases by chance: what the corpus holds, changed, and now and then bytes that nobody wrote. A case is told by its seed
//! and number alone, so that it can be had again.

/// Numbers that look as if by chance: SplitMix64.
pub struct Chance(u64);

impl Chance {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Chance(seed)
    }

    /// The next.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| from[self.below(from.len())])
    }
}

/// No case is longer: what is read here shows its faults early.
const LONGEST: usize = 4096;

/// Case `number` of `seed`, made from `corpus` and `words`.
pub fn case(corpus: &[Vec<u8>], words: &[&str], seed: u64, number: u64) -> Vec<u8> {
    let mut chance = Chance::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut bytes = match chance.below(16) {
        0 => {
            let len = 1 << chance.below(9);
            (0..chance.below(len + 1)).map(|_| chance.number() as u8).collect()
        }
        _ if corpus.is_empty() => Vec::new(),
        _ => corpus[chance.below(corpus.len())].clone(),
    };
    for _ in 0..=chance.below(6) {
        change(&mut bytes, corpus, words, &mut chance);
    }
    bytes.truncate(LONGEST);
    bytes
}

/// Lengths and counts that were thought of by nobody.
const EXTREMES: [u64; 12] =
    [0, 1, 7, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, i64::MAX as u64, u64::MAX - 7, u64::MAX];

/// The same as the codec writes numbers.
const VARINTS: [&[u8]; 6] = [
    &[0x7f],
    &[0x80, 0x80, 0x04],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff; 11],
];

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str], chance: &mut Chance) {
    let len = bytes.len();
    if len == 0 {
        return bytes.extend(chance.number().to_le_bytes());
    }
    let at = chance.below(len);
    let span = at..(at + 1 + chance.below(16)).min(len);
    match chance.below(14) {
        0 | 1 => bytes[at] ^= 1 << chance.below(8),
        2 => bytes[at] = chance.number() as u8,
        3 => bytes[at] = bytes[at].wrapping_add(if chance.below(2) == 0 { 1 } else { 255 }),
        4 | 5 => {
            // Small, so that it may be near what is there; or extreme.
            let near = (len as u64).wrapping_add(chance.below(5) as u64).wrapping_sub(2);
            let value = if chance.below(4) == 0 { near } else { EXTREMES[chance.below(EXTREMES.len())] };
            let value = value.to_le_bytes();
            let width = [1, 4, 8][chance.below(3)].min(len - at);
            bytes[at..at + width].copy_from_slice(&value[..width]);
        }
        6 => drop(bytes.drain(span)),
        7 => bytes.truncate(at),
        8 => {
            let again = bytes[span].to_vec();
            bytes.splice(at..at, again);
        }
        9 => {
            let new: Vec<u8> = (0..1 + chance.below(8)).map(|_| chance.number() as u8).collect();
            bytes.splice(at..at, new);
        }
        10 => {
            // The beginning of this one and the end of another.
            if !corpus.is_empty() {
                let other = &corpus[chance.below(corpus.len())];
                let from = chance.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        11 => {
            let number = VARINTS[chance.below(VARINTS.len())];
            bytes.splice(at..at + 1, number.iter().copied());
        }
        12 => {
            let one = chance.below(len);
            bytes.swap(at, one);
        }
        _ => match chance.pick(words) {
            Some(word) if chance.below(2) == 0 => drop(bytes.splice(span, word.bytes())),
            Some(word) => drop(bytes.splice(at..at, word.bytes())),
            None => bytes[at] = !bytes[at],
        },
    }
}
