//! A timeline as SVG: a row for each worker, and a bar for each task. A colour for each pool, by the names of its workers.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use concurrent_futures::Span;

use crate::place::Place;

/// The names' column, the bars' width, a row's height.
const NAMES: f64 = 90.0;
const WIDTH: f64 = 700.0;
const ROW: f64 = 26.0;

/// Of Okabe and Ito, which differ for colour-blind readers too.
const COLOURS: [&str; 4] = ["#e69f00", "#56b4e9", "#009e73", "#cc79a7"];
const START: &str = "#bbb";

struct Bar<'s> {
    worker: &'s str,
    /// None where it is the start of the worker.
    task: Option<String>,
    began: Instant,
    ended: Instant,
}

/// A place that can't be written to is told of before the work.
pub(crate) fn place(path: &Path) -> Result<Place, String> {
    Place::new(path).map_err(|error| format!("can't write {}: {error}", path.display()))
}

/// A closed pipe is no error.
pub(crate) fn write(place: Place, bytes: &[u8]) -> io::Result<()> {
    let mut draft = place.begin()?;
    draft.write_all(bytes)?;
    match draft.finish() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        finished => finished,
    }
}

pub(crate) fn draw(spans: &[Span]) -> String {
    let bars: Vec<Bar<'_>> = spans.iter().filter_map(bar).collect();
    let mut rows: Vec<&str> = bars.iter().map(|bar| bar.worker).collect();
    rows.sort_unstable_by_key(|name| (pool(name), name.len(), *name));
    rows.dedup();
    let mut pools: Vec<&str> = rows.iter().map(|name| pool(name)).collect();
    pools.dedup();
    let (Some(first), Some(last)) =
        (bars.iter().map(|bar| bar.began).min(), bars.iter().map(|bar| bar.ended).max())
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
        let place = pools.iter().position(|of| *of == pool(name)).unwrap_or_default();
        for Bar { task, began, ended, .. } in bars.iter().filter(|bar| bar.worker == *name) {
            let colour = if task.is_some() { COLOURS[place % COLOURS.len()] } else { START };
            let (left, right) = (x(*began), x(*ended));
            // A line around a thin bar would hide it.
            let line = if right - left > 3.0 { "#fff" } else { "none" };
            let _ = writeln!(
                svg,
                r##"<rect x="{left:.1}" y="{y:.1}" width="{:.1}" height="18" fill="{colour}" stroke="{line}" stroke-width="0.5"><title>{}: {} ms</title></rect>"##,
                (right - left).max(0.5),
                escaped(task.as_deref().unwrap_or("starts")),
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
        Span::Task { task, label, items, worker, began, ended: Some(ended), .. } => {
            let name = label.as_deref().map_or_else(|| format!("task {task}"), str::to_owned);
            let of = items.as_ref().map_or(String::new(), |items| format!(" {}", items.start));
            Some(Bar { worker, task: Some(name + &of), began: *began, ended: *ended })
        }
        Span::Start { worker, began, ended, .. } => {
            Some(Bar { worker, task: None, began: *began, ended: *ended })
        }
        _ => None,
    }
}

/// The pool's part of a worker's name.
fn pool(worker: &str) -> &str {
    worker.rsplit_once('_').map_or(worker, |(pool, _)| pool)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
