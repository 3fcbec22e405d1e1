//! The programs under test, as children that never outlive their test.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// The program that `src/main.rs` is.
pub(crate) const START: &str = env!("CARGO_BIN_EXE_start");

/// Long enough for any test on a busy machine, short enough to notice a hang.
const LIMIT: Duration = Duration::from_secs(120);

/// A time after which something that should take no time has failed.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Ends the whole process if `body` takes too long: a thread that hangs can't be ended otherwise.
pub(crate) fn limit(body: impl FnOnce() + Send + 'static) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let (over, ended) = mpsc::channel::<()>();
    let test = std::thread::Builder::new().name(name.clone()).spawn(move || {
        let _over = over; // dropped at the end, also by a panic
        body();
    });
    if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        let _ = writeln!(std::io::stderr(), "\n{name} took longer than its limit of {LIMIT:?}: it hangs");
        std::process::abort();
    }
    if let Err(panic) = test.expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

/// Says that something can't be tried on this machine. Not by eprintln, which a test that passes keeps to itself.
pub(crate) fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: start: {why}");
}

/// Looks until `what` holds; says whether it did in time.
pub(crate) fn within(time: Duration, what: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + time;
    while !what() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    true
}

/// The letter for a process's state; `None` if there is none. A zombie is none: it only waits for its new parent.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(") ")?.1.chars().next()?;
    (!"ZX".contains(state)).then_some(state)
}

pub(crate) fn is_gone(pid: i32) -> bool {
    state(pid).is_none()
}

pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: sends a signal; the tests know whose number it is.
    unsafe { libc::kill(pid, signal) };
}

/// Runs a program to its end; fails if it says that it failed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null());
    patiently(|| command.output())
}

/// Starts a program. A copy that was just written is busy as long as a process that another test has started meanwhile
/// holds its descriptor, until that one goes on to its own program.
pub(crate) fn patiently<T>(mut start: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match start() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => return other.expect("a program"),
        }
    }
}

/// The lines that `start` prints in a situation; none, said aloud, where the machine doesn't let it be made.
#[track_caller]
pub(crate) fn lines_if_permitted(arguments: &[&str], untried: &str) -> Option<Vec<String>> {
    let lines = lines(arguments);
    match lines.first().and_then(|line| line.strip_prefix("not permitted: ")) {
        Some(why) => {
            skip(&format!("{untried} ({why})"));
            None
        }
        None => Some(lines),
    }
}

/// The lines that `start` prints in a situation.
#[track_caller]
pub(crate) fn lines(arguments: &[&str]) -> Vec<String> {
    run(Command::new(START).args(arguments)).lines().map(str::to_owned).collect()
}

/// A program that runs, whose lines are waited for.
pub(crate) struct Program {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(Command::new(START).args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = patiently(|| command.spawn());
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Program { child, lines }
    }

    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(SOON).expect("another line")
    }

    /// The number in a line of the form `what 123`.
    #[track_caller]
    pub(crate) fn number(&self, what: &str) -> i32 {
        let line = self.line();
        let number = line.strip_prefix(what).and_then(|number| number.trim().parse().ok());
        number.unwrap_or_else(|| panic!("{line:?} is no line for {what:?}"))
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{line}").expect("it listens");
    }

    /// Kills it, as nothing can prevent.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("its status");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of a test's own, gone with it.
pub(crate) struct Folder(pub(crate) std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("start-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    /// A copy of the program under another name.
    pub(crate) fn copy(&self, name: &str) -> std::path::PathBuf {
        let copy = self.0.join(name);
        std::fs::copy(START, &copy).expect("a copy");
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
