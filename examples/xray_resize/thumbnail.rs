//! The task: one file in, a thumbnail of it out.

#[path = "marks.rs"]
mod marks;

use std::{
    any::Any,
    fs::{self, File},
    io::{self, Cursor, Read},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process, thread,
};

use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, metadata::Orientation};
use jpeg_decoder::PixelFormat;
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
    /// Decode a JPEG at a fraction of its size where that will do.
    pub(crate) draft: bool,
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
    #[error("can't be decoded: its parts are in an order that is not known here")]
    Parts,
    #[error("can't be decoded: its decoder panicked: {0}")]
    Panicked(String),
    #[error("can't be resized: {0}")]
    Resize(String),
}

/// Reads, decodes and resizes one file. It runs on whatever thread or process the executor gives it, or in a loop without
/// any: so a decoder that panics is held here, and costs one image everywhere.
pub(crate) fn image_resize(order: Order) -> Result<Thumbnail, ImageError> {
    if order.crash {
        process::abort();
    }
    // Nothing outlives a panic but the order.
    let resized = panic::catch_unwind(AssertUnwindSafe(|| resize(&order)));
    let pixels = resized.unwrap_or_else(|panic| Err(ImageError::Panicked(message(&*panic))))?;
    let name = order.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let thread = thread::current().name().unwrap_or_default().to_owned();
    Ok(Thumbnail { name, pid: process::id(), thread, pixels })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}

fn resize(order: &Order) -> Result<Vec<u8>, ImageError> {
    let picture = decode(&order.path, order.draft.then_some(order.size))?;
    xray_pixels::resize(picture.as_raw(), picture.dimensions(), order.size)
        .map_err(|error| ImageError::Resize(error.to_string()))
}

/// The picture, gray, as Pillow's `convert("L")` makes it. A JPEG may be smaller than it is, if it has `at_least` so many pixels
/// each way still.
fn decode(path: &Path, at_least: Option<u32>) -> Result<GrayImage, ImageError> {
    let bytes = read(path)?;
    let reader = reader(path, &bytes)?;
    let format = reader.format();
    if format == Some(ImageFormat::Jpeg) {
        if let Some(size) = at_least
            && let Some(picture) = draft(&bytes, size)?
        {
            return Ok(picture);
        }
        return decode_jpeg(path, &bytes, reader);
    }
    // A TIFF says how it is to be turned. So may a JPEG, but for Pillow that is a remark of the camera.
    let orientation = match format {
        Some(ImageFormat::Tiff) => self::reader(path, &bytes)?.into_decoder()?.orientation()?,
        _ => Orientation::NoTransforms,
    };
    let mut gray = DynamicImage::ImageLuma8(gray(reader.decode()?)?);
    gray.apply_orientation(orientation);
    Ok(gray.into_luma8())
}

fn reader<'a>(path: &Path, bytes: &'a [u8]) -> io::Result<ImageReader<Cursor<&'a [u8]>>> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODED);
    reader.limits(limits);
    // What it is, its first bytes say; of those formats that have no mark there, the name.
    if let Ok(format) = ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    reader.with_guessed_format()
}

/// The decoder fills up with gray what is missing, and mixes up the planes of a picture that has each by itself.
fn decode_jpeg(
    path: &Path,
    bytes: &[u8],
    reader: ImageReader<Cursor<&[u8]>>,
) -> Result<GrayImage, ImageError> {
    let decoded = match marks::planes(bytes) {
        marks::Planes::Together => gray(reader.decode()?),
        // An error for a picture that is too large, before anything is decoded.
        marks::Planes::Apart(planes) if reader.into_decoder()?.total_bytes() <= MOST_DECODED => {
            let plane = |file: &[u8]| Ok(self::reader(path, file)?.decode()?.into_luma8());
            let decoded: Result<Vec<_>, ImageError> = planes.files.iter().map(|file| plane(file)).collect();
            Ok(planes.gray(&decoded?))
        }
        marks::Planes::Apart(_) | marks::Planes::Unknown => Err(ImageError::Parts),
    };
    let decoded = decoded?;
    if marks::is_whole(bytes) { Ok(decoded) } else { Err(ImageError::CutOff) }
}

/// A JPEG at a half, a quarter or an eighth of its size, as Pillow's `draft` has it: a block of 8 by 8 pixels becomes 4 by 4, 2 by 2 or
/// one, by a shorter transform. None for one that has to be decoded otherwise.
fn draft(bytes: &[u8], size: u32) -> Result<Option<GrayImage>, ImageError> {
    let (marks::Planes::Together, Ok(size)) = (marks::planes(bytes), u16::try_from(size)) else {
        return Ok(None);
    };
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MOST_DECODED as usize);
    let scaled = decoder.scale(size, size).and_then(|size| Ok((size, decoder.decode()?)));
    // What this decoder can't do the other one may, or it has the reason.
    let (Ok(((width, height), levels)), Some(info)) = (scaled, decoder.info()) else { return Ok(None) };
    let levels = match info.pixel_format {
        PixelFormat::L8 => levels,
        PixelFormat::RGB24 => xray_pixels::gray(&levels),
        PixelFormat::L16 | PixelFormat::CMYK32 => return Ok(None),
    };
    if !marks::is_whole(bytes) {
        return Err(ImageError::CutOff);
    }
    Ok(GrayImage::from_raw(width.into(), height.into(), levels))
}

/// One formula for pixels of all kinds. Opacity doesn't count.
fn gray(decoded: DynamicImage) -> Result<GrayImage, ImageError> {
    let (width, height) = (decoded.width(), decoded.height());
    let levels = match decoded {
        DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageLuma16(_)
        | DynamicImage::ImageLumaA16(_) => return Ok(decoded.into_luma8()),
        DynamicImage::ImageRgb8(picture) => xray_pixels::gray(picture.as_raw()),
        DynamicImage::ImageRgba8(picture) => xray_pixels::gray_of_rgba(picture.as_raw()),
        other => xray_pixels::gray(other.into_rgb8().as_raw()),
    };
    GrayImage::from_raw(width, height, levels).ok_or_else(|| ImageError::Resize("it lacks pixels".to_owned()))
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
