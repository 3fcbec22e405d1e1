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

/// A line of the plot.
struct Line {
    name: &'static str,
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
        Line { name: "this process", value: |sample| sample.house.memory as f64 / 1e6 },
        Line { name: "of it in use", value: |sample| sample.house.in_use as f64 / 1e6 },
        Line { name: "its workers together", value: |sample| sample.house.memory_of_children as f64 / 1e6 },
    ];
    panel(&above, "Memory, MB: resident, and in use", &memory, samples)?;
    let counts = [
        Line { name: "descriptors", value: |sample| sample.house.descriptors as f64 },
        Line { name: "threads", value: |sample| sample.house.threads as f64 },
        Line { name: "children", value: |sample| sample.house.children as f64 },
        Line { name: "shared pages", value: |sample| sample.house.pages as f64 },
    ];
    panel(&below, "Descriptors, threads, children, shared pages", &counts, samples)?;
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
    chart.configure_mesh().x_desc("minutes").light_line_style(WHITE).draw()?;
    for (index, line) in lines.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        let points = samples.iter().map(|sample| (minutes(sample), (line.value)(sample)));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(1)))?;
        let y = 50 + 20 * index as i32;
        names.draw(&PathElement::new(vec![(0, y), (18, y)], colour.stroke_width(2)))?;
        names.draw(&Text::new(line.name, (24, y - 6), (FONT, 12)))?;
    }
    Ok(())
}
