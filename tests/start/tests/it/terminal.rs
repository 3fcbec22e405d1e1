//! Parent and workers as one job at a terminal: Ctrl-C, Ctrl-Z and `fg`, reading, printing, ends.

use crate::program::{Folder, SOON, is_gone, kill, limit, state, within};
use crate::pty::Terminal;
use std::time::Duration;

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";
const AT_ONCE: Duration = Duration::from_secs(1);

/// A job whose task computes until the file is there; running.
fn job(what: &str, folder: &Folder) -> (Terminal, i32, i32) {
    let gate = folder.0.join("gate");
    let terminal = Terminal::with_job(&[what, gate.to_str().expect("a plain path")], false);
    let parent = terminal.number("parent ");
    let worker = terminal.number("worker ");
    terminal.expect("running");
    (terminal, parent, worker)
}

fn open(folder: &Folder) {
    std::fs::write(folder.0.join("gate"), "").expect("a file");
}

#[test]
fn ctrl_c_is_the_parents_to_handle() {
    limit(|| {
        let folder = Folder::new("ctrl-c");
        let (mut terminal, _, worker) = job("caught", &folder);
        terminal.press(CTRL_C);
        terminal.expect("interrupted");
        assert!(!is_gone(worker), "the worker goes on");
        open(&folder);
        terminal.expect("result: computed");
        terminal.expect("[over: exit status: 0]");
        assert!(is_gone(worker));
    });
}

#[test]
fn ctrl_c_that_nobody_handles_ends_all() {
    limit(|| {
        let folder = Folder::new("ctrl-c-ends");
        let (mut terminal, parent, worker) = job("plain", &folder);
        terminal.press(CTRL_C);
        terminal.expect("[over: signal: 2");
        assert!(is_gone(parent));
        assert!(within(AT_ONCE, || is_gone(worker)), "an orphan: {:?}", state(worker));
    });
}

#[test]
fn ctrl_c_ends_what_a_task_has_started() {
    limit(|| {
        let mut terminal = Terminal::with_job(&["child"], false);
        let child = terminal.number("child ");
        terminal.press(CTRL_C);
        terminal.expect("result: child ended by Some(2)");
        assert!(is_gone(child));
    });
}

#[test]
fn ctrl_z_stops_all_and_fg_goes_on() {
    limit(|| {
        let folder = Folder::new("ctrl-z");
        let (mut terminal, parent, worker) = job("plain", &folder);
        for _ in 0..3 {
            terminal.press(CTRL_Z);
            terminal.expect("[stopped by 20]");
            for pid in [parent, worker] {
                assert!(within(SOON, || state(pid) == Some('T')), "{:?}", state(pid));
            }
            terminal.press("fg\n");
            assert!(within(SOON, || !matches!(state(worker), Some('T') | None)), "{:?}", state(worker));
        }
        open(&folder);
        terminal.expect("result: computed");
        terminal.expect("[over: exit status: 0]");
    });
}

#[test]
fn a_task_can_read_the_terminal() {
    limit(|| {
        let mut terminal = Terminal::with_job(&["tty"], false);
        terminal.expect("worker ");
        terminal.press("typed at it\n");
        terminal.expect("result: task read \"typed at it\"");
    });
}

#[test]
fn standard_input_is_the_parents_alone() {
    limit(|| {
        let mut terminal = Terminal::with_job(&["stdin"], false);
        terminal.press("for the parent\n");
        terminal.expect("result: task read 0 bytes");
        terminal.expect("parent read \"for the parent\"");
    });
}

#[test]
fn a_task_prints_where_only_the_foreground_may() {
    limit(|| {
        let terminal = Terminal::with_job(&["print"], true);
        terminal.expect("a line of the task's");
        terminal.expect("result: printed");
        terminal.expect("[over: exit status: 0]");
    });
}

#[test]
fn a_signal_to_the_group_reaches_all() {
    limit(|| {
        for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGHUP] {
            let folder = Folder::new("group");
            let (terminal, parent, worker) = job("plain", &folder);
            kill(-parent, signal);
            terminal.expect(&format!("[over: signal: {signal}"));
            assert!(within(AT_ONCE, || is_gone(worker)), "an orphan: {:?}", state(worker));
        }
    });
}
