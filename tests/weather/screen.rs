//! The progress line, in a terminal with nobody before it but a test.

use std::{
    fs::File,
    io::Read,
    os::fd::{FromRawFd, OwnedFd},
    process::Stdio,
};

use crate::{folder::Folder, within};

/// The test's end of a new terminal so many columns wide, and the program's.
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

/// console-rs/indicatif#218: a line longer than the terminal is wide goes on in the next, once for each time it is drawn.
#[test]
fn the_progress_line_is_no_wider_than_the_terminal() {
    within(60, || {
        for columns in [10, 20, 31, 100] {
            let (mut screen, stderr) = terminal(columns);
            let folder = Folder::new();
            let args = ["--days", "6", "--interval", "60", "--latency", "0.2", "--sequential", "2"];
            let mut command = folder.command(&args);
            command.env("TERM", "xterm").env_remove("NO_COLOR");
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
            drop(command); // and with it our copy of the program's end
            let mut child = child.expect("the program starts");
            let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
            // An error once the last program at the terminal has gone.
            while let Ok(got @ 1..) = screen.read(&mut bytes) {
                shown.extend(&bytes[..got]);
            }
            assert!(child.wait().expect("the program ends").success());
            let shown = String::from_utf8_lossy(&shown);
            // Without the commands to the terminal: each ends with a letter.
            let mut parts = shown.split('\u{1b}');
            let first = parts.next().unwrap_or_default();
            let rest =
                parts.filter_map(|part| Some(part.split_once(|char: char| char.is_ascii_alphabetic())?.1));
            let text = std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\r");
            let drawn = text.split(['\r', '\n']).filter(|line| !line.starts_with("making up"));
            let drawn: Vec<&str> = drawn.map(str::trim_end).filter(|line| !line.is_empty()).collect();
            assert!(drawn.len() > 2 && drawn[0].starts_with("0/2 days"), "{columns}: {shown:?}");
            for line in drawn {
                assert!(line.chars().count() <= usize::from(columns), "{columns}: {line:?} of {shown:?}");
            }
        }
    });
}
