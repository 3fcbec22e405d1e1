//! How many instructions the hot paths take, held against the numbers in `counts.csv`.
//!
//! ```text
//! guard             counts every path, compares
//! guard --update    counts every path, writes the file anew
//! guard run PATH    goes one path; what valgrind is given
//!
//!   main ──▶ callgrind   this program once per path, under valgrind ──▶ path/    what is done, one file per subject
//!     │                                                                   │
//!     ▼                                                                   ▼
//!   counts   the file, the comparison                                  collect   which part of it is counted
//! ```
//!
//! Instructions, not time: they hardly change from run to run, however busy the machine. `ci/bench-guard.sh` builds and
//! runs this; docs/benchmarks.md says how to read it.

mod callgrind;
mod collect;
mod counts;
mod path;

use std::process::ExitCode;

use counts::Counts;
use path::{PATHS, Path};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => check(),
        ["--update"] => update(),
        ["run", name] => run(name),
        _ => Err("usage: guard [--update | run PATH]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Goes one path, as often as its count is divided by.
fn run(name: &str) -> Result<(), String> {
    let path = PATHS.iter().find(|path| path.name == name).ok_or_else(|| format!("no path {name:?}"))?;
    (path.go)(path.times);
    Ok(())
}

fn check() -> Result<(), String> {
    let kept = Counts::load()?;
    println!("{}", counts::compare(&kept, &count()?)?);
    Ok(())
}

fn update() -> Result<(), String> {
    let now = count()?.with_tolerances_of(&Counts::load().unwrap_or_default());
    now.save()?;
    println!("{now}");
    Ok(())
}

fn count() -> Result<Counts, String> {
    let instructions = |path: &Path| Ok((path.name, callgrind::count(path.name)? / path.times as f64));
    let counted = PATHS.iter().map(instructions).collect::<Result<Vec<_>, String>>()?;
    Ok(Counts::new(callgrind::tools()?, counted))
}
