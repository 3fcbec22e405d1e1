//! What is printed: JSON lines for a program, Markdown for the README.

use std::fmt::Write as _;

use serde::Serialize;

use crate::group::{Case, Group, goal};
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

    pub(crate) fn case(&self) -> &'static Case {
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
        text += &table(group);
    }
    text += &verdict(lines);
    let outcomes = goal::outcomes(lines);
    if !outcomes.is_empty() {
        let rounds = lines.iter().map(|line| line.rounds.len()).max().unwrap_or(0);
        text += &format!("\n{}", crate::goal::table(&outcomes, rounds));
    }
    text
}

/// Ours against the fastest peer and the floor, round by round: the ratio of two readings that were taken one after
/// the other says more than that of two medians, because the machine's speed changes from minute to minute.
pub(crate) fn verdict(lines: &[Line]) -> String {
    let cases = lines.chunk_by(|a, b| (a.group, a.case) == (b.group, b.case));
    let cases = cases.filter(|case| case[0].group.is_compared());
    let mut cases = cases.filter_map(|case| Some((case, find(case, Subject::Ours)?))).peekable();
    if cases.peek().is_none() {
        return String::new();
    }
    let mut text = "| ours, round by round | fastest peer | ours / that peer | ours / floor |\n".to_owned();
    text += "|---|---|---|---|\n";
    for (case, ours) in cases {
        let peer = fastest_peer(case);
        let name = peer.map(|peer| peer.subject.label()).unwrap_or_default();
        let to_peer = shown(&ratios(ours, peer));
        let to_floor = shown(&ratios(ours, find(case, Subject::Floor)));
        text += &format!("| {} | {name} | {to_peer} | {to_floor} |\n", ours.title());
    }
    text
}

/// Round by round.
pub(crate) fn ratios(a: &Line, b: Option<&Line>) -> Vec<f64> {
    let pairs = a.rounds.iter().zip(b.map_or(&[][..], |b| &b.rounds));
    pairs.filter_map(|(a, b)| Some((*a)? / (*b)?)).filter(|ratio| ratio.is_finite()).collect()
}

fn shown(ratios: &[f64]) -> String {
    if ratios.is_empty() {
        return String::new();
    }
    let Spread { median, min, max, .. } = Spread::of(ratios.iter().copied());
    format!("{median:.2} ({min:.2}-{max:.2})")
}

/// The lines of one group: a column per case and a row per subject, or the other way round where that would be too wide.
pub(crate) fn table(lines: &[Line]) -> String {
    const WIDE: usize = 5;
    let mut text = String::new();
    let cases = lines.chunk_by(|a, b| a.case == b.case).count();
    if cases > WIDE { a_row_per_case(&mut text, lines) } else { a_row_per_subject(&mut text, lines) }
        .expect("a string takes everything");
    text
}

fn subjects(lines: &[Line]) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for line in lines {
        if !subjects.contains(&line.subject) {
            subjects.push(line.subject);
        }
    }
    subjects
}

fn a_row_per_case(text: &mut String, lines: &[Line]) -> std::fmt::Result {
    let subjects = subjects(lines);
    write!(text, "| {} |", lines[0].group.name())?;
    for subject in &subjects {
        write!(text, " {} |", subject.label())?;
    }
    writeln!(text, "\n|---|{}", "---|".repeat(subjects.len()))?;
    for case in lines.chunk_by(|a, b| a.case == b.case) {
        write!(text, "| {}, {} |", case[0].case().name, case[0].case().unit)?;
        for subject in &subjects {
            write!(text, " {} |", cell(case, *subject))?;
        }
        writeln!(text)?;
    }
    writeln!(text)
}

fn a_row_per_subject(text: &mut String, lines: &[Line]) -> std::fmt::Result {
    let cases: Vec<&[Line]> = lines.chunk_by(|a, b| a.case == b.case).collect();
    let subjects = subjects(lines);
    write!(text, "| {} |", lines[0].group.name())?;
    for case in &cases {
        write!(text, " {}, {} |", case[0].case().name, case[0].case().unit)?;
    }
    writeln!(text)?;
    writeln!(text, "|---|{}", "---|".repeat(cases.len()))?;
    for subject in subjects {
        write!(text, "| {} |", subject.label())?;
        for case in &cases {
            write!(text, " {} |", cell(case, subject))?;
        }
        writeln!(text)?;
    }
    writeln!(text)
}

/// `median (min-max), ratio to the fastest peer`.
fn cell(case: &[Line], subject: Subject) -> String {
    let Some(line) = find(case, subject) else { return String::new() };
    let own = line.row();
    let figures = format!("{} ({}-{})", short(own.median), short(own.min), short(own.max));
    match fastest_peer(case) {
        Some(peer) => format!("{figures}, {:.2}x", own.median / peer.row().median),
        None => figures,
    }
}

pub(crate) fn find(case: &[Line], subject: Subject) -> Option<&Line> {
    case.iter().find(|line| line.subject == subject)
}

pub(crate) fn fastest_peer(case: &[Line]) -> Option<&Line> {
    let peers = case.iter().filter(|line| line.subject.is_peer());
    peers.min_by(|a, b| a.row().median.total_cmp(&b.row().median))
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 99_950.0 => format!("{:.0}k", value / 1e3),
        v if v >= 9_995.0 => format!("{:.1}k", value / 1e3),
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: usize,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let runs = values.len();
        let median = (values[(runs - 1) / 2] + values[runs / 2]) / 2.0;
        Self { median, min: values[0], max: values[runs - 1], runs }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Spread, ratios, short, table};
    use crate::group::Group;
    use crate::subject::Subject;

    fn line(subject: Subject, rounds: &[Option<f64>]) -> Line {
        Line { group: Group::RoundTrip, case: 0, subject, rounds: rounds.to_vec() }
    }

    #[test]
    fn a_json_line_has_these_keys_and_no_others() {
        let line = line(Subject::TokioSpawn, &[Some(3.0), None, Some(1.0), Some(2.0)]);
        let expected = "{\"group\":\"round_trip\",\"case\":\"short gap\",\"subject\":\"tokio_spawn\",\
            \"unit\":\"ns\",\"median\":2.0,\"min\":1.0,\"max\":3.0,\"runs\":3}";
        assert_eq!(serde_json::to_string(&line.row()).ok().as_deref(), Some(expected));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ours = line(Subject::Ours, &[Some(1.0), Some(10.0), None, Some(4.0)]);
        let peer = line(Subject::Rayon, &[Some(2.0), Some(20.0), Some(1.0), None]);
        assert_eq!(ratios(&ours, Some(&peer)), [0.5, 0.5]);
        assert!(ratios(&ours, None).is_empty());
        let nothing = line(Subject::Floor, &[Some(0.0)]);
        assert!(ratios(&ours, Some(&nothing)).is_empty(), "a ratio to nothing says nothing");
    }

    #[test]
    fn a_wide_group_lies_on_its_side() {
        let lines = |group: Group| {
            let of = |case| Line { group, case, subject: Subject::Ours, rounds: vec![Some(1.0)] };
            table(&(0..group.cases().len()).map(of).collect::<Vec<_>>())
        };
        assert!(lines(Group::RoundTrip).starts_with("| round_trip | short gap, ns | short gap, p99, ns |"));
        assert!(
            lines(Group::Scale).starts_with("| scale | ours |\n|---|---|\n| 2 workers, ns per task | 1.00")
        );
    }

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
