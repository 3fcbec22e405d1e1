//! Resizes 1431 chest X-rays to 64x64 with as many processes as there are cores, and reports the speed-up.
//!
//! ```text
//! cargo run --example xray_resize                              # X-rays drawn by this program
//! cargo run --example xray_resize -- --dir DIR                 # your own
//! cargo run --example xray_resize -- --executor all            # a loop, map, threads, processes
//! cargo run --example xray_resize -- --crash-at 700            # a task that ends its worker
//! ```
//!
//! The part to copy is `run_on` in `run.rs`: it submits tasks to any executor and takes the results in order. The task is in
//! `thumbnail.rs`. `main` needs no setup for processes.

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
#[path = "../common/say.rs"]
mod say;
mod screen;
mod thumbnail;
#[path = "../common/trace.rs"]
mod trace;

use std::{
    fs, io,
    process::{self, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{
    args::{Args, Kind},
    output::Outputs,
    pictures::Pictures,
    report::{Compared, Measured},
    run::{Outcome, Runner},
    say::{print, say},
    screen::Screen,
    trace::Trace,
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
        say(format_args!("error: {}", plain::line(&error.to_string())));
        ExitCode::from(2)
    })
}

fn run(args: &Args) -> Result<ExitCode, Error> {
    let mut outputs = Outputs::new(args)?;
    let trace = args.trace.as_deref().map(Trace::new).transpose()?;
    let stopping = Arc::new(AtomicBool::new(false));
    ctrlc::set_handler({
        let (stopping, temporary) = (stopping.clone(), outputs.temporary());
        move || {
            if stopping.swap(true, Ordering::Relaxed) {
                // The program is ending: there is no one to report a file to that could not be removed.
                temporary.iter().for_each(|path| drop(fs::remove_file(path)));
                process::exit(INTERRUPTED.into());
            }
            say("\nstopping: no new task starts; Ctrl-C again to exit at once");
        }
    })?;
    let screen = Screen::new(args.verbose);
    let pictures = prepare(args, &screen, &stopping)?;
    if stopping.load(Ordering::Relaxed) {
        let (drawn, rest) = (pictures.len(), "the next run draws the others");
        say(match args.dir {
            Some(_) => "interrupted: nothing was written".to_owned(),
            None => format!("interrupted: {drawn} X-rays are drawn, {rest}"),
        });
        return Ok(ExitCode::from(INTERRUPTED));
    }
    outputs.expect(pictures.distinct());

    let runner = Runner {
        size: args.size,
        draft: args.draft,
        workers: args.workers(),
        screen: &screen,
        stopping: &stopping,
        trace: trace.as_ref(),
    };
    let Ran { runs, broken_off } = run_all(args, &runner, &pictures, &mut outputs)?;
    // Before the comparison, so that the thumbnails are there whatever happens to it.
    let written = outputs.finish()?;
    let compared = compare(args, &runner, &pictures, &runs)?;
    let measured = Measured {
        images: pictures.amount(),
        runs,
        compared,
        closed: pictures.closed.len(),
        passed_over: args.dir.is_some().then_some(pictures.passed_over),
        workers: runner.workers,
        size: runner.size,
    };
    // The run that fills the outputs.
    let last = broken_off.as_ref().or(measured.runs.last().map(|(_, outcome)| outcome));
    show(args, &pictures, &measured, last, &written)?;
    trace.map_or(Ok(()), Trace::finish)?;
    let failed = last.map_or(&[][..], |outcome| &outcome.failed);
    for (path, error) in failed
        .iter()
        .map(|failed| (&failed.path, &failed.error))
        .chain(pictures.closed.iter().map(|(path, error)| (path, error)))
    {
        say(format_args!("{} is missing: {}", plain::path(path), plain::line(error)));
    }
    if pictures.passed_over > 0 {
        say(passed_over(&pictures));
    }
    if stopping.load(Ordering::Relaxed) {
        let written = if written.is_empty() { "nothing was written".to_owned() } else { written.join(", ") };
        say(format_args!("interrupted: {written}"));
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if last.is_none_or(|outcome| outcome.done.images == 0) {
        return Err(format!("none of the {} images could be resized", pictures.len()).into());
    }
    Ok(ExitCode::from(u8::from(!(failed.is_empty() && pictures.closed.is_empty()))))
}

/// The figures, if a run was complete; an interrupted run has none.
fn show(
    args: &Args,
    pictures: &Pictures,
    measured: &Measured,
    last: Option<&Outcome>,
    written: &[String],
) -> Result<(), Error> {
    if measured.runs.is_empty() {
        return Ok(());
    }
    if args.json {
        let mut figures = measured.figures();
        figures.shape[0] = last.map_or(0, |outcome| outcome.done.images);
        figures.files = last.filter(|_| args.out.is_some()).map(|last| Measured::rows(last, pictures));
        print(&(plain_json(&serde_json::to_string(&figures)?) + "\n"))?;
    } else if measured.fruitful().next().is_some() {
        print(&written.iter().fold(measured.table()?, |text, line| text + line + "\n"))?;
    }
    Ok(())
}

fn passed_over(pictures: &Pictures) -> String {
    let files = if pictures.passed_over == 1 { "file was" } else { "files were" };
    format!(
        "{} {files} skipped: by their names, they are no pictures that can be read here",
        pictures.passed_over
    )
}

/// The pictures to resize: from a folder, or drawn now.
fn prepare(args: &Args, screen: &Screen, stopping: &AtomicBool) -> Result<Pictures, Error> {
    let pictures = match &args.dir {
        Some(dir) => Pictures::of_folder(dir)
            .map_err(|error| format!("can't read --dir {}: {error}", plain::path(dir)))?,
        None => {
            let folder = args.cache.clone().unwrap_or_else(pictures::default_cache);
            let executor = run::pool(Kind::Processes, args.workers(), None)?;
            Pictures::drawn(executor, &folder, (args.seed, args.images), screen, stopping)?
        }
    };
    if let (0, Some(dir)) = (pictures.len(), &args.dir) {
        let mut why = format!("there is no image in {}", plain::path(dir));
        for (path, error) in &pictures.closed {
            why += &format!("; {} {error}", plain::path(path));
        }
        if pictures.passed_over > 0 {
            why += &format!("; {}", passed_over(&pictures));
        }
        return Err(why.into());
    }
    let pictures = pictures.repeated(args.repeat);
    match args.crash_at {
        Some(number) if number > pictures.len() && !stopping.load(Ordering::Relaxed) => {
            Err(format!("--crash-at {number}: there are only {} images", pictures.len()).into())
        }
        _ => Ok(pictures),
    }
}

/// The results of the runs: all of them, or those before an interrupted one.
#[derive(Default)]
struct Ran {
    runs: Vec<(Kind, Outcome)>,
    broken_off: Option<Outcome>,
}

/// All runs, one after the other.
fn run_all(
    args: &Args,
    runner: &Runner<'_>,
    pictures: &Pictures,
    outputs: &mut Outputs,
) -> Result<Ran, Error> {
    let kinds = match args.executor {
        Kind::All => vec![Kind::Loop, Kind::Map, Kind::Threads, Kind::Processes],
        kind => vec![kind],
    };
    // Read all files from the disk once, so that no run is charged for that.
    for file in pictures.each().take(pictures.distinct()).take_while(|_| !runner.is_stopping()) {
        // A file that can't be read is an error of its task.
        let _ = thumbnail::open(&file.path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
    }
    let mut ran = Ran::default();
    for (left, kind) in kinds.iter().rev().enumerate().rev() {
        if runner.is_stopping() {
            break;
        }
        let mut none = Outputs::default();
        let to = if left == 0 { &mut *outputs } else { &mut none };
        let outcome = runner.run(*kind, pictures, args.crash_at, to)?;
        if outcome.results() < pictures.len() {
            ran.broken_off = Some(outcome);
            break;
        }
        ran.runs.push((*kind, outcome));
    }
    Ok(ran)
}

/// The loop and the control, over the images that gave thumbnails; a part of it, or nothing, if interrupted.
fn compare(
    args: &Args,
    runner: &Runner<'_>,
    pictures: &Pictures,
    runs: &[(Kind, Outcome)],
) -> Result<Option<Compared>, Error> {
    let Some((kind, first)) = runs.first().filter(|(_, outcome)| outcome.done.images > 0) else {
        return Ok(None);
    };
    // The whole loop if requested, otherwise a sample.
    let good = pictures.only(&first.good);
    let is_measured = *kind == Kind::Loop;
    let sample = if is_measured { good } else { good.sample(args.sample(good.len())) };
    if runner.is_stopping() && !is_measured {
        return Ok(None);
    }
    let (baseline, sampled) = if is_measured {
        (first.seconds, first.done)
    } else {
        let outcome = runner.run(Kind::Loop, &sample, None, &mut Outputs::default())?;
        if outcome.results() < sample.len() || outcome.done.images == 0 {
            return Ok(None);
        }
        (outcome.seconds, outcome.done)
    };
    let mut compared = Compared { sample: sampled, baseline, controls: Vec::new() };
    if runner.is_stopping() {
        return Ok(Some(compared));
    }
    compared.controls.extend(control::threads(&sample, runner).map(|seconds| ("bare threads", seconds)));
    if !runner.is_stopping() {
        let seconds = control::processes(&sample, runner)?;
        compared.controls.extend(seconds.map(|seconds| ("bare processes", seconds)));
    }
    Ok(Some(compared))
}

/// JSON without anything that controls a terminal; a program that parses it gets the original text.
fn plain_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if plain::is_obeyed(char) {
            // All of them have at most four digits. Writing to a string can't fail.
            let _ = std::fmt::Write::write_fmt(&mut shown, format_args!("\\u{:04x}", u32::from(char)));
        } else {
            shown.push(char);
        }
    }
    shown
}
