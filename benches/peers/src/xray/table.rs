//! What is printed: JSON lines for a program, Markdown for people.

use serde::Serialize;

use super::{Difference, Line, Options, Subject};
use crate::report::{Spread, print_line};

/// A JSON line: exactly these keys.
#[derive(Serialize)]
struct Row {
    group: &'static str,
    case: String,
    subject: Subject,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
    /// This subject's time by ours, round by round: the median.
    ours_is_faster_by: Option<f64>,
    pixels: Option<Difference>,
}

pub(super) fn print(lines: &[Line], images: usize, options: &Options) {
    if options.json {
        for line in lines {
            let row = row(line, lines, images, options);
            print_line(&serde_json::to_string(&row).expect("a row is plain numbers and names"));
        }
        return;
    }
    print_line(&format!(
        "| xray, {images} images, {} workers | seconds | images/s | to a loop | ours is faster by | pixels beside Pillow's: most, mean, differing |",
        options.workers
    ));
    print_line("|---|---|---|---|---|---|");
    for line in lines {
        let Row { median, min, max, .. } = row(line, lines, images, options);
        let pixels = line.difference.map_or_else(String::new, |d| {
            format!("{}, {:.3}, {:.1} %", d.most, d.mean, 100.0 * d.pixels as f64 / d.of as f64)
        });
        print_line(&format!(
            "| {} | {median:.2} ({min:.2}-{max:.2}) | {:.0} | {} | {} | {pixels} |",
            line.subject.name(),
            images as f64 / median,
            against(lines, Subject::OursLoop, line),
            against_ours(lines, line),
        ));
    }
    control(lines);
}

/// The last word: how much of what the machine gives was reached.
fn control(lines: &[Line]) {
    let find = |subject| lines.iter().find(|line| line.subject == subject);
    if let (Some(control), Some(ours)) = (find(Subject::Control), find(Subject::OursProcesses))
        && let Some(share) = ratio(control, ours)
    {
        let Spread { median, min, max, .. } = share;
        print_line("");
        print_line(&format!(
            "ours_processes reached {:.0} % ({:.0}-{:.0}) of the control's speed, round by round",
            100.0 * median,
            100.0 * min,
            100.0 * max
        ));
    }
}

fn row(line: &Line, lines: &[Line], images: usize, options: &Options) -> Row {
    let Spread { median, min, max, runs } = Spread::of(line.rounds.iter().flatten().copied());
    let ours = lines.iter().find(|line| line.subject == Subject::OursProcesses);
    let ours_is_faster_by = ours.and_then(|ours| ratio(line, ours)).map(|spread| spread.median);
    let case = format!("{images} images, {} workers", options.workers);
    let (subject, pixels) = (line.subject, line.difference);
    Row { group: "xray", case, subject, unit: "s", median, min, max, runs, ours_is_faster_by, pixels }
}

/// How many times faster than the loop.
fn against(lines: &[Line], subject: Subject, line: &Line) -> String {
    let other = lines.iter().find(|line| line.subject == subject);
    other.and_then(|other| ratio(other, line)).map_or_else(String::new, shown)
}

fn against_ours(lines: &[Line], line: &Line) -> String {
    let ours = lines.iter().find(|line| line.subject == Subject::OursProcesses);
    ours.and_then(|ours| ratio(line, ours)).map_or_else(String::new, shown)
}

fn shown(spread: Spread) -> String {
    format!("{:.2}x ({:.2}-{:.2})", spread.median, spread.min, spread.max)
}

/// One line's time by another's, of readings taken in the same round.
fn ratio(line: &Line, by: &Line) -> Option<Spread> {
    let pairs = line.rounds.iter().zip(&by.rounds);
    let ratios: Vec<f64> = pairs.filter_map(|(a, b)| Some((*a)? / (*b)?)).collect();
    (!ratios.is_empty()).then(|| Spread::of(ratios.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::{Line, Subject, against_ours, ratio};

    fn line(subject: Subject, rounds: &[Option<f64>]) -> Line {
        Line { subject, rounds: rounds.to_vec(), difference: None }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ours = line(Subject::OursProcesses, &[Some(1.0), Some(10.0), None]);
        let theirs = line(Subject::CpythonLoop, &[Some(2.0), Some(20.0), Some(5.0)]);
        assert!(ratio(&theirs, &ours).is_some_and(|spread| spread.min == 2.0 && spread.max == 2.0));
        let lines = [ours, theirs];
        assert_eq!(against_ours(&lines, &lines[1]), "2.00x (2.00-2.00)");
        assert_eq!(against_ours(&lines[1..], &lines[1]), "");
    }
}
