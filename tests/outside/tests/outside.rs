//! Runs every instance in a process of its own, under a time limit. `OUTSIDE_PROGRAM` names another build of the program
//! (see `ci/long/outside.sh`), `OUTSIDE_PANIC=abort` says that panics abort in it, `TEST_PATIENCE` multiplies the limit.

use libtest_mimic::{Arguments, Failed, Trial};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for any quick instance on a busy machine, short enough to notice a hang.
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let arguments = Arguments::from_args();
    let trials = outside::instances().map(|(name, instance)| {
        let panics_here = instance.panics_here;
        Trial::test(name.clone(), move || run(&name, panics_here)).with_ignored_flag(instance.is_long)
    });
    let trials = trials.collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(name: &str, panics_here: bool) -> Result<(), Failed> {
    let other = std::env::var_os("OUTSIDE_PROGRAM").filter(|path| !path.is_empty());
    let program = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_outside").into());
    let patience = std::env::var("TEST_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut child = Command::new(program)
        .args(["run", name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Of its own, so that whatever an instance left behind goes with it.
        .process_group(0)
        .spawn()?;
    let group = i32::try_from(child.id()).expect("a process id");
    let mut stderr = child.stderr.take().expect("piped");
    // Read to its end by a thread: a process that was left behind would hold the pipe open for ever.
    let (said, hears) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        let _ = said.send(String::from_utf8_lossy(&text).into_owned());
    });
    let (ended, ends) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = ended.send(child.wait());
    });
    let end = ends.recv_timeout(LIMIT * patience);
    kill_group(group);
    let said = hears.recv_timeout(Duration::from_secs(5)).unwrap_or_default();
    let status = match end {
        Ok(status) => status?,
        Err(_) => return Err(format!("it hangs: not over after {:?}\n{said}", LIMIT * patience).into()),
    };
    let may_abort = panics_here && std::env::var("OUTSIDE_PANIC").is_ok_and(|how| how == "abort");
    if status.success() || (may_abort && status.signal() == Some(libc::SIGABRT)) {
        return Ok(());
    }
    Err(format!("{status}\n{said}").into())
}

fn kill_group(group: i32) {
    // Fails if nothing is left of it, which is as it should be.
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
}
