//! How much faster than a plain loop tasks of a length are, by the way in which they are handed out.

use super::part::Readings;
use crate::group::Group;
use crate::processes::figure::Figure;
use crate::processes::subject::Subject as ProcessSubject;
use crate::report::Spread;
use crate::subject::Subject as ThreadSubject;

pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    /// Of a task, in microseconds.
    pub(super) length: f64,
    pub(super) speed_up: f64,
}

/// One line of readings, whoever took it.
struct Reading<'a> {
    case: &'static str,
    is_floor: bool,
    rounds: &'a [Option<f64>],
}

pub(super) fn curves(readings: &Readings) -> Vec<Curve> {
    let threads = readings.threads.iter().filter(|line| line.group == Group::BreakEven).map(|line| Reading {
        case: line.case().name,
        is_floor: line.subject == ThreadSubject::Floor,
        rounds: &line.rounds,
    });
    let processes =
        readings.processes.iter().filter(|line| line.figure == Figure::BreakEven).map(|line| Reading {
            case: line.case().name,
            is_floor: line.subject == ProcessSubject::Floor,
            rounds: &line.rounds,
        });
    let mut curves = Vec::new();
    add(&mut curves, "threads", &threads.collect::<Vec<_>>());
    add(&mut curves, "processes", &processes.collect::<Vec<_>>());
    curves
}

fn add(curves: &mut Vec<Curve>, pool: &str, readings: &[Reading<'_>]) {
    for case in readings.chunk_by(|a, b| a.case == b.case) {
        let Some((length, way)) = case[0].case.split_once(" us, ") else { continue };
        let Ok(length) = length.parse::<f64>() else { continue };
        let of = |floor: bool| case.iter().find(|reading| reading.is_floor == floor);
        let (Some(ours), Some(beside)) = (of(false), of(true)) else { continue };
        // The loop is the same whatever it is compared with. Where a reading of it takes longer than most of them do, the
        // machine was disturbed: as it stands it would make two workers more than twice as fast.
        let is_loop = |reading: &&Reading<'_>| {
            reading.is_floor
                && reading.case.split_once(" us, ").is_some_and(|(of, _)| of.parse() == Ok(length))
        };
        let Some(usual) = median(readings.iter().filter(is_loop).flat_map(|reading| reading.rounds).copied())
        else {
            continue;
        };
        let pairs = beside.rounds.iter().zip(ours.rounds);
        let ratios = pairs.map(|(beside, ours)| Some((*beside)?.min(usual) / (*ours)?));
        let Some(speed_up) = median(ratios) else { continue };
        let point = Point { length, speed_up };
        let name = format!("{pool}, {way}");
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name, points: vec![point] }),
        }
    }
}

fn median(rounds: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let rounds: Vec<f64> = rounds.flatten().collect();
    (!rounds.is_empty()).then(|| Spread::of(rounds.into_iter()).median)
}

/// Where a curve passes a level for good.
#[derive(PartialEq, Debug)]
pub(super) enum Crossing {
    /// It is above it everywhere, from this length on.
    Below(f64),
    At(f64),
    /// It is below it still at the longest.
    Never,
}

/// Between two points the curve is a straight line over the logarithm of the length.
pub(super) fn crossing(points: &[Point], level: f64) -> Crossing {
    let Some(last_below) = points.iter().rposition(|point| point.speed_up < level) else {
        return points.first().map_or(Crossing::Never, |first| Crossing::Below(first.length));
    };
    let Some(next) = points.get(last_below + 1) else { return Crossing::Never };
    let below = points[last_below];
    let share = (level - below.speed_up) / (next.speed_up - below.speed_up);
    Crossing::At(below.length * (next.length / below.length).powf(share))
}

#[cfg(test)]
mod tests {
    use super::{Crossing, Point, Reading, add, crossing};

    fn points(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(length, speed_up)| Point { length, speed_up }).collect()
    }

    #[test]
    fn a_crossing_lies_between_two_points() {
        let curve = points(&[(0.1, 1.2), (1.0, 0.5), (100.0, 1.5), (1000.0, 1.9)]);
        assert_eq!(crossing(&curve, 1.0), Crossing::At(10.0), "the last time counts");
        assert_eq!(crossing(&curve, 0.4), Crossing::Below(0.1));
        assert_eq!(crossing(&curve, 2.0), Crossing::Never);
        assert_eq!(crossing(&[], 1.0), Crossing::Never);
    }

    #[test]
    fn a_speed_up_is_the_loop_over_ours() {
        let reading = |case, is_floor, rounds| Reading { case, is_floor, rounds };
        let mut curves = Vec::new();
        let readings = [
            reading("0.3 us, submit", true, &[Some(3.0), Some(3.0), Some(3.0)][..]),
            reading("0.3 us, map", false, &[Some(2.0), Some(2.0), Some(2.0), None][..]),
            reading("0.3 us, map", true, &[Some(9.0), Some(9.0), Some(2.0), Some(1.0)][..]),
            reading("1 us, map", false, &[Some(2.0)][..]),
        ];
        add(&mut curves, "threads", &readings);
        assert_eq!(curves.len(), 1);
        assert_eq!(
            (curves[0].name.as_str(), &curves[0].points),
            ("threads, map", &points(&[(0.3, 1.5)])),
            "loops that took longer than usual count as usual"
        );
    }
}
