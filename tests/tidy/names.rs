//! The tests that the documents name: `` `package/binary: module::test` ``. Each has to be there.
//!
//! A binary is called as its file or folder under the package's `tests/` is, or `lib` for the unit tests. The test's own
//! name has to be a word of the code in one of the binary's files, which is so as well where a macro makes the test of
//! it; each module before it a word of the same file, or on its path.

use std::path::{Path, PathBuf};

use crate::lexer::lex;
use crate::source::is_word;

/// A name as it stands in a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TestName {
    pub(crate) package: String,
    pub(crate) binary: String,
    /// The modules, then the test.
    pub(crate) path: Vec<String>,
}

/// The names in a document, each with its line.
pub(crate) fn named(text: &str) -> Vec<(usize, TestName)> {
    let in_line = |(at, line): (usize, &str)| {
        let quoted: Vec<TestName> = line.split('`').skip(1).step_by(2).filter_map(parse).collect();
        quoted.into_iter().map(move |name| (at + 1, name))
    };
    text.lines().enumerate().flat_map(in_line).collect()
}

fn parse(quoted: &str) -> Option<TestName> {
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let (target, path) = quoted.split_once(": ")?;
    let (package, binary) = target.split_once('/')?;
    let path: Vec<String> = path.split("::").map(str::to_owned).collect();
    let is_identifier = |part: &String| is_word(part) && is_name(part) && !part.contains('-');
    let is_one = is_name(package) && is_name(binary) && path.iter().all(is_identifier);
    // Where a document says what such a name looks like.
    let is_example = (package, binary) == ("package", "binary");
    (is_one && !is_example).then(|| TestName { package: package.to_owned(), binary: binary.to_owned(), path })
}

/// Why there is no such test, if there is none. `packages` are the names of all packages with their folders.
pub(crate) fn missing(name: &TestName, packages: &[(String, PathBuf)]) -> Option<String> {
    let TestName { package, binary, path } = name;
    let Some((_, folder)) = packages.iter().find(|(known, _)| known == package) else {
        return Some(format!("no package is called {package}"));
    };
    if package == "outside" {
        return (!is_instance(path, folder)).then(|| format!("outside has no instance {}", path.join("::")));
    }
    let files = files(folder, binary);
    if files.is_empty() {
        return Some(format!("{package} has no tests/{binary}.rs and no tests/{binary}/"));
    }
    let is_in = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        holds(path, file.strip_prefix(folder).unwrap_or(file), &text)
    };
    (!files.iter().any(is_in)).then(|| format!("{package}/{binary} has no {}", path.join("::")))
}

/// The instances of `tests/outside` are no functions of their names: a file for each kind lists them.
fn is_instance(path: &[String], folder: &Path) -> bool {
    let [kind, name] = path else { return false };
    let module = folder.join("src").join(kind);
    let in_module = if module.is_dir() { crate::rust_files(&module) } else { Vec::new() };
    // By its name as a text, or as the head of a row where a macro makes the texts.
    let (quoted, row) = (format!("\"{name}\""), format!("{name} "));
    let is_in = |text: &str| {
        let is_row = |line: &str| line.trim_start().starts_with(&row) && line.contains(" => ");
        text.contains(&quoted) || text.lines().any(is_row)
    };
    let mut files = in_module.into_iter().chain([module.with_extension("rs")]);
    files.any(|file| std::fs::read_to_string(file).is_ok_and(|text| is_in(&text)))
}

fn files(folder: &Path, binary: &str) -> Vec<PathBuf> {
    if binary == "lib" {
        return crate::rust_files(&folder.join("src"));
    }
    let (file, tree) =
        (folder.join("tests").join(binary).with_extension("rs"), folder.join("tests").join(binary));
    let in_tree = if tree.is_dir() { crate::rust_files(&tree) } else { Vec::new() };
    file.is_file().then_some(file).into_iter().chain(in_tree).collect()
}

/// Whether a file's code can be where the test is made.
fn holds(path: &[String], file: &Path, text: &str) -> bool {
    // Most files have nothing of it; that is quick to see.
    if path.last().is_none_or(|test| !text.contains(test.as_str())) {
        return false;
    }
    let tokens = lex(text).tokens;
    let is_code = |part: &String| tokens.iter().any(|token| token.text == *part);
    let is_on_path =
        |part: &String| file.with_extension("").iter().any(|on| on.to_str() == Some(part.as_str()));
    match path.split_last() {
        Some((test, modules)) => {
            is_code(test) && modules.iter().all(|part| is_on_path(part) || is_code(part))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{TestName, holds, named};
    use std::path::Path;

    fn name(package: &str, binary: &str, path: &[&str]) -> TestName {
        let path = path.iter().map(ToString::to_string).collect();
        TestName { package: package.to_owned(), binary: binary.to_owned(), path }
    }

    #[test]
    fn names_stand_between_backticks() {
        let text = "# Ends\n| drop | waits | `some-pool/it: ends::from::a_task`, `start/it: late` |\n`cargo test: it` `a/b` `package/binary: module::test`";
        let expected =
            [(2, name("some-pool", "it", &["ends", "from", "a_task"])), (2, name("start", "it", &["late"]))];
        assert_eq!(named(text), expected);
    }

    #[test]
    fn a_test_is_where_its_name_is_code() {
        let path = |parts: &[&str]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let file = Path::new("tests/it/ends.rs");
        let stamped = "stamp! { threads: a_task } // not in_prose, \nconst S: &str = \"nor in_a_string\";";
        assert!(holds(&path(&["ends", "threads", "a_task"]), file, stamped));
        assert!(holds(&path(&["a_task"]), file, stamped));
        assert!(!holds(&path(&["ends", "a_thread"]), file, stamped));
        assert!(!holds(&path(&["begins", "a_task"]), file, stamped));
        assert!(!holds(&path(&["ends", "in_prose"]), file, stamped));
        assert!(!holds(&path(&["ends", "in_a_string"]), file, stamped));
    }
}
