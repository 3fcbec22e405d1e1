//! `SECURITY.md`: its table of `unsafe` agrees with the sources, and each test that it names exists.

use crate::rules::{UNSAFE, unsafe_count};
use crate::source::Source;

/// Where the tests of a binary lie, by `package/binary`: the file or folder under its `tests/`, or `lib`.
pub(crate) const BINARIES: &[(&str, &str)] = &[
    ("codec-tests/hostile", "tests/codec/tests/hostile.rs"),
    ("codec-tests/zoo", "tests/codec/tests/zoo.rs"),
    ("concurrent-futures/crash", "tests/crash"),
    ("concurrent-futures/it", "tests/it"),
    ("concurrent-futures/lib", "src"),
    ("start/it", "tests/start/tests/it"),
    ("wire-tests/execute", "tests/wire/tests/execute.rs"),
    ("wire-tests/wire", "tests/wire/tests/wire.rs"),
];

/// What is wrong with the table: each file that may have `unsafe` has a row with its counts.
pub(crate) fn table(text: &str, sources: &[Source]) -> Vec<String> {
    let rows: Vec<Vec<&str>> = text.lines().filter(|line| line.starts_with("| `src/")).map(cells).collect();
    let mut found = Vec::new();
    for path in UNSAFE {
        let Some(source) = sources.iter().find(|source| source.path == *path) else { continue };
        let (blocks, others) = unsafe_count(source);
        let wanted = [format!("`{path}`"), blocks.to_string(), others.to_string()];
        match rows.iter().find(|row| row.first() == Some(&wanted[0].as_str())) {
            Some(row) if row.len() == 4 && row.iter().zip(&wanted).all(|(cell, wanted)| cell == wanted) => {}
            _ => found.push(format!("SECURITY.md: wanted the row `| {} | what for |`", wanted.join(" | "))),
        }
    }
    let gone = rows.iter().filter(|row| !UNSAFE.iter().any(|path| format!("`{path}`") == row[0]));
    found.extend(gone.map(|row| format!("SECURITY.md: {} has a row and may have no `unsafe`", row[0])));
    found
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// A test as the text names it: `package/binary: module::test`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cited<'a> {
    pub(crate) binary: &'a str,
    pub(crate) modules: Vec<&'a str>,
    pub(crate) test: &'a str,
}

pub(crate) fn cited(text: &str) -> Vec<Cited<'_>> {
    let quoted = text.split('`').skip(1).step_by(2);
    let parted = quoted.filter_map(|quoted| quoted.split_once(": "));
    let named = parted.filter(|(binary, _)| binary.contains('/') && !binary.contains(' '));
    named
        .map(|(binary, path)| {
            let mut modules: Vec<&str> = path.split("::").collect();
            let test = modules.pop().unwrap_or_default();
            Cited { binary, modules, test }
        })
        .collect()
}

impl Cited<'_> {
    /// Whether it can be in the file that lies at `place` below the binary's folder: `["world.rs"]`.
    pub(crate) fn is_in(&self, place: &[&str]) -> bool {
        let parts = place.iter().map(|part| part.trim_end_matches(".rs"));
        let parts: Vec<&str> = parts.filter(|part| !["mod", "lib", "main"].contains(part)).collect();
        // Unit tests may stand in the module's own file.
        let around = self.modules.strip_suffix(&["tests"]).unwrap_or(&self.modules);
        parts == self.modules || parts == around
    }
}

#[cfg(test)]
mod tests {
    use super::{cited, table};
    use crate::source::Source;

    #[test]
    fn the_table_counts() {
        let text = "//! Doc.\nunsafe fn f(g: unsafe fn(u8)) {}\nfn h() { unsafe { f(i) } }\n// unsafe { }\n";
        let sources = [Source::new("src/remote/mod.rs", text)];
        assert_eq!(table("| `src/remote/mod.rs` | 1 | 1 | runs parcels |", &sources), [""; 0]);
        let wanted = "SECURITY.md: wanted the row `| `src/remote/mod.rs` | 1 | 1 | what for |`";
        assert_eq!(table("| `src/remote/mod.rs` | 2 | 1 | runs parcels |", &sources), [wanted]);
        assert_eq!(table("| `src/remote/mod.rs` | 1 | 1 |", &sources), [wanted]);
        assert_eq!(table("", &sources), [wanted]);
        let gone = table("| `src/remote/mod.rs` | 1 | 1 | runs |\n| `src/id.rs` | 0 | 0 | none |", &sources);
        assert_eq!(gone, ["SECURITY.md: `src/id.rs` has a row and may have no `unsafe`"]);
    }

    #[test]
    fn tests_are_found_by_their_names() {
        let text = "Held by `a/lib: b::c::tests::d` and `e/f: g`; `not: this`, nor `src/h.rs`, `i/j: k::l`.";
        let cited = cited(text);
        let names: Vec<_> = cited.iter().map(|cited| (cited.binary, cited.test)).collect();
        assert_eq!(names, [("a/lib", "d"), ("e/f", "g"), ("i/j", "l")]);
        assert!(cited[0].is_in(&["b", "c.rs"]) && cited[0].is_in(&["b", "c", "tests.rs"]));
        assert!(cited[0].is_in(&["b", "c", "mod.rs"]) && !cited[0].is_in(&["b", "x.rs"]));
        assert!(cited[1].is_in(&[]) && cited[1].is_in(&["main.rs"]) && cited[2].is_in(&["k.rs"]));
    }
}
