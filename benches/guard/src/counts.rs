//! The numbers that are kept in the repository, and how those of today compare.

use std::fmt::{self, Write as _};
use std::fs;

use crate::callgrind::profile;

const FILE: &str = "benches/guard/counts.csv";

/// Where nobody wrote another one, in percent: far above what two runs differ by.
const TOLERANCE: f64 = 3.0;

/// What stands before the tools' versions.
const TAKEN_WITH: &str = "# taken with: ";

const HEAD: &str = "# Instructions of one operation of each hot path. docs/benchmarks.md says how to read them.\n\
    # The file is written by `ci/bench-guard.sh --update`; only the tolerances are by hand.\n";

const COLUMNS: &str = "path,instructions,tolerance_percent";

/// All paths, and the tools they were counted with.
#[derive(Default, Clone, PartialEq, Debug)]
pub(crate) struct Counts {
    tools: String,
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Debug)]
struct Row {
    path: String,
    instructions: f64,
    tolerance: f64,
}

impl Counts {
    pub(crate) fn new(tools: String, counted: Vec<(&str, f64)>) -> Self {
        let row = |(path, instructions): (&str, f64)| {
            let instructions = (instructions * 10.0).round() / 10.0;
            Row { path: path.to_owned(), instructions, tolerance: TOLERANCE }
        };
        Counts { tools, rows: counted.into_iter().map(row).collect() }
    }

    pub(crate) fn load() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|e| format!("{FILE}: {e}"))?;
        Self::parse(&text)
    }

    pub(crate) fn save(&self) -> Result<(), String> {
        fs::write(FILE, self.to_string()).map_err(|e| format!("{FILE}: {e}"))
    }

    pub(crate) fn with_tolerances_of(mut self, kept: &Counts) -> Self {
        for row in &mut self.rows {
            if let Some(old) = kept.row(&row.path) {
                row.tolerance = old.tolerance;
            }
        }
        self
    }

    fn parse(text: &str) -> Result<Self, String> {
        let tools = text.lines().find_map(|line| line.strip_prefix(TAKEN_WITH));
        let tools = tools.ok_or_else(|| format!("{FILE}: no line begins with {TAKEN_WITH:?}"))?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && *line != COLUMNS);
        let rows = lines.map(|line| Row::parse(line).ok_or_else(|| format!("{FILE}: what is {line:?}?")));
        Ok(Counts { tools: tools.to_owned(), rows: rows.collect::<Result<_, _>>()? })
    }

    fn row(&self, path: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.path == path)
    }
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let [path, instructions, tolerance] = line.split(',').collect::<Vec<_>>().try_into().ok()?;
        let (instructions, tolerance) = (instructions.parse().ok()?, tolerance.parse().ok()?);
        Some(Row { path: path.to_owned(), instructions, tolerance })
    }
}

/// The file itself.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}{TAKEN_WITH}{}\n{COLUMNS}", self.tools)?;
        for Row { path, instructions, tolerance } in &self.rows {
            writeln!(f, "{path},{instructions:.1},{tolerance}")?;
        }
        Ok(())
    }
}

/// A table of all paths; an error if one takes more than it may, or if the two don't have the same ones.
pub(crate) fn compare(kept: &Counts, now: &Counts) -> Result<String, String> {
    let mut text = format!("{:<14} {:>10} {:>10} {:>9}\n", "path", "kept", "now", "change");
    let (mut worse, mut better) = (Vec::new(), Vec::new());
    for row in &now.rows {
        let Some(old) = kept.row(&row.path) else {
            worse.push(format!("{}: no number is kept", row.path));
            continue;
        };
        let percent = (row.instructions / old.instructions - 1.0) * 100.0;
        let figures = format!("{:>10.1} {:>10.1} {percent:>+8.1} %", old.instructions, row.instructions);
        let _ = writeln!(text, "{:<14} {figures}", row.path);
        let said = format!(
            "{}: {:.1} instructions before, {:.1} now, {percent:+.1} % where {} % is allowed; \
             callgrind_annotate {} shows where",
            row.path,
            old.instructions,
            row.instructions,
            old.tolerance,
            profile(&row.path).display()
        );
        if percent > old.tolerance {
            worse.push(said);
        } else if percent < -old.tolerance {
            better.push(said);
        }
    }
    let gone = kept.rows.iter().filter(|old| now.row(&old.path).is_none());
    worse.extend(gone.map(|old| format!("{}: a number is kept, and there is no such path", old.path)));

    if kept.tools != now.tools {
        let (then, now) = (&kept.tools, &now.tools);
        let _ = writeln!(
            text,
            "\nOTHER TOOLS, which alone can change the counts: kept with {then}; now with {now}"
        );
    }
    for line in &better {
        let _ = writeln!(text, "\nBETTER: {line}");
    }
    if !better.is_empty() {
        let _ = writeln!(text, "so that it stays so: ci/bench-guard.sh --update");
    }
    if worse.is_empty() {
        return Ok(text);
    }
    for line in &worse {
        let _ = writeln!(text, "\nFAILED: {line}");
    }
    let _ = writeln!(text, "if it is meant to be so: ci/bench-guard.sh --update, and say why in the commit");
    Err(text)
}

#[cfg(test)]
mod tests {
    use super::{Counts, compare};

    fn counts(tools: &str, counted: &[(&str, f64)]) -> Counts {
        Counts::new(tools.to_owned(), counted.to_vec())
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let written = counts("rustc 1", &[("submit", 312.04), ("run", 99.96)]);
        assert!(written.to_string().ends_with(
            "# taken with: rustc 1\npath,instructions,tolerance_percent\nsubmit,312.0,3\nrun,100.0,3\n"
        ));
        assert_eq!(Counts::parse(&written.to_string()), Ok(written));
    }

    #[test]
    fn a_line_that_is_none_is_an_error() {
        for line in ["submit", "submit,many,3", "submit,1,3,4", "submit,1,"] {
            let read = Counts::parse(&format!("# taken with: rustc 1\n{line}\n"));
            assert!(read.is_err_and(|why| why.contains(line)), "{line}");
        }
        assert!(Counts::parse("submit,1,3\n").is_err_and(|why| why.contains("taken with")));
    }

    #[test]
    fn an_update_keeps_the_tolerances() {
        let kept = Counts::parse("# taken with: rustc 1\nrun,100.0,7\n").unwrap();
        let now = counts("rustc 2", &[("submit", 1.0), ("run", 2.0)]).with_tolerances_of(&kept);
        assert!(now.to_string().ends_with("submit,1.0,3\nrun,2.0,7\n"));
    }

    #[test]
    fn within_the_tolerance_is_no_more_than_a_line() {
        let (kept, now) = (counts("rustc 1", &[("run", 100.0)]), counts("rustc 1", &[("run", 102.9)]));
        let table = compare(&kept, &now).unwrap();
        assert!(table.lines().count() == 2 && table.contains("+2.9 %"), "{table}");
    }

    #[test]
    fn more_than_the_tolerance_fails_and_says_where_to_look() {
        let (kept, now) = (counts("rustc 1", &[("run", 100.0)]), counts("rustc 1", &[("run", 103.1)]));
        let why = compare(&kept, &now).unwrap_err();
        for part in ["run: 100.0", "103.1 now", "+3.1 %", "3 % is allowed", "guard/run.out", "--update"] {
            assert!(why.contains(part), "{part:?} is missing in {why}");
        }
        assert!(!why.contains("OTHER TOOLS"));
    }

    #[test]
    fn other_tools_are_named_and_compared_still() {
        let kept = counts("rustc 1", &[("run", 100.0)]);
        let said = compare(&kept, &counts("rustc 2", &[("run", 100.0)])).unwrap();
        let why = compare(&kept, &counts("rustc 2", &[("run", 110.0)])).unwrap_err();
        for text in [said, why] {
            assert!(text.contains("OTHER TOOLS") && text.contains("rustc 1; now with rustc 2"), "{text}");
        }
    }

    #[test]
    fn fewer_instructions_are_reported_and_pass() {
        let (kept, now) = (counts("rustc 1", &[("run", 100.0)]), counts("rustc 1", &[("run", 90.0)]));
        let said = compare(&kept, &now).unwrap();
        assert!(said.contains("BETTER: run") && said.contains("--update"), "{said}");
    }

    #[test]
    fn both_have_the_same_paths() {
        let (kept, now) = (counts("", &[("old", 1.0)]), counts("", &[("new", 1.0)]));
        let why = compare(&kept, &now).unwrap_err();
        assert!(why.contains("new: no number is kept") && why.contains("old: a number is kept"), "{why}");
    }
}
