//! What is printed: every case with every subject, then each goal with its verdict.

use crate::Failure;
use crate::case::Case;
use crate::goal::{Bound, Goal};
use crate::readings::{Readings, Spread};
use serde::Serialize;

/// A JSON line.
#[derive(Serialize)]
struct Row<'a> {
    case: Case,
    subject: &'a str,
    unit: &'a str,
    readings: &'a [f64],
}

pub(crate) fn print_json(readings: &Readings) -> Result<(), Failure> {
    for (case, subject, all) in readings.all() {
        let row = Row { case, subject, unit: case.unit(), readings: all };
        println!("{}", serde_json::to_string(&row)?);
    }
    Ok(())
}

pub(crate) fn print(readings: &Readings, goals: &[Goal]) {
    println!("| what | who | median | least to most | |");
    println!("|---|---|--:|--:|---|");
    for (case, subject, all) in readings.all() {
        let Some(Spread { median, least, most }) = Spread::of(all.iter().copied()) else { continue };
        let [median, least, most] = [median, least, most].map(number);
        println!("| {} | {subject} | {median} | {least} to {most} | {} |", case.name(), case.unit());
    }
    println!("\n| ratio | median | least to most | goal | |");
    println!("|---|--:|--:|--:|---|");
    for goal in goals {
        let (sign, bound) = match goal.bound {
            Bound::AtMost(most) => ("<=", most),
            Bound::AtLeast(least) => (">=", least),
        };
        let Some(Spread { median, least, most }) = goal.ratio(readings) else {
            println!("| {} | | | {sign} {} | not measured |", goal.figure, number(bound));
            continue;
        };
        let verdict = if goal.bound.holds(median) { "reached" } else { "**missed**" };
        let [median, least, most, bound] = [median, least, most, bound].map(number);
        println!("| {} | {median} | {least} to {most} | {sign} {bound} | {verdict} |", goal.figure);
    }
}

/// Three digits, as far as they say something.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn three_digits() {
        assert_eq!([1234.5, 56.78, 2.0, 0.0833].map(number), ["1234", "56.8", "2.00", "0.083"]);
    }
}
