//! The inner loops of the example: a picture made gray, and a gray one made small.
//!
//! A crate of its own, because the code of fast_image_resize is generic and so is compiled by whoever calls it. In the
//! example that would be with an example's light optimisation, three times slower for each image; and anew for
//! its tests and its benchmark.

use std::error::Error;

use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8,
};

/// The brightness of each pixel of a picture in red, green and blue: ITU-R BT.601 in 65 536ths, rounded, as Pillow's
/// `convert("L")` has it. A gray pixel stays what it is.
pub fn gray(rgb: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let brightness = |[red, green, blue]: [u8; 3]| {
        (19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000) >> 16
    };
    pixels.iter().map(|pixel| brightness(*pixel) as u8).collect()
}

/// A square of `size` by `size` pixels, row by row, of a picture of `width` by `height`.
///
/// Pillow's default, BICUBIC: a cubic filter with a = -0.5, widened by the scale, so that each pixel of the picture
/// counts. `image` has the same filter; fast_image_resize took a twentieth of its time.
///
/// # Errors
///
/// When there are fewer pixels than width and height say.
pub fn resize(
    gray: &[u8],
    (width, height): (u32, u32),
    size: u32,
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    // Typed: else the code for all kinds of pixels would be compiled, which takes minutes.
    let picture = TypedImageRef::<U8>::from_buffer(width, height, gray)?;
    let mut pixels = vec![0; (size * size) as usize];
    let mut thumbnail = TypedImage::<U8>::from_buffer(size, size, &mut pixels)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize_typed(&picture, &mut thumbnail, &options)?;
    Ok(pixels)
}
