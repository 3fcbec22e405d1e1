//! What is printed: JSON lines for a program, Markdown for the README.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use std::fmt::Write as _;

use serde::Serialize;

use crate::group::{Case, Group};
use crate::subject::Subject;

/// All readings of one case with one subject, in the order of the rounds; `None` where there was none.
pub(crate) struct Line {
    pub(crate) group: Group,
    pub(crate) case: usize,
    pub(crate) subject: Subject,
    pub(crate) rounds: Vec<Option<f64>>,
}

/// A JSON line: exactly these keys.
#[derive(Serialize)]
struct Row {
    group: Group,
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
        format!("{}, {}", self.group.name(), self.case().name)
    }

    fn case(&self) -> &'static Case {
        &self.group.cases()[self.case]
    }

    fn row(&self) -> Row {
        let spread = Spread::of(self.rounds.iter().flatten().copied());
        let Case { name, unit } = *self.case();
        let (group, subject) = (self.group, self.subject);
        let Spread { median, min, max, runs } = spread;
        Row { group, case: name, subject, unit, median, min, max, runs }
    }
}

pub(crate) fn print(lines: &[Line], json: bool) {
    if json {
        for line in lines {
            print_line(&serde_json::to_string(&line.row()).expect("a row is plain numbers and names"));
        }
    } else {
        print_line(markdown(lines).trim_end());
    }
}

pub(crate) fn print_line(line: &str) {
    println!("{line}");
}

/// One table per group: a column per case, a row per subject. Below it, how ours stands.
fn markdown(lines: &[Line]) -> String {
    let mut text = String::new();
    for group in lines.chunk_by(|a, b| a.group == b.group) {
        table(&mut text, group).expect("a string takes everything");
    }
    text
}

fn table(text: &mut String, lines: &[Line]) -> std::fmt::Result {
    let cases: Vec<&[Line]> = lines.chunk_by(|a, b| a.case == b.case).collect();
    let mut subjects: Vec<Subject> = Vec::new();
    for line in lines {
        if !subjects.contains(&line.subject) {
            subjects.push(line.subject);
        }
    }

    write!(text, "| {} |", lines[0].group.name())?;
    for case in &cases {
        write!(text, " {}, {} |", case[0].case().name, case[0].case().unit)?;
    }
    writeln!(text)?;
    writeln!(text, "|---|{}", "---|".repeat(cases.len()))?;
    for subject in subjects {
        write!(text, "| {} |", subject.name())?;
        for case in &cases {
            write!(text, " {} |", cell(case, subject))?;
        }
        writeln!(text)?;
    }
    writeln!(text)
}

/// `median (min-max), ratio to the fastest peer`.
fn cell(case: &[Line], subject: Subject) -> String {
    let Some(line) = case.iter().find(|line| line.subject == subject) else { return String::new() };
    let own = line.row();
    let figures = format!("{} ({}-{})", short(own.median), short(own.min), short(own.max));
    match fastest_peer(case) {
        Some(peer) => format!("{figures}, {:.2}x", own.median / peer.row().median),
        None => figures,
    }
}

fn fastest_peer(case: &[Line]) -> Option<&Line> {
    let peers = case.iter().filter(|line| line.subject.is_peer());
    peers.min_by(|a, b| a.row().median.total_cmp(&b.row().median))
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 99_950.0 => format!("{:.0}k", value / 1e3),
        v if v >= 9_995.0 => format!("{:.1}k", value / 1e3),
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let runs = values.len();
        let median = (values[(runs - 1) / 2] + values[runs / 2]) / 2.0;
        Self { median, min: values[0], max: values[runs - 1], runs }
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, short};

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter());
        assert_eq!((spread.median, spread.min, spread.max, spread.runs), (2.5, 1.0, 4.0, 4));
    }

    #[test]
    fn figures_keep_three_digits() {
        let shown: Vec<_> = [1.234, 56.78, 567.8, 5_678.0, 56_780.0, 567_800.0].map(short).into();
        assert_eq!(shown, ["1.23", "56.8", "568", "5678", "56.8k", "568k"]);
    }
}
