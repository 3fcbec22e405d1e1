//! A part of the readings: one group of the threads or one figure of the processes. Each is kept in a file of its own, so
//! that a run can be split: a line of circumstances, then a line for each case and subject, round by round.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::circumstances::Circumstances;
use crate::arguments;
use crate::group::Group;
use crate::processes::figure::Figure;
use crate::processes::table::Line as ProcessLine;
use crate::report::Line as ThreadLine;
use crate::{processes, runner, subject};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Threads(Group),
    Processes(Figure),
}

const THREAD_ROUNDS: u32 = 5;
const PROCESS_ROUNDS: u32 = 3;

/// Everything that is there.
#[derive(Default)]
pub(super) struct Readings {
    pub(super) threads: Vec<ThreadLine>,
    pub(super) processes: Vec<ProcessLine>,
    /// Of each part.
    pub(super) taken: Vec<(Part, Circumstances)>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    case: String,
    subject: String,
    rounds: Vec<Option<f64>>,
}

impl Part {
    pub(super) fn all() -> Vec<Part> {
        let threads = Group::value_variants().iter().copied().map(Part::Threads);
        threads.chain(Figure::value_variants().iter().copied().map(Part::Processes)).collect()
    }

    pub(super) fn name(self) -> String {
        match self {
            Part::Threads(group) => format!("threads-{}", group.name()),
            Part::Processes(figure) => format!("processes-{}", figure.name()),
        }
    }

    pub(super) fn file(self, keep: &Path) -> PathBuf {
        keep.join(self.name() + ".jsonl")
    }

    /// Takes its readings and keeps them. Whether all of them could be taken.
    pub(super) fn take(self, rounds: Option<u32>, quick: bool, file: &Path) -> Result<bool, Box<dyn Error>> {
        let usual = |full: u32| rounds.unwrap_or(if quick { 1 } else { full });
        let (circumstances, rows, failed) = match self {
            Part::Threads(group) => {
                let rounds = usual(THREAD_ROUNDS);
                let subjects = subject::comparable(quick);
                let only = vec![group];
                let taken = runner::take(&arguments::Options { json: false, rounds, quick, only, subjects });
                let rows: Vec<Row> = taken.lines.iter().map(of_threads).collect();
                (Circumstances::now(rounds, quick, taken.noise), rows, taken.failed)
            }
            Part::Processes(figure) => {
                let rounds = usual(PROCESS_ROUNDS);
                let subjects = processes::subject::comparable(quick);
                let only = vec![figure];
                let taken =
                    processes::take(&processes::Options { json: false, rounds, quick, only, subjects });
                let rows: Vec<Row> = taken.lines.iter().map(of_processes).collect();
                (
                    Circumstances::now(rounds, quick, taken.noise.filter(|noise| noise.is_finite())),
                    rows,
                    taken.failed,
                )
            }
        };
        failed.iter().for_each(|failure| eprintln!("FAILED: {failure}"));
        let mut text = serde_json::to_string(&circumstances)? + "\n";
        for row in rows {
            text += &(serde_json::to_string(&row)? + "\n");
        }
        fs::write(file, text)?;
        Ok(failed.is_empty())
    }
}

/// The parts that these names mean, each a part or the first half of some; none means all.
pub(super) fn chosen(names: &[String]) -> Result<Vec<Part>, String> {
    let all = Part::all();
    if names.is_empty() {
        return Ok(all);
    }
    let means = |name: &str, part: Part| part.name() == name || part.name().split('-').next() == Some(name);
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|part| means(name, *part))) {
        let known: Vec<String> = all.into_iter().map(Part::name).collect();
        return Err(format!(
            "no part is called {unknown}; there are threads, processes, {}",
            known.join(", ")
        ));
    }
    Ok(all.into_iter().filter(|part| names.iter().any(|name| means(name, *part))).collect())
}

impl Readings {
    /// What is kept there.
    pub(super) fn read(keep: &Path) -> Result<Self, Box<dyn Error>> {
        let mut readings = Readings::default();
        for part in Part::all() {
            let file = part.file(keep);
            if file.exists() {
                let text = fs::read_to_string(&file)?;
                readings.add(part, &text).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        Ok(readings)
    }

    /// A case or subject that is known no more is left out.
    fn add(&mut self, part: Part, text: &str) -> Result<(), Box<dyn Error>> {
        let mut lines = text.lines();
        self.taken.push((part, serde_json::from_str(lines.next().ok_or("the file is empty")?)?));
        for line in lines {
            let row: Row = serde_json::from_str(line)?;
            match part {
                Part::Threads(group) => self.threads.extend(to_threads(group, row)),
                Part::Processes(figure) => self.processes.extend(to_processes(figure, row)),
            }
        }
        Ok(())
    }
}

fn of_threads(line: &ThreadLine) -> Row {
    Row { case: line.case().name.to_owned(), subject: line.subject.name(), rounds: line.rounds.clone() }
}

fn of_processes(line: &ProcessLine) -> Row {
    Row { case: line.case().name.to_owned(), subject: line.subject.name(), rounds: line.rounds.clone() }
}

fn to_threads(group: Group, row: Row) -> Option<ThreadLine> {
    let case = group.cases().iter().position(|case| case.name == row.case)?;
    Some(ThreadLine {
        group,
        case,
        subject: ValueEnum::from_str(&row.subject, false).ok()?,
        rounds: row.rounds,
    })
}

fn to_processes(figure: Figure, row: Row) -> Option<ProcessLine> {
    let case = figure.cases().iter().position(|case| case.name == row.case)?;
    Some(ProcessLine {
        figure,
        case,
        subject: ValueEnum::from_str(&row.subject, false).ok()?,
        rounds: row.rounds,
    })
}

#[cfg(test)]
mod tests {
    use super::{Circumstances, Part, Readings, chosen, of_threads};
    use crate::group::Group;
    use crate::processes::figure::Figure;
    use crate::report::Line;
    use crate::subject::Subject;

    #[test]
    fn a_name_means_a_part_or_a_half() {
        let names = |names: &[&str]| chosen(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["processes-map"]), Ok(vec![Part::Processes(Figure::Map)]));
        assert_eq!(names(&[]).map(|parts| parts.len()), Ok(Part::all().len()));
        assert!(names(&["threads"]).is_ok_and(|parts| parts.contains(&Part::Threads(Group::Scale))));
        assert!(names(&["threads"]).is_ok_and(|parts| !parts.contains(&Part::Processes(Figure::Map))));
        assert!(names(&["map"]).is_err_and(|error| error.contains("processes-map")));
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let rounds = vec![Some(1.5), None];
        let line =
            Line { group: Group::RoundTrip, case: 2, subject: Subject::TokioSpawn, rounds: rounds.clone() };
        let circumstances = Circumstances::now(2, true, None);
        let row = serde_json::to_string(&of_threads(&line)).unwrap();
        let gone = r#"{"case":"no more","subject":"ours","rounds":[1.0]}"#;
        let text = format!("{}\n{row}\n{gone}\n", serde_json::to_string(&circumstances).unwrap());

        let mut readings = Readings::default();
        readings.add(Part::Threads(Group::RoundTrip), &text).unwrap();
        assert_eq!(readings.taken, [(Part::Threads(Group::RoundTrip), circumstances)]);
        assert_eq!(readings.threads.len(), 1);
        let read = &readings.threads[0];
        assert_eq!((read.case, read.subject, &read.rounds), (2, Subject::TokioSpawn, &rounds));
        assert!(readings.add(Part::Threads(Group::RoundTrip), "").is_err());
    }
}
