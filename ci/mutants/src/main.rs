//! Takes rules away from the sources: ci/long/mutants has a file for each, `mutant.rs` says what stands in one.
//!
//! - `check SOURCES MUTANT ..`: does each mutant fit the sources in that folder?
//! - `apply SOURCES MUTANT`: changes the sources, and prints the files that it changed, as paths in that folder

mod mutant;

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use mutant::Source;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let troubles = match &arguments[..] {
        ["check", folder, mutants @ ..] if !mutants.is_empty() => check(folder, mutants),
        ["apply", folder, mutant] => apply(folder, mutant).err().into_iter().collect(),
        _ => vec!["wanted: a verb, a folder of sources, mutants; see ci/mutants/src/main.rs".to_owned()],
    };
    troubles.iter().for_each(|trouble| eprintln!("{trouble}"));
    if troubles.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(folder: &str, mutants: &[&str]) -> Vec<String> {
    match sources(folder) {
        Ok(sources) => mutants.iter().filter_map(|mutant| changed(mutant, &sources).err()).collect(),
        Err(error) => vec![error],
    }
}

fn apply(folder: &str, mutant: &str) -> Result<(), String> {
    for (path, text) in changed(mutant, &sources(folder)?)? {
        fs::write(Path::new(folder).join(&path), text).map_err(|error| format!("{path}: {error}"))?;
        println!("{path}");
    }
    Ok(())
}

fn changed(mutant: &str, sources: &[Source]) -> Result<Vec<Source>, String> {
    let text = fs::read_to_string(mutant).map_err(|error| format!("{mutant}: {error}"))?;
    mutant::apply(&text, sources).map_err(|error| format!("{mutant}: {error}"))
}

/// Every Rust file below a folder, by its path in there.
fn sources(folder: &str) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    read(Path::new(folder), Path::new(""), &mut sources).map_err(|error| format!("{folder}: {error}"))?;
    Ok(sources)
}

fn read(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> io::Result<()> {
    let entries: io::Result<Vec<fs::DirEntry>> = fs::read_dir(root.join(folder))?.collect();
    for entry in entries? {
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            read(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push((path.display().to_string(), fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}
