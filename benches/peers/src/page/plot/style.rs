//! How a subject looks, the same in every plot: ours is blue, the others are grey, and what has no pool is light grey. Marks,
//! dashes and lightness tell apart what a reader who doesn't see the colours could confuse.

use plotters::prelude::RGBColor;

pub(super) const FONT: &str = "sans-serif";

pub(super) const OURS: RGBColor = RGBColor(0, 114, 178);
const OURS_DARK: RGBColor = RGBColor(0, 56, 102);
const OURS_LIGHT: RGBColor = RGBColor(86, 180, 233);
pub(super) const PEER: RGBColor = RGBColor(130, 130, 130);
const PEER_DARK: RGBColor = RGBColor(60, 60, 60);
pub(super) const FLOOR: RGBColor = RGBColor(190, 190, 190);

/// A line and its points.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) mark: Mark,
    pub(super) dashed: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Mark {
    Circle,
    Square,
    Triangle,
    Cross,
}

const MARKS: [Mark; 4] = [Mark::Circle, Mark::Square, Mark::Triangle, Mark::Cross];

impl Look {
    /// A way to hand out tasks, such as `submit`, of ours: `nth` of its pool.
    pub(super) fn of_way(is_threads: bool, nth: usize) -> Self {
        let colour = if is_threads { OURS } else { OURS_LIGHT };
        Self { colour, mark: MARKS[nth % MARKS.len()], dashed: !is_threads }
    }

    /// The `nth` case of ours alone.
    pub(super) fn of_case(nth: usize) -> Self {
        let shades = [OURS_DARK, OURS, OURS_LIGHT];
        Self { colour: shades[nth % shades.len()], mark: MARKS[nth % MARKS.len()], dashed: false }
    }

    pub(super) fn ours() -> Self {
        Self { colour: OURS, mark: Mark::Circle, dashed: false }
    }

    /// The `nth` of the others.
    pub(super) fn of_peer(nth: usize) -> Self {
        let shades = [PEER_DARK, PEER];
        Self { colour: shades[nth % shades.len()], mark: MARKS[1 + nth % (MARKS.len() - 1)], dashed: false }
    }

    pub(super) fn floor() -> Self {
        Self { colour: FLOOR, mark: Mark::Circle, dashed: true }
    }
}
