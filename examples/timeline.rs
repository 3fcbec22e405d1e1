//! A picture of what two pools did: threads that fetch, processes that compute, and who was idle when.
//!
//! A made-up job of two stages. Two threads "fetch" (they wait), two processes "compute" (they count), each result of the first
//! stage goes to the second. One timeline observes both pools; it is printed as a table, and drawn as SVG: a row for each worker,
//! and a bar for each task. `--trace FILE` writes it for Perfetto as well.
//!
//! `cargo run --release --example timeline -- --out timeline.svg`

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "common/println.rs"]
mod println;
#[path = "common/picture.rs"]
mod picture;
#[path = "common/place.rs"]
#[expect(dead_code, reason = "a picture is written in a moment")]
mod place;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use concurrent_futures::prelude::*;
use concurrent_futures::{TaskOptions, Timeline};

/// A timeline of two pools, as a table and as a picture.
///
/// Exit code: 0 when all tasks ran, 1 when something failed, 2 for wrong arguments.
#[derive(Parser)]
#[command(name = "timeline", version)]
struct Arguments {
    /// How many pieces of work there are
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pieces: u32,
    /// Write the picture to this file
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
    /// Write the trace, which opens in Perfetto and chrome://tracing, to this file
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        // Without a stderr, the exit code has to do.
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

/// Takes as long as the network would; every fifth piece takes longer.
fn fetch(piece: u32) -> u32 {
    std::thread::sleep(Duration::from_millis(if piece % 5 == 4 { 60 } else { 15 }));
    piece
}

/// Keeps a processor busy.
fn compute(piece: u32) -> u64 {
    let until = Instant::now() + Duration::from_millis(20 + u64::from(piece % 3) * 8);
    let mut count = 0;
    while Instant::now() < until {
        count += 1;
    }
    count
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    // Places that can't be written to are told of before the work.
    let out = arguments.out.as_deref().map(picture::place).transpose()?;
    let trace = arguments.trace.as_deref().map(picture::place).transpose()?;

    let timeline = Timeline::new();
    let threads = ThreadPoolExecutor::builder()
        .max_workers(2)
        .name_prefix("fetch")
        .observer(timeline.clone())
        .build()?;
    let processes = ProcessPoolExecutor::builder()
        .max_workers(2)
        .name_prefix("compute")
        .observer(timeline.clone())
        .build()?;
    let label = |stage: &str, piece: u32| TaskOptions::new().label(format!("{stage} {piece}"));
    let fetched: Vec<_> =
        (0..arguments.pieces).map(|piece| threads.submit_with(label("fetch", piece), fetch, piece)).collect();
    let computed: Vec<_> = as_completed(fetched)
        .map(|fetched| {
            fetched.result().map(|piece| processes.submit_with(label("compute", piece), compute, piece))
        })
        .collect::<Result<_, _>>()?;
    for future in computed {
        future.result()?;
    }
    threads.join();
    processes.join();

    println!("{}", timeline.summary());
    if let Some(place) = out {
        picture::write(place, picture::draw(&timeline.spans()).as_bytes())?;
    }
    if let Some(place) = trace {
        let mut bytes = Vec::new();
        timeline.chrome_trace(&mut bytes)?;
        picture::write(place, &bytes)?;
    }
    Ok(ExitCode::SUCCESS)
}
