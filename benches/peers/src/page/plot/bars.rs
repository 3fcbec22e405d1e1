//! Bars, several panels of them.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::style::FONT;
use crate::report::short;

type Drawn = Result<(), Box<dyn Error>>;

pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) name: &'static str,
    pub(super) value: f64,
    pub(super) colour: RGBColor,
}

/// Two panels side by side; nothing where there is none.
pub(super) fn draw(path: &Path, panels: &[Panel]) -> Drawn {
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
    const NAMES: i32 = 186;
    const FIGURES: i32 = 62;
    let width = area.dim_in_pixel().0 as i32 - NAMES - FIGURES;
    let most = panel.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    area.draw(&Text::new(panel.title, (12, 10), (FONT, 15)))?;
    for (index, bar) in panel.bars.iter().enumerate() {
        let top = HEAD + BAR * index as i32;
        let end = NAMES + length(bar.value, most, width);
        area.draw(&Text::new(bar.name, (12, top + 4), (FONT, 13)))?;
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
    use super::length;

    #[test]
    fn bars_are_in_proportion_and_none_is_invisible() {
        assert_eq!(
            (length(50.0, 100.0, 300), length(100.0, 100.0, 300), length(0.01, 100.0, 300)),
            (150, 300, 1)
        );
    }
}
