//! Goals of ours among the threads: compared with the fastest peer of each case, and a few figures by themselves.

use super::Group;
use crate::goal::{Asked, Outcome};
use crate::report::{Line, fastest_peer, find, ratios};
use crate::subject::Subject;

/// A task that is pending may take so many bytes beyond its closure (a number), its argument (none) and its result (a
/// number).
const BESIDE: f64 = 64.0;
const CLOSURE_AND_RESULT: f64 = 16.0;

/// The cases of `scale` with the fewest workers, with many, and with the most.
const FEWEST: usize = 0;
const MANY: usize = 2;
const MOST: usize = 5;

pub(crate) fn outcomes(lines: &[Line]) -> Vec<Outcome> {
    use Asked::{AtMost, Below, Nothing};
    use Group::{
        AsCompleted, Idle, MapWith, Memory, Mimalloc, ProcessorTime, RoundTrip, Scale, SubmitCollect,
    };
    let outcomes = [
        peer(lines, SubmitCollect, 0, AtMost(0.65)),
        peer(lines, SubmitCollect, 1, AtMost(0.45)),
        peer(lines, SubmitCollect, 2, AtMost(0.4)),
        peer(lines, SubmitCollect, 3, AtMost(0.5)),
        peer(lines, ProcessorTime, 0, AtMost(0.55)),
        peer(lines, ProcessorTime, 1, AtMost(0.55)),
        peer(lines, ProcessorTime, 2, AtMost(0.55)),
        peer(lines, ProcessorTime, 3, AtMost(0.55)),
        // What its memory of tasks gives is what another allocator gives to everybody.
        peer(lines, Mimalloc, 0, Nothing),
        peer(lines, Mimalloc, 1, Nothing),
        peer(lines, Mimalloc, 2, Nothing),
        peer(lines, Mimalloc, 3, Nothing),
        peer(lines, RoundTrip, 0, AtMost(0.5)),
        peer(lines, RoundTrip, 2, AtMost(1.2)),
        peer(lines, RoundTrip, 3, AtMost(3.0)),
        peer(lines, MapWith, 0, AtMost(1.5)),
        peer(lines, MapWith, 1, Nothing),
        floor(lines, MapWith, 0, "the loop on two cores"),
        alone(lines, AsCompleted, 1, AtMost(130.0), " ns"),
        alone(lines, Memory, 0, AtMost(CLOSURE_AND_RESULT + BESIDE), " bytes"),
        alone(lines, Idle, 0, Below(5.0), " ms"),
        growth(lines, FEWEST, Subject::Ours, AtMost(1.5)),
        growth(lines, FEWEST, Subject::Floor, Nothing),
        // Two workers wake cores that sleep deeper, which hides what many more cost.
        growth(lines, MANY, Subject::Ours, Nothing),
        floor(lines, Scale, MOST, "bare threads"),
    ];
    outcomes.into_iter().flatten().collect()
}

/// Ours against the fastest peer of the case.
fn peer(lines: &[Line], group: Group, case: usize, asked: Asked) -> Option<Outcome> {
    let case = of_case(lines, group, case)?;
    let (ours, peer) = (find(case, Subject::Ours)?, fastest_peer(case)?);
    let what = format!("{} / {}", ours.title(), peer.subject.label());
    Outcome::of(&what, asked, "x", ratios(ours, Some(peer)))
}

fn floor(lines: &[Line], group: Group, case: usize, name: &str) -> Option<Outcome> {
    let case = of_case(lines, group, case)?;
    let ours = find(case, Subject::Ours)?;
    let ratios = ratios(ours, find(case, Subject::Floor));
    Outcome::of(&format!("{} / {name}", ours.title()), Asked::Nothing, "x", ratios)
}

fn alone(lines: &[Line], group: Group, case: usize, asked: Asked, unit: &'static str) -> Option<Outcome> {
    let ours = find(of_case(lines, group, case)?, Subject::Ours)?;
    Outcome::of(&ours.title(), asked, unit, ours.rounds.iter().flatten().copied().collect())
}

/// How much more a task costs with the most workers than with fewer.
fn growth(lines: &[Line], fewer: usize, subject: Subject, asked: Asked) -> Option<Outcome> {
    let of = |case| find(of_case(lines, Group::Scale, case)?, subject);
    let (few, many) = (of(fewer)?, of(MOST)?);
    let what = format!("{} / {}, {}", many.title(), few.case().name, subject.label());
    Outcome::of(&what, asked, "x", ratios(many, Some(few)))
}

fn of_case(lines: &[Line], group: Group, case: usize) -> Option<&[Line]> {
    lines
        .chunk_by(|a, b| (a.group, a.case) == (b.group, b.case))
        .find(|lines| (lines[0].group, lines[0].case) == (group, case))
}

#[cfg(test)]
mod tests {
    use super::outcomes;
    use crate::group::Group;
    use crate::report::Line;
    use crate::subject::Subject;

    fn line(group: Group, case: usize, subject: Subject, rounds: &[f64]) -> Line {
        Line { group, case, subject, rounds: rounds.iter().copied().map(Some).collect() }
    }

    #[test]
    fn the_fastest_peer_is_the_measure() {
        let lines = [
            line(Group::SubmitCollect, 0, Subject::Ours, &[60.0, 90.0, 60.0]),
            line(Group::SubmitCollect, 0, Subject::Rayon, &[300.0, 300.0, 300.0]),
            line(Group::SubmitCollect, 0, Subject::Threadpool, &[100.0, 100.0, 100.0]),
            line(Group::SubmitCollect, 0, Subject::Floor, &[1.0, 1.0, 1.0]),
        ];
        let outcomes = outcomes(&lines);
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].what, "submit_collect, 1 producer, 2 workers / threadpool");
        assert_eq!((outcomes[0].values.as_slice(), outcomes[0].reached), (&[0.6, 0.9, 0.6][..], Some(true)));
    }

    #[test]
    fn growth_is_taken_within_a_subject() {
        let lines = [
            line(Group::Scale, 0, Subject::Ours, &[10.0]),
            line(Group::Scale, 0, Subject::Floor, &[5.0]),
            line(Group::Scale, 5, Subject::Ours, &[20.0]),
            line(Group::Scale, 5, Subject::Floor, &[5.0]),
        ];
        let values: Vec<_> = outcomes(&lines).iter().map(|row| (row.values[0], row.reached)).collect();
        assert_eq!(values, [(2.0, Some(false)), (1.0, None), (4.0, None)]);
    }
}
