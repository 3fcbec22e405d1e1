//! Holds the architecture: who may name whom, where `unsafe` may stand, what a library must not do.
//!
//! The rules are in `tidy/rules.rs`. A failure names the file and line, the rule, and what to do instead.

#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/security.rs"]
mod security;
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

#[test]
fn security_counts_the_unsafe_that_is_there() {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let found = security::table(&text, &sources());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn security_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let cited = security::cited(&text);
    assert!(cited.len() > 10, "only {} tests were found in SECURITY.md", cited.len());
    for cited in cited {
        assert!(
            exists(&cited),
            "SECURITY.md: there is no {cited:?}; if its binary is new, list it in BINARIES"
        );
    }
}

fn exists(cited: &security::Cited<'_>) -> bool {
    let Some((_, place)) = security::BINARIES.iter().find(|(binary, _)| *binary == cited.binary) else {
        return false;
    };
    let place = root().join(place);
    let files = if place.is_dir() { rust_files(&place) } else { vec![place.clone()] };
    files.iter().any(|file| {
        let below = file.strip_prefix(&place).unwrap_or(file);
        let below: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let below: Vec<&str> = below.iter().map(AsRef::as_ref).collect();
        let text = fs::read_to_string(file).unwrap_or_default();
        cited.is_in(&below) && text.contains(&format!("fn {}(", cited.test))
    })
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
