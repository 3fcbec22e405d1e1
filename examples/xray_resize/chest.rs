//! Made-up chest X-rays: one picture for each number, always the same, in the likeness of a published set.
//!
//! Kermany, Zhang and Goldbaum's chest X-ray images: 1328 x 971 pixels on average, some 210 KB a file, 1.0 to 1.2 bits
//! a pixel, nearly all gray. What matters for the case is that the files are as hard to decode as those; what they
//! show is only meant to be recognised in a contact sheet.
//!
//! Drawn in blocks of 8 x 8 pixels, the cells of a JPEG: a block's mean and slope come from the anatomy, its grain from
//! a few hundred blocks of noise made beforehand.

use crate::jpeg::{self, ACROSS, DOWN, Pixels};

/// More blocks of noise than the eye can find again.
const GRAINS: usize = 512;
/// A ramp of one gray level a pixel, as a coefficient.
const RAMP: f32 = -18.22;

/// The file of one number: the same bytes whoever makes it, in whatever order.
pub(crate) fn draw(seed: u64, index: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed, index);
    let width = dice.normal(7.1559, 0.2663).exp().clamp(384.0, 2916.0); // lognormal: mean 1328, deviation 360
    let height = width / dice.normal(1.44, 0.2).clamp(1.0, 3.0);
    let pixels = if dice.uniform(0.0, 1.0) < 0.05 { Pixels::Colour } else { Pixels::Gray };
    let steps = jpeg::steps(90 + (dice.next() % 4) as u16);
    let grains = grains(&mut dice, &steps);
    let chest = Chest::new(&mut dice);
    let (width, height) = (width as u16, height as u16);

    // A colour file's cells come by four, so its picture is filled up to 16 pixels.
    let (columns, rows) = match pixels {
        Pixels::Gray => (usize::from(width).div_ceil(8), usize::from(height).div_ceil(8)),
        Pixels::Colour => (usize::from(width).div_ceil(16) * 2, usize::from(height).div_ceil(16) * 2),
    };
    let field = chest.field(columns + 2, rows + 2);
    let mut file = jpeg::Writer::new(width, height, pixels, &steps);
    let mut block = |column: usize, row: usize, file: &mut jpeg::Writer| {
        let at = (row + 1) * (columns + 2) + column + 1;
        let slope = |from: usize, to: usize| (field[to] - field[from]) / 16.0 * RAMP;
        let quantised = |value: f32, place: usize| (value / f32::from(steps[place])).round() as i16;
        let grain = &grains[dice.next() as usize % GRAINS];
        let across = quantised(slope(at - 1, at + 1) + grain.across, ACROSS);
        let down = quantised(slope(at - columns - 2, at + columns + 2) + grain.down, DOWN);
        let slopes =
            [(ACROSS as u8, across), (DOWN as u8, down)].into_iter().filter(|(_, value)| *value != 0);
        file.block(quantised(8.0 * (field[at] - 128.0), 0).into(), slopes.chain(grain.fine.iter().copied()));
    };
    match pixels {
        Pixels::Gray => {
            for row in 0..rows {
                (0..columns).for_each(|column| block(column, row, &mut file));
            }
        }
        Pixels::Colour => {
            for row in (0..rows).step_by(2) {
                for column in (0..columns).step_by(2) {
                    for (right, below) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        block(column + right, row + below, &mut file);
                    }
                    file.no_colour();
                }
            }
        }
    }
    file.finish()
}

/// The noise of one block: of its slopes, and what is left of the rest once it is quantised.
struct Grain {
    across: f32,
    down: f32,
    fine: Vec<(u8, i16)>,
}

fn grains(dice: &mut Dice, steps: &[u16; 64]) -> Vec<Grain> {
    // In proportion to the finest steps, so that each quality gives about as many bits a pixel.
    let deviation = f64::from(steps[ACROSS]) * dice.uniform(1.08, 1.22);
    let mut grain = || {
        let mut noise = || dice.normal(0.0, deviation) as f32;
        let (across, down) = (noise(), noise());
        let fine = (DOWN + 1..64)
            .map(|place| (place as u8, (noise() / f32::from(steps[place])).round() as i16))
            .filter(|(_, value)| *value != 0)
            .collect();
        Grain { across, down, fine }
    };
    (0..GRAINS).map(|_| grain()).collect()
}

/// One patient. Lengths are in halves of the picture: -1 is its left or upper edge, 1 the right or lower.
struct Chest {
    middle: f32,
    exposure: f32,
    lung: (f32, f32),
    depth: f32,
    heart: (f32, f32),
    ribs: f32,
    phase: f32,
    bow: f32,
}

impl Chest {
    fn new(dice: &mut Dice) -> Self {
        let mut pick = |from: f64, to: f64| dice.uniform(from, to) as f32;
        Self {
            middle: pick(-0.06, 0.06),
            exposure: pick(-18.0, 22.0),
            lung: (pick(0.31, 0.39), pick(0.68, 0.84)),
            depth: pick(80.0, 112.0),
            heart: (pick(0.26, 0.36), pick(0.3, 0.4)),
            ribs: pick(5.5, 7.5),
            phase: pick(0.0, 1.0),
            bow: pick(1.2, 2.0),
        }
    }

    /// The gray level of each cell, with one more cell on each side.
    fn field(&self, columns: usize, rows: usize) -> Vec<f32> {
        let place = |n: usize, of: usize| (n as f32 - 0.5) / (of as f32 - 2.0) * 2.0 - 1.0;
        let mut field = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            let y = place(row, rows);
            field.extend((0..columns).map(|column| self.level(place(column, columns) - self.middle, y)));
        }
        field
    }

    fn level(&self, x: f32, y: f32) -> f32 {
        let aside = x.abs();
        // The body: shoulders above, arms at the sides, air around them.
        let body = soft(1.12 - aside - 0.32 * square((-y - 0.35).max(0.0)) * 3.0, 0.16);
        let spine = soft(0.12 - aside, 0.09) * (0.8 + 0.2 * wave(y * 7.0 + self.phase));
        let (heart_x, heart_y) = ((x - 0.12) / self.heart.0, (y - 0.3) / self.heart.1);
        let heart = soft(1.0 - square(heart_x) - square(heart_y), 0.7);
        let belly = soft(y - 0.58 + 0.35 * square(aside - 0.45), 0.16);

        // The lungs are dark, for air lets the rays through; whatever else lies there is in front of them.
        let (lung_x, lung_y) = ((aside - 0.46) / self.lung.0, (y + 0.08) / self.lung.1);
        let taper = 1.0 + 0.25 * lung_y; // narrower above
        let lung = soft(1.0 - square(lung_x / taper) - square(lung_y), 0.45) * (1.0 - 0.75 * heart);
        let rib = wave((y + self.bow * 0.5 * square(aside - 0.2)) * self.ribs + self.phase);
        let collarbone = soft(0.045 - (y + 0.66 - 0.22 * aside).abs(), 0.03) * soft(aside - 0.08, 0.06);

        let tissue = 150.0 + self.exposure + 28.0 * spine + 24.0 * heart + 22.0 * belly + 16.0 * collarbone;
        let air = self.depth * lung * (1.0 - belly) * (1.0 - 0.3 * rib);
        (14.0 + body * (tissue - 14.0 - air + 5.0 * rib)).clamp(2.0, 252.0)
    }
}

/// 0 below 0, 1 above the width, smooth between.
fn soft(x: f32, width: f32) -> f32 {
    let t = (x / width).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Goes from 0 to 1 and back in each unit of x, much like a sine: plain arithmetic is alike on all machines.
fn wave(x: f32) -> f32 {
    let t = 2.0 * (x - x.floor()) - 1.0;
    square(1.0 - t * t)
}

fn square(x: f32) -> f32 {
    x * x
}

/// Numbers that look like chance and depend on the seed and the index alone (splitmix64).
struct Dice(u64);

impl Dice {
    fn new(seed: u64, index: u64) -> Self {
        let mut dice = Self(seed);
        Self(dice.next() ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }

    fn uniform(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Near enough to the bell: the sum of twelve.
    fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: u64 =
            (0..3).map(|_| self.next()).map(|x| (0..4).map(|n| x >> (16 * n) & 0xffff).sum::<u64>()).sum();
        mean + deviation * ((sum as f64 + 6.0) / 65536.0 - 6.0)
    }
}
