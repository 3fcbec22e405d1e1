//! CPython with Pillow, by a script run in the virtual environment that `benches/peers/pillow.sh` makes in the target
//! folder.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const SCRIPT: &str = include_str!("pillow.py");

/// A command that takes one reading; its other arguments are the same for all subjects.
pub(super) fn command(subject: &str) -> Option<Command> {
    let mut command = Command::new(python()?);
    // Given as a string: its pool forks (before CPython 3.14), so nothing has to be imported again.
    command.args(["-c", SCRIPT, subject]);
    Some(command)
}

pub(super) fn version() -> Option<String> {
    let script = "import PIL, sys; print(f'CPython {sys.version.split()[0]}, Pillow {PIL.__version__}')";
    let output = Command::new(python()?).args(["-c", script]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn python() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let places = program.ancestors().map(|folder| folder.join("peers-pillow/bin/python"));
    places.into_iter().find(|python| python.is_file())
}
