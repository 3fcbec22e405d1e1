//! Holds the architecture: who may name whom, where `unsafe` may stand, what a library must not do.
//!
//! The rules are in `tidy/rules.rs`. A failure names the file and line, the rule, and what to do instead. That tests which
//! the documents name are there, `tidy/names.rs` holds; that words which are gone stay away, `tidy/words.rs`.

#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/security.rs"]
mod security;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

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
fn words_that_are_gone_stay_away() {
    let mut paths = rust_files(&root().join("src"));
    paths.extend(rust_files(&root().join("tests/protocol")));
    paths.push(root().join("src/process_pool/PROTOCOL.md"));
    let found: Vec<String> = paths.iter().flat_map(|path| words::gone(&shown(path), &read(path))).collect();
    assert!(found.is_empty(), "{} words that are gone:\n{}", found.len(), found.join("\n"));
}

#[test]
fn tests_that_documents_name_exist() {
    let packages = packages();
    let entries = fs::read_dir(root().join("docs")).expect("the documents");
    let mut documents: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry that can be read").path()).collect();
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.push(root().join("SECURITY.md"));
    documents.sort();
    let (mut count, mut missing) = (0, Vec::new());
    for document in documents {
        let text =
            fs::read_to_string(&document).unwrap_or_else(|error| panic!("{}: {error}", document.display()));
        let shown = document.strip_prefix(root()).unwrap_or(&document).display();
        for (line, name) in names::named(&text) {
            count += 1;
            missing.extend(names::missing(&name, &packages).map(|why| format!("{shown}:{line}: {why}")));
        }
    }
    // Guards against a check that passes because it read nothing.
    assert!(count > 50, "only {count} tests are named in docs/*.md and SECURITY.md");
    assert!(missing.is_empty(), "{} tests aren't there:\n{}", missing.len(), missing.join("\n"));
}

/// The workspace's packages, by name, with their folders.
fn packages() -> Vec<(String, PathBuf)> {
    let manifest = |folder: &Path| fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
    let of_workspace = manifest(root());
    let (_, members) = of_workspace.split_once("\nmembers = [").expect("a list of members");
    let (members, _) = members.split_once(']').expect("its end");
    let folders = members.lines().filter_map(quoted).map(|member| root().join(member));
    let named = |folder: PathBuf| {
        let name = manifest(&folder).lines().find(|line| line.starts_with("name = ")).and_then(quoted);
        (name.expect("a package has a name"), folder)
    };
    std::iter::once(root().to_owned()).chain(folders).map(named).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = rust_files(&root().join("src"));
    paths.sort();
    paths.iter().map(|path| Source::new(&shown(path), &read(path))).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path as it is written in messages and lists: from the root, with slashes.
fn shown(path: &Path) -> String {
    let parts = path.strip_prefix(root()).unwrap_or(path).iter();
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
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
