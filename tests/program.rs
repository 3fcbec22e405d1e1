//! A built example as a child process, under a time limit.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// Where cargo puts an example: `cargo test` builds it before it runs a test.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let path = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.is_file(), "{} is missing: run `cargo build --example {name}` first", path.display());
    path
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run under way. Killed when it is dropped, or when a minute has passed.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    stderr: String,
    stdout: Receiver<String>,
    deadline: Instant,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (send, lines) = mpsc::channel();
        let stderr: ChildStderr = child.stderr.take().expect("piped");
        thread::spawn(move || {
            let all = BufReader::new(stderr).lines().map_while(Result::ok);
            all.map_while(|line| send.send(line).ok()).for_each(drop);
        });
        let (send, stdout) = mpsc::channel();
        let mut out = child.stdout.take().expect("piped");
        thread::spawn(move || {
            let mut text = String::new();
            let read = out.read_to_string(&mut text).map(|_| text);
            // Nobody waits for it when the test has failed.
            let _ = send.send(read.unwrap_or_else(|error| error.to_string()));
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        Self { child, lines, stderr: String::new(), stdout, deadline }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits for a line on stderr that contains a text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(self.left());
            let line =
                line.unwrap_or_else(|error| panic!("no line with {text:?} ({error}):\n{}", self.stderr));
            self.stderr += &line;
            self.stderr += "\n";
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends what Ctrl-C sends, to whom a terminal sends it: all processes of the group, which the program leads.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", "--", &format!("-{}", self.child.id())]).status();
        assert!(status.expect("kill").success());
    }

    /// Waits for the program alone: who has its stderr from it may go on.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("the program ends").code()
    }

    pub(crate) fn end(mut self) -> Ended {
        while let Ok(line) = self.lines.recv_timeout(self.left()) {
            self.stderr += &line;
            self.stderr += "\n";
        }
        let stdout = self.stdout.recv_timeout(self.left());
        let stdout = stdout.unwrap_or_else(|_| panic!("the program did not end:\n{}", self.stderr));
        let code = self.exit_code();
        Ended { code, stdout, stderr: std::mem::take(&mut self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a test again, alone in a process of its own, and there its body: no other test's threads, descriptors and memory
/// are counted then. What it prints is passed on.
pub(crate) fn in_own_process(name: &str, body: impl FnOnce()) {
    const MARK: &str = "EXAMPLE_TEST_ALONE";
    if std::env::var_os(MARK).is_some_and(|test| test == *name) {
        return body();
    }
    let program = std::env::current_exe().expect("the test's own path");
    let output = Command::new(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .output()
        .expect("the test starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    assert!(said.contains("1 passed"), "no test is called {name}:\n{said}");
    let skipped = complained.lines().filter(|line| line.starts_with("SKIPPED"));
    // Past the harness, which hides what a passing test prints. Where nobody reads stderr, nobody is told.
    skipped.for_each(|line| drop(writeln!(io::stderr(), "{line}")));
    println!("{said}");
}
