//! The drawn X-rays: the same whoever draws them, as hard to decode as the published ones, and true JPEGs.

use concurrent_futures::prelude::*;
use image::{ColorType, DynamicImage};

use crate::{
    chest,
    jpeg::{self, Pixels, Writer},
    within,
};

const SEED: u64 = 1;

fn draw(index: u64) -> Vec<u8> {
    chest::draw(SEED, index)
}

fn decode(file: &[u8]) -> DynamicImage {
    image::load_from_memory(file).expect("a JPEG")
}

#[test]
fn a_drawing_depends_on_its_seed_and_number_alone() {
    within(60, || {
        let forwards: Vec<_> = (1..=4).map(draw).collect();
        let pool = ThreadPoolExecutor::new(2);
        let backwards: Vec<_> = pool.map(draw, (1..=4).rev()).map(|file| file.expect("a file")).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
        assert!(forwards[0] != forwards[1] && forwards[0] != chest::draw(2, 1));
    });
}

#[test]
fn drawings_are_like_the_published_set() {
    within(120, || {
        let files: Vec<_> = (1..=200).map(draw).collect();
        let pictures: Vec<_> = files.iter().map(|file| decode(file)).collect();
        let mean = |values: &dyn Fn(&DynamicImage) -> u32| {
            pictures.iter().map(|picture| f64::from(values(picture))).sum::<f64>() / 200.0
        };
        // Four times the error of a mean of 200.
        assert!((mean(&DynamicImage::width) - 1328.0).abs() < 100.0, "{}", mean(&DynamicImage::width));
        assert!((mean(&DynamicImage::height) - 940.0).abs() < 100.0, "{}", mean(&DynamicImage::height));
        let pixels = mean(&|picture| picture.width() * picture.height()) * 200.0;
        let bits = files.iter().map(Vec::len).sum::<usize>() as f64 * 8.0;
        assert!((1.0..1.2).contains(&(bits / pixels)), "{} bits a pixel", bits / pixels);
        let colour = pictures.iter().filter(|picture| picture.color() == ColorType::Rgb8).count();
        assert!((2..=25).contains(&colour), "{colour} of 200 are RGB");
        for picture in &pictures {
            let (width, height) = (picture.width(), picture.height());
            assert!((384..=2916).contains(&width) && width >= height && height >= width / 3);
        }
    });
}

#[test]
fn a_drawing_shows_dark_lungs_beside_a_bright_spine() {
    within(60, || {
        for index in 1..=10 {
            let picture = decode(&draw(index)).into_luma8();
            let at = |x: f32, y: f32| {
                let (x, y) = (x * picture.width() as f32, y * picture.height() as f32);
                let patch = (0..400).map(|n| (x as u32 + n % 20, y as u32 + n / 20));
                patch.map(|(x, y)| f32::from(picture.get_pixel(x, y).0[0])).sum::<f32>() / 400.0
            };
            let (left, spine, right) = (at(0.27, 0.4), at(0.5, 0.4), at(0.73, 0.35));
            assert!(left + 40.0 < spine && right + 40.0 < spine, "{index}: {left} {spine} {right}");
        }
    });
}

/// A ramp down and a ramp across, in a gray and in a colour file: what is decoded is what was written.
#[test]
fn what_is_written_is_what_is_decoded() {
    within(60, || {
        let steps = jpeg::steps(100);
        for (pixels, blocks_a_unit) in [(Pixels::Gray, 1), (Pixels::Colour, 4)] {
            let mut file = Writer::new(16, 16, pixels, &steps);
            for block in 0..4 {
                file.block(8 * (10 * block - 28), [(jpeg::ACROSS as u8, -73)]); // 4 levels a pixel
                if block % blocks_a_unit == blocks_a_unit - 1 && pixels == Pixels::Colour {
                    file.no_colour();
                }
            }
            let picture = decode(&file.finish()).into_luma8();
            for (x, y, pixel) in picture.enumerate_pixels() {
                let block = x / 8 + y / 8 * 2;
                let expected = 100.0 + 10.0 * block as f32 + 4.0 * (x as f32 % 8.0 - 3.5);
                let found = f32::from(pixel.0[0]);
                assert!((found - expected).abs() <= 3.0, "{pixels:?} {x},{y}: {found}, not {expected}");
            }
        }
    });
}

/// Long runs of zeros, the last coefficient, values of many bits: the odd corners of the code.
#[test]
fn coefficients_far_apart_survive() {
    within(60, || {
        let steps = jpeg::steps(100);
        let mut file = Writer::new(8, 8, Pixels::Gray, &steps);
        file.block(0, [(20, 300), (63, -200)]);
        let one = decode(&file.finish()).into_luma8();
        let mut file = Writer::new(8, 8, Pixels::Gray, &steps);
        file.block(0, [(20, 300)]);
        let other = decode(&file.finish()).into_luma8();
        let difference = |x, y| i32::from(one.get_pixel(x, y).0[0]) - i32::from(other.get_pixel(x, y).0[0]);
        // The last coefficient is a chequerboard, strongest in the middle.
        assert!(difference(3, 3) < -20 && difference(4, 3) > 20, "{} {}", difference(3, 3), difference(4, 3));
    });
}
