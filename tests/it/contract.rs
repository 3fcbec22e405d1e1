//! The table of the contract (`tests/contract.csv`): what became of each upstream test and of each fact, and the test of
//! ours that holds it. Here it is read, and a name that names no test fails.

use crate::support::{LIMIT, limit};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const TABLE: &str = include_str!("../contract.csv");

/// How many tests each upstream file has.
const UPSTREAM: [(&str, usize); 10] = [
    ("executor", 21),
    ("test_as_completed", 5),
    ("test_wait", 9),
    ("test_future", 20),
    ("test_thread_pool", 7),
    ("test_process_pool", 26),
    ("test_deadlock", 16),
    ("test_init", 4),
    ("test_shutdown", 20),
    ("test_interpreter_pool", 25),
];

/// How many facts each chapter has, numbered from 1.
const FACTS: [(&str, usize); 12] = [
    ("MOD", 2),
    ("ERR", 5),
    ("ST", 3),
    ("FUT", 11),
    ("CB", 8),
    ("EX", 7),
    ("MAP", 16),
    ("AC", 9),
    ("W", 9),
    ("TP", 17),
    ("PP", 36),
    ("EXIT", 4),
];

struct Row<'a> {
    id: &'a str,
    verdict: &'a str,
    test: &'a str,
    note: &'a str,
}

/// Four columns; the last may hold commas.
fn rows() -> Vec<Row<'static>> {
    let mut lines = TABLE.lines();
    assert_eq!(lines.next(), Some("id,verdict,test,note"));
    let row = |line: &'static str| {
        let mut columns = line.splitn(4, ',');
        let mut column = || columns.next().unwrap_or_else(|| panic!("fewer than four columns: {line}"));
        Row { id: column(), verdict: column(), test: column(), note: column() }
    };
    lines.map(row).collect()
}

#[test]
fn has_a_line_for_each_upstream_test_and_each_fact() {
    limit(LIMIT, || {
        let rows = rows();
        let ids: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), rows.len(), "an id stands twice");
        let mut upstream = BTreeMap::new();
        for id in ids.iter().filter(|id| id.contains("::")) {
            let parts: Vec<_> = id.split("::").collect();
            assert!(parts.len() == 3 && parts[2].starts_with("test_"), "{id}");
            *upstream.entry(parts[0]).or_insert(0) += 1;
        }
        assert_eq!(upstream, BTreeMap::from(UPSTREAM));
        assert_eq!(upstream.values().sum::<usize>(), 153);
        let facts: BTreeSet<String> = FACTS
            .iter()
            .flat_map(|(chapter, count)| (1..=*count).map(move |n| format!("{chapter}-{n}")))
            .collect();
        let found: BTreeSet<String> =
            ids.iter().filter(|id| !id.contains("::")).map(ToString::to_string).collect();
        assert_eq!(found, facts);
        assert_eq!(facts.len(), 127);
    });
}

#[test]
fn every_verdict_is_backed() {
    limit(LIMIT, || {
        let known = Known::read();
        let mut wrong = Vec::new();
        for Row { id, verdict, test, note } in rows() {
            let fault = match verdict {
                "test" | "adapted" if test.is_empty() => Some("names no test".to_owned()),
                "adapted" if note.is_empty() => Some("does not say what is different".to_owned()),
                "test" | "adapted" => test
                    .split(' ')
                    .find(|name| !known.has(name))
                    .map(|name| format!("there is no test `{name}`")),
                _ if verdict.strip_prefix("not applicable: ").is_some_and(|why| why.len() > 3)
                    && test.is_empty() =>
                {
                    None
                }
                _ => Some(format!("unknown verdict `{verdict}`, or one that goes with no test")),
            };
            wrong.extend(fault.map(|fault| format!("{id}: {fault}")));
        }
        assert!(wrong.is_empty(), "tests/contract.csv:\n{}", wrong.join("\n"));
    });
}

#[test]
fn a_wrong_name_is_noticed() {
    limit(LIMIT, || {
        let known = Known::read();
        assert!(
            known.has("it::contract::a_wrong_name_is_noticed") && known.has("it::suite::*::wait_for_all")
        );
        for wrong in [
            "",
            "it::",
            "it::contract::no_such_test",
            "it::suite::*::no_such_case",
            "it::suite::inline::submit",
        ] {
            assert!(!known.has(wrong), "{wrong:?}");
        }
        assert!(!known.has("face::programs_threads::p00") && !known.has("doc::src/lib.rs::nothing"));
    });
}

#[test]
fn every_test_has_a_time_limit_and_none_sleeps() {
    limit(LIMIT, || {
        let mut bad = Vec::new();
        for path in sources(&root().join("tests/it")) {
            let text = std::fs::read_to_string(&path).unwrap();
            // Written so that this file doesn't find itself.
            if text.contains(concat!("thread::", "sleep(")) {
                bad.push(format!("{} sleeps: use a Gate, or `eventually`", path.display()));
            }
            for (name, body) in tests_in(&text) {
                if !body.trim_start().starts_with("limit(LIMIT,") {
                    bad.push(format!("{}: `{name}` does not run under `limit`", path.display()));
                }
            }
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    });
}

/// Every test there is.
struct Known(BTreeSet<String>);

impl Known {
    fn read() -> Self {
        let mut names = BTreeSet::new();
        // This binary knows its own, those stamped by macros too.
        let list = Command::new(std::env::current_exe().unwrap())
            .args(["--list", "--format", "terse"])
            .output()
            .unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        names.extend(
            list.lines().filter_map(|line| line.strip_suffix(": test")).map(|name| format!("it::{name}")),
        );
        assert!(names.len() > 200, "the list of tests could not be read: {list}");
        for path in sources(&root().join("tests/face/tests")) {
            let file = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            names.extend(tests_in(&text).map(|(name, _)| format!("face::{file}::{name}")));
        }
        // The faults of workers have a binary of their own.
        if root().join("tests/crash").is_dir() {
            for path in sources(&root().join("tests/crash")) {
                let file = path.file_stem().unwrap().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                names.extend(tests_in(&text).map(|(name, _)| format!("crash::{file}::{name}")));
            }
        }
        for path in sources(&root().join("src")) {
            let file = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(&path).unwrap();
            names.extend(tests_in(&text).map(|(name, _)| format!("unit::{file}::{name}")));
            names.extend(doctests_in(&text).into_iter().map(|name| format!("doc::{file}::{name}")));
        }
        Known(names)
    }

    /// `it::suite::*::case` is a case stamped over every executor: there must be one for each.
    fn has(&self, name: &str) -> bool {
        // Built without processes, this binary can't know their tests.
        if cfg!(not(feature = "process")) && name.starts_with("it::processes") {
            return true;
        }
        let Some(case) = name.strip_prefix("it::suite::*::") else { return self.0.contains(name) };
        let stamped = self.0.iter().filter_map(|name| name.strip_prefix("it::suite::"));
        let executors: BTreeSet<_> = stamped.filter_map(|name| name.split("::").next()).collect();
        executors.len() > 3
            && executors.iter().all(|executor| self.0.contains(&format!("it::suite::{executor}::{case}")))
    }
}

/// Name and body of each function under a `#[test]` or `#[tokio::test]`.
fn tests_in(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("test").filter_map(|(at, _)| {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let rest = text[line..].trim_start();
        if !(rest.starts_with("#[test]") || rest.starts_with("#[tokio::test"))
            || text[line..at].contains("fn ")
        {
            return None;
        }
        // A line has "test" in it once or twice; only the first counts.
        if text[line..at].contains("test") {
            return None;
        }
        let (_, after) = rest.split_once("fn ")?;
        let name = &after[..after.find('(')?];
        let body = &after[after.find('{')? + 1..];
        // A macro's `$case` names no test.
        (!name.starts_with('$')).then_some((name, body))
    })
}

/// The items whose documentation has a program in it, by name.
fn doctests_in(text: &str) -> Vec<String> {
    let (mut names, mut program) = (Vec::new(), false);
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("/// ```") {
            program = true;
        } else if !line.starts_with("///")
            && !line.starts_with('#')
            && !line.is_empty()
            && std::mem::take(&mut program)
        {
            let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let mut words = words.skip_while(|word| !["fn", "struct", "enum", "trait"].contains(word));
            names.extend(words.nth(1).map(str::to_owned));
        }
    }
    names
}

/// Of the repository: the tests are built by members of the workspace as well.
fn root() -> &'static Path {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR"));
    built_in.ancestors().find(|folder| folder.join("tests/contract.csv").exists()).unwrap()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
