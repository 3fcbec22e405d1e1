//! Holds the architecture: who may name whom, where `unsafe` may stand, what a library must not do.
//!
//! The rules are in `tidy/rules.rs`. A failure names the file and line, the rule, and what to do instead.

#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

#[test]
fn the_sources_are_tidy() {
    let sources = sources();
    // Guards against a check that passes because it read nothing.
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "src/lib.rs wasn't read");
    let found: Vec<String> = rules::check(&sources).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} rules broken:\n{}", found.len(), found.join("\n"));
}

#[test]
fn lists_name_files_that_exist() {
    for path in rules::UNSAFE {
        assert!(
            root().join(path).is_file(),
            "{path} is listed in tests/tidy/rules.rs and isn't there: strike it out"
        );
    }
}

/// A page that says "held by this test" must not outlive the test.
#[test]
fn pages_name_tests_that_exist() {
    let page = "docs/surroundings.md";
    let text = fs::read_to_string(root().join(page)).expect("the page");
    // In backquotes, as `package/binary: module::test`.
    let named = text.split('`').skip(1).step_by(2).filter_map(|code| {
        let (binary, test) = code.split_once(": ")?;
        let is_name = |text: &str| {
            text.split("::").all(|part| {
                !part.is_empty()
                    && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            })
        };
        (binary.contains('/') && is_name(test)).then_some((binary, test))
    });
    let mut count = 0;
    for (binary, test) in named {
        count += 1;
        let (module, name) = test.rsplit_once("::").unwrap_or(("", test));
        let path = match binary {
            "concurrent-futures/crash" => format!("tests/crash/{module}.rs"),
            "start/start" => format!("tests/start/tests/it/{module}.rs"),
            "wire-tests/execute" | "wire-tests/wire" if module.is_empty() => {
                format!("tests/wire/tests/{}.rs", &binary["wire-tests/".len()..])
            }
            _ => panic!("{page} names {binary}: {test}; say here where such tests lie"),
        };
        let source = fs::read_to_string(root().join(&path)).unwrap_or_default();
        assert!(source.contains(&format!("fn {name}(")), "{page} names {test}, which isn't in {path}");
    }
    assert!(count > 50, "{page} names {count} tests: they are not found any more");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = rust_files(&root().join("src"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let shown: Vec<_> =
            path.strip_prefix(root()).unwrap_or(&path).iter().map(|part| part.to_string_lossy()).collect();
        Source::new(&shown.join("/"), &text)
    };
    paths.into_iter().map(read).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .flat_map(|entry| {
            let path = entry.expect("an entry that can be read").path();
            match path.extension() {
                _ if path.is_dir() => rust_files(&path),
                Some(extension) if extension == "rs" => vec![path],
                _ => Vec::new(),
            }
        })
        .collect()
}
