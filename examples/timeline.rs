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
#[path = "common/place.rs"]
#[expect(dead_code, reason = "a picture is written in a moment")]
mod place;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use concurrent_futures::prelude::*;
use concurrent_futures::{Span, TaskOptions, Timeline};

use place::Place;

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
    let picture = arguments.out.as_deref().map(place).transpose()?;
    let trace = arguments.trace.as_deref().map(place).transpose()?;

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
    if let Some(place) = picture {
        write(place, draw(&timeline.spans()).as_bytes())?;
    }
    if let Some(place) = trace {
        let mut bytes = Vec::new();
        timeline.chrome_trace(&mut bytes)?;
        write(place, &bytes)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn place(path: &Path) -> Result<Place, String> {
    Place::new(path).map_err(|error| format!("can't write {}: {error}", path.display()))
}

fn write(place: Place, bytes: &[u8]) -> std::io::Result<()> {
    let mut draft = place.begin()?;
    draft.write_all(bytes)?;
    match draft.finish() {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        finished => finished,
    }
}

/// What is drawn of a task: its worker, its name, when it began and ended.
type Bar<'s> = (&'s str, String, Instant, Instant);

fn draw(spans: &[Span]) -> String {
    /// The names' column, the bars' width, a row's height.
    const NAMES: f64 = 90.0;
    const WIDTH: f64 = 700.0;
    const ROW: f64 = 26.0;
    let bars: Vec<Bar<'_>> = spans.iter().filter_map(bar).collect();
    let starts = spans.iter().filter_map(|span| match span {
        Span::Start { worker, began, ended, .. } => Some((&**worker, "starts".to_owned(), *began, *ended)),
        _ => None,
    });
    let bars: Vec<Bar<'_>> = starts.chain(bars).collect();
    let mut rows: Vec<&str> = bars.iter().map(|(worker, ..)| *worker).collect();
    rows.sort_unstable();
    rows.dedup();
    let (Some(first), Some(last)) = (bars.iter().map(|bar| bar.2).min(), bars.iter().map(|bar| bar.3).max())
    else {
        return String::new();
    };
    let all = (last - first).as_secs_f64();
    let x = |at: Instant| NAMES + WIDTH * (at - first).as_secs_f64() / all;
    let (width, height) = (NAMES + WIDTH + 10.0, ROW * (rows.len() as f64 + 2.0));
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">
<rect width="{width}" height="{height}" fill="#fff"/>
"##
    );
    for (row, name) in rows.iter().enumerate() {
        let y = ROW * (row as f64 + 0.5);
        let _ = writeln!(svg, r##"<text x="6" y="{:.1}">{}</text>"##, y + 13.0, escaped(name));
        let _ = writeln!(svg, r##"<rect x="{NAMES}" y="{y:.1}" width="{WIDTH}" height="18" fill="#eee"/>"##);
        for (_, task, began, ended) in bars.iter().filter(|bar| bar.0 == *name) {
            // Of Okabe and Ito, which differ for colour-blind readers too.
            let colour = match task.split_once(' ') {
                Some(("fetch", _)) => "#56b4e9",
                Some(_) => "#e69f00",
                None => "#bbb",
            };
            let (left, right) = (x(*began), x(*ended));
            let _ = writeln!(
                svg,
                r##"<rect x="{left:.1}" y="{y:.1}" width="{:.1}" height="18" fill="{colour}" stroke="#fff"><title>{}: {} ms</title></rect>"##,
                (right - left).max(0.5),
                escaped(task),
                (*ended - *began).as_millis()
            );
        }
    }
    let y = ROW * (rows.len() as f64 + 1.2);
    let _ = writeln!(svg, r##"<text x="{NAMES}" y="{y:.1}">0</text>"##);
    let end = NAMES + WIDTH;
    let _ = writeln!(svg, r##"<text x="{end}" y="{y:.1}" text-anchor="end">{:.0} ms</text>"##, all * 1000.0);
    svg += "</svg>\n";
    svg
}

fn bar(span: &Span) -> Option<Bar<'_>> {
    match span {
        Span::Task { label: Some(label), worker, began, ended: Some(ended), .. } => {
            Some((worker, label.to_string(), *began, *ended))
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
