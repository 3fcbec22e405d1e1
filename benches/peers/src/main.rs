//! Ours compared with the other pools, interleaved, with a bare floor for reference.
//!
//! ```text
//! cargo run --release -p peers -- threads [--json]
//! cargo run --release -p peers -- processes [--json]      processes/: the same shape
//! cargo run --release -p peers -- xray DIR [--json]
//! cargo run --release -p peers -- page                    both of the first two, into docs/performance.md
//!
//!   runner   starts this program once per round, case and subject ──▶ one process: builds, measures, prints a number
//!     │                                                                  group/    what is done, one file per question
//!     ▼                                                                  subject/  by whom, one file per pool
//!   report   one JSON line per group, case and subject; or Markdown
//! ```
//!
//! A process per reading, so that no subject inherits another's threads, heap or warm caches. What each figure means
//! is in docs/benchmarks.md.

mod arguments;
mod compare;
mod goal;
mod group;
mod heap;
mod length;
mod page;
mod processes;
mod processor;
mod report;
mod runner;
mod strangers;
mod subject;
#[path = "../../../examples/xray_resize/thumbnail.rs"]
mod thumbnail;
mod work;
mod xray;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    if processes::stand_in() {
        return ExitCode::SUCCESS;
    }
    // procspawn's workers come here; ours never reach `main`.
    procspawn::init();
    match Arguments::parse().command {
        Command::Threads(options) => runner::run(&options),
        Command::One(reading) => runner::one(&reading),
        Command::Processes(options) => processes::run(&options),
        Command::OneProcess(reading) => processes::one(&reading),
        Command::Page(options) => page::run(&options),
        Command::Xray(options) => xray::run(&options),
        Command::XrayOne(reading) => xray::one(&reading),
        Command::Compare(files) => compare::run(&files),
    }
}
