//! `concurrent-futures-redis` against celery, rq and dask, interleaved, with a bare stream echo over the same server as floor.
//!
//! ```text
//! benches/cluster-peers/python.sh                              celery, rq and dask into target/
//! cargo run --release -p cluster-peers -- [--quick] [--rounds N] [--xray DIR] [--json]
//!
//!   stage    the server, and whoever is measured, all there from the beginning
//!     │        echo     two processes and two streams: what any executor over this server has to pay
//!     │        ours     three node processes, which are this program
//!     │        python   celery, rq, dask: a process each, with three workers
//!     ▼
//!   readings  round by round: each case, of each subject in turn ──▶  table: medians, goals, verdicts
//!   memory    a million tasks, in a process of its own
//!   shared    tasks that need the same 16 MiB, as shared data and by value
//!   xray      two nodes of one slot against a local pool of two workers
//! ```

mod case;
#[path = "../../../examples/xray_resize/chest.rs"]
mod chest;
mod echo;
mod goal;
#[path = "../../../examples/xray_resize/jpeg.rs"]
mod jpeg;
mod memory;
mod nodes;
mod ours;
mod python;
mod readings;
#[path = "../../../concurrent-futures-redis/examples/xray_cluster/server.rs"]
mod server;
mod shared;
mod stage;
mod table;
#[path = "../../../examples/xray_resize/thumbnail.rs"]
mod thumbnail;
mod xray;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use concurrent_futures_redis::RedisNode;
use goal::Goal;
use readings::Readings;
use server::Server;
use stage::Stage;

/// Measures the executor over Redis beside celery, rq and dask.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// How often each case is measured with each subject
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A small part of the work: shows that everything runs, not how fast
    #[arg(long)]
    quick: bool,
    /// Only our own figures and the floor
    #[arg(long)]
    ours: bool,
    /// Only these cases
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    only: Vec<case::Case>,
    /// A folder of JPEGs for the X-ray case; without it some are drawn
    #[arg(long, value_name = "DIR")]
    xray: Option<PathBuf>,
    /// The Python that has celery, rq and dask; by default the one that python.sh makes
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// One JSON object per case and subject instead of Markdown
    #[arg(long)]
    json: bool,
}

/// What this program is when it has started itself.
#[derive(Subcommand)]
enum Part {
    /// The other half of the floor
    #[command(hide = true)]
    Echo { url: String },
    /// A client with many tasks
    #[command(hide = true)]
    Client(memory::Arguments),
}

/// Whatever ends a measurement.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    if let Some(node) = RedisNode::from_args()? {
        return Ok(node.serve()?);
    }
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Echo { url }) => echo::answer(url),
        Some(Part::Client(client)) => memory::run(client),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let server = Server::start()?;
    eprintln!("{} at {}", server.name, server.url);
    let mut readings = Readings::default();
    let chosen = |case| arguments.only.is_empty() || arguments.only.contains(&case);
    let cases: Vec<_> = case::SIDE_BY_SIDE.into_iter().filter(|case| chosen(*case)).collect();
    if !cases.is_empty() {
        let mut stage = Stage::new(&server.url, arguments)?;
        for round in 0..arguments.rounds {
            stage.read(round, &cases, arguments.quick, &mut readings)?;
        }
    }
    if chosen(case::Case::Shared) {
        shared::read(&server.url, arguments, &mut readings)?;
    }
    if chosen(case::Case::Xray) {
        xray::read(&server.url, arguments, &mut readings)?;
    }
    if chosen(case::Case::Memory) {
        memory::read(&server, arguments.quick, &mut readings)?;
    }
    if arguments.json {
        table::print_json(&readings)?;
    } else {
        table::print(&readings, &Goal::ALL);
    }
    Ok(())
}
