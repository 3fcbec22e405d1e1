//! What is printed: JSON lines for a program; Markdown for docs/benchmarks.md, ready to paste.

use std::fmt::Write as _;

use serde::Serialize;

use super::figure::{Case, Figure};
use super::goal;
use super::subject::Subject;

pub(crate) use crate::report::{Spread, print_line, short};

/// All readings of one case with one subject, in the order of the rounds; `None` where there was none.
pub(crate) struct Line {
    pub(crate) figure: Figure,
    pub(crate) case: usize,
    pub(crate) subject: Subject,
    pub(crate) rounds: Vec<Option<f64>>,
}

/// A JSON line: exactly these keys, as those of the threads.
#[derive(Serialize)]
struct Row {
    group: Figure,
    case: &'static str,
    subject: Subject,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
}

impl Line {
    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.figure.name(), self.case().name)
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread::of(self.rounds.iter().flatten().copied())
    }

    pub(crate) fn case(&self) -> &'static Case {
        &self.figure.cases()[self.case]
    }

    fn row(&self) -> Row {
        let Spread { median, min, max, runs } = self.spread();
        let Case { name, unit } = *self.case();
        Row { group: self.figure, case: name, subject: self.subject, unit, median, min, max, runs }
    }
}

pub(crate) fn print(lines: &[Line], json: bool, noise: Option<f64>) {
    if json {
        for line in lines {
            print_line(&serde_json::to_string(&line.row()).expect("a row is plain numbers and names"));
        }
    } else {
        print_line(markdown(lines, noise).trim_end());
    }
}

fn markdown(lines: &[Line], noise: Option<f64>) -> String {
    let mut text = String::new();
    if let Some(cores) = noise {
        text += &format!(
            "NOISE: other programs kept up to {cores:.2} cores busy. Only the ratios mean something.\n\n"
        );
    }
    let rounds = lines.iter().map(|line| line.rounds.len()).max().unwrap_or(0);
    text += &crate::goal::table(&goal::outcomes(lines), rounds);
    for figure in lines.chunk_by(|a, b| a.figure == b.figure) {
        text.push('\n');
        text += &table(figure);
    }
    text
}

/// A row per case, a column per subject.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    write_table(&mut text, lines).expect("a string takes everything");
    text
}

fn write_table(text: &mut String, lines: &[Line]) -> std::fmt::Result {
    let mut subjects: Vec<Subject> = Vec::new();
    for line in lines {
        if !subjects.contains(&line.subject) {
            subjects.push(line.subject);
        }
    }
    write!(text, "| {} |", lines[0].figure.name())?;
    for subject in &subjects {
        write!(text, " {} |", subject.label())?;
    }
    writeln!(text, "\n|---|{}", "---|".repeat(subjects.len()))?;
    for case in lines.chunk_by(|a, b| a.case == b.case) {
        write!(text, "| {}, {} |", case[0].case().name, case[0].case().unit)?;
        for subject in &subjects {
            let line = case.iter().find(|line| line.subject == *subject);
            let cell = line.map(Line::spread).map(|spread| {
                format!("{} ({}-{})", short(spread.median), short(spread.min), short(spread.max))
            });
            write!(text, " {} |", cell.unwrap_or_default())?;
        }
        writeln!(text)?;
    }
    Ok(())
}
