//! Pools of processes: ours, procspawn, CPython's two, and the cost of the same without any pool.
//!
//! As with the threads each reading is taken by a process of its own, round after round, the subjects of a case one after
//! the other. The goals are in `goal`, as ratios within a round.

pub(crate) mod figure;
mod floor;
pub(crate) mod goal;
pub(crate) mod subject;
pub(crate) mod table;

use std::collections::BTreeSet;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use clap::{Args, ValueEnum};

use crate::runner::{QUIET, Taken, order};
use crate::strangers::Strangers;
use figure::Figure;
use subject::Subject;
use table::Line;

pub(crate) use floor::stand_in;

/// A process that takes longer than this is taken to hang.
const LIMIT: Duration = Duration::from_secs(180);

/// What a process prints for a case that its subject does not have.
const NONE: &str = "none";

#[derive(Args)]
pub(crate) struct Options {
    /// One JSON object per line instead of Markdown.
    #[arg(long)]
    pub(crate) json: bool,
    /// How often each case is measured with each subject.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// A twentieth of the work: shows that everything runs, not how fast.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this figure; may be given several times.
    #[arg(long, value_name = "FIGURE")]
    pub(crate) only: Vec<Figure>,
    /// Only these subjects.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub(crate) subjects: Vec<Subject>,
}

/// The number that a process measures.
#[derive(Args, Clone, Copy)]
pub(crate) struct Reading {
    figure: Figure,
    /// Index into the figure's cases.
    case: usize,
    subject: Subject,
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let taken = take(options);
    table::print(&taken.lines, options.json, taken.noise.filter(|cores| *cores > QUIET));
    taken.exit_code()
}

pub(crate) fn take(options: &Options) -> Taken<Line> {
    let mut lines = lines(options, &chosen_subjects(options));
    let mut failed = BTreeSet::new();
    let start = Instant::now();
    let mut noisiest = None;
    for round in 0..options.rounds {
        let strangers = Strangers::watch();
        for case in lines.chunk_by_mut(|a, b| (a.figure, a.case) == (b.figure, b.case)) {
            for k in order(case.len(), round) {
                let line = &mut case[k];
                let reading = in_own_process(line, options.quick).unwrap_or_else(|why| {
                    failed.insert(format!("{} with {}: {why}", line.title(), line.subject.name()));
                    None
                });
                line.rounds.push(reading);
            }
        }
        let cores = strangers.and_then(|strangers| strangers.cores());
        let noise = if cores.is_some_and(|cores| cores > QUIET) { "NOISE: " } else { "" };
        let cores = cores.unwrap_or(f64::NAN);
        noisiest = noisiest.into_iter().chain([cores]).max_by(f64::total_cmp);
        let seconds = start.elapsed().as_secs();
        eprintln!(
            "round {} of {} done after {seconds} s; {noise}other programs kept {cores:.2} cores busy",
            round + 1,
            options.rounds
        );
    }
    lines.retain(|line| line.rounds.iter().any(Option::is_some));
    Taken { lines, failed, noise: noisiest }
}

/// Takes one reading here and prints it.
pub(crate) fn one(reading: &Reading) -> ExitCode {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("not done after {} s", LIMIT.as_secs());
        process::exit(1);
    });
    let Reading { figure, case, subject, quick } = *reading;
    match subject.measure(figure, case, quick) {
        Ok(reading) => {
            table::print_line(&reading.map_or_else(|| NONE.to_owned(), |reading| reading.to_string()));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn chosen_subjects(options: &Options) -> Vec<Subject> {
    let mut subjects = Subject::value_variants().to_vec();
    if !options.subjects.is_empty() {
        subjects.retain(|subject| options.subjects.contains(subject));
    }
    if subjects.iter().any(|subject| subject.is_python()) {
        match crate::subject::cpython_version() {
            Some(version) => eprintln!("cpython is {version}"),
            None => {
                eprintln!("NO PYTHON FOUND: there will be no rows of its pools (set PEERS_PYTHON to one)");
                subjects.retain(|subject| !subject.is_python());
            }
        }
    }
    subjects
}

fn lines(options: &Options, subjects: &[Subject]) -> Vec<Line> {
    let mut lines = Vec::new();
    for &figure in Figure::value_variants() {
        if !options.only.is_empty() && !options.only.contains(&figure) {
            continue;
        }
        for case in 0..figure.cases().len() {
            let subjects = subjects.iter().filter(|subject| figure.is_for(**subject));
            lines.extend(subjects.map(|&subject| Line { figure, case, subject, rounds: Vec::new() }));
        }
    }
    lines
}

fn in_own_process(line: &Line, quick: bool) -> Result<Option<f64>, String> {
    let program = env::current_exe().map_err(|e| format!("can't find this program: {e}"))?;
    let mut command = Command::new(program);
    command.args(["one-process", &line.figure.name(), &line.case.to_string(), &line.subject.name()]);
    if quick {
        command.arg("--quick");
    }
    // stderr is the terminal's: a panic is seen as it happens.
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|e| format!("can't start a process: {e}"))?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.trim() {
        NONE => Ok(None),
        figure => figure.parse().map(Some).map_err(|e| format!("{figure:?} is no number: {e}")),
    }
}
