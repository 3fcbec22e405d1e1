//! CPython's `concurrent.futures.ProcessPoolExecutor` and `multiprocessing.Pool`, by a script run with a Python of this
//! machine.

use std::process::Command;

use crate::processes::figure::Figure;

/// A file and no text after `-c`: workers by forkserver import it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/processes/subject/cpython.py");

/// Takes the reading in a Python process.
pub(super) fn measure(
    pool: &str,
    start: &str,
    figure: Figure,
    case: usize,
    quick: bool,
) -> Result<Option<f64>, String> {
    let python = crate::subject::cpython_program().ok_or("no python3 on this machine")?;
    let size = if quick { "quick" } else { "full" };
    let output = Command::new(&python)
        .args([SCRIPT, pool, start, &figure.name(), &case.to_string(), size])
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
