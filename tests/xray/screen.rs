//! The progress bar, in a terminal with nobody before it but a test.

use std::{
    fs::File,
    io::Read,
    os::fd::{FromRawFd, OwnedFd},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use crate::{program::example, within};

/// The test's end of a new terminal, and the program's.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let null = std::ptr::null_mut();
    let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: valid places for two descriptors, and a valid size.
    let opened = unsafe {
        libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), (&raw const size).cast_mut())
    };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: marks a descriptor of ours: another test's child must not keep the terminal open.
    unsafe { libc::fcntl(slave, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: it was opened just now and is nobody else's.
    let master = unsafe { File::from_raw_fd(master) };
    // SAFETY: likewise.
    (master, unsafe { OwnedFd::from_raw_fd(slave) })
}

/// Kills a program that the test has given up.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a run shows on a terminal as its stderr.
fn shown(args: &[&str], folder: &std::path::Path, columns: u16) -> String {
    let (mut screen, stderr) = terminal(columns);
    let mut command = Command::new(example("xray_resize"));
    command.args(args).current_dir(folder).env("TERM", "xterm").env_remove("NO_COLOR");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
    drop(command); // and with it our copy of the program's end
    let mut running = Running(child.expect("the program starts"));
    let (send, text) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
        // An error once the last program at the terminal has gone.
        while let Ok(got @ 1..) = screen.read(&mut bytes) {
            all.extend(&bytes[..got]);
        }
        // Nobody waits for it when the test has failed.
        let _ = send.send(String::from_utf8_lossy(&all).into_owned());
    });
    let text = text.recv_timeout(Duration::from_secs(60)).expect("the program leaves the terminal");
    let status = running.0.wait().expect("the program ends");
    assert!(status.success(), "{status}: {text}");
    text
}

/// How far the bar of this name came, each time it was drawn.
fn steps(text: &str, name: &str) -> Vec<u32> {
    let bars = text
        .split('\r')
        .filter_map(|line| line.split_once(&format!("{name} "))?.1.split_once("/40 images, "));
    let bars = bars.inspect(|(_, rest)| assert!(rest.contains("/s, ") && rest.contains(" left"), "{rest:?}"));
    bars.filter_map(|(bar, _)| bar.rsplit(' ').next()?.parse().ok()).collect()
}

/// Only of what comes first: the bar is drawn some twenty times a second, and what is short may pass in between.
#[test]
fn a_bar_shows_how_far_it_is_and_goes_again() {
    within(130, || {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["drawing X-rays", "loop"] {
            let args = ["--cache", "cache", "--images", "40", "--workers", "2", "--executor", "loop"];
            let text = shown(&args, folder.path(), 100);
            let steps = steps(&text, name);
            assert!(steps.is_sorted() && steps.first() == Some(&0), "{steps:?}: {text:?}");
            assert!(steps.iter().any(|done| (1..40).contains(done)), "it never moved: {text:?}");
            assert!(text.contains("=> "), "{text:?}");
            // What is told where no bar can be drawn, is not told beside one.
            assert!(!text.contains(&format!("{name}: ")), "{text:?}");
            let last = text.rfind(" left").expect("a bar");
            assert!(text[last..].contains("\r\u{1b}[2K"), "the last bar is left behind: {text:?}");
        }
    });
}

#[test]
fn a_line_is_never_longer_than_the_terminal_is_wide() {
    within(190, || {
        let folder = tempfile::tempdir().expect("a folder");
        for columns in [120, 64, 50, 40, 31, 12] {
            let args = ["--cache", "cache", "--images", "40", "--workers", "2", "--executor", "threads"];
            let text = shown(&args, folder.path(), columns);
            let plain = without_escapes(&text);
            let longest = plain.split(['\r', '\n']).max_by_key(|line| line.chars().count());
            let longest = longest.expect("a line");
            assert!(longest.chars().count() <= usize::from(columns), "{columns}: {longest:?}");
            assert!(longest.chars().any(|char| char.is_ascii_digit()), "{columns}: {longest:?}");
        }
    });
}

fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).get(1..).unwrap_or_default()
    })
}
