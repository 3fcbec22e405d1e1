//! CPython's `concurrent.futures.ThreadPoolExecutor`, by a script run with a Python of this machine. Its tasks are a
//! tenth as many as the others': all figures are per task, and it takes a hundred times as long.

use std::env;
use std::process::Command;

use crate::group::Group;

const SCRIPT: &str = include_str!("cpython.py");

/// Tried in this order; a version manager may have a name without the thing, so each is asked for its version.
const NAMES: [&str; 3] = ["python3.14", "python3.13", "python3"];

/// Takes the reading in a Python process.
pub(super) fn measure(group: Group, case: usize, quick: bool) -> Result<Option<f64>, String> {
    let python = find().ok_or("no python3 on this machine")?.program;
    let size = if quick { "quick" } else { "full" };
    let output = Command::new(&python)
        .args(["-c", SCRIPT, &group.name(), &case.to_string(), size])
        .output()
        .map_err(|e| format!("can't run {python}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{python}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    match String::from_utf8_lossy(&output.stdout).trim() {
        "" => Ok(None),
        figure => figure.parse().map(Some).map_err(|e| format!("{python} printed {figure:?}: {e}")),
    }
}

/// The version of the Python that will be used, if there is one.
pub(crate) fn version() -> Option<String> {
    find().map(|python| python.version)
}

/// That Python's program, if there is one.
pub(crate) fn program() -> Option<String> {
    find().map(|python| python.program)
}

struct Python {
    program: String,
    version: String,
}

fn find() -> Option<Python> {
    let asked_for = env::var("PEERS_PYTHON").ok();
    asked_for.into_iter().chain(NAMES.map(str::to_owned)).find_map(|program| {
        let output = Command::new(&program).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && version.starts_with("Python 3")).then_some(Python { program, version })
    })
}
