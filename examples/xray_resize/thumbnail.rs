//! The task: one file in, a thumbnail of it out.

use std::{
    fs,
    io::{self, Cursor},
    path::PathBuf,
    process, thread,
};

use image::{ImageFormat, ImageReader};
use serde::{Deserialize, Serialize};

/// What a worker is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) path: PathBuf,
    /// The thumbnail's width and height, both.
    pub(crate) size: u32,
    /// End this process instead, as a fault in a decoder would: to see what that costs.
    pub(crate) crash: bool,
}

/// What it hands back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Thumbnail {
    pub(crate) name: String,
    /// Who made it.
    pub(crate) pid: u32,
    pub(crate) thread: String,
    /// Gray, row by row. As `serde_bytes` they cross to the parent in one piece instead of one by one.
    #[serde(with = "serde_bytes")]
    pub(crate) pixels: Vec<u8>,
}

/// Why there is no thumbnail of a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    #[error("can't be decoded: {0}")]
    Decode(#[from] image::ImageError),
    #[error("is cut off: a JPEG without its end")]
    CutOff,
    #[error("can't be resized: {0}")]
    Resize(String),
}

/// Reads, decodes and resizes one file. It runs on whatever thread or process the executor gives it.
pub(crate) fn image_resize(order: Order) -> Result<Thumbnail, ImageError> {
    if order.crash {
        process::abort();
    }
    let bytes = fs::read(&order.path)?;
    let mut reader = ImageReader::new(Cursor::new(&bytes));
    // What it is, its first bytes say; of those formats that have no mark there, the name.
    if let Ok(format) = ImageFormat::from_path(&order.path) {
        reader.set_format(format);
    }
    let reader = reader.with_guessed_format()?;
    let format = reader.format();
    let decoded = reader.decode()?;
    if format == Some(ImageFormat::Jpeg) && !is_whole(&bytes) {
        return Err(ImageError::CutOff);
    }
    let gray = decoded.into_luma8();
    let pixels = xray_pixels::resize(gray.as_raw(), gray.dimensions(), order.size)
        .map_err(|error| ImageError::Resize(error.to_string()))?;
    let name = order.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let thread = thread::current().name().unwrap_or_default().to_owned();
    Ok(Thumbnail { name, pid: process::id(), thread, pixels })
}

/// The decoder fills up with gray what is missing. A whole file has the mark of its end after that of its last scan; a
/// preview inside the file has marks of its own, before.
fn is_whole(jpeg: &[u8]) -> bool {
    let marks = jpeg.windows(2).rev().find(|pair| matches!(pair, [0xff, 0xd9 | 0xda]));
    marks == Some(&[0xff, 0xd9])
}
