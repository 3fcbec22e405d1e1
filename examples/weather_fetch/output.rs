//! The files that days are written to: each whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::civil::Date;
use serde::Serialize;

use crate::{
    day::{Day, Station},
    place::Place,
    plain, python,
};

/// A place for the result, known to be writable.
pub(crate) struct Output {
    path: PathBuf,
    place: Place,
    /// Where the answers go, each into a file of its own.
    answers: Option<PathBuf>,
    unfinished: Unfinished,
}

/// The file to remove if the program exits at once.
#[derive(Clone, Default)]
pub(crate) struct Unfinished(Arc<Mutex<Option<PathBuf>>>);

impl Unfinished {
    pub(crate) fn remove(&self) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(path) = left {
            // The program is ending: there is no one to report a file to that could not be removed.
            let _ = fs::remove_file(path);
        }
    }

    fn set(&self, path: Option<&Path>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = path.map(Path::to_owned);
    }
}

/// What can't be written, and why.
#[derive(Debug)]
pub(crate) struct OutputError {
    path: PathBuf,
    option: &'static str,
    error: io::Error,
}

impl Output {
    /// Checks the places before any work is done for them.
    pub(crate) fn new(path: &Path, answers: Option<&Path>) -> Result<Self, OutputError> {
        let place = Place::new(path).map_err(|error| OutputError::new(path, "--out", error))?;
        if let Some(folder) = answers {
            let made = fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
            made.map_err(|error| OutputError::new(folder, "--answers", error))?;
        }
        let (path, answers) = (path.to_owned(), answers.map(Path::to_owned));
        Ok(Self { path, place, answers, unfinished: Unfinished::default() })
    }

    pub(crate) fn unfinished(&self) -> Unfinished {
        self.unfinished.clone()
    }

    /// Takes a day's answers to their files.
    pub(crate) fn keep_answers(&self, day: &mut Day) -> Result<(), OutputError> {
        let answers = std::mem::take(&mut day.answers);
        let Some(folder) = &self.answers else { return Ok(()) };
        for (n, answer) in (1..).zip(answers) {
            let page = if n == 1 { String::new() } else { format!(".{n}") };
            let path = folder.join(format!("{}{page}.json", day.date));
            let written = Place::new(&path)
                .and_then(|place| put(place, &self.unfinished, |to| to.write_all(answer.as_bytes())));
            written.map_err(|error| OutputError::new(&path, "--answers", error))?;
        }
        Ok(())
    }

    /// Writes the days, sorted by date, as one JSON object; returns its length in bytes. On failure the file that
    /// was there before stays as it was, and nothing else is left behind.
    pub(crate) fn write(self, days: &BTreeMap<Date, Day>) -> Result<u64, OutputError> {
        let written = put(self.place, &self.unfinished, |to| write_json(to, days));
        match written {
            // As with `| head`: the reader has closed the pipe.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
            written => written.map_err(|error| OutputError::new(&self.path, "--out", error)),
        }
    }
}

/// Writes a file that replaces its target only when it is complete.
fn put<T>(
    place: Place,
    unfinished: &Unfinished,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<T> {
    let mut draft = place.begin()?;
    unfinished.set(draft.temporary());
    let mut to = BufWriter::with_capacity(256 * 1024, &mut draft);
    let written = write(&mut to).and_then(|written| to.flush().map(|()| written));
    drop(to);
    let written = written.and_then(|written| draft.finish().map(|()| written));
    unfinished.set(None);
    written
}

impl OutputError {
    fn new(path: &Path, option: &'static str, error: io::Error) -> Self {
        Self { path: path.to_owned(), option, error }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, option, error } = self;
        let error = plain::line(&error.to_string());
        write!(f, "can't write {}: {error}; choose another place by {option}", plain::path(path))
    }
}

impl std::error::Error for OutputError {}

/// As Python's `json.dumps(.., sort_keys=True)` writes it, one day in memory at a time; how many bytes that were.
fn write_json(to: &mut dyn Write, days: &BTreeMap<Date, Day>) -> io::Result<u64> {
    let mut seen = BTreeSet::new();
    let mut stations: Vec<&Station> =
        days.values().flat_map(|day| &day.stations).filter(|station| seen.insert(&station.id)).collect();
    stations.sort_by(|a, b| a.id.cmp(&b.id));
    let mut bytes = 0;
    let mut write = |text: &str| {
        bytes += text.len() as u64;
        to.write_all(text.as_bytes())
    };
    write("{\"days\": [")?;
    for (n, day) in days.values().enumerate() {
        write(if n == 0 { "" } else { ", " })?;
        write(&as_python(day)?)?;
    }
    write("], \"stations\": ")?;
    write(&as_python(&stations)?)?;
    write(", \"time_zone\": \"+08:00\", \"unit\": \"deg C\"}\n")?;
    Ok(bytes)
}

fn as_python(value: &impl Serialize) -> io::Result<String> {
    python::dumps(&serde_json::to_string(value)?).map_err(io::Error::other)
}
