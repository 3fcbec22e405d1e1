//! Resizes 1431 chest X-rays to 64x64 by as many processes as there are cores, and says what that gained.
//!
//! ```text
//! cargo run --example xray_resize                              # X-rays drawn by this program
//! cargo run --example xray_resize -- --dir DIR                 # your own
//! cargo run --example xray_resize -- --executor all            # a loop, map, threads, processes
//! cargo run --example xray_resize -- --crash-at 700            # a task that takes its worker down
//! ```
//!
//! The part to copy is `run_on` in `run.rs`: tasks handed to an executor, whichever it is, and results taken in order. The
//! task stands in `thumbnail.rs`. Nothing in `main` has to be prepared for the processes.

#![expect(clippy::print_stderr, reason = "a program talks to its user")]

mod args;
mod chest;
mod control;
mod jpeg;
mod output;
mod pictures;
#[path = "../common/place.rs"]
mod place;
#[path = "../common/plain.rs"]
mod plain;
mod report;
mod run;
mod screen;
mod stop;
mod thumbnail;

use std::{
    fs,
    io::{self, Write},
    process::{self, ExitCode},
};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{
    args::{Args, Kind},
    output::Outputs,
    pictures::Pictures,
    report::{Amount, Measured},
    run::{Outcome, Runner},
    screen::Screen,
    stop::Stop,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(message) = args.check() {
        Args::command().error(ErrorKind::ValueValidation, message).exit();
    }
    let ended =
        if args.bare_worker { control::bare_worker().map(|()| ExitCode::SUCCESS) } else { run(&args) };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

fn run(args: &Args) -> Result<ExitCode, Error> {
    let mut outputs = Outputs::new(args.out.as_deref(), args.contact_sheet.as_deref(), args.size)?;
    let stop = Stop::default();
    ctrlc::set_handler({
        let (stop, temporary) = (stop.clone(), outputs.temporary());
        move || {
            if stop.raise() {
                eprintln!("\nstopping: nothing new starts; Ctrl-C again to leave at once");
            } else {
                // Nobody is left to hear that a file could not be removed.
                temporary.iter().for_each(|path| drop(fs::remove_file(path)));
                process::exit(INTERRUPTED.into());
            }
        }
    })?;
    let screen = Screen::new(args.verbose);
    let pictures = prepare(args, &screen, &stop)?;
    if stop.is_raised() {
        eprintln!("interrupted: {} X-rays are drawn, the others will be by the next run", pictures.len());
        return Ok(ExitCode::from(INTERRUPTED));
    }
    outputs.expect(pictures.distinct());

    let runner = Runner { size: args.size, workers: args.workers(), screen: &screen, stop: &stop };
    let ran = run_all(args, &runner, &pictures, &mut outputs)?;
    // Before the control: whatever happens to that, the thumbnails are there.
    let written = outputs.finish()?;
    let measured = match ran {
        Some(ran) => measure(&runner, &pictures, ran)?,
        None => None,
    };
    let Some(measured) = measured else {
        let written = if written.is_empty() { "nothing was written".to_owned() } else { written.join(", ") };
        eprintln!("interrupted: {written}");
        return Ok(ExitCode::from(INTERRUPTED));
    };

    let text = match args.json {
        true => serde_json::to_string(&measured.figures())? + "\n",
        false => written.iter().fold(measured.table()?, |text, line| text + line + "\n"),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let failed = measured.runs.last().map_or(&[][..], |(_, outcome)| &outcome.failed);
    for (path, error) in failed.iter().chain(&pictures.closed) {
        eprintln!("{} is missing: {}", plain::path(path), plain::line(error));
    }
    Ok(ExitCode::from(u8::from(!(failed.is_empty() && pictures.closed.is_empty()))))
}

/// The pictures to resize: of a folder, or drawn now.
fn prepare(args: &Args, screen: &Screen, stop: &Stop) -> Result<Pictures, Error> {
    let pictures = match &args.dir {
        Some(dir) => Pictures::of_folder(dir)
            .map_err(|error| format!("can't read --dir {}: {error}", plain::path(dir)))?,
        None => {
            let folder = args.cache.clone().unwrap_or_else(pictures::default_cache);
            let executor = run::pool(Kind::Processes, args.workers())?;
            Pictures::drawn(executor, &folder, (args.seed, args.images), screen, stop)?
        }
    };
    if let (0, Some(dir)) = (pictures.len(), &args.dir) {
        let closed = pictures.closed.iter().map(|(path, error)| format!("; {} {error}", plain::path(path)));
        return Err(format!("there is no image in {}{}", plain::path(dir), closed.collect::<String>()).into());
    }
    let pictures = pictures.repeated(args.repeat);
    match args.crash_at {
        Some(number) if number > pictures.len() => {
            Err(format!("--crash-at {number}: there are {} images only", pictures.len()).into())
        }
        _ => Ok(pictures),
    }
}

/// What the runs came to, and what they are compared with.
struct Ran {
    runs: Vec<(Kind, Outcome)>,
    sample: Pictures,
    /// Seconds for the sample.
    baseline: f64,
}

/// All runs, one after the other; none when they were broken off.
fn run_all(
    args: &Args,
    runner: &Runner<'_>,
    pictures: &Pictures,
    outputs: &mut Outputs,
) -> Result<Option<Ran>, Error> {
    let kinds = match args.executor {
        Kind::All => vec![Kind::Loop, Kind::Map, Kind::Threads, Kind::Processes],
        kind => vec![kind],
    };
    // Once from the disk, so that it is in nobody's time.
    for path in pictures.paths().take(pictures.distinct()) {
        // What can't be read is a task's error.
        let _ = thumbnail::open(path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
    }

    // The baseline: the whole loop if it is asked for, else a sample of it.
    let sample = match kinds[0] {
        Kind::Loop => pictures.sample(pictures.len()),
        _ => pictures.sample(args.sample(pictures.len())),
    };
    let mut baseline = None;
    if kinds[0] != Kind::Loop {
        baseline = Some(runner.run(Kind::Loop, &sample, None, &mut Outputs::default())?.seconds);
    }
    let mut runs: Vec<(Kind, Outcome)> = Vec::new();
    for (left, kind) in kinds.iter().rev().enumerate().rev().map(|(left, kind)| (left, *kind)) {
        if runner.stop.is_raised() {
            return Ok(None);
        }
        let mut none = Outputs::default();
        let to = if left == 0 { &mut *outputs } else { &mut none };
        let outcome = runner.run(kind, pictures, args.crash_at, to)?;
        baseline = baseline.or(Some(outcome.seconds));
        runs.push((kind, outcome));
    }
    let ran = Ran { runs, sample, baseline: baseline.unwrap_or_default() };
    Ok((!runner.stop.is_raised()).then_some(ran))
}

/// The control, and everything taken together; nothing when the control was broken off.
fn measure(runner: &Runner<'_>, pictures: &Pictures, ran: Ran) -> Result<Option<Measured>, Error> {
    let Ran { runs, sample, baseline } = ran;
    let Some(control_threads) = control::threads(&sample, runner) else { return Ok(None) };
    let Some(control_processes) = control::processes(&sample, runner)? else { return Ok(None) };
    let amount = |pictures: &Pictures| Amount { images: pictures.len(), bytes: pictures.bytes() };
    Ok(Some(Measured {
        images: amount(pictures),
        sample: amount(&sample),
        baseline,
        control_threads,
        control_processes,
        runs,
        closed: pictures.closed.len(),
        workers: runner.workers,
        size: runner.size,
    }))
}
