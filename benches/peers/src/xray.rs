//! The X-ray case: the files of a folder, each decoded and resized to 64x64, by this crate, by CPython with Pillow, by
//! `image` under rayon. Seconds from before a pool is made until it is gone again and all thumbnails are in hand.
//!
//! A process per reading, whoever is measured next to each other in a round, as in `runner`. Every reading also leaves its
//! thumbnails, which are compared with those that Pillow made of the same files (`pillow-resize-64x64-L.bin` in the
//! folder, if it has one): a fast wrong answer would be none.

mod goal;
mod pillow;
mod reading;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use clap::{ArgAction, Args, ValueEnum};
use serde::Serialize;

use crate::report::print_line;
use crate::runner::{QUIET, order, watchdog};
use crate::strangers::Strangers;

/// The thumbnails' width and height.
const SIZE: u32 = 64;

#[derive(Args)]
pub(crate) struct Options {
    /// A folder of JPEGs
    dir: PathBuf,
    /// Take each file so many times
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// JPEGs at a fraction of their size where that will do, by Pillow's `draft` and by ours
    #[arg(long)]
    draft: bool,
    /// One JSON object per line instead of Markdown.
    #[arg(long)]
    json: bool,
    /// Only these subjects.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    subjects: Vec<Subject>,
}

/// One reading, in a process of its own.
#[derive(Args)]
pub(crate) struct One {
    subject: Subject,
    workers: usize,
    repeat: usize,
    #[arg(action = ArgAction::Set)]
    draft: bool,
    /// Where the thumbnails go
    pixels: PathBuf,
    files: Vec<PathBuf>,
}

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Subject {
    /// This crate's ProcessPoolExecutor, with the task of examples/xray_resize.
    OursProcesses,
    /// This crate's ThreadPoolExecutor, with the same task.
    OursThreads,
    /// The same task in a loop.
    OursLoop,
    /// The same task in threads of the standard library: what the machine gives at all.
    Control,
    /// `image` alone, under rayon.
    ImageRayon,
    CpythonLoop,
    CpythonThreads,
    CpythonProcesses,
}

impl Subject {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn is_cpython(self) -> bool {
        matches!(self, Self::CpythonLoop | Self::CpythonThreads | Self::CpythonProcesses)
    }
}

/// What one subject came to, round by round; `None` where a reading failed.
struct Line {
    subject: Subject,
    rounds: Vec<Option<f64>>,
    difference: Option<Difference>,
}

/// Between a subject's pixels and Pillow's, in gray levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Difference {
    most: u8,
    mean: f64,
    /// How many pixels differ at all, of how many.
    pixels: usize,
    of: usize,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    match compare(options) {
        Ok(failed) if failed.is_empty() => ExitCode::SUCCESS,
        Ok(failed) => {
            failed.iter().for_each(|failure| eprintln!("FAILED: {failure}"));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The other half: takes one reading here and prints it.
pub(crate) fn one(reading: &One) -> ExitCode {
    watchdog();
    match reading::take(reading) {
        Ok(seconds) => {
            print_line(&seconds.to_string());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<BTreeSet<String>, String> {
    let files = files(&options.dir).map_err(|e| format!("can't read {}: {e}", options.dir.display()))?;
    if files.is_empty() {
        return Err(format!("there is no .jpeg or .jpg in {}", options.dir.display()));
    }
    // What is there is of whole pictures.
    let expected = fs::read(options.dir.join("pillow-resize-64x64-L.bin")).ok().filter(|_| !options.draft);
    if expected.is_none() && !options.draft {
        eprintln!(
            "no pillow-resize-64x64-L.bin in the folder: pixels are compared with cpython_loop's, if it runs"
        );
    }
    let mut lines: Vec<Line> = subjects(options).into_iter().map(Line::new).collect();
    let scratch = env::temp_dir().join(format!("peers-xray-{}.bin", std::process::id()));
    // Once from the disk, so that it is in nobody's time.
    files.iter().for_each(|file| drop(fs::read(file)));

    let mut failed = BTreeSet::new();
    let mut pixels = vec![None; lines.len()];
    for round in 0..options.rounds {
        let strangers = Strangers::watch();
        for k in order(lines.len(), round) {
            let line = &mut lines[k];
            let reading = in_own_process(line.subject, options, &files, &scratch);
            pixels[k] = fs::read(&scratch).ok();
            line.rounds.push(reading.as_ref().ok().copied());
            if let Err(why) = reading {
                failed.insert(format!("{}: {why}", line.subject.name()));
            }
        }
        let busy = strangers.and_then(|strangers| strangers.cores()).unwrap_or_default();
        let noise = if busy > QUIET { "NOISE: " } else { "" };
        eprintln!(
            "round {} of {}; {noise}other programs kept {busy:.2} cores busy",
            round + 1,
            options.rounds
        );
    }
    // Nobody needs it any more, and a file in the temporary folder does no harm.
    let _ = fs::remove_file(&scratch);

    let pillow = lines.iter().position(|line| line.subject == Subject::CpythonLoop);
    let expected = expected.or_else(|| pixels[pillow?].clone());
    for (line, pixels) in lines.iter_mut().zip(&pixels) {
        line.difference = Difference::between(pixels.as_deref(), expected.as_deref());
    }
    lines.retain(|line| line.rounds.iter().any(Option::is_some));
    table::print(&lines, files.len() * options.repeat as usize, options);
    Ok(failed)
}

fn subjects(options: &Options) -> Vec<Subject> {
    let mut subjects = Subject::value_variants().to_vec();
    if !options.subjects.is_empty() {
        subjects.retain(|subject| options.subjects.contains(subject));
    }
    if subjects.iter().any(|subject| subject.is_cpython()) {
        match pillow::version() {
            Some(version) => eprintln!("cpython is {version}"),
            None => {
                eprintln!(
                    "NO PILLOW FOUND: there will be no rows `cpython_..`; run benches/peers/pillow.sh first"
                );
                subjects.retain(|subject| !subject.is_cpython());
            }
        }
    }
    subjects
}

fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jpeg" || extension == "jpg"));
    files.sort();
    Ok(files)
}

fn in_own_process(
    subject: Subject,
    options: &Options,
    files: &[PathBuf],
    pixels: &Path,
) -> Result<f64, String> {
    let words = [options.workers.to_string(), options.repeat.to_string(), options.draft.to_string()];
    let mut command = if subject.is_cpython() {
        pillow::command(&subject.name()).ok_or("no Pillow on this machine")?
    } else {
        let mut command =
            Command::new(env::current_exe().map_err(|e| format!("can't find this program: {e}"))?);
        command.args(["xray-one", &subject.name()]);
        command
    };
    command.args(words).arg(pixels).args(files);
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|e| format!("can't start a process: {e}"))?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().map_err(|e| format!("{printed:?} is no number: {e}"))
}

impl Line {
    fn new(subject: Subject) -> Self {
        Self { subject, rounds: Vec::new(), difference: None }
    }

    /// This line's time by another's, of readings taken in the same round.
    fn by(&self, other: &Self) -> Vec<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        pairs.filter_map(|(a, b)| Some((*a)? / (*b)?)).collect()
    }
}

fn find(lines: &[Line], subject: Subject) -> Option<&Line> {
    lines.iter().find(|line| line.subject == subject)
}

impl Difference {
    fn between(ours: Option<&[u8]>, theirs: Option<&[u8]>) -> Option<Self> {
        let (ours, theirs) = (ours?, theirs?);
        if ours.len() != theirs.len() {
            return None;
        }
        let differences = || ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
        let mean = differences().map(f64::from).sum::<f64>() / ours.len() as f64;
        let pixels = differences().filter(|difference| *difference > 0).count();
        Some(Self { most: differences().max()?, mean, pixels, of: ours.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::Difference;

    #[test]
    fn differences_are_counted() {
        let difference = Difference::between(Some(&[1, 5, 9, 9]), Some(&[1, 7, 9, 8]));
        assert_eq!(difference, Some(Difference { most: 2, mean: 0.75, pixels: 2, of: 4 }));
        assert_eq!(Difference::between(Some(&[1]), Some(&[1, 2])), None);
        assert_eq!(Difference::between(None, Some(&[1])), None);
    }
}
