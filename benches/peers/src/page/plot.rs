//! The plots, as SVG. Each is drawn only where its readings were taken.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::part::Readings;
use super::speed_up::curves;
use crate::group::Group;
use crate::processes::figure::{Figure, lengths};
use crate::processes::subject::Subject as ProcessSubject;
use crate::report::{Spread, short};
use crate::subject::Subject;

type Drawn = Result<(), Box<dyn Error>>;

const SIZE: (u32, u32) = (760, 480);
const FONT: &str = "sans-serif";

pub(super) fn all(readings: &Readings, folder: &Path) -> Drawn {
    let speed_ups = curves(readings).into_iter().map(|curve| Series {
        name: curve.name,
        points: curve.points.iter().map(|point| (point.length, point.speed_up)).collect(),
    });
    Chart {
        title: "Speed-up over a plain loop, 2 workers",
        x: "how long one task takes, us",
        y: "speed-up",
        level: Some(1.0),
        logarithmic: false,
        legend: SeriesLabelPosition::UpperLeft,
    }
    .draw(&folder.join("performance-break-even.svg"), &speed_ups.collect::<Vec<_>>())?;
    Chart {
        title: "What a pool of processes costs beside the work, by chunksize",
        x: "chunksize",
        y: "ns per item beyond the loop on two cores",
        level: None,
        logarithmic: true,
        legend: SeriesLabelPosition::UpperRight,
    }
    .draw(&folder.join("performance-chunks.svg"), &chunks(readings))?;
    Chart {
        title: "Bytes to another process and back",
        x: "KiB",
        y: "us",
        level: None,
        logarithmic: true,
        legend: SeriesLabelPosition::UpperLeft,
    }
    .draw(&folder.join("performance-echo.svg"), &echo(readings))?;
    bars(&folder.join("performance-peers.svg"), &panels(readings))
}

struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Lines over a logarithmic x.
struct Chart {
    title: &'static str,
    x: &'static str,
    y: &'static str,
    /// A level worth a line of its own.
    level: Option<f64>,
    /// Whether y is.
    logarithmic: bool,
    /// In a corner where no line is.
    legend: SeriesLabelPosition,
}

impl Chart {
    fn draw(&self, path: &Path, series: &[Series]) -> Drawn {
        let points = || series.iter().flat_map(|series| &series.points);
        if points().count() == 0 {
            return Ok(());
        }
        // A little wider than the points: a label that lies on the edge is lost to rounding.
        let x = points().map(|point| point.0).fold(f64::INFINITY, f64::min) * 0.99
            ..points().map(|point| point.0).fold(0.0, f64::max) * 1.01;
        let most = points().map(|point| point.1).fold(0.0, f64::max);
        let least = points().map(|point| point.1).fold(f64::INFINITY, f64::min);

        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area);
        chart.caption(self.title, (FONT, 20)).margin(12).x_label_area_size(44).y_label_area_size(64);
        // Two kinds of axis are two types.
        macro_rules! lines {
            ($y:expr) => {{
                let mut chart = chart.build_cartesian_2d(x.clone().log_scale(), $y)?;
                chart
                    .configure_mesh()
                    .x_desc(self.x)
                    .y_desc(self.y)
                    .x_label_formatter(&|x| axis(*x))
                    .y_label_formatter(&|y| axis(*y))
                    .light_line_style(WHITE)
                    .draw()?;
                if let Some(level) = self.level {
                    let line = [(x.start, level), (x.end, level)];
                    chart.draw_series(LineSeries::new(line, BLACK.mix(0.5)))?;
                }
                for (index, series) in series.iter().enumerate() {
                    let colour = Palette99::pick(index).to_rgba();
                    chart
                        .draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))?
                        .label(&series.name)
                        .legend(move |(x, y)| {
                            PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
                        });
                    chart.draw_series(
                        series.points.iter().map(|point| Circle::new(*point, 3, colour.filled())),
                    )?;
                }
                chart
                    .configure_series_labels()
                    .position(self.legend.clone())
                    .background_style(WHITE.mix(0.8))
                    .border_style(BLACK.mix(0.3))
                    .draw()?;
            }};
        }
        if self.logarithmic {
            lines!((least / 1.5..most * 1.5).log_scale());
        } else {
            lines!(0.0..most * 1.1);
        }
        area.present()?;
        Ok(())
    }
}

/// A number on an axis, as short as it can be.
fn axis(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e4 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}

fn median(rounds: &[Option<f64>]) -> Option<f64> {
    let rounds: Vec<f64> = rounds.iter().flatten().copied().collect();
    (!rounds.is_empty()).then(|| Spread::of(rounds.into_iter()).median)
}

fn of_process(readings: &Readings, figure: Figure, case: usize, subject: ProcessSubject) -> Option<f64> {
    let is = |line: &&crate::processes::table::Line| {
        (line.figure, line.case, line.subject) == (figure, case, subject)
    };
    readings.processes.iter().find(is).and_then(|line| median(&line.rounds))
}

/// Of the short tasks: of long ones the cost drowns in the noise of the work.
fn chunks(readings: &Readings) -> Vec<Series> {
    let short = lengths().into_iter().filter(|length| ["0 us", "1 us", "10 us"].contains(&length.name));
    let series = short.map(|length| {
        let points = [length.ones].into_iter().chain(length.picked).filter_map(|case| {
            let (_, chunksize) = Figure::Map.cases()[case].name.split_once("chunksize ")?;
            let of = |subject| of_process(readings, Figure::Map, case, subject);
            let beyond = of(ProcessSubject::Ours)? - of(ProcessSubject::Floor)?;
            Some((chunksize.parse().ok()?, beyond)).filter(|_| beyond > 0.0)
        });
        Series { name: format!("tasks of {}", length.name), points: points.collect() }
    });
    series.collect()
}

fn echo(readings: &Readings) -> Vec<Series> {
    const KIB: [f64; 4] = [1.0, 64.0, 1024.0, 16.0 * 1024.0];
    use ProcessSubject::{CpythonFork, Floor, Ours, PoolFork, Procspawn};
    let series = [Ours, Procspawn, CpythonFork, PoolFork, Floor].map(|subject| {
        let point =
            |(case, kib): (usize, &f64)| Some((*kib, of_process(readings, Figure::Echo, case, subject)?));
        Series { name: subject.name(), points: KIB.iter().enumerate().filter_map(point).collect() }
    });
    series.into_iter().filter(|series| !series.points.is_empty()).collect()
}

struct Panel {
    title: &'static str,
    bars: Vec<Bar>,
}

struct Bar {
    name: String,
    value: f64,
    colour: RGBColor,
}

const OURS: RGBColor = RGBColor(31, 119, 180);
const PEER: RGBColor = RGBColor(150, 150, 150);
const FLOOR: RGBColor = RGBColor(215, 215, 215);

fn panels(readings: &Readings) -> Vec<Panel> {
    let threads = |title, group: Group, case: usize| {
        let lines = readings.threads.iter().filter(|line| (line.group, line.case) == (group, case));
        let bar = |line: &crate::report::Line| {
            let colour = match line.subject {
                Subject::Ours => OURS,
                Subject::Floor => FLOOR,
                _ => PEER,
            };
            Some(Bar { name: line.subject.name(), value: median(&line.rounds)?, colour })
        };
        Panel { title, bars: lines.filter_map(bar).collect() }
    };
    let processes = |title, figure: Figure, case: usize| {
        let lines = readings.processes.iter().filter(|line| (line.figure, line.case) == (figure, case));
        let bar = |line: &crate::processes::table::Line| {
            let colour = match line.subject {
                ProcessSubject::Ours => OURS,
                ProcessSubject::Chain | ProcessSubject::Floor => FLOOR,
                _ => PEER,
            };
            Some(Bar { name: line.subject.name(), value: median(&line.rounds)?, colour })
        };
        Panel { title, bars: lines.filter_map(bar).collect() }
    };
    let panels = [
        threads("threads: submit and collect, ns a task", Group::SubmitCollect, 0),
        threads("threads: round trip, ns", Group::RoundTrip, 0),
        processes("processes: submit and collect, ns a task", Figure::SubmitCollect, 0),
        processes("processes: round trip, ns", Figure::RoundTrip, 0),
    ];
    panels.into_iter().filter(|panel| !panel.bars.is_empty()).collect()
}

/// Two panels side by side.
fn bars(path: &Path, panels: &[Panel]) -> Drawn {
    const WIDTH: u32 = 900;
    const COLUMNS: usize = 2;
    if panels.is_empty() {
        return Ok(());
    }
    let rows: Vec<u32> = panels
        .chunks(COLUMNS)
        .map(|row| row.iter().map(|panel| height(panel.bars.len())).max().unwrap_or(0))
        .collect();
    let area = SVGBackend::new(path, (WIDTH, rows.iter().sum())).into_drawing_area();
    area.fill(&WHITE)?;
    let mut rest = area.clone();
    for (row, height) in panels.chunks(COLUMNS).zip(rows) {
        let (this, below) = rest.split_vertically(height);
        for (panel, place) in row.iter().zip(this.split_evenly((1, COLUMNS))) {
            draw_panel(&place, panel)?;
        }
        rest = below;
    }
    area.present()?;
    Ok(())
}

const HEAD: i32 = 34;
const BAR: i32 = 24;

fn height(bars: usize) -> u32 {
    HEAD as u32 + BAR as u32 * bars as u32 + 14
}

fn draw_panel<B: DrawingBackend>(area: &DrawingArea<B, Shift>, panel: &Panel) -> Drawn
where
    B::ErrorType: 'static,
{
    const NAMES: i32 = 158;
    const FIGURES: i32 = 62;
    let width = area.dim_in_pixel().0 as i32 - NAMES - FIGURES;
    let most = panel.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    area.draw(&Text::new(panel.title, (12, 10), (FONT, 15)))?;
    for (index, bar) in panel.bars.iter().enumerate() {
        let top = HEAD + BAR * index as i32;
        let end = NAMES + length(bar.value, most, width);
        area.draw(&Text::new(bar.name.clone(), (12, top + 4), (FONT, 13)))?;
        area.draw(&Rectangle::new([(NAMES, top + 2), (end, top + BAR - 4)], bar.colour.filled()))?;
        area.draw(&Text::new(short(bar.value), (end + 6, top + 4), (FONT, 13)))?;
    }
    Ok(())
}

/// At least one pixel: a bar that can't be seen looks like a figure that is missing.
fn length(value: f64, most: f64, width: i32) -> i32 {
    ((value / most * f64::from(width)) as i32).max(1)
}

#[cfg(test)]
mod tests {
    use super::{Readings, all, axis, length};
    use crate::group::Group;
    use crate::report::Line;
    use crate::subject::Subject;

    #[test]
    fn bars_are_in_proportion_and_none_is_invisible() {
        assert_eq!(
            (length(50.0, 100.0, 300), length(100.0, 100.0, 300), length(0.01, 100.0, 300)),
            (150, 300, 1)
        );
    }

    #[test]
    fn axes_are_short() {
        assert_eq!([0.1, 100.0, 10_000.0, 1e6].map(axis), ["0.1", "100", "10k", "1M"]);
    }

    #[test]
    fn a_plot_is_drawn_only_of_what_is_there() {
        let folder = std::env::temp_dir().join(format!("peers-plot-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let line = |case, subject| Line {
            group: Group::BreakEven,
            case,
            subject,
            rounds: vec![Some(case as f64 + 1.0)],
        };
        let lines = (0..9).flat_map(|case| [line(case, Subject::Ours), line(case, Subject::Floor)]);
        let readings = Readings { threads: lines.collect(), ..Readings::default() };
        all(&readings, &folder).unwrap();
        let drawn = std::fs::read_to_string(folder.join("performance-break-even.svg")).unwrap();
        assert!(drawn.contains("threads, map_with") && drawn.ends_with("</svg>\n"));
        assert!(!folder.join("performance-echo.svg").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
