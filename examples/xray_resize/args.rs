//! The command line.

use std::{fmt, path::PathBuf};

use clap::{Parser, ValueEnum};

/// Decodes X-rays of all sizes, resizes each to 64x64, many at once, and reports the speed-up.
///
/// By default it draws its own X-rays first, 1431 of them, and keeps them for the next run.
///
/// Exit code: 0 when every image was resized, 1 when some could not be (the others are done), 2 when none was (wrong
/// arguments, no usable image, an output that can't be written), 130 after Ctrl-C (the results so far are written and
/// shown).
#[derive(Parser, Clone, Debug)]
#[command(name = "xray_resize", version)]
pub(crate) struct Args {
    /// What runs the tasks
    #[arg(long, value_enum, default_value = "processes")]
    pub(crate) executor: Kind,

    /// The number of workers [default: as many as there are processors]
    #[arg(long, value_parser = count(1..=1024))]
    pub(crate) workers: Option<usize>,

    /// Resize the images of this folder and its subfolders
    #[arg(long, value_name = "DIR", conflicts_with_all = ["images", "seed", "cache"])]
    pub(crate) dir: Option<PathBuf>,

    /// How many X-rays to draw
    #[arg(long, default_value_t = 1431, value_parser = count(1..=100_000))]
    pub(crate) images: usize,

    /// The seed of the drawings
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// The folder that keeps the drawings [default: xray-cache in cargo's target folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,

    /// Resize each image this many times
    #[arg(long, default_value_t = 1, value_parser = count(1..=10_000))]
    pub(crate) repeat: usize,

    /// The thumbnails' width and height
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) size: u32,

    /// Decode a JPEG at a half, a quarter or an eighth of its size, if that is no smaller than the thumbnail: faster, and
    /// other pixels
    #[arg(long)]
    pub(crate) draft: bool,

    /// How many images the loop and the control resize as the baseline, spread over all; 0 for all
    /// [default: 200; all with --executor all]
    #[arg(long, value_name = "IMAGES")]
    pub(crate) sample: Option<usize>,

    /// Write the thumbnails to this file as one NumPy array of images x size x size bytes
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) out: Option<PathBuf>,

    /// Write the paths of the array's rows to this file, one per line, in the order of the rows
    #[arg(long, value_name = "FILE.txt")]
    pub(crate) names: Option<PathBuf>,

    /// Write all thumbnails to this file as one picture
    #[arg(long, value_name = "FILE.png")]
    pub(crate) contact_sheet: Option<PathBuf>,

    /// Abort the worker in the task of this image, counted from 1, to show what is lost
    #[arg(long, value_name = "NUMBER", value_parser = count(1..=u64::MAX))]
    pub(crate) crash_at: Option<usize>,

    /// Write what the workers did to this file, for Perfetto (ui.perfetto.dev), and a table to stderr
    #[arg(long, value_name = "FILE.json")]
    pub(crate) trace: Option<PathBuf>,

    /// Print the figures as one JSON object; with --out, also the row of each file
    #[arg(long)]
    pub(crate) json: bool,

    /// Print which worker resized which file
    #[arg(long, short)]
    pub(crate) verbose: bool,

    /// Run as a worker of the control: orders from stdin, pixels to stdout
    #[arg(long, hide = true, exclusive = true)]
    pub(crate) bare_worker: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// One after the other, on the main thread
    Loop,
    /// The same with the standard library's `map`
    Map,
    /// A pool of threads
    Threads,
    /// A pool of processes
    Processes,
    /// Each of these in turn
    All,
}

impl Args {
    /// What clap can't check by itself: values that must fit each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.crash_at.is_some() && self.executor != Kind::Processes {
            return Err(
                "--crash-at aborts a worker process: only --executor processes survives that".to_owned()
            );
        }
        let outputs = [
            ("--out", &self.out),
            ("--contact-sheet", &self.contact_sheet),
            ("--names", &self.names),
            ("--trace", &self.trace),
        ];
        for (n, (name, path)) in outputs.iter().enumerate() {
            if let Some((other, _)) = outputs[..n].iter().find(|(_, other)| path.is_some() && other == path) {
                return Err(format!("{other} and {name} are the same file"));
            }
        }
        Ok(())
    }

    /// How many of these images the baseline resizes.
    pub(crate) fn sample(&self, images: usize) -> usize {
        let wanted = self.sample.unwrap_or(if self.executor == Kind::All { 0 } else { 200 });
        if wanted == 0 { images } else { wanted.min(images) }
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loop => "loop",
            Self::Map => "map",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::All => "all",
        })
    }
}

fn count(range: std::ops::RangeInclusive<u64>) -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::{RangedU64ValueParser, TypedValueParser};
    RangedU64ValueParser::<u64>::new().range(range).map(|n| n as usize)
}
