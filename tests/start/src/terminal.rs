//! Jobs for a terminal, and a shell just good enough to run one.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use std::hint::black_box;
use std::io::{BufRead, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs a job in the foreground as shells do: a group of its own gets the terminal; when it stops, the shell takes the
/// terminal back, and gives it again at `fg`.
pub fn shell(job: &[&str]) {
    let terminal = 0;
    // A shell that gives the terminal away must be let take it back.
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("job").args(job).process_group(0);
    // The one that is ignored here is not to be ignored there.
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::tcsetpgrp(0, libc::getpid());
            libc::signal(libc::SIGTTOU, libc::SIG_DFL);
            // Whoever runs the tests may ignore some (`nohup`, a job in the background): a shell's jobs don't.
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    let job = command.spawn().expect("a job").id() as libc::pid_t;
    loop {
        let mut status = 0;
        // SAFETY: waits for our child, with a valid place for its status.
        unsafe { libc::waitpid(job, &raw mut status, libc::WUNTRACED) };
        // SAFETY: the terminal is ours: we lead its session.
        unsafe { libc::tcsetpgrp(terminal, libc::getpgrp()) };
        let status = std::process::ExitStatus::from_raw(status);
        let Some(signal) = status.stopped_signal() else {
            println!("[over: {status}]");
            return;
        };
        println!("[stopped by {signal}]");
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).expect("a command");
        assert_eq!(line.trim(), "fg");
        // SAFETY: as above.
        unsafe { libc::tcsetpgrp(terminal, job) };
        // SAFETY: the group is our job's.
        unsafe { libc::kill(-job, libc::SIGCONT) };
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Computes until a file of this name is there.
fn compute(gate: String) -> String {
    let mut n = 0_u64;
    while !Path::new(&gate).exists() {
        n = black_box(n.wrapping_mul(3) + 1);
    }
    "computed".into()
}

/// Runs a program that would run for long; says what ended it.
fn wait_for_child(_: String) -> String {
    let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
    println!("child {}", child.id());
    format!("child ended by {:?}", child.wait().expect("a status").signal())
}

fn read_terminal(_: String) -> String {
    let mut line = String::new();
    let terminal = std::fs::File::open("/dev/tty").expect("the terminal");
    std::io::BufReader::new(terminal).read_line(&mut line).expect("a line");
    format!("task read {:?}", line.trim())
}

fn read_stdin(_: String) -> String {
    let mut all = Vec::new();
    std::io::stdin().read_to_end(&mut all).expect("an empty input");
    format!("task read {} bytes", all.len())
}

fn print(_: String) -> String {
    println!("a line of the task's");
    "printed".into()
}

pub fn job(what: &str, gate: &str) {
    let pool = ProcessPoolExecutor::new(1);
    let handles_interrupt = matches!(what, "caught" | "child");
    if handles_interrupt {
        let handler = note_interrupt as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
        // SAFETY: the handler stores to an atomic and nothing else.
        unsafe { libc::signal(libc::SIGINT, handler) };
    }
    let worker = pool.submit(|()| std::process::id(), ()).result().expect("a worker");
    println!("parent {}\nworker {worker}", std::process::id());
    let task = match what {
        "caught" | "plain" => compute,
        "child" => wait_for_child,
        "tty" => read_terminal,
        "stdin" => read_stdin,
        "print" => print,
        other => panic!("no such job: {other}"),
    };
    let future = pool.submit(task, gate.to_owned());
    if handles_interrupt || what == "plain" {
        // A task whose child was interrupted at once may be over by the first look.
        while !(future.is_running() || future.is_done()) {
            std::thread::yield_now();
        }
        println!("running");
    }
    if handles_interrupt {
        while !INTERRUPTED.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("interrupted");
    }
    println!("result: {}", future.result().expect("a result"));
    if what == "stdin" {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("a line");
        println!("parent read {:?}", line.trim());
    }
}
