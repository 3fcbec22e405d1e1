//! The file that the days are written to: whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::civil::Date;
use serde::Serialize;

use crate::day::{Day, Station};

/// A place for the result, known to be writable.
pub(crate) struct Output {
    path: PathBuf,
    /// A device or a pipe is written to as it is; only a regular file can be replaced.
    replace: bool,
}

/// What can't be written, and why.
#[derive(Debug)]
pub(crate) struct OutputError {
    path: PathBuf,
    error: io::Error,
}

impl Output {
    /// Checks the place before any work is done for it.
    pub(crate) fn new(path: &Path) -> Result<Self, OutputError> {
        let output = Self {
            path: path.to_owned(),
            replace: fs::metadata(path).map_or(true, |found| !is_special(&found)),
        };
        let checked = match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            _ if output.replace => output.temporary().map(drop),
            _ => fs::OpenOptions::new().write(true).open(path).map(drop),
        };
        checked.map_err(|error| output.error(error))?;
        Ok(output)
    }

    /// Writes the days, sorted by date, as one JSON object; returns its length in bytes. On failure the file that
    /// was there before stays as it was, and nothing else is left behind.
    pub(crate) fn write(&self, days: &BTreeMap<Date, Day>) -> Result<u64, OutputError> {
        let written = if self.replace {
            self.temporary().and_then(|file| {
                let bytes = write_json(file.as_file(), days)?;
                file.as_file().sync_all()?; // else a crash could leave the new name with no content
                file.persist(&self.path)?;
                Ok(bytes)
            })
        } else {
            fs::OpenOptions::new().write(true).open(&self.path).and_then(|file| write_json(&file, days))
        };
        written.map_err(|error| self.error(error))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file beside the target, since a file can be renamed within its file system only; removed when dropped.
    fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".weather-").suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less what the umask takes away
        builder.tempfile_in(folder.unwrap_or(Path::new(".")))
    }

    fn error(&self, error: io::Error) -> OutputError {
        OutputError { path: self.path.clone(), error }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't write {}: {}; choose another place by --out", self.path.display(), self.error)
    }
}

impl std::error::Error for OutputError {}

fn is_special(found: &fs::Metadata) -> bool {
    !found.is_file() && !found.is_dir()
}

fn write_json(file: &fs::File, days: &BTreeMap<Date, Day>) -> io::Result<u64> {
    #[derive(Serialize)]
    struct Json<'a> {
        unit: &'static str,
        time_zone: &'static str,
        stations: Vec<&'a Station>,
        days: Vec<&'a Day>,
    }
    let mut seen = BTreeSet::new();
    let mut stations: Vec<_> =
        days.values().flat_map(|day| &day.stations).filter(|station| seen.insert(&station.id)).collect();
    stations.sort_by(|a, b| a.id.cmp(&b.id));
    let json = Json { unit: "deg C", time_zone: "+08:00", stations, days: days.values().collect() };
    let mut counted = Counted { to: BufWriter::with_capacity(256 * 1024, file), bytes: 0 };
    serde_json::to_writer(&mut counted, &json)?;
    counted.write_all(b"\n")?;
    counted.flush()?;
    Ok(counted.bytes)
}

/// Counts the bytes on their way.
struct Counted<W> {
    to: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
