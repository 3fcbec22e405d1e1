//! Two builds of this program beside each other: joins what `--json` printed, run after run, one file a build.
//!
//! The runs alternate, so the nth reading of a case in one file was taken just before or after the nth in the other.
//! Their ratio says more than that of two medians. `ci/bench-compare.sh` makes the files.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use crate::report::{Spread, print_line, short};

#[derive(Args)]
pub(crate) struct Files {
    /// JSON lines of one build.
    before: PathBuf,
    /// Those of the other.
    now: PathBuf,
}

/// The used part of a JSON line, of any subcommand and build: a name that this build doesn't know is no error.
#[derive(Deserialize)]
struct Row {
    group: String,
    case: String,
    subject: String,
    unit: String,
    median: f64,
}

/// All readings of one case with one subject, in the order of the runs.
struct Series {
    title: String,
    readings: Vec<f64>,
}

pub(crate) fn run(files: &Files) -> ExitCode {
    let read = |path: &Path| {
        let text = fs::read_to_string(path).map_err(|e| e.to_string());
        text.and_then(|text| series(&text)).map_err(|why| format!("{}: {why}", path.display()))
    };
    match read(&files.before).and_then(|before| markdown(&before, &read(&files.now)?)) {
        Ok(table) => {
            print_line(table.trim_end());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn series(lines: &str) -> Result<Vec<Series>, String> {
    let mut all: Vec<Series> = Vec::new();
    for line in lines.lines() {
        let row: Row = serde_json::from_str(line).map_err(|e| format!("{line:?} is no reading: {e}"))?;
        let title = format!("{}, {}, {}, {}", row.group, row.case, row.subject, row.unit);
        match all.iter_mut().find(|series| series.title == title) {
            Some(series) => series.readings.push(row.median),
            None => all.push(Series { title, readings: vec![row.median] }),
        }
    }
    Ok(all)
}

/// A row per case and subject; those that only one build has are named below.
fn markdown(before: &[Series], now: &[Series]) -> Result<String, String> {
    let mut table = "| case | before | now | now / before, round by round |\n|---|---|---|---|\n".to_owned();
    let mut alone = String::new();
    for Series { title, readings } in now {
        match find(before, title) {
            Some(old) => {
                let ratio = ratio(title, &old.readings, readings)?;
                let (then, now) = (figures(&old.readings), figures(readings));
                let _ = writeln!(table, "| {title} | {then} | {now} | {ratio} |");
            }
            None => alone += &format!("\nonly now: {title}\n"),
        }
    }
    let gone = before.iter().filter(|old| find(now, &old.title).is_none());
    gone.for_each(|old| alone += &format!("\nonly before: {}\n", old.title));
    Ok(table + &alone)
}

fn find<'a>(all: &'a [Series], title: &str) -> Option<&'a Series> {
    all.iter().find(|series| series.title == title)
}

fn figures(readings: &[f64]) -> String {
    let Spread { median, min, max, .. } = Spread::of(readings.iter().copied());
    format!("{} ({}-{})", short(median), short(min), short(max))
}

fn ratio(title: &str, before: &[f64], now: &[f64]) -> Result<String, String> {
    // A reading that failed would shift those after it into another's round.
    if before.len() != now.len() {
        return Err(format!("{title}: {} readings before, {} now", before.len(), now.len()));
    }
    let Spread { median, min, max, .. } =
        Spread::of(before.iter().zip(now).map(|(before, now)| now / before));
    Ok(format!("{median:.2} ({min:.2}-{max:.2})"))
}

#[cfg(test)]
mod tests {
    use super::{markdown, series};

    fn line(case: &str, median: f64) -> String {
        format!(
            "{{\"group\":\"map\",\"case\":\"{case}\",\"subject\":\"ours\",\"unit\":\"ns\",\"median\":{median},\
             \"min\":0.5,\"max\":9.0,\"runs\":1}}\n"
        )
    }

    fn compare(before: &[(&str, f64)], now: &[(&str, f64)]) -> Result<String, String> {
        let lines =
            |readings: &[(&str, f64)]| readings.iter().map(|(case, n)| line(case, *n)).collect::<String>();
        markdown(&series(&lines(before))?, &series(&lines(now))?)
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let before = [("a", 10.0), ("b", 1.0), ("a", 20.0), ("b", 1.0), ("a", 40.0), ("b", 1.0)];
        let now = [("a", 5.0), ("b", 2.0), ("a", 20.0), ("b", 2.0), ("a", 80.0), ("b", 2.0)];
        let table = compare(&before, &now).unwrap();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| map, a, ours, ns | 20.0 (10.0-40.0) | 20.0 (5.00-80.0) | 1.00 (0.50-2.00) |",
                "| map, b, ours, ns | 1.00 (1.00-1.00) | 2.00 (2.00-2.00) | 2.00 (2.00-2.00) |",
            ]
        );
    }

    #[test]
    fn what_only_one_build_has_is_named() {
        let table = compare(&[("old", 1.0), ("both", 1.0)], &[("both", 1.0), ("new", 1.0)]).unwrap();
        assert!(table.contains("\nonly now: map, new, ours, ns\n"), "{table}");
        assert!(table.contains("\nonly before: map, old, ours, ns\n"), "{table}");
        assert_eq!(table.matches("| map").count(), 1, "{table}");
    }

    #[test]
    fn a_missing_reading_is_an_error() {
        let why = compare(&[("a", 1.0), ("a", 1.0)], &[("a", 1.0)]).unwrap_err();
        assert_eq!(why, "map, a, ours, ns: 2 readings before, 1 now");
    }

    #[test]
    fn what_is_no_reading_is_an_error() {
        assert!(series("{\"group\":\"map\"}\n").is_err_and(|why| why.contains("is no reading")));
    }
}
