//! Limits at their edges: each number from too little to enough gives errors that say what is missing, or works; nothing
//! hangs and nothing is left behind.

use crate::program::{START, limit, lines, lines_if_permitted, output, run};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const RIGHT: &str = "right 60";
const NO_START: &str = "the pool is broken: no worker can be started: ";

/// One line a number: all right, or an error by one of these causes. The first is an error, the last is right.
#[track_caller]
fn assert_edge(lines: &[&str], causes: &[&str]) {
    for line in lines {
        let (_, said) = line.split_once(": ").expect("a number before it");
        let says_why = said.starts_with("right ") && causes.iter().any(|cause| said.contains(cause));
        assert!(said == RIGHT || says_why && !said.contains("AND LEFT"), "{lines:#?}");
    }
    assert!(lines.len() > 2 && !lines[0].ends_with(RIGHT), "{lines:#?}");
    assert!(lines[lines.len() - 1].ends_with(RIGHT), "{lines:#?}");
}

/// `ulimit -n`
#[test]
fn each_number_of_descriptors() {
    limit(|| {
        let lines = lines(&["few-descriptors"]);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_edge(&lines, &["Too many open files", "No file descriptors available"]);
        assert!(
            lines[0].contains(&format!("{NO_START}the event that wakes a driver could not be created")),
            "{lines:#?}"
        );
    });
}

/// `ulimit -u`
#[test]
fn each_number_of_processes_and_threads() {
    limit(|| {
        let untried = "only root can become a user who has no other processes, so no limit of them was tried";
        let Some(lines) = lines_if_permitted(&["few-processes"], untried) else { return };
        let of = |what: &str| -> Vec<&str> {
            lines.iter().map(String::as_str).filter(|line| line.contains(what)).collect()
        };
        let refused = "Resource temporarily unavailable";
        let (processes, threads) = (of(" processes: "), of(" threads: "));
        assert_edge(&processes, &[refused]);
        let causes = [
            "the thread that drives a worker could not be started",
            "a worker process could not be started",
            "the thread for its tasks could not be started",
        ];
        for cause in causes {
            assert!(processes.iter().any(|line| line.contains(cause)), "{cause}: {processes:#?}");
        }
        let start = "1 threads: right 0, {\"the pool is broken: no worker thread could be started: ";
        assert!(threads[0].starts_with(start) && threads[0].contains(refused), "{threads:#?}");
        assert!(threads[1..].iter().all(|line| line.ends_with(RIGHT)), "{threads:#?}");
    });
}

/// `ulimit -v`
#[test]
fn each_amount_of_memory() {
    limit(|| {
        let mut all = Vec::new();
        for mib in [0, 1, 3, 6, 9, 12, 24, 64, 256, 1024] {
            let said = output(Command::new(START).args(["little-memory", &(mib << 10).to_string()]));
            let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
            // What Rust does in any program that asks for more than there is.
            let is_out_of_memory =
                said.status.signal() == Some(libc::SIGABRT) && complaint.contains("memory allocation of");
            let says_why = text.starts_with("right ") && text.contains("the pool is broken: ");
            assert!(
                text == RIGHT || says_why || is_out_of_memory,
                "{mib} MiB: {}\n{text}\n{complaint}",
                said.status
            );
            all.push(format!("{mib} MiB: {text}"));
        }
        assert!(
            all.iter().any(|line| line.contains("Cannot allocate memory")
                || line.contains("Resource temporarily unavailable")),
            "{all:#?}"
        );
        assert!(all[all.len() - 1].ends_with(RIGHT), "{all:#?}");
    });
}

#[test]
fn a_stack_of_64_kib() {
    limit(|| {
        assert_eq!(lines(&["little-stack", "on-a-little-stack"]), ["checked"]);
        // What is written then needs more stack than the panic itself.
        let mut loud = Command::new(START);
        assert_eq!(
            run(loud.args(["little-stack", "on-a-little-stack"]).env("RUST_BACKTRACE", "full")),
            "checked\n"
        );
    });
}
