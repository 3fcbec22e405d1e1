//! Goals of ours, and whether it reached them: a row for each goal and its result.

use crate::report::{Spread, short};

/// One row: a goal and its result.
pub(crate) struct Outcome {
    pub(crate) what: String,
    pub(crate) asked: String,
    /// The unit of the values.
    pub(crate) unit: &'static str,
    /// Round by round.
    pub(crate) values: Vec<f64>,
    /// `None` without a goal.
    pub(crate) reached: Option<bool>,
}

#[derive(Clone, Copy)]
pub(crate) enum Asked {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
    /// A figure for comparison, without a goal.
    Nothing,
}

impl Outcome {
    /// The median decides. `None`: there is no value.
    pub(crate) fn of(what: &str, asked: Asked, unit: &'static str, values: Vec<f64>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let median = Spread::of(values.iter().copied()).median;
        let (asked, reached) = match asked {
            Asked::AtMost(most) => (format!("at most {most}{unit}"), Some(median <= most)),
            Asked::AtLeast(least) => (format!("at least {least}{unit}"), Some(median >= least)),
            Asked::Below(limit) => (format!("below {limit}{unit}"), Some(median < limit)),
            Asked::Nothing => (String::new(), None),
        };
        Some(Self { what: what.to_owned(), asked, unit, values, reached })
    }

    fn row(&self) -> String {
        let Spread { median, min, max, .. } = Spread::of(self.values.iter().copied());
        let reached = self.reached.map_or("", |reached| if reached { "yes" } else { "NO" });
        let Outcome { what, asked, unit, .. } = self;
        let values = format!("{}{unit} ({}-{})", short(median), short(min), short(max));
        format!("| {what} | {asked} | {values} | {reached} |")
    }
}

pub(crate) fn table(outcomes: &[Outcome], rounds: usize) -> String {
    let head =
        format!("| median (least-most) of {rounds} rounds | goal | result | reached |\n|---|---|---|---|\n");
    outcomes.iter().fold(head, |text, outcome| text + &outcome.row() + "\n")
}

#[cfg(test)]
mod tests {
    use super::{Asked, Outcome, table};

    #[test]
    fn the_median_is_held_against_what_is_asked() {
        let reached = |asked| Outcome::of("", asked, "x", vec![1.0, 9.0, 2.0]).and_then(|row| row.reached);
        assert_eq!((reached(Asked::AtMost(2.0)), reached(Asked::AtMost(1.9))), (Some(true), Some(false)));
        assert_eq!((reached(Asked::AtLeast(2.0)), reached(Asked::AtLeast(2.1))), (Some(true), Some(false)));
        assert_eq!((reached(Asked::Below(2.1)), reached(Asked::Below(2.0))), (Some(true), Some(false)));
        assert_eq!(reached(Asked::Nothing), None);
        assert!(Outcome::of("", Asked::Nothing, "x", Vec::new()).is_none());
    }

    #[test]
    fn a_row_says_what_was_asked_and_what_came_out() {
        let outcome = Outcome::of("a / b", Asked::AtLeast(1.8), "x", vec![1.0, 2.0, 1.5]);
        let text = table(&outcome.into_iter().collect::<Vec<_>>(), 3);
        assert!(text.ends_with("| a / b | at least 1.8x | 1.50x (1.00-2.00) | NO |\n"), "{text}");
    }
}
