//! Runs every case with every subject, round after round, each reading in a process of its own.
//!
//! Within a round the subjects of a case follow directly on each other, so that they meet the machine in the same mood;
//! their order turns round with every round, so that nobody always comes after the same neighbour.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use clap::ValueEnum;

use crate::arguments::{Options, Reading};
use crate::group::Group;
use crate::report::{self, Line};
use crate::strangers::Strangers;
use crate::subject::{self, Subject};

/// A process that takes longer than this is taken to hang.
const LIMIT: Duration = Duration::from_secs(180);

/// Cores kept busy by other programs, above which the figures are worth little.
pub(crate) const QUIET: f64 = 0.1;

/// What a process prints for a case that its subject does not have.
const NONE: &str = "none";

/// What a run has found out.
pub(crate) struct Taken<Line> {
    pub(crate) lines: Vec<Line>,
    /// Which readings failed, and why.
    pub(crate) failed: BTreeSet<String>,
    /// How many cores other programs kept busy in the worst round, where that is known.
    pub(crate) noise: Option<f64>,
}

impl<Line> Taken<Line> {
    /// Names what failed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        for failure in &self.failed {
            eprintln!("FAILED: {failure}");
        }
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let taken = take(options);
    report::print(&taken.lines, options.json);
    taken.exit_code()
}

pub(crate) fn take(options: &Options) -> Taken<Line> {
    let subjects = chosen_subjects(options);
    let mut lines = lines(options, &subjects);
    let mut failed = BTreeSet::new();
    let start = Instant::now();
    let mut noise: Option<f64> = None;
    for round in 0..options.rounds {
        let strangers = Strangers::watch();
        for case in lines.chunk_by_mut(|a, b| (a.group, a.case) == (b.group, b.case)) {
            for k in order(case.len(), round) {
                let line = &mut case[k];
                match in_own_process(line, options.quick) {
                    Ok(figure) => line.rounds.push(figure),
                    Err(why) => {
                        line.rounds.push(None);
                        failed.insert(format!("{} with {}: {why}", line.title(), line.subject.name()));
                    }
                }
            }
        }
        eprint!("round {} of {} done after {} s", round + 1, options.rounds, start.elapsed().as_secs());
        let cores = strangers.and_then(|strangers| strangers.cores());
        noise = noise.into_iter().chain(cores).max_by(f64::total_cmp);
        match cores {
            Some(cores) if cores > QUIET => eprintln!("; NOISE: other programs kept {cores:.2} cores busy"),
            Some(cores) => eprintln!("; other programs kept {cores:.2} cores busy"),
            None => eprintln!(),
        }
    }
    lines.retain(|line| line.rounds.iter().any(Option::is_some));
    Taken { lines, failed, noise }
}

/// Takes one reading here and prints it.
pub(crate) fn one(reading: &Reading) -> ExitCode {
    watchdog();
    match subject::measure(reading) {
        Ok(figure) => {
            report::print_line(&figure.map_or_else(|| NONE.to_owned(), |figure| figure.to_string()));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Ends a process that hangs.
pub(crate) fn watchdog() {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("not done after {} s", LIMIT.as_secs());
        process::exit(1);
    });
}

fn chosen_subjects(options: &Options) -> Vec<Subject> {
    let mut subjects = Subject::value_variants().to_vec();
    if !options.subjects.is_empty() {
        subjects.retain(|subject| options.subjects.contains(subject));
    }
    if subjects.contains(&Subject::Cpython) {
        match subject::cpython_version() {
            Some(version) => eprintln!("cpython is {version}"),
            None => {
                eprintln!("NO PYTHON FOUND: there will be no row `cpython` (set PEERS_PYTHON to one)");
                subjects.retain(|&subject| subject != Subject::Cpython);
            }
        }
    }
    subjects
}

fn lines(options: &Options, subjects: &[Subject]) -> Vec<Line> {
    let mut lines = Vec::new();
    for &group in Group::value_variants() {
        if !options.only.is_empty() && !options.only.contains(&group) {
            continue;
        }
        for case in 0..group.cases().len() {
            let subjects = subjects.iter().filter(|subject| group.is_for(**subject));
            lines.extend(subjects.map(|&subject| Line { group, case, subject, rounds: Vec::new() }));
        }
    }
    lines
}

/// The places of `n` subjects in this round: shifted by one each round, and every other round backwards.
pub(crate) fn order(n: usize, round: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.rotate_left(round as usize / 2 % n);
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

fn in_own_process(line: &Line, quick: bool) -> Result<Option<f64>, String> {
    let program = env::current_exe().map_err(|e| format!("can't find this program: {e}"))?;
    let mut command = Command::new(program);
    command.args(["one", &line.group.name(), &line.case.to_string(), &line.subject.name()]);
    line.group.allocator().set(&mut command);
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

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_order_turns_round_and_leaves_nobody_out() {
        assert_eq!(order(3, 0), [0, 1, 2]);
        assert_eq!(order(3, 1), [2, 1, 0]);
        assert_eq!(order(3, 2), [1, 2, 0]);
        assert_eq!(order(1, 7), [0]);
    }
}
