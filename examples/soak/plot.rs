//! Memory and descriptors over time, as SVG.

use std::error::Error;
use std::io::Write;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::mix::Sample;
use crate::place::Place;

const SIZE: (u32, u32) = (900, 560);
/// Where the lines end and their names begin: beside them, so that no name hides a line.
const NAMES: u32 = 730;
const FONT: &str = "sans-serif";

/// Those of Okabe and Ito, which differ for colour-blind readers too.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const SKY: RGBColor = RGBColor(86, 180, 233);
const DARK: RGBColor = RGBColor(40, 40, 40);

/// A line of the plot.
struct Line {
    name: &'static str,
    colour: RGBColor,
    value: fn(&Sample) -> f64,
}

/// Draws into memory first: a plot is written whole or not at all.
pub(crate) fn draw(place: Place, samples: &[Sample]) -> Result<(), Box<dyn Error>> {
    let mut svg = String::new();
    panels(&mut svg, samples)?;
    let mut draft = place.begin()?;
    draft.write_all(svg.as_bytes())?;
    Ok(draft.finish()?)
}

/// Two panels, one above the other.
fn panels(svg: &mut String, samples: &[Sample]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(280);
    let memory = [
        Line {
            name: "resident, this process",
            colour: BLUE,
            value: |sample| sample.house.memory as f64 / 1e6,
        },
        Line { name: "in use, this process", colour: DARK, value: |sample| sample.house.in_use as f64 / 1e6 },
        Line {
            name: "resident, its workers",
            colour: ORANGE,
            value: |sample| sample.house.memory_of_children as f64 / 1e6,
        },
    ];
    panel(&above, "Memory, MB", &memory, samples)?;
    let counts = [
        Line { name: "descriptors", colour: BLUE, value: |sample| sample.house.descriptors as f64 },
        Line { name: "threads", colour: ORANGE, value: |sample| sample.house.threads as f64 },
        Line { name: "children", colour: DARK, value: |sample| sample.house.children as f64 },
        Line { name: "shared segments", colour: SKY, value: |sample| sample.house.pages as f64 },
    ];
    panel(&below, "Descriptors, threads, children, shared segments", &counts, samples)?;
    area.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    lines: &[Line],
    samples: &[Sample],
) -> Result<(), Box<dyn Error>> {
    let minutes = |sample: &Sample| sample.seconds / 60.0;
    let end = samples.iter().map(minutes).fold(0.01, f64::max);
    let values = lines.iter().flat_map(|line| samples.iter().map(line.value));
    let most = values.fold(1.0, f64::max) * 1.2;
    let (plot, names) = area.split_horizontally(NAMES);
    let mut chart = ChartBuilder::on(&plot)
        .caption(title, (FONT, 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..most)?;
    // A run of seconds has labels with a fraction.
    chart
        .configure_mesh()
        .x_desc("minutes")
        .x_label_formatter(&|x| format!("{}", (x * 100.0).round() / 100.0))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (index, line) in lines.iter().enumerate() {
        let points = samples.iter().map(|sample| (minutes(sample), (line.value)(sample)));
        chart.draw_series(LineSeries::new(points, line.colour.stroke_width(1)))?;
        let y = 50 + 20 * index as i32;
        names.draw(&PathElement::new(vec![(0, y), (18, y)], line.colour.stroke_width(2)))?;
        names.draw(&Text::new(line.name, (24, y - 6), (FONT, 12)))?;
    }
    Ok(())
}
