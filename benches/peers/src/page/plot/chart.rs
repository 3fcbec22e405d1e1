//! Lines over a logarithmic x, their names beside them.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::combinators::BindKeyPoints;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::style::{FONT, Look, Mark};

const SIZE: (u32, u32) = (900, 460);
/// Where the plot ends and the names begin: no name hides a line.
const NAMES: u32 = 680;

pub(super) struct Series {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) points: Vec<(f64, f64)>,
}

pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    /// Where the x axis has its labels.
    pub(super) ticks: &'static [f64],
    pub(super) label: fn(f64) -> String,
    pub(super) kind: Kind,
}

/// How y is drawn.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Logarithmic,
    /// From 0 on, with a line of its own at this level.
    Linear(f64),
}

impl Chart {
    /// Nothing where there are no points.
    pub(super) fn draw(&self, path: &Path, series: &[Series]) -> Result<(), Box<dyn Error>> {
        let points = || series.iter().flat_map(|series| &series.points);
        if points().count() == 0 {
            return Ok(());
        }
        // A little wider than the points: a label that lies on the edge is lost to rounding.
        let x = points().map(|point| point.0).fold(f64::INFINITY, f64::min) * 0.97
            ..points().map(|point| point.0).fold(0.0, f64::max) * 1.03;
        let most = points().map(|point| point.1).fold(0.0, f64::max);
        let least = points().map(|point| point.1).fold(f64::INFINITY, f64::min);

        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (plot, names) = area.split_horizontally(NAMES);
        let mut chart = ChartBuilder::on(&plot);
        chart.caption(self.title, (FONT, 20)).margin(12).x_label_area_size(44).y_label_area_size(56);
        // Two kinds of axis are two types.
        macro_rules! lines {
            ($y:expr) => {{
                let x_axis = x.clone().log_scale().with_key_points(self.ticks.to_vec());
                let mut chart = chart.build_cartesian_2d(x_axis, $y)?;
                chart
                    .configure_mesh()
                    .x_desc(self.x)
                    .y_desc(self.y)
                    .x_label_formatter(&|x| (self.label)(*x))
                    .y_label_formatter(&|y| number(*y))
                    .light_line_style(WHITE)
                    .draw()?;
                if let Kind::Linear(level) = self.kind {
                    let line = [(x.start, level), (x.end, level)];
                    chart.draw_series(LineSeries::new(line, BLACK.mix(0.6)))?;
                }
                for Series { look, points, .. } in series {
                    let style = look.colour.stroke_width(2);
                    if look.dashed {
                        chart.draw_series(DashedLineSeries::new(points.iter().copied(), 6, 4, style))?;
                    } else {
                        chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
                    }
                    for point in points {
                        chart.plotting_area().draw(&mark(*point, *look))?;
                    }
                }
            }};
        }
        match self.kind {
            Kind::Logarithmic => {
                let y = least / 1.5..most * 1.5;
                lines!(y.clone().log_scale().with_key_points(steps(y.start, y.end)));
            }
            Kind::Linear(_) => lines!(0.0..most * 1.1),
        }
        for (index, series) in series.iter().enumerate() {
            name(&names, 56 + 22 * index as i32, series)?;
        }
        area.present()?;
        Ok(())
    }
}

/// What a line looks like, and its name.
fn name(area: &DrawingArea<SVGBackend<'_>, Shift>, y: i32, series: &Series) -> Result<(), Box<dyn Error>> {
    let Series { look, name, .. } = series;
    let style = look.colour.stroke_width(2);
    let ends = [(0, y), (28, y)];
    if look.dashed {
        area.draw(&DashedPathElement::new(ends, 6, 4, style))?;
    } else {
        area.draw(&PathElement::new(ends.to_vec(), style))?;
    }
    area.draw(&mark((14, y), *look))?;
    area.draw(&Text::new(name.clone(), (36, y - 6), (FONT, 13)))?;
    Ok(())
}

fn mark<'a, C: Clone + 'static>(at: C, look: Look) -> DynElement<'a, SVGBackend<'a>, C> {
    const SIZE: i32 = 4;
    let style = look.colour.filled();
    match look.mark {
        Mark::Circle => Circle::new(at, SIZE, style).into_dyn(),
        Mark::Triangle => TriangleMarker::new(at, SIZE + 2, style).into_dyn(),
        Mark::Cross => Cross::new(at, SIZE, look.colour.stroke_width(2)).into_dyn(),
        Mark::Square => {
            let square = Rectangle::new([(-SIZE, -SIZE), (SIZE, SIZE)], style);
            (EmptyElement::at(at) + square).into_dyn()
        }
    }
}

/// 1, 2 and 5 times each power of ten that lies within.
fn steps(start: f64, end: f64) -> Vec<f64> {
    let powers = (start.log10().floor() as i32)..=(end.log10().ceil() as i32);
    let steps = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
    steps.filter(|step| (start..=end).contains(step)).collect()
}

/// As short as it can be: to three decimals, without what rounding left behind.
pub(super) fn number(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e4 => (v / 1e3, "k"),
        v => (v, ""),
    };
    format!("{}{unit}", (value * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::{number, steps};

    #[test]
    fn labels_are_short() {
        // As an axis of steps of 0.2 has them.
        let by_addition = [0.2 + 0.2 + 0.2, 0.2 * 9.0, 1.4 + 0.2 + 0.2];
        assert_eq!(by_addition.map(number), ["0.6", "1.8", "1.8"]);
        assert_eq!([0.1, 100.0, 10_000.0, 16_384.0, 1e6].map(number), ["0.1", "100", "10k", "16.384k", "1M"]);
    }

    #[test]
    fn a_logarithmic_axis_has_three_labels_for_each_power_of_ten() {
        assert_eq!(steps(72.0, 2300.0), [100.0, 200.0, 500.0, 1000.0, 2000.0]);
    }
}
