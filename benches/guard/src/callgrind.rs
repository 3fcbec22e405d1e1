//! Runs this program under valgrind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where the profile of a path lies afterwards, for `callgrind_annotate`: in the target folder of cargo, in which this
/// program lies and which has a tag for backup programs.
pub(crate) fn profile(path: &str) -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(Path::new("target")).join("guard").join(format!("{path}.out"))
}

/// The instructions that a path has counted.
pub(crate) fn count(path: &str) -> Result<f64, String> {
    let profile = profile(path);
    let shown = profile.display();
    fs::create_dir_all(profile.with_file_name("")).map_err(|e| format!("{shown}: {e}"))?;
    let program = env::current_exe().map_err(|e| format!("can't find this program: {e}"))?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
    command.arg(format!("--callgrind-out-file={shown}")).arg(program).args(["run", path]);
    said_by(&mut command)?;
    let text = fs::read_to_string(&profile).map_err(|e| format!("{shown}: {e}"))?;
    total(&text).ok_or_else(|| format!("{shown}: nothing was counted"))
}

fn total(profile: &str) -> Option<f64> {
    let figure = profile.lines().find_map(|line| line.strip_prefix("totals: "))?;
    figure.parse().ok().filter(|total| *total > 0.0)
}

/// What the numbers depend on beside the code: the compiler, malloc and memcpy, and which processor valgrind plays.
pub(crate) fn tools() -> Result<String, String> {
    let tools = [["rustc", "--version"], ["getconf", "GNU_LIBC_VERSION"], ["valgrind", "--version"]];
    let said = tools.map(|[program, argument]| said_by(Command::new(program).arg(argument)));
    let said = said.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(said.join(", "))
}

fn said_by(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("can't run {command:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn a_profile_says_its_total() {
        assert_eq!(total("# callgrind format\nevents: Ir\n\nfn=(1) f\n0 12\n\ntotals: 1234\n"), Some(1234.0));
    }

    #[test]
    fn nothing_counted_is_no_count() {
        assert_eq!(total("events: Ir\ntotals: 0\n"), None);
        assert_eq!(total("events: Ir\n"), None);
    }
}
