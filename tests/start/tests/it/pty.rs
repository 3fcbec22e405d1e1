//! A terminal with nobody before it but a test.

use crate::program::{SOON, START};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// A shell with one job, in a terminal of its own.
pub(crate) struct Terminal {
    keyboard: File,
    shell: Child,
    screen: Arc<(Mutex<Screen>, Condvar)>,
}

#[derive(Default)]
struct Screen {
    text: String,
    /// How much of it was waited for already.
    seen: usize,
    is_over: bool,
}

fn check(result: libc::c_int) {
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

impl Terminal {
    /// Starts `start shell JOB` as the leader of a session at a new terminal.
    pub(crate) fn with_job(job: &[&str], stops_output_from_the_background: bool) -> Self {
        let (mut master, mut slave) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: valid places for two descriptors, and no wishes.
        check(unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) });
        // SAFETY: both were opened just now and are nobody else's.
        let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        // SAFETY: any bits are settings; the next call replaces them.
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: a terminal, and a valid place for its settings.
        check(unsafe { libc::tcgetattr(slave.as_raw_fd(), &raw mut settings) });
        settings.c_lflag &= !libc::ECHO;
        if stops_output_from_the_background {
            settings.c_lflag |= libc::TOSTOP;
        }
        // SAFETY: a terminal and valid settings.
        check(unsafe { libc::tcsetattr(slave.as_raw_fd(), libc::TCSANOW, &raw const settings) });
        // SAFETY: marks our own descriptor.
        check(unsafe { libc::fcntl(master.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) });

        let mut command = Command::new(START);
        command.arg("shell").args(job);
        let copy = || slave.try_clone().expect("a descriptor");
        command.stdin(copy()).stdout(copy()).stderr(copy());
        // SAFETY: only system calls, which may be made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() == -1 || libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let shell = command.spawn().expect("a shell");
        drop(slave);
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().expect("a descriptor");
        let screen = Arc::new((Mutex::new(Screen::default()), Condvar::new()));
        let drawn = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                // An error once the last program at the terminal has gone.
                let got = output.read(&mut bytes).unwrap_or(0);
                let mut screen = drawn.0.lock().expect("no panics in here");
                screen.text.push_str(&String::from_utf8_lossy(&bytes[..got]));
                screen.is_over |= got == 0;
                drawn.1.notify_all();
                if got == 0 {
                    return;
                }
            }
        });
        Terminal { keyboard, shell, screen }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("somebody is there");
    }

    /// Waits for a text behind all that was waited for, and gives back the rest of its line.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        let mut screen = self.screen.0.lock().expect("no panics in here");
        loop {
            let new = &screen.text[screen.seen..];
            let found = new.find(text).map(|at| at + text.len());
            let found = found.and_then(|from| Some((from, from + new[from..].find('\n')?)));
            if let Some((from, to)) = found {
                let rest = new[from..to].trim().to_owned();
                screen.seen += to;
                return rest;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || screen.is_over {
                let shown = screen.text.clone();
                // A panic must not leave the lock behind.
                drop(screen);
                panic!("no {text:?} on the screen:\n{shown}");
            }
            screen = self.screen.1.wait_timeout(screen, left).expect("no panics in here").0;
        }
    }

    /// The number behind a text.
    #[track_caller]
    pub(crate) fn number(&self, text: &str) -> i32 {
        self.expect(text).parse().expect("a number")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The terminal goes with its last descriptor, which hangs up on whoever is left in the session.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
