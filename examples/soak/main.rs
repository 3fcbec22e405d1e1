//! Storms over the crate, each with counts at its end: the count of impossible states must be zero.
//!
//! ```text
//! cargo run --release --example soak -- --storm deaths      # one, at full size
//! cargo run --release --example soak -- --minutes 30        # all at once, in turns, for half an hour
//! ```
//!
//! | storm | what it does | full size |
//! |---|---|---|
//! | `deaths` | tasks log their beginning and end while workers are killed at random, 50 times a second | 100 000 tasks |
//! | `kills` | ends exactly the running task, by hand or by time limit, at the moment when it ends by itself | 100 000 races |
//! | `threads` | 64 producers submit, cancel, drop, wait, panic, hang callbacks, and drop their pool | 10 000 000 tasks |
//! | `weather` | days fetched by threads from a server that fails | 2000 days |
//! | `xrays` | pictures resized by processes, some of them broken | 2000 pictures |
//!
//! With `--minutes` memory and descriptors are recorded, and drawn as a plot with `--out FILE.svg`. Ctrl-C
//! ends the storms with what they have counted. Exit code: 0 when nothing was lost, doubled, leaked or hung, 1 otherwise,
//! 2 for wrong arguments and when the plot can't be written, 130 when nothing was wrong until Ctrl-C.

// A `println!` that ignores a closed pipe (`| head -1`), so that the storms continue; the standard library's panics.
macro_rules! println {
    ($($text:tt)*) => { crate::lines::line(format_args!($($text)*)) };
}

mod deaths;
mod dice;
mod house;
mod kills;
mod memory;
mod mix;
mod plot;
mod progress;
mod report;
mod threads;
mod weather;
mod xrays;

#[path = "../common/lines.rs"]
#[expect(dead_code, reason = "the storms go on unread")]
mod lines;
#[path = "../common/place.rs"]
#[expect(dead_code, reason = "a plot is written in a moment")]
mod place;
#[path = "../common/say.rs"]
#[expect(dead_code, reason = "what is printed goes by lines")]
mod say;

// The two cases' own code.
#[path = "../xray_resize/chest.rs"]
mod chest;
#[path = "../weather_fetch/day.rs"]
#[expect(dead_code, reason = "only the program tells what it left out")]
mod day;
#[path = "../weather_fetch/decode.rs"]
mod decode;
#[path = "../weather_fetch/fetch.rs"]
mod fetch;
#[path = "../xray_resize/jpeg.rs"]
mod jpeg;
#[path = "../common/plain.rs"]
mod plain;
#[path = "../weather_fetch/python.rs"]
mod python;
#[path = "../weather_fetch/rate.rs"]
mod rate;
#[path = "../weather_fetch/server/mod.rs"]
#[expect(dead_code, reason = "only the program serves a folder")]
mod server;
#[path = "../xray_resize/thumbnail.rs"]
mod thumbnail;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::house::House;
use crate::place::Place;
use crate::progress::{INTERRUPTED, Telling};
use crate::report::Report;
use crate::say::say;

/// Stress tests of the executors, called storms: everything at once, with counts at the end.
///
/// Exit code: 0 when nothing was lost, doubled, leaked or hung; 1 otherwise; 2 for wrong arguments, and when the plot
/// can't be written; 130 after Ctrl-C, if nothing was wrong until then; the counts so far are shown.
#[derive(Parser, Clone, Debug)]
#[command(name = "soak", version)]
struct Args {
    /// Run only this storm, at full size
    #[arg(long, value_enum, conflicts_with = "minutes")]
    storm: Option<Storm>,

    /// Run all storms at once, in turns, for this many minutes
    #[arg(long, default_value_t = 1.0, value_parser = minutes, value_name = "MINUTES")]
    minutes: f64,

    /// The share of its full size that a storm has, with --storm
    #[arg(long, default_value_t = 1.0, value_parser = size, value_name = "SHARE", conflicts_with = "minutes")]
    size: f64,

    /// The seed of all random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write a plot of memory and descriptors to this file, with --minutes
    #[arg(long, value_name = "FILE.svg", conflicts_with = "storm")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Storm {
    /// Workers are killed at random
    Deaths,
    /// Tasks are killed as they end
    Kills,
    /// Every operation of a pool of threads, by 64 producers
    Threads,
    /// Days fetched from a faulty server
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
    let ended = progress::obey_interrupts().map_err(Error::from).and_then(|()| match args.storm {
        Some(storm) => Ok(alone(storm, &args)),
        None => mixed(&args),
    });
    let printed =
        |code| lines::end().map(|()| code).map_err(|error| format!("can't print the counts: {error}").into());
    ended.and_then(printed).unwrap_or_else(|error: Error| {
        say(format_args!("error: {error}"));
        ExitCode::from(2)
    })
}

type Error = Box<dyn std::error::Error>;

/// One storm, and what it left behind.
fn alone(storm: Storm, args: &Args) -> ExitCode {
    let size = (f64::from(storm.full_size()) * args.size).max(1.0) as u32;
    let telling = Telling::start(Duration::from_secs(5));
    let before = House::look();
    let began = Instant::now();
    let mut report = storm.run(size, args.seed);
    report.left_behind(&before);
    println!("{report}  {:.1} s\n  {}", began.elapsed().as_secs_f64(), House::look());
    drop(telling);
    verdict(&[report])
}

fn mixed(args: &Args) -> Result<ExitCode, Error> {
    let time = Duration::from_secs_f64(60.0 * args.minutes);
    let cannot = |error: std::io::Error| {
        let out = args.out.as_deref().unwrap_or("".as_ref());
        format!("{} can't be written: {error}", plain::path(out))
    };
    // A place that can't be written to is reported now rather than after half an hour.
    let place = args.out.as_deref().map(Place::new).transpose().map_err(cannot)?;
    let telling = Telling::start((time / 60).clamp(Duration::from_secs(2), Duration::from_secs(60)));
    let (reports, samples) = mix::run(time, args.seed);
    drop(telling);
    for report in &reports {
        println!("{report}");
    }
    let code = verdict(&reports);
    if let (Some(place), Some(out)) = (place, &args.out) {
        plot::draw(place, &samples)
            .map_err(|error| format!("{} can't be written: {error}", plain::path(out)))?;
        println!("memory and descriptors: {}", plain::path(out));
    }
    Ok(code)
}

fn verdict(reports: &[Report]) -> ExitCode {
    let wrong: usize = reports.iter().map(|report| report.wrong().len()).sum();
    if wrong == 0 && progress::is_stopping() {
        println!("interrupted: until then nothing lost, nothing doubled, nothing left behind");
        ExitCode::from(INTERRUPTED)
    } else if wrong == 0 {
        println!("nothing lost, nothing doubled, nothing left behind");
        ExitCode::SUCCESS
    } else {
        println!("{wrong} impossible states");
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
