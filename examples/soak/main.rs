//! Storms over the crate, each with counts at its end: what can't be must count zero.
//!
//! ```text
//! cargo run --release --example soak -- --storm deaths      # one, at full size
//! cargo run --release --example soak -- --minutes 30        # all at once, in turns, for so long
//! ```
//!
//! | storm | what it does | full size |
//! |---|---|---|
//! | `deaths` | tasks log their begin and end while workers are killed at random, 50 times a second | 100 000 tasks |
//! | `kills` | ends exactly the running task, by hand or by time limit, at the moment when it ends by itself | 100 000 races |
//! | `threads` | 64 producers submit, cancel, drop, wait, panic, hang callbacks, and drop their pool | 10 000 000 tasks |
//! | `weather` | days fetched by threads from a server that fails | 2000 days |
//! | `xrays` | pictures resized by processes, some of them broken | 2000 pictures |
//!
//! With `--minutes` memory and descriptors are watched all the while and drawn as a plot. Exit code: 0 when nothing was
//! lost, doubled, leaked or hung, 1 otherwise, 2 for wrong arguments.

#![expect(clippy::print_stderr, reason = "a program talks to its user")]

mod deaths;
mod dice;
mod house;
mod kills;
mod memory;
mod mix;
mod plot;
mod report;
mod threads;
mod weather;
mod xrays;

// The two cases' own code.
#[path = "../xray_resize/chest.rs"]
mod chest;
#[path = "../weather_fetch/day.rs"]
mod day;
#[path = "../weather_fetch/decode.rs"]
mod decode;
#[path = "../weather_fetch/fetch.rs"]
mod fetch;
#[path = "../xray_resize/jpeg.rs"]
mod jpeg;
#[path = "../weather_fetch/rate.rs"]
mod rate;
#[path = "../weather_fetch/server/mod.rs"]
#[expect(dead_code, reason = "only the program serves a folder")]
mod server;
#[path = "../weather_fetch/stop.rs"]
mod stop;
#[path = "../xray_resize/thumbnail.rs"]
mod thumbnail;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::house::House;
use crate::report::Report;

/// Storms over executors: everything at once, for long, with counts at the end.
#[derive(Parser, Clone, Debug)]
#[command(name = "soak", version)]
struct Args {
    /// One storm alone, at full size
    #[arg(long, value_enum, conflicts_with = "minutes")]
    storm: Option<Storm>,

    /// All storms at once, in turns, for so many minutes
    #[arg(long, default_value_t = 1.0, value_parser = minutes, value_name = "MINUTES")]
    minutes: f64,

    /// How much of its full size a storm has, with --storm
    #[arg(long, default_value_t = 1.0, value_parser = size, value_name = "SHARE")]
    size: f64,

    /// Which random choices are made
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Where the plot of memory and descriptors goes, with --minutes
    #[arg(long, default_value = "soak.svg", value_name = "FILE.svg")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Storm {
    /// Workers are killed at random
    Deaths,
    /// Tasks are killed as they end
    Kills,
    /// Everything that a pool of threads can be asked, by 64 producers
    Threads,
    /// Days from a server that fails
    Weather,
    /// Pictures, some of them broken
    Xrays,
}

impl Storm {
    const ALL: [Storm; 5] = [Storm::Deaths, Storm::Kills, Storm::Threads, Storm::Weather, Storm::Xrays];

    fn full_size(self) -> u32 {
        match self {
            Storm::Deaths | Storm::Kills => 100_000,
            Storm::Threads => 10_000_000,
            Storm::Weather | Storm::Xrays => 2000,
        }
    }

    fn run(self, size: u32, seed: u64) -> Report {
        match self {
            Storm::Deaths => deaths::run(size, seed),
            Storm::Kills => kills::run(size, seed),
            Storm::Threads => threads::run(size, seed),
            Storm::Weather => weather::run(size, seed),
            Storm::Xrays => xrays::run(size, seed),
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    report::silence_panics_of_tasks();
    house::no_core_dumps();
    match args.storm {
        Some(storm) => alone(storm, &args),
        None => mixed(&args),
    }
}

/// One storm, and what it left behind.
fn alone(storm: Storm, args: &Args) -> ExitCode {
    let before = House::look();
    let began = Instant::now();
    let size = (f64::from(storm.full_size()) * args.size).max(1.0) as u32;
    let mut report = storm.run(size, args.seed);
    report.left_behind(&before);
    println!("{report}  {:.1} s\n  {}", began.elapsed().as_secs_f64(), House::look());
    verdict(&[report])
}

fn mixed(args: &Args) -> ExitCode {
    let time = Duration::from_secs_f64(60.0 * args.minutes);
    let (reports, samples) = mix::run(time, args.seed);
    for report in &reports {
        println!("{report}");
    }
    if let Err(error) = plot::draw(&args.out, &samples) {
        eprintln!("soak: {} can't be written: {error}", args.out.display());
        return ExitCode::FAILURE;
    }
    println!("memory and descriptors: {}", args.out.display());
    verdict(&reports)
}

fn verdict(reports: &[Report]) -> ExitCode {
    let wrong: usize = reports.iter().map(|report| report.wrong().len()).sum();
    if wrong == 0 {
        println!("nothing lost, nothing doubled, nothing left behind");
        ExitCode::SUCCESS
    } else {
        println!("{wrong} things that can't be");
        ExitCode::FAILURE
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().map_err(|_| "write a number of minutes, such as 30".to_owned())?;
    if (0.05..=10_080.0).contains(&minutes) {
        Ok(minutes)
    } else {
        Err("write a number of minutes from 0.05 to 10080, a week".to_owned())
    }
}

fn size(text: &str) -> Result<f64, String> {
    let share = text.parse().map_err(|_| "write a share, such as 0.1".to_owned())?;
    if share > 0.0 && share <= 100.0 {
        Ok(share)
    } else {
        Err("write a share above 0, at most 100".to_owned())
    }
}
