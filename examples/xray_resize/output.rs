//! The files that thumbnails go to: each whole or not at all, and in place only at the end.

use std::{
    fmt,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use image::{GrayImage, ImageFormat};

use crate::{
    args::Args,
    place::{Draft, Place},
    plain,
    thumbnail::Thumbnail,
};

/// Takes the thumbnails of one run.
#[derive(Default)]
pub(crate) struct Outputs {
    npy: Option<Npy>,
    names: Option<Names>,
    sheet: Option<Sheet>,
}

impl Outputs {
    /// Checks the places before any work is done for them.
    pub(crate) fn new(args: &Args) -> Result<Self, OutputError> {
        let (npy, names, sheet) = (args.out.as_deref(), args.names.as_deref(), args.contact_sheet.as_deref());
        Ok(Self {
            npy: npy.map(|path| Npy::new(path, args.size)).transpose()?,
            names: names.map(Names::new).transpose()?,
            sheet: sheet.map(|path| Sheet::new(path, args.size)).transpose()?,
        })
    }

    /// A sheet has room for so many: of pictures that are taken several times, each once.
    pub(crate) fn expect(&mut self, distinct: usize) {
        if let Some(sheet) = &mut self.sheet {
            sheet.room = distinct;
        }
    }

    pub(crate) fn take(&mut self, thumbnail: &Thumbnail, path: &Path) -> Result<(), OutputError> {
        if let Some(sheet) = &mut self.sheet {
            sheet.take(thumbnail);
        }
        self.names.as_mut().map_or(Ok(()), |names| names.take(path))?;
        self.npy.as_mut().map_or(Ok(()), |npy| npy.take(thumbnail))
    }

    /// Puts the files in their places; says what was written. Nothing to write leaves what was there before.
    pub(crate) fn finish(self) -> Result<Vec<String>, OutputError> {
        let npy = self.npy.filter(|npy| npy.rows > 0).map(Npy::finish).transpose()?;
        let names = self.names.filter(|names| names.rows > 0).map(Names::finish).transpose()?;
        let sheet = self.sheet.filter(|sheet| !sheet.thumbnails.is_empty()).map(Sheet::finish).transpose()?;
        Ok([npy, names, sheet].into_iter().flatten().flatten().collect())
    }

    /// The files to remove if the program exits at once.
    pub(crate) fn temporary(&self) -> Vec<PathBuf> {
        let npy = self.npy.iter().map(|npy| npy.file.get_ref());
        let names = self.names.iter().map(|names| names.file.get_ref());
        let all = npy.chain(names).chain(self.sheet.iter().map(|sheet| &sheet.file));
        all.filter_map(Draft::temporary).map(Path::to_owned).collect()
    }
}

/// NumPy's file of one array, `images x size x size` bytes: a header of fixed length and row after row behind it, so that
/// only a buffer of it is ever in memory. The number of rows is filled in at the end.
struct Npy {
    file: BufWriter<Draft>,
    target: PathBuf,
    size: u32,
    rows: usize,
}

/// The format wants the data at a multiple of 64.
const HEADER: usize = 128;

impl Npy {
    fn new(path: &Path, size: u32) -> Result<Self, OutputError> {
        let mut file = BufWriter::with_capacity(256 * 1024, begin(path)?);
        file.write_all(&[0; HEADER]).map_err(|error| OutputError::new(path, error))?;
        Ok(Self { file, target: path.to_owned(), size, rows: 0 })
    }

    fn take(&mut self, thumbnail: &Thumbnail) -> Result<(), OutputError> {
        self.rows += 1;
        self.file.write_all(&thumbnail.pixels).map_err(|error| OutputError::new(&self.target, error))
    }

    fn finish(mut self) -> Result<Option<String>, OutputError> {
        let Self { rows, size, .. } = self;
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {size}, {size}), }}");
        let length = HEADER - 10;
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend((length as u16).to_le_bytes());
        header.extend(format!("{text:<0$}\n", length - 1).bytes());
        let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(&header));
        let kept = written
            .and_then(|()| self.file.into_inner().map_err(io::IntoInnerError::into_error))
            .and_then(finish)
            .map_err(|error| OutputError::new(&self.target, error))?;
        Ok(kept
            .then(|| format!("{rows} x {size} x {size} bytes were written to {}", plain::path(&self.target))))
    }
}

/// Which file gave which row of the array: a path a line.
struct Names {
    file: BufWriter<Draft>,
    target: PathBuf,
    rows: usize,
}

impl Names {
    fn new(path: &Path) -> Result<Self, OutputError> {
        Ok(Self { file: BufWriter::new(begin(path)?), target: path.to_owned(), rows: 0 })
    }

    fn take(&mut self, path: &Path) -> Result<(), OutputError> {
        self.rows += 1;
        writeln!(self.file, "{}", plain::path(path)).map_err(|error| OutputError::new(&self.target, error))
    }

    fn finish(self) -> Result<Option<String>, OutputError> {
        let Self { file, target, rows } = self;
        let kept = file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(finish)
            .map_err(|error| OutputError::new(&target, error))?;
        Ok(kept.then(|| format!("{rows} names were written to {}", plain::path(&target))))
    }
}

/// All thumbnails in one picture, three columns to two rows.
struct Sheet {
    file: Draft,
    target: PathBuf,
    size: u32,
    room: usize,
    thumbnails: Vec<Vec<u8>>,
}

impl Sheet {
    fn new(path: &Path, size: u32) -> Result<Self, OutputError> {
        Ok(Self { file: begin(path)?, target: path.to_owned(), size, room: 0, thumbnails: Vec::new() })
    }

    fn take(&mut self, thumbnail: &Thumbnail) {
        if self.thumbnails.len() < self.room {
            self.thumbnails.push(thumbnail.pixels.clone());
        }
    }

    fn finish(mut self) -> Result<Option<String>, OutputError> {
        let (size, count) = (self.size, self.thumbnails.len() as u32);
        let columns = (f64::from(count) * 1.5).sqrt().ceil().min(f64::from(count)) as u32;
        let mut sheet = GrayImage::new(columns * size, count.div_ceil(columns) * size);
        let width = sheet.width() as usize;
        for (n, thumbnail) in (0..).zip(&self.thumbnails) {
            let corner = (n / columns * size) as usize * width + (n % columns * size) as usize;
            for (line, row) in thumbnail.chunks_exact(size as usize).enumerate() {
                sheet.as_mut()[corner + line * width..][..row.len()].copy_from_slice(row);
            }
        }
        let written = sheet.write_to(&mut BufWriter::new(&mut self.file), ImageFormat::Png);
        let kept = written
            .map_err(io::Error::other)
            .and_then(|()| finish(self.file))
            .map_err(|error| OutputError::new(&self.target, error))?;
        Ok(kept.then(|| format!("{count} thumbnails were drawn into {}", plain::path(&self.target))))
    }
}

/// What can't be written, and why.
#[derive(Debug)]
pub(crate) struct OutputError {
    path: PathBuf,
    error: io::Error,
}

impl OutputError {
    fn new(path: &Path, error: io::Error) -> Self {
        Self { path: path.to_owned(), error }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't write {}: {}", plain::path(&self.path), self.error)
    }
}

impl std::error::Error for OutputError {}

fn begin(path: &Path) -> Result<Draft, OutputError> {
    Place::new(path).and_then(Place::begin).map_err(|error| OutputError::new(path, error))
}

/// False where the place is a pipe whose reader has had enough.
fn finish(file: Draft) -> io::Result<bool> {
    match file.finish() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        finished => finished.map(|()| true),
    }
}
