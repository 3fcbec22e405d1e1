//! What has to be known of a measurement beside its figures: where and when it was taken, and who else was at work.

use std::process::Command;
use std::{fs, thread};

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(super) struct Circumstances {
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    pub(super) quick: bool,
    /// Cores that other programs kept busy in the worst round.
    pub(super) noise: Option<f64>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) cpu: String,
    pub(super) kernel: String,
    pub(super) rustc: String,
}

impl Circumstances {
    pub(super) fn now(rounds: u32, quick: bool, noise: Option<f64>) -> Self {
        Self {
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
            machine: Machine::this(),
            rounds,
            quick,
            noise,
        }
    }
}

impl Machine {
    fn this() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            cpu: model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            kernel: format!("Linux {}", kernel.trim()),
            // The one on the path, which `cargo run` has built this program with.
            rustc: version(&said(Command::new("rustc").arg("--version"))),
        }
    }
}

/// Of `/proc/cpuinfo`.
fn model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("a processor that has no name").to_owned()
}

/// Of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version(said: &str) -> String {
    said.split(" (").next().unwrap_or(said).to_owned()
}

fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::{model, version};

    #[test]
    fn names_are_found() {
        assert_eq!(
            model("processor\t: 0\nmodel name\t: A Core @ 2 GHz\nmodel name\t: B\n"),
            "A Core @ 2 GHz"
        );
        assert_eq!(model(""), "a processor that has no name");
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)"), "rustc 1.95.0");
    }
}
