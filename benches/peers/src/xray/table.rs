//! What is printed: JSON lines for a program, Markdown for people.

use serde::Serialize;

use super::{Difference, Line, Options, Subject, find, goal};
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
    /// How much of the control's speed-up this subject reached, in percent, round by round: the median.
    control_share: Option<f64>,
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
    print_line(&crate::goal::table(&goal::outcomes(lines), options.rounds as usize));
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
}

fn row(line: &Line, lines: &[Line], images: usize, options: &Options) -> Row {
    let Spread { median, min, max, runs } = Spread::of(line.rounds.iter().flatten().copied());
    let median_of = |ratios: Vec<f64>| spread(ratios).map(|spread| spread.median);
    let ours = find(lines, Subject::OursProcesses);
    Row {
        group: "xray",
        case: format!("{images} images, {} workers", options.workers),
        subject: line.subject,
        unit: "s",
        median,
        min,
        max,
        runs,
        ours_is_faster_by: ours.and_then(|ours| median_of(line.by(ours))),
        control_share: goal::share_of_control(lines, Some(line)).and_then(median_of),
        pixels: line.difference,
    }
}

/// How many times faster than the loop.
fn against(lines: &[Line], subject: Subject, line: &Line) -> String {
    find(lines, subject).map_or_else(String::new, |other| shown(other.by(line)))
}

fn against_ours(lines: &[Line], line: &Line) -> String {
    find(lines, Subject::OursProcesses).map_or_else(String::new, |ours| shown(line.by(ours)))
}

fn shown(ratios: Vec<f64>) -> String {
    let shown = |Spread { median, min, max, .. }| format!("{median:.2}x ({min:.2}-{max:.2})");
    spread(ratios).map_or_else(String::new, shown)
}

fn spread(ratios: Vec<f64>) -> Option<Spread> {
    (!ratios.is_empty()).then(|| Spread::of(ratios.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::{Line, Subject, against_ours, row};
    use crate::xray::Options;

    fn line(subject: Subject, rounds: &[Option<f64>]) -> Line {
        Line { subject, rounds: rounds.to_vec(), difference: None }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ours = line(Subject::OursProcesses, &[Some(1.0), Some(10.0), None]);
        let theirs = line(Subject::CpythonLoop, &[Some(2.0), Some(20.0), Some(5.0)]);
        assert_eq!(theirs.by(&ours), [2.0, 2.0]);
        let lines = [ours, theirs];
        assert_eq!(against_ours(&lines, &lines[1]), "2.00x (2.00-2.00)");
        assert_eq!(against_ours(&lines[1..], &lines[1]), "");
    }

    #[test]
    fn a_json_line_has_these_keys_and_no_others() {
        let lines = [
            line(Subject::OursProcesses, &[Some(2.0), Some(4.0)]),
            line(Subject::Control, &[Some(1.0), Some(3.0)]),
        ];
        let options = Options {
            dir: "".into(),
            repeat: 1,
            workers: 2,
            rounds: 2,
            draft: false,
            json: true,
            subjects: Vec::new(),
        };
        let expected = "{\"group\":\"xray\",\"case\":\"13 images, 2 workers\",\"subject\":\"ours_processes\",\
            \"unit\":\"s\",\"median\":3.0,\"min\":2.0,\"max\":4.0,\"runs\":2,\"ours_is_faster_by\":1.0,\
            \"control_share\":62.5,\"pixels\":null}";
        let row = row(&lines[0], &lines, 13, &options);
        assert_eq!(serde_json::to_string(&row).ok().as_deref(), Some(expected));
    }
}
