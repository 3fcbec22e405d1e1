//! Amdahl's law, S = 1 / ((1 - p) + p / N): as a table, as a plot, and measured.
//!
//! A known share p of the work runs in parallel: plain arithmetic, cut into tasks. The rest runs on one thread. What is
//! measured is the speed-up over the same arithmetic in a plain loop. `--out FILE.svg` draws a plot.
//!
//! A control without any pool shows what the machine itself gives: the same arithmetic on as many bare threads. Loop, control
//! and pool take turns, and the fastest of several rounds counts. Where the control isn't as fast as its cores allow, the
//! machine was busy, or its cores are hyper-threads: such a point is marked, for it says nothing about the law.
//!
//! `cargo run --release --example amdahl`; `-- --executor processes` measures a pool of processes
//!
//! Ctrl-C ends it; the points that are complete are shown and drawn.

// A `println!` that ignores a reader that has gone (`| head -1`), so that the plot is drawn all the same; std's panics.
macro_rules! println {
    ($($text:tt)*) => { lines::line(format_args!($($text)*)) };
}

#[path = "common/lines.rs"]
mod lines;
#[path = "common/place.rs"]
#[expect(dead_code, reason = "a plot is written in a moment")]
mod place;

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, TaskError};
use plotters::prelude::*;

use place::Place;

/// The shares that are drawn and measured.
const SHARES: [f64; 6] = [0.0, 0.5, 0.75, 0.9, 0.95, 0.99];

const MOST_WORKERS: u32 = 64;

/// How many tasks the parallel share is cut into: many more than workers, so that no worker idles at the end.
const TASKS: u64 = 128;

/// How far the control may be from what its cores can give: N threads are N times as fast as one, up to the cores.
const TOLERANCE: f64 = 0.1;

/// While the control is farther away, a point gets up to this many times the rounds that were asked for.
const PATIENCE: u32 = 3;

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

const INTERRUPTED: u8 = 130;

/// Amdahl's law as a table, measured, and as a plot.
///
/// Exit code: 0 when every point was measured, 1 when something failed, 2 for wrong arguments, 130 after Ctrl-C (the
/// points measured until then are shown and drawn).
#[derive(Parser)]
#[command(name = "amdahl", version)]
struct Arguments {
    /// How long the work takes on one thread, in milliseconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    work_ms: u64,
    /// How often each point is measured; the fastest counts. Up to three times as often on a busy machine
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The kind of pool
    #[arg(long, value_enum, default_value = "threads")]
    executor: Kind,
    /// Write a plot to this file
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Threads,
    Processes,
}

impl Kind {
    fn pool(self, workers: usize) -> Result<Box<dyn Executor>, BuildError> {
        Ok(match self {
            Self::Threads => Box::new(ThreadPoolExecutor::builder().max_workers(workers).build()?),
            Self::Processes => Box::new(ProcessPoolExecutor::builder().max_workers(workers).build()?),
        })
    }
}

/// The speed-up by `workers` when the share `p` of the work can be spread.
fn law(p: f64, workers: f64) -> f64 {
    1.0 / ((1.0 - p) + p / workers)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(&arguments).unwrap_or_else(|error| {
        // Without a stderr, the exit code has to do.
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    // A place that can't be written to is reported before the measurement rather than after it.
    let cannot = |error| {
        format!("can't write {}: {error}", arguments.out.as_deref().unwrap_or(Path::new("")).display())
    };
    let place = arguments.out.as_deref().map(Place::new).transpose().map_err(cannot)?;
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into()); // the second time at once
        }
    })?;
    check_limits();
    print_table();

    let cores = std::thread::available_parallelism()?.get();
    println!(
        "\nmeasured on {cores} core(s), work of {} ms, fastest of {} rounds or more; control: bare threads, all in parallel",
        arguments.work_ms, arguments.rounds
    );
    let work = Work::lasting(Duration::from_millis(arguments.work_ms));
    println!(
        "an empty task costs {:.2} us (submitted by map, 10 000 of them, 2 workers)",
        empty_task(arguments.executor)? * 1e6
    );
    let is_over = || STOP.load(Ordering::Relaxed) || (arguments.out.is_none() && !lines::are_read());
    let points = measure(&work, arguments.executor, cores, arguments.rounds, is_over)?;
    let disturbed = points.iter().filter(|point| point.is_disturbed(cores)).count();
    if disturbed > 0 {
        println!(
            "\n* {disturbed} of {} points say nothing about the law: the control, bare threads without a pool, was not as \
             fast as its cores allow, or the point is above the law. Other programs kept the cores busy, or the cores are \
             hyper-threads",
            points.len()
        );
    }

    match (place, &arguments.out) {
        (Some(place), Some(out)) => {
            let svg = plot(&points, cores)?;
            let written = place.begin().and_then(|mut draft| {
                draft.write_all(svg.as_bytes())?;
                draft.finish()
            });
            written.map_err(cannot)?;
            println!("\nplot: {}", out.display());
        }
        _ => println!("\nno plot: --out FILE.svg draws one"),
    }
    lines::end().map_err(|error| format!("can't print the figures: {error}"))?;
    if STOP.load(Ordering::Relaxed) {
        println!("interrupted: {} points are complete", points.len());
        return Ok(ExitCode::from(INTERRUPTED));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the formula says at its ends.
fn check_limits() {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(law(0.0, 1000.0), 1.0), "nothing in parallel: no speed-up, whatever is spent");
    assert!(near(law(1.0, 8.0), 8.0), "all in parallel: as many times faster as there are workers");
    assert!(near(law(0.5, f64::INFINITY), 2.0), "half of it: never more than twice as fast");
    assert!(near(law(0.9, 1.0), 1.0), "one worker: no speed-up");
}

fn print_table() {
    let row = |label: &str, cells: Vec<f64>| {
        let cells: String = cells.into_iter().map(|cell| format!("{cell:>8.2}")).collect();
        println!("{label:>8}{cells}");
    };
    println!("speed-up by Amdahl's law, a column for each p, a row for each N");
    row("N \\ p", SHARES.to_vec());
    for workers in [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, f64::INFINITY] {
        row(&workers.to_string(), SHARES.map(|p| law(p, workers)).to_vec());
    }
}

/// Arithmetic that can be cut anywhere, as much of it as lasts a given time on one thread.
struct Work {
    turns: u64,
}

impl Work {
    fn lasting(time: Duration) -> Self {
        const PROBE: u64 = 2_000_000;
        let probe = (0..5).map(|_| timed(|| churn(PROBE)).0).min().unwrap_or(time);
        Self { turns: (PROBE as f64 * time.as_secs_f64() / probe.as_secs_f64()) as u64 }
    }

    /// In a plain loop, without any pool: what speed-ups are measured against.
    fn alone(&self) -> Duration {
        timed(|| churn(self.turns)).0
    }

    /// All of it in parallel on bare threads: what the machine itself gives.
    fn control(&self, threads: u32) -> Duration {
        let share = self.turns / u64::from(threads);
        let run = || {
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(move || churn(share));
                }
                churn(share);
            });
        };
        timed(run).0
    }

    /// The serial share on this thread, then the parallel share on the pool.
    fn shared(&self, p: f64, pool: &dyn Executor) -> Result<Duration, TaskError> {
        let parallel = (self.turns as f64 * p) as u64;
        let (time, outcome) = timed(|| {
            churn(self.turns - parallel);
            if parallel == 0 {
                return Ok(0);
            }
            pool.map(churn, (0..TASKS).map(move |_| parallel / TASKS)).sum::<Result<u64, TaskError>>()
        });
        outcome.map(|_| time)
    }
}

/// Each turn needs the one before: no compiler and no processor can shorten it.
fn churn(turns: u64) -> u64 {
    let step = |x: u64, turn: u64| (x ^ turn).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
    black_box((0..black_box(turns)).fold(1, step)) & 1
}

fn timed<R>(run: impl FnOnce() -> R) -> (Duration, R) {
    let start = Instant::now();
    let result = run();
    (start.elapsed(), result)
}

fn empty_task(executor: Kind) -> Result<f64, Box<dyn Error>> {
    const TASKS: u32 = 10_000;
    let pool = executor.pool(2)?;
    pool.map(|n: u32| n, 0..2).for_each(drop); // the workers start here
    let (time, outcome) = timed(|| pool.map(|n: u32| n & 1, 0..TASKS).sum::<Result<u32, TaskError>>());
    outcome?;
    Ok(time.as_secs_f64() / f64::from(TASKS))
}

struct Point {
    workers: u32,
    /// The share in parallel.
    p: f64,
    speedup: f64,
    /// The speed-up of the control with as many threads.
    control: f64,
}

impl Point {
    /// Whether other programs spoilt it: the control is not as fast as its cores allow, or faster, or the point is above
    /// the law.
    fn is_disturbed(&self, cores: usize) -> bool {
        let expected = f64::from(self.workers).min(cores as f64);
        let limit = law(self.p, f64::from(self.workers));
        (self.control / expected - 1.0).abs() > TOLERANCE || self.speedup > (1.0 + TOLERANCE) * limit
    }
}

/// The fastest of some rounds.
struct Times {
    /// Of all points so far: the loop is the same for each.
    alone: Duration,
    control: Duration,
    shared: Duration,
}

impl Times {
    fn new(alone: Duration) -> Self {
        Self { alone, control: Duration::MAX, shared: Duration::MAX }
    }

    /// One round more. All three, one after the other, so that a busy moment of the machine hits each of them.
    fn round(&mut self, work: &Work, p: f64, workers: u32, pool: &dyn Executor) -> Result<(), TaskError> {
        self.alone = self.alone.min(work.alone());
        self.control = self.control.min(work.control(workers));
        self.shared = self.shared.min(work.shared(p, pool)?);
        Ok(())
    }

    fn point(&self, p: f64, workers: u32) -> Point {
        let over = |time: Duration| self.alone.as_secs_f64() / time.as_secs_f64();
        Point { workers, p, speedup: over(self.shared), control: over(self.control) }
    }
}

/// All points, or those that are complete when `is_over`.
fn measure(
    work: &Work,
    executor: Kind,
    cores: usize,
    rounds: u32,
    is_over: impl Fn() -> bool,
) -> Result<Vec<Point>, Box<dyn Error>> {
    // Up to twice the cores, to show that more workers than cores gain nothing here.
    let counts: Vec<u32> = (0..)
        .map(|power| 1 << power)
        .take_while(|n| *n as usize <= 2 * cores && *n <= MOST_WORKERS)
        .collect();
    println!("{:>8}{:>8}{:>10}{:>10}{:>10}", "p", "N", "law", "measured", "control");
    let mut points = Vec::new();
    let mut alone = Duration::MAX;
    for p in SHARES {
        for &workers in &counts {
            if is_over() {
                return Ok(points);
            }
            let pool = executor.pool(workers as usize)?;
            work.shared(p, &*pool)?; // the workers start here, once
            let mut times = Times::new(alone);
            for round in 1..=rounds.saturating_mul(PATIENCE) {
                if is_over() {
                    return Ok(points); // a point of fewer rounds than asked for is left out
                }
                times.round(work, p, workers, &*pool)?;
                if round >= rounds && !times.point(p, workers).is_disturbed(cores) {
                    break;
                }
            }
            alone = times.alone;
            let point = times.point(p, workers);
            let mark = if point.is_disturbed(cores) { " *" } else { "" };
            let (law, Point { speedup, control, .. }) = (law(p, f64::from(workers)), &point);
            println!("{p:>8.2}{workers:>8}{law:>10.2}{speedup:>10.2}{control:>10.2}{mark}");
            points.push(point);
        }
    }
    Ok(points)
}

fn plot(points: &[Point], cores: usize) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    draw(&mut svg, points, cores)?;
    Ok(svg)
}

/// Of Okabe and Ito, which differ for colour-blind readers too; one for each share.
const COLOURS: [RGBColor; SHARES.len()] = [
    RGBColor(120, 120, 120),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
];

const FONT: &str = "sans-serif";

fn draw(svg: &mut String, points: &[Point], cores: usize) -> Result<(), Box<dyn Error>> {
    const SIZE: (u32, u32) = (800, 500);
    /// Beside the plot: each line's name stands at its end.
    const NAMES: u32 = 80;
    /// Below it: what the marks mean.
    const KEY: u32 = 36;
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    // On a busy machine a point may lie below 1.
    let lowest = points.iter().map(|point| 0.9 * point.speedup.min(point.control)).fold(0.9, f64::min);
    let mut chart = ChartBuilder::on(&area)
        .caption("Amdahl's law: speed-up S = 1 / ((1 - p) + p / N)", (FONT, 20))
        .margin(12)
        .margin_right(NAMES)
        .margin_bottom(KEY)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(
            (1.0..f64::from(MOST_WORKERS)).log_scale().base(2.0),
            (lowest..44.0_f64).log_scale().base(2.0),
        )?;
    chart
        .configure_mesh()
        .x_desc("workers N")
        .y_desc("speed-up S")
        .x_label_formatter(&|n| format!("{n:.0}"))
        .y_label_formatter(&|s| format!("{}", (s * 100.0).round() / 100.0))
        .light_line_style(WHITE)
        .draw()?;

    for (p, colour) in SHARES.into_iter().zip(COLOURS) {
        let line =
            (0..=60).map(|step| f64::from(MOST_WORKERS).powf(f64::from(step) / 60.0)).map(|n| (n, law(p, n)));
        chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
        let (x, y) = chart.backend_coord(&(f64::from(MOST_WORKERS), law(p, f64::from(MOST_WORKERS))));
        area.draw(&Text::new(format!("p = {p}"), (x + 8, y - 6), (FONT, 13)))?;
        let dots = points.iter().filter(|point| point.p == p).map(|point| {
            let style = if point.is_disturbed(cores) { colour.stroke_width(1) } else { colour.filled() };
            Circle::new((f64::from(point.workers), point.speedup), 4, style)
        });
        chart.draw_series(dots)?;
    }
    chart.draw_series(
        controls(points).into_iter().map(|control| Cross::new(control, 5, BLACK.stroke_width(2))),
    )?;

    let disturbed = points.iter().filter(|point| point.is_disturbed(cores)).count();
    let mut key = format!(
        "Lines: the law. Dots: measured on {cores} cores. Crosses: control, bare threads without a pool, p = 1"
    );
    if disturbed > 0 {
        key += &format!(". {disturbed} hollow dots: disturbed by other programs");
    }
    let (left, bottom) = (64, (SIZE.1 - KEY) as i32 + 8);
    area.draw(&Text::new(key, (left, bottom), (FONT, 12)))?;
    area.present()?;
    Ok(())
}

/// The best of the control for each number of workers.
fn controls(points: &[Point]) -> Vec<(f64, f64)> {
    let mut best: Vec<(f64, f64)> = Vec::new();
    for point in points {
        let workers = f64::from(point.workers);
        match best.iter_mut().find(|(of, _)| *of == workers) {
            Some((_, control)) => *control = control.max(point.control),
            None => best.push((workers, point.control)),
        }
    }
    best
}
