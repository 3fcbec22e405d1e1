//! The task of examples that make thumbnails in memory: a picture's file in, the file of a small one out.

use std::error::Error;

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// 64 by 64 pixels, gray, as PNG. Keeps a core busy for some milliseconds.
pub(crate) fn small(file: &[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    const SIZE: u32 = 64;
    let picture = image::load_from_memory(file)?.into_luma8();
    let pixels = xray_pixels::resize(picture.as_raw(), picture.dimensions(), SIZE)?;
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(&pixels, SIZE, SIZE, ExtendedColorType::L8)?;
    Ok(bytes)
}
