//! Work that waits and work that computes in one program, as three stages that run at once: threads fetch pictures over HTTP,
//! processes make thumbnails of them, threads write these to files. No more pictures are in memory than the stages' buffers hold,
//! however many there are.
//!
//! ```text
//! cargo run --release --example pipeline                          # 400 pictures from a server of its own
//! cargo run --release --example pipeline -- --out timeline.svg    # and a picture of who did what when
//! ```
//!
//! The part to copy is `run`: `try_map_with`, and a `try_then_map_with` for each further stage.

#[path = "../xray_resize/chest.rs"]
mod chest;
#[path = "../xray_resize/jpeg.rs"]
mod jpeg;
#[path = "../common/picture.rs"]
mod picture;
#[path = "../common/place.rs"]
#[expect(dead_code, reason = "a file is written in a moment")]
mod place;
// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "../common/println.rs"]
mod println;
mod server;
#[path = "../common/small.rs"]
mod small;

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use concurrent_futures::prelude::*;
use concurrent_futures::{MapOptions, TaskError, TaskOptions, Timeline};
use serde::{Deserialize, Serialize};
use ureq::Agent;

type AnyError = Box<dyn Error + Send + Sync>;

/// Fetches pictures over HTTP, makes thumbnails of them, and writes these to files: three stages at once.
///
/// Exit code: 0 when every picture that the server has became a thumbnail, 1 when one failed otherwise, 2 for wrong arguments, 130
/// after Ctrl-C.
#[derive(Parser)]
#[command(name = "pipeline", version)]
struct Arguments {
    /// How many pictures are fetched
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pictures: u64,
    /// How long the server waits before each answer, in milliseconds
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    latency_ms: u64,
    /// How many threads fetch
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=500))]
    fetchers: u16,
    /// How many processes compute [default: one for each core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=500))]
    workers: Option<u16>,
    /// The server doesn't have each n-th picture: an error that passes through the later stages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    missing: Option<u64>,
    /// Keep the thumbnails in this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write a picture of who did what when to this file
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
}

/// What the first stage hands to the second; the second's result has the same form.
#[derive(Serialize, Deserialize)]
struct File {
    number: u64,
    /// In one piece from process to process, not byte by byte.
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        // Without a stderr, the exit code has to do.
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

/// Waits for the network nearly all of its time.
fn fetch(agent: &Agent, base: &str, number: u64) -> Result<File, ureq::Error> {
    let bytes = agent.get(format!("{base}/{number}")).call()?.body_mut().read_to_vec()?;
    Ok(File { number, bytes })
}

/// Keeps a core busy.
fn shrink(file: File) -> Result<File, AnyError> {
    Ok(File { bytes: small::small(&file.bytes)?, ..file })
}

/// Waits for the disk.
fn store(dir: &Path, file: &File) -> std::io::Result<()> {
    fs::write(dir.join(format!("{:06}.png", file.number)), &file.bytes)
}

fn run(arguments: &Arguments) -> Result<ExitCode, AnyError> {
    // A place that can't be written to is told of before the work.
    let out = arguments.out.as_deref().map(picture::place).transpose()?;
    let temporary = tempfile::tempdir()?;
    let dir = arguments.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    fs::create_dir_all(&dir).map_err(|error| format!("can't make {}: {error}", dir.display()))?;

    let interrupted = Arc::new(AtomicBool::new(false));
    let stop = interrupted.clone();
    ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed))?;
    let drawn = (0..20).map(|index| chest::draw(7, index)).collect();
    let latency = Duration::from_millis(arguments.latency_ms);
    let base = format!("http://{}", server::start(drawn, latency, arguments.missing)?);
    let fetchers = usize::from(arguments.fetchers);
    let agent: Agent =
        Agent::config_builder().proxy(None).max_idle_connections_per_host(fetchers).build().into();

    let alone = one_by_one(&agent, &base, &dir, arguments)?;

    let timeline = Timeline::new();
    let threads = |name: &str| ThreadPoolExecutor::builder().name_prefix(name).observer(timeline.clone());
    let first = threads("fetch").max_workers(fetchers).build()?;
    let mut processes = ProcessPoolExecutor::builder().name_prefix("shrink").observer(timeline.clone());
    if let Some(workers) = arguments.workers {
        processes = processes.max_workers(workers.into());
    }
    let second = processes.build()?;
    let third = threads("store").max_workers(1).build()?;

    let start = Instant::now();
    let options = |name: &str| MapOptions::new().tasks(TaskOptions::new().label(name));
    let files = first.try_map_with(
        options("fetch").buffersize(2 * fetchers),
        move |number| fetch(&agent, &base, number),
        // Without more input each stage finishes what it has.
        (0..arguments.pictures).take_while(|_| !interrupted.load(Ordering::Relaxed)),
    );
    let thumbnails = second.try_then_map_with(options("shrink"), shrink, files);
    let stored = third.try_then_map_with(options("store"), move |file| store(&dir, &file), thumbnails);
    let (mut done, mut failed) = (0_u64, Vec::new());
    for outcome in stored {
        match outcome {
            Ok(()) => done += 1,
            Err(error) => failed.push(error),
        }
    }
    let (took, all) = (start.elapsed(), done + failed.len() as u64);
    first.join();
    second.join();
    third.join();

    println!("{}", timeline.summary());
    let rate = |pictures: u64, time: Duration| pictures as f64 / time.as_secs_f64();
    println!("one by one      {:>6.1} pictures/s", rate(alone.0, alone.1));
    println!(
        "three stages    {:>6.1} pictures/s   {:.1}x   {done} of {} in {:.2} s",
        rate(all, took),
        rate(all, took) / rate(alone.0, alone.1),
        arguments.pictures,
        took.as_secs_f64()
    );
    let missing = failed.iter().filter(|error| is_missing(error)).count();
    if missing > 0 {
        println!("{missing} pictures are not on the server: {}", failed[0]);
    }
    if let Some(place) = out {
        picture::write(place, picture::draw(&timeline.spans()).as_bytes())?;
    }
    match failed.iter().find(|error| !is_missing(error)) {
        Some(error) => Err(format!("{} of the pictures failed: {error}", failed.len() - missing).into()),
        None if all < arguments.pictures => {
            println!("interrupted after {all} pictures");
            Ok(ExitCode::from(130))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The same work in a loop, for a second or so: how many pictures, in what time.
fn one_by_one(
    agent: &Agent,
    base: &str,
    dir: &Path,
    arguments: &Arguments,
) -> Result<(u64, Duration), AnyError> {
    let start = Instant::now();
    let mut done = 0;
    for number in (0..arguments.pictures).cycle() {
        match fetch(agent, base, number) {
            Ok(file) => store(dir, &shrink(file)?)?,
            Err(ureq::Error::StatusCode(404)) => {}
            Err(error) => return Err(error.into()),
        }
        done += 1;
        if start.elapsed() >= Duration::from_secs(1) {
            break;
        }
    }
    Ok((done, start.elapsed()))
}

fn is_missing(error: &TaskError) -> bool {
    let TaskError::Failed(failed) = error else { return false };
    matches!(failed.downcast_ref(), Some(ureq::Error::StatusCode(404)))
}
