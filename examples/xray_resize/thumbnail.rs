//! The task: one file in, a thumbnail of it out.

use std::{
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    process, thread,
};

use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use serde::{Deserialize, Serialize};

/// A larger file is not read.
pub(crate) const MOST_BYTES: u64 = 256 << 20;
/// A picture that takes more when it is decoded is refused by what its header says. The decoder of a progressive JPEG needs
/// twice as much once more; with the file, a task then has about a gigabyte.
const MOST_DECODED: u64 = 256 << 20;

/// What a worker is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    #[serde(with = "any_path")]
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
    let bytes = read(&order.path)?;
    let mut reader = ImageReader::new(Cursor::new(&bytes));
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODED);
    reader.limits(limits);
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
    drop(bytes);
    let dimensions = (decoded.width(), decoded.height());
    let gray = match decoded {
        // What most colourful files are, by the formula that Pillow has.
        DynamicImage::ImageRgb8(picture) => xray_pixels::gray(picture.as_raw()),
        other => other.into_luma8().into_raw(),
    };
    let pixels = xray_pixels::resize(&gray, dimensions, order.size)
        .map_err(|error| ImageError::Resize(error.to_string()))?;
    let name = order.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let thread = thread::current().name().unwrap_or_default().to_owned();
    Ok(Thumbnail { name, pid: process::id(), thread, pixels })
}

/// A whole file, unless it is no file at all or too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::with_capacity(file.get_ref().metadata()?.len() as usize);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file to be read, no further than may be even if it grows. What would keep a reader waiting, as a pipe does, or never
/// end, as a device may, is not opened; where one takes the file's place meanwhile, opening it doesn't wait.
pub(crate) fn open(path: &Path) -> io::Result<io::Take<File>> {
    check(&fs::metadata(path)?)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file.take(MOST_BYTES))
}

/// Whether this is something to read.
pub(crate) fn check(found: &fs::Metadata) -> io::Result<()> {
    if found.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else if !found.is_file() {
        Err(io::Error::other("it is not a regular file"))
    } else if found.len() > MOST_BYTES {
        let (size, most) = (found.len() >> 20, MOST_BYTES >> 20);
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {size} MiB, more than {most}")))
    } else {
        Ok(())
    }
}

/// Serde's own form of a path is a text, which not every path is.
mod any_path {
    use std::{
        ffi::OsString,
        path::{Path, PathBuf},
    };

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}

/// The decoder fills up with gray what is missing. A whole file has the mark of its end after that of its last scan; a
/// preview inside the file has marks of its own, before.
fn is_whole(jpeg: &[u8]) -> bool {
    let marks = jpeg.windows(2).rev().find(|pair| matches!(pair, [0xff, 0xd9 | 0xda]));
    marks == Some(&[0xff, 0xd9])
}
