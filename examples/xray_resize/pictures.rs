//! The files to be resized: a folder's, or X-rays that are drawn once and kept.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use concurrent_futures::{MapOptions, prelude::*};
use image::ImageFormat;
use serde::{Deserialize, Serialize};

use crate::{
    Error, chest,
    report::Amount,
    screen::Screen,
    thumbnail::{self, Order},
};

/// Drawings of another age must not be taken for today's: counted up with each change of `chest.rs`.
const DRAWN_BY: &str = "v1";

#[derive(Clone)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    /// None where it will not be read.
    pub(crate) bytes: u64,
}

/// The files, each as often as it is to be taken.
#[derive(Default)]
pub(crate) struct Pictures {
    files: Vec<File>,
    repeat: usize,
    /// The folders that can't be read, and why.
    pub(crate) closed: Vec<(PathBuf, String)>,
    /// How many files are no pictures by their names.
    pub(crate) passed_over: usize,
}

impl Pictures {
    /// What `image` can read in this folder and those in it, in the order of their names.
    pub(crate) fn of_folder(folder: &Path) -> io::Result<Self> {
        let mut all = Self::default();
        all.collect(folder)?;
        all.files.sort_by(|a, b| a.path.cmp(&b.path));
        all.closed.sort();
        Ok(all.repeated(1))
    }

    /// A folder below that can't be read is an error of its own, not the end of the run.
    fn collect(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if let Err(error) = self.collect(&path) {
                    self.closed.push((path, format!("can't be read: {error}")));
                }
            } else if ImageFormat::from_path(&path).is_ok_and(|format| format.reading_enabled()) {
                // One that can't even be looked at is a task's error.
                self.files.push(File::new(path.clone()).unwrap_or(File { path, bytes: 0 }));
            } else {
                self.passed_over += 1;
            }
        }
        Ok(())
    }

    /// So many drawn X-rays, kept in a folder. Those missing there are drawn first: all, or what a run that was broken
    /// off has left.
    pub(crate) fn drawn(
        executor: Box<dyn Executor>,
        folder: &Path,
        (seed, images): (u64, usize),
        screen: &Screen,
        stopping: &AtomicBool,
    ) -> Result<Self, Error> {
        let folder = folder.join(format!("{DRAWN_BY}-seed-{seed}"));
        fs::create_dir_all(&folder).map_err(|error| format!("can't make {}: {error}", folder.display()))?;
        sweep(&folder);
        let path = |index: usize| folder.join(format!("chest-{index:05}.jpeg"));
        let missing: Vec<_> = (1..=images)
            .map(|index| Drawing { seed, index: index as u64, path: path(index) })
            .filter(|drawing| !drawing.path.exists())
            .collect();
        if !missing.is_empty() {
            screen.begin("drawing X-rays", missing.len());
            let options = MapOptions::new().buffersize(64);
            for drawn in executor.try_map_with(options, draw, missing) {
                let drawn = drawn
                    .map_err(|error| format!("can't draw an X-ray into {}: {error}", folder.display()))?;
                screen.log(|| format!("drawn      chest-{drawn:05}.jpeg"));
                screen.advance();
                if stopping.load(Ordering::Relaxed) {
                    break; // the rest is cancelled, and drawn by the next run
                }
            }
            screen.end();
        }
        drop(executor); // and with it wait for what was begun, before it is counted
        let there = (1..=images).filter_map(|index| File::new(path(index)).ok());
        Ok(Self { files: there.collect(), ..Self::default() }.repeated(1))
    }

    pub(crate) fn repeated(self, repeat: usize) -> Self {
        Self { repeat, ..self }
    }

    /// So many of them, evenly spread.
    pub(crate) fn sample(&self, images: usize) -> Self {
        let nth = |n: usize| self.files[n * self.len() / images % self.files.len()].clone();
        Self { files: (0..images).map(nth).collect(), ..Self::default() }.repeated(1)
    }

    /// How many images there are to resize.
    pub(crate) fn len(&self) -> usize {
        self.files.len() * self.repeat
    }

    pub(crate) fn amount(&self) -> Amount {
        let bytes = self.files.iter().map(|file| file.bytes).sum::<u64>() * self.repeat as u64;
        Amount { images: self.len(), bytes }
    }

    /// How many there would be if each were taken once.
    pub(crate) fn distinct(&self) -> usize {
        self.files.len()
    }

    /// The file of each image.
    pub(crate) fn each(&self) -> impl Iterator<Item = &File> {
        self.files.iter().cycle().take(self.len())
    }

    /// Those whose files are marked, each as often as before.
    pub(crate) fn only(&self, marked: &[bool]) -> Self {
        let files = self.files.iter().zip(marked).filter(|(_, marked)| **marked);
        Self { files: files.map(|(file, _)| file.clone()).collect(), ..Self::default() }.repeated(self.repeat)
    }

    /// Parts of about equally many bytes, the largest files dealt out first.
    pub(crate) fn parts(&self, parts: usize) -> Vec<Self> {
        let mut files: Vec<&File> = self.files.iter().cycle().take(self.len()).collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let mut dealt: Vec<_> = (0..parts).map(|_| (0, Vec::new())).collect();
        for file in files {
            let (bytes, part) = dealt.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("a part at least");
            *bytes += file.bytes;
            part.push(file.clone());
        }
        dealt.into_iter().map(|(_, files)| Self { files, ..Self::default() }.repeated(1)).collect()
    }

    /// A task's argument for each image.
    pub(crate) fn orders(&self, size: u32, draft: bool) -> impl Iterator<Item = Order> {
        let orders =
            self.files.iter().map(move |file| Order { path: file.path.clone(), size, crash: false, draft });
        orders.cycle().take(self.len())
    }
}

impl File {
    fn new(path: PathBuf) -> io::Result<Self> {
        let found = fs::metadata(&path)?;
        let bytes = if thumbnail::check(&found).is_ok() { found.len() } else { 0 };
        Ok(Self { path, bytes })
    }
}

#[derive(Serialize, Deserialize)]
struct Drawing {
    seed: u64,
    index: u64,
    path: PathBuf,
}

/// The task that makes one file. Gives back its number.
fn draw(drawing: Drawing) -> io::Result<u64> {
    match keep(&drawing.path, &chest::draw(drawing.seed, drawing.index)) {
        // Another run has drawn the same meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && drawing.path.is_file() => {}
        kept => kept?,
    }
    Ok(drawing.index)
}

/// A file under this name, whole or not at all, whatever happens meanwhile; what has the name already keeps it.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Without a name until it is whole, so that nothing is left behind even by who is killed.
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(bytes)?;
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        let (here, follow) = (rustix::fs::CWD, rustix::fs::AtFlags::SYMLINK_FOLLOW);
        match rustix::fs::linkat(here, open, here, path, follow) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::EXIST) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {} // not on every file system
        }
    }
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).suffix(".tmp").tempfile_in(folder)?;
    file.write_all(bytes)?;
    Ok(file.persist_noclobber(path).map(drop)?)
}

const UNFINISHED: &str = ".chest-";

/// Removes what a run has left that was killed where files can't be without a name.
fn sweep(folder: &Path) {
    let is_old = |entry: &fs::DirEntry| {
        let changed = entry.metadata().and_then(|found| found.modified());
        // No run takes an hour for one drawing.
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > Duration::from_secs(3600)))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && is_old(&entry) {
            // It harms nobody where it can't be removed.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// `xray-cache` in the target folder of cargo, in which this program lies; it has a tag for backup programs.
pub(crate) fn default_cache() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(Path::new("target")).join("xray-cache")
}
