//! The inner loops of the example: a picture made gray, and a gray one made small.
//!
//! A crate of its own, because the code of fast_image_resize is generic and so is compiled by whoever calls it. In the
//! example that would be with an example's light optimisation, three times slower for each image; and anew for
//! its tests and its benchmark.

mod extreme;

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
    pixels.iter().map(|pixel| brightness(*pixel)).collect()
}

/// Likewise of a picture that has an opacity too, which doesn't count.
pub fn gray_of_rgba(rgba: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgba.as_chunks::<4>();
    pixels.iter().map(|[red, green, blue, _]| brightness([*red, *green, *blue])).collect()
}

fn brightness([red, green, blue]: [u8; 3]) -> u8 {
    ((19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000) >> 16) as u8
}

/// The fast way keeps 32 bytes for each column and each row,
const EXTREME: u32 = 1 << 18;
/// and as many bytes between its passes as the picture is high and the thumbnail wide. Beyond this, the frugal way is taken.
const LARGEST_BETWEEN: usize = 16 << 20;

/// A square of `size` by `size` pixels, row by row, of a picture of `width` by `height`.
///
/// Pillow's default, BICUBIC: a cubic filter with a = -0.5, widened by the scale, so that each pixel of the picture
/// counts. And its order, first along the rows and then along the columns with whole levels between: the other way round,
/// which fast_image_resize would take, lines and edges come out up to 30 levels apart. `image` has the same filter;
/// fast_image_resize took a tenth of its time.
///
/// # Errors
///
/// When there are none, or fewer than width and height say.
pub fn resize(
    gray: &[u8],
    (width, height): (u32, u32),
    size: u32,
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    if width == 0 || height == 0 {
        return Err("it has no pixels".into());
    }
    if width.max(height) > EXTREME || height as usize * size as usize > LARGEST_BETWEEN {
        return extreme::resize(gray, (width as usize, height as usize), size as usize);
    }
    let narrow = pass(gray, (width, height), (size, height))?;
    pass(&narrow, (size, height), (size, size))
}

/// One of the two passes: along the rows or along the columns.
fn pass(
    gray: &[u8],
    (width, height): (u32, u32),
    (to_width, to_height): (u32, u32),
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    // Typed: else the code for all kinds of pixels would be compiled, which takes minutes.
    let picture = TypedImageRef::<U8>::from_buffer(width, height, gray)?;
    let mut pixels = vec![0; to_width as usize * to_height as usize];
    let mut smaller = TypedImage::<U8>::from_buffer(to_width, to_height, &mut pixels)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize_typed(&picture, &mut smaller, &options)?;
    Ok(pixels)
}
