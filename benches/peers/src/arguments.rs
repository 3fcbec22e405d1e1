//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::compare::Files;
use crate::group::Group;
use crate::page;
use crate::processes;
use crate::subject::Subject;
use crate::xray;

/// Measure pools against each other.
#[derive(Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Pools of threads: ours, rayon, threadpool, rusty_pool, tokio, CPython, and a floor.
    Threads(Options),
    /// Pools of processes: ours, procspawn, CPython's two, and floors.
    Processes(processes::Options),
    /// Both of the first two, and docs/performance.md with the tables and plots of them.
    Page(page::Options),
    /// Take one reading in this process and print it; the runner's other half.
    #[command(hide = true)]
    One(Reading),
    /// The X-ray case: ours, `image` under rayon, CPython with Pillow, and a control, over the JPEGs of a folder.
    Xray(xray::Options),
    /// The same for processes.
    #[command(hide = true)]
    OneProcess(processes::Reading),
    #[command(hide = true)]
    XrayOne(xray::One),
    /// A table of two builds from what each printed with `--json`; the last step of `ci/bench-compare.sh`.
    #[command(hide = true)]
    Compare(Files),
}

#[derive(Args)]
pub(crate) struct Options {
    /// One JSON object per line instead of Markdown.
    #[arg(long)]
    pub(crate) json: bool,
    /// How often each case is measured with each subject.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// A twentieth of the work: shows that everything runs, not how fast.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this group; may be given several times.
    #[arg(long, value_name = "GROUP")]
    pub(crate) only: Vec<Group>,
    /// Only these subjects.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub(crate) subjects: Vec<Subject>,
}

/// The number that a process measures.
#[derive(Args, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) group: Group,
    /// Index into the group's cases.
    pub(crate) case: usize,
    pub(crate) subject: Subject,
    #[arg(long)]
    pub(crate) quick: bool,
}
