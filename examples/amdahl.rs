//! Amdahl's law, S = 1 / ((1 - p) + p / N): as a table, as a plot, and measured.
//!
//! The workload has a known share p that can run in parallel: plain arithmetic, cut into tasks; the rest runs on one
//! thread. Measured is the speed-up over the same arithmetic in a plain loop. `--out FILE.svg` draws a plot.
//!
//! `cargo run --release --example amdahl`, and with `-- --executor processes` the same by processes
//!
//! Ctrl-C ends it with what was measured until then.

// `println!` that leaves the plot to be drawn when nobody reads the lines (`| head -1`); std's panics there.
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

/// How many tasks the parallel share is cut into: many more than workers, so that none idles at the end.
const TASKS: u64 = 128;

/// Raised by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

const INTERRUPTED: u8 = 130;

/// Amdahl's law as a table, measured, and as a plot.
///
/// Exit code: 0 when all was measured, 1 when something failed, 2 for wrong arguments, 130 after Ctrl-C (what was
/// measured until then is shown and drawn).
#[derive(Parser)]
#[command(name = "amdahl", version)]
struct Arguments {
    /// How long the work takes on one thread, in milliseconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    work_ms: u64,
    /// How often each point is measured; the fastest counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What the workers are
    #[arg(long, value_enum, default_value = "threads")]
    executor: Kind,
    /// Where the plot goes; without it there is none
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
        // Who has no stderr is told by the exit code.
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    // No place to write to? Better said now than after the measurement.
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
        "\nmeasured on {cores} core(s), work of {} ms, fastest of {} rounds",
        arguments.work_ms, arguments.rounds
    );
    let work = Work::lasting(Duration::from_millis(arguments.work_ms));
    println!(
        "an empty task costs {:.2} us (submitted by map, 10 000 of them, 2 workers)",
        empty_task(arguments.executor)? * 1e6
    );
    let is_over = || STOP.load(Ordering::Relaxed) || (arguments.out.is_none() && !lines::are_read());
    let points = measure(&work, arguments.executor, cores, arguments.rounds, is_over)?;

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
        println!("interrupted: {} points were measured", points.len());
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

/// A measured point: how many workers, the share in parallel, the speed-up.
struct Point {
    workers: u32,
    p: f64,
    speedup: f64,
}

/// All points, or those until it is over.
fn measure(
    work: &Work,
    executor: Kind,
    cores: usize,
    rounds: u32,
    is_over: impl Fn() -> bool,
) -> Result<Vec<Point>, Box<dyn Error>> {
    // Twice the cores at the end: to show that more workers than cores bring nothing here.
    let counts: Vec<u32> = (0..)
        .map(|power| 1 << power)
        .take_while(|n| *n as usize <= 2 * cores && *n <= MOST_WORKERS)
        .collect();
    println!("{:>8}{:>8}{:>10}{:>10}", "p", "N", "law", "measured");
    let mut points = Vec::new();
    for p in SHARES {
        for &workers in &counts {
            if is_over() {
                return Ok(points);
            }
            let pool = executor.pool(workers as usize)?;
            work.shared(p, &*pool)?; // the workers start here, once
            let (mut alone, mut shared) = (Duration::MAX, Duration::MAX);
            // Turn by turn, so that a busy moment of the machine hits both.
            for _ in 0..rounds {
                if is_over() {
                    return Ok(points); // a point of fewer rounds is none
                }
                alone = alone.min(work.alone());
                shared = shared.min(work.shared(p, &*pool)?);
            }
            let speedup = alone.as_secs_f64() / shared.as_secs_f64();
            println!("{p:>8.2}{workers:>8}{:>10.2}{speedup:>10.2}", law(p, f64::from(workers)));
            points.push(Point { workers, p, speedup });
        }
    }
    Ok(points)
}

fn plot(points: &[Point], cores: usize) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    draw(&mut svg, points, cores)?;
    Ok(svg)
}

fn draw(svg: &mut String, points: &[Point], cores: usize) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(svg, (760, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    // On a busy machine a point may lie below 1.
    let lowest = points.iter().map(|point| 0.9 * point.speedup).fold(0.9, f64::min);
    let mut chart = ChartBuilder::on(&area)
        .caption("Amdahl's law: speed-up S = 1 / ((1 - p) + p / N)", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(
            (1.0..f64::from(MOST_WORKERS)).log_scale().base(2.0),
            (lowest..40.0_f64).log_scale().base(2.0),
        )?;
    chart
        .configure_mesh()
        .x_desc(format!("workers N (lines: the law; dots: measured on {cores} cores)"))
        .y_desc("speed-up S")
        .x_label_formatter(&|n| format!("{n:.0}"))
        .y_label_formatter(&|s| format!("{s:.0}"))
        .light_line_style(WHITE)
        .draw()?;

    for (index, p) in SHARES.into_iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        let line =
            (0..=60).map(|step| f64::from(MOST_WORKERS).powf(f64::from(step) / 60.0)).map(|n| (n, law(p, n)));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(format!("p = {p}"))
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        let dots = points.iter().filter(|point| point.p == p);
        chart.draw_series(
            dots.map(|point| Circle::new((f64::from(point.workers), point.speedup), 4, colour.filled())),
        )?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}
