//! A picture millions of pixels wide or high. The same two passes, with next to no memory: no weight is kept, and of what
//! is between the passes only a part is there at a time.

use std::error::Error;

/// So many bytes are between the passes.
const BETWEEN: usize = 16 << 20;

pub(crate) fn resize(
    gray: &[u8],
    (width, height): (usize, usize),
    size: usize,
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    if gray.len() < width * height {
        return Err(format!("{} pixels are fewer than {width} by {height}", gray.len()).into());
    }
    // A column alone gives the same for each column of the thumbnail.
    let columns = if width == 1 { 1 } else { size };
    let across: Vec<Window> = (0..columns).map(|column| Window::new(width, columns, column)).collect();
    let down: Vec<Window> = (0..size).map(|row| Window::new(height, size, row)).collect();
    let rows_at_once = (BETWEEN / columns).clamp(1, height);
    let mut between = vec![0; columns * rows_at_once];
    let mut sums = vec![0.0; columns * size];
    let mut weights = vec![0.0; size];
    for (part, rows) in gray[..width * height].chunks(rows_at_once * width).enumerate() {
        if width > NARROW {
            along_wide(rows, width, &across, &mut between);
        } else {
            along_narrow(rows, width, &across, &mut between);
        }
        let (first, end) = (part * rows_at_once, part * rows_at_once + rows.len() / width);
        for ((window, weights), sums) in down.iter().zip(&mut weights).zip(sums.chunks_exact_mut(columns)) {
            for place in window.first.max(first)..window.end.min(end) {
                let weight = window.weight(place);
                *weights += weight;
                for (sum, level) in sums.iter_mut().zip(&between[(place - first) * columns..]) {
                    *sum += weight * f64::from(*level);
                }
            }
        }
    }
    let rows = sums.chunks_exact(columns).zip(weights);
    let pixels = rows.flat_map(|(sums, weights)| sums.iter().map(move |sum| level(*sum, weights)));
    Ok(pixels.flat_map(|level| std::iter::repeat_n(level, size / columns)).collect())
}

/// Of a row of at most so many pixels all weights are kept.
const NARROW: usize = 1 << 14;
/// And of a longer one so many at a time.
const WEIGHTS: usize = 1024;

/// Few rows: each weight is reckoned once, and used for all of them.
fn along_wide(rows: &[u8], width: usize, across: &[Window], between: &mut [u8]) {
    let mut sums = vec![0.0; rows.len() / width];
    for (column, window) in across.iter().enumerate() {
        sums.fill(0.0);
        let mut all = 0.0;
        for first in (window.first..window.end).step_by(WEIGHTS) {
            let weights = window.weights(first, window.end.min(first + WEIGHTS));
            all += weights.iter().sum::<f64>();
            for (sum, pixels) in sums.iter_mut().zip(rows.chunks_exact(width)) {
                *sum += dot(&pixels[first..], &weights);
            }
        }
        for (row, sum) in sums.iter().enumerate() {
            between[row * across.len() + column] = level(*sum, all);
        }
    }
}

fn along_narrow(rows: &[u8], width: usize, across: &[Window], between: &mut [u8]) {
    let windows: Vec<_> = across
        .iter()
        .map(|window| {
            let weights = window.weights(window.first, window.end);
            (window.first, weights.iter().sum::<f64>(), weights)
        })
        .collect();
    for (pixels, between) in rows.chunks_exact(width).zip(between.chunks_exact_mut(across.len())) {
        for ((first, all, weights), between) in windows.iter().zip(between) {
            *between = level(dot(&pixels[*first..], weights), *all);
        }
    }
}

fn dot(pixels: &[u8], weights: &[f64]) -> f64 {
    pixels.iter().zip(weights).map(|(pixel, weight)| f64::from(*pixel) * weight).sum()
}

fn level(sum: f64, weights: f64) -> u8 {
    // A half is rounded up, and what is out of reach becomes the nearest level.
    (sum / weights + 0.5) as u8
}

/// Which pixels count for one of the thumbnail, and for how much, as Pillow has it.
struct Window {
    first: usize,
    end: usize,
    centre: f64,
    per_pixel: f64,
}

impl Window {
    fn new(from: usize, to: usize, place: usize) -> Self {
        let ratio = from as f64 / to as f64;
        let (centre, scale) = ((place as f64 + 0.5) * ratio, ratio.max(1.0));
        let reach = 2.0 * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        Self { first, end, centre, per_pixel: 1.0 / scale }
    }

    fn weights(&self, first: usize, end: usize) -> Vec<f64> {
        (first..end).map(|place| self.weight(place)).collect()
    }

    /// Bicubic, a = -0.5.
    fn weight(&self, place: usize) -> f64 {
        let x = ((place as f64 - self.centre + 0.5) * self.per_pixel).abs();
        let (near, far) = ((1.5 * x - 2.5) * x * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0);
        if x < 1.0 {
            near
        } else if x < 2.0 {
            far
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::resize;

    /// On a picture of a common shape, where the other way is right.
    #[test]
    fn both_ways_give_the_same() {
        for (width, height, size) in [(300, 200, 64), (5000, 7, 64), (20, 900, 64), (1, 500, 32), (65, 1, 64)]
        {
            let picture: Vec<u8> = (0..width * height).map(|n| (n * n / 7 % 251) as u8).collect();
            let one = resize(&picture, (width, height), size).expect("a thumbnail");
            let other =
                crate::resize(&picture, (width as u32, height as u32), size as u32).expect("a thumbnail");
            let most = one.iter().zip(&other).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(one.len() == other.len() && most <= Some(2), "{width} x {height}: {most:?}");
        }
        assert!(resize(&[0; 9], (5, 2), 4).is_err());
    }
}
