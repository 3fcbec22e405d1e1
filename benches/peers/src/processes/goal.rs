//! Goals of ours: ratios of readings of one round, and a few figures by themselves.

use super::figure::{Figure, lengths};
use super::subject::Subject;
use super::table::Line;
use crate::goal::{Asked, Outcome};

pub(crate) fn outcomes(lines: &[Line]) -> Vec<Outcome> {
    use Asked::{AtLeast, AtMost, Below, Nothing};
    use Figure::{ColdStart, Echo, Idle, Map, Memory, Mix, RoundTrip, Shared, SubmitCollect};
    use Subject::{Chain, CpythonFork, CpythonForkserver, Floor, Ours, PoolFork, Procspawn};
    let of = |figure, case, subject| find(lines, figure, case, subject);
    let ours = |figure, case| of(figure, case, Ours);
    let ratio = |what: &str, asked, a: Option<&Line>, b: Option<&Line>| {
        Outcome::of(what, asked, "x", pairs(a?, b?, |a, b| a / b))
    };
    let alone = |what: &str, asked, unit: &'static str, a: Option<&Line>, scale: fn(f64) -> f64| {
        Outcome::of(what, asked, unit, a?.rounds.iter().flatten().map(|a| scale(*a)).collect())
    };
    let trip = ours(RoundTrip, 0);
    let mut outcomes = vec![
        ratio("round trip / a bare socketpair's", AtMost(0.8), trip, of(RoundTrip, 0, Floor)),
        ratio(
            "a bare driver chain / a bare socketpair",
            Nothing,
            of(RoundTrip, 0, Chain),
            of(RoundTrip, 0, Floor),
        ),
        ratio("round trip: procspawn / ours", AtLeast(5.0), of(RoundTrip, 0, Procspawn), trip),
        ratio("round trip: CPython fork / ours", AtLeast(8.0), of(RoundTrip, 0, CpythonFork), trip),
        ratio(
            "round trip: CPython forkserver / ours",
            AtLeast(8.0),
            of(RoundTrip, 0, CpythonForkserver),
            trip,
        ),
        ratio("round trip: multiprocessing.Pool / ours", Nothing, of(RoundTrip, 0, PoolFork), trip),
        alone(
            "submit and collect, no chunksize",
            AtMost(0.5),
            " us per task",
            ours(SubmitCollect, 0),
            |ns| ns / 1e3,
        ),
        ratio(
            "submit and collect: procspawn / ours",
            Nothing,
            of(SubmitCollect, 0, Procspawn),
            ours(SubmitCollect, 0),
        ),
        ratio(
            "submit and collect: CPython fork / ours",
            Nothing,
            of(SubmitCollect, 0, CpythonFork),
            ours(SubmitCollect, 0),
        ),
    ];
    for length in lengths() {
        let by_median = |case: &&usize| ours(Map, **case).map_or(f64::INFINITY, |line| line.spread().median);
        let best = length.picked.iter().min_by(|a, b| by_median(a).total_cmp(&by_median(b)));
        let case = |case: usize| Map.cases()[case].name;
        let best = best.copied().unwrap_or(length.ones);
        let most = match length.name {
            "0 us" => 3.0,
            "1 us" => 1.5,
            _ => 1.2,
        };
        for mine in [length.ones, length.eager] {
            let what = format!("map: {} / {}", case(mine), case(best));
            outcomes.push(ratio(&what, AtMost(most), ours(Map, mine), ours(Map, best)));
        }
        let floor = of(Map, length.eager, Floor);
        // A ratio to no work at all says nothing.
        if length.name != "0 us" {
            let what = format!("map: {} / the loop on two cores", case(length.eager));
            outcomes.push(ratio(&what, Nothing, ours(Map, length.eager), floor));
        }
        let lazy = length.lazy.and_then(|lazy| ours(Map, lazy));
        let what = format!("map: {0}, lazy / {0}, eager", length.name);
        let asked = if length.name == "1 us" { AtMost(1.5) } else { Nothing };
        outcomes.push(ratio(&what, asked, lazy, ours(Map, length.eager)));
    }
    for case in 0..Mix.cases().len() {
        let what =
            format!("map: 2 of 1 s among 2000 of 10 us, {} / the best schedule", Mix.cases()[case].name);
        outcomes.push(ratio(&what, AtMost(1.1), ours(Mix, case), of(Mix, case, Floor)));
    }
    let rate = |us: f64| f64::from(16 << 20) / us / 1e3;
    outcomes.extend([
        ratio("echo of 64 KiB / a bare socketpair's", AtMost(1.1), ours(Echo, 1), of(Echo, 1, Floor)),
        ratio("echo of 1 MiB / a bare socketpair's", AtMost(0.6), ours(Echo, 2), of(Echo, 2, Floor)),
        ratio("echo of 16 MiB / a bare socketpair's", AtMost(1.0), ours(Echo, 3), of(Echo, 3, Floor)),
        ratio("echo of 16 MiB in a tuple / alone", AtMost(1.1), ours(Echo, 6), ours(Echo, 3)),
        alone("echo of 16 MiB, serde_bytes", Nothing, " GB/s", ours(Echo, 3), rate),
        alone("echo of 16 MiB, Vec<u8> by plain serde", Nothing, " GB/s", ours(Echo, 4), rate),
        alone("echo of 16 MiB by a bare socketpair", Nothing, " GB/s", of(Echo, 3, Floor), rate),
        alone("100 tasks with the same 16 MiB, `SharedBytes`", AtMost(60.0), " ms", ours(Shared, 2), |ms| ms),
        alone("the same, `Shared<Vec<f64>>`", AtMost(200.0), " ms", ours(Shared, 1), |ms| ms),
        ratio("a task with a known `Shared` / a bare one", AtMost(1.3), ours(Shared, 4), ours(Shared, 3)),
        ratio(
            "cold pool to first result / a bare posix_spawn and exit",
            AtMost(1.5),
            ours(ColdStart, 0),
            of(ColdStart, 0, Floor),
        ),
        ratio("the same beside 2 GiB", AtMost(1.5), ours(ColdStart, 1), of(ColdStart, 1, Floor)),
        ratio("cold start: CPython fork / ours", Nothing, of(ColdStart, 0, CpythonFork), ours(ColdStart, 0)),
        ratio("the same beside 2 GiB", Nothing, of(ColdStart, 1, CpythonFork), ours(ColdStart, 1)),
        ratio(
            "cold pool of 64 to a result of each / 64 of posix_spawn",
            Nothing,
            ours(ColdStart, 2),
            of(ColdStart, 2, Floor),
        ),
        alone("parent's memory while 1 M items are mapped", AtMost(1024.0), " KiB", ours(Memory, 0), |kib| {
            kib
        }),
        alone("processor time of 10 s with nothing to do", Below(5.0), " ms", ours(Idle, 0), |ms| ms),
    ]);
    outcomes.into_iter().flatten().collect()
}

fn find(lines: &[Line], figure: Figure, case: usize, subject: Subject) -> Option<&Line> {
    lines.iter().find(|line| (line.figure, line.case, line.subject) == (figure, case, subject))
}

fn pairs(a: &Line, b: &Line, f: fn(f64, f64) -> f64) -> Vec<f64> {
    a.rounds.iter().zip(&b.rounds).filter_map(|(a, b)| Some(f((*a)?, (*b)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::outcomes;
    use crate::processes::figure::Figure;
    use crate::processes::subject::Subject;
    use crate::processes::table::Line;

    #[test]
    fn a_ratio_is_taken_within_a_round_and_held_against_what_is_asked() {
        let line = |subject, rounds: &[Option<f64>]| Line {
            figure: Figure::RoundTrip,
            case: 0,
            subject,
            rounds: rounds.to_vec(),
        };
        let ours = line(Subject::Ours, &[Some(4.0), Some(12.0), None]);
        let floor = line(Subject::Floor, &[Some(10.0), Some(20.0), Some(1.0)]);
        let outcomes = outcomes(&[ours, floor]);
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].values, [0.4, 0.6]);
        assert_eq!(outcomes[0].reached, Some(true));
    }
}
