//! Goals of ours here: most of what the machine gives, a clear lead over Pillow, and Pillow's pixels.

use super::{Line, Subject, find};
use crate::goal::{Asked, Outcome};

pub(super) fn outcomes(lines: &[Line]) -> Vec<Outcome> {
    use Asked::{AtLeast, AtMost, Below, Nothing};
    let ours = find(lines, Subject::OursProcesses);
    let ratio = |what: &str, asked, a: Option<&Line>, b: Option<&Line>| {
        Outcome::of(what, asked, "x", a.zip(b)?.0.by(b?))
    };
    let pixels = ours.and_then(|line| line.difference);
    let outcomes = [
        share_of_control(lines, ours)
            .and_then(|share| Outcome::of("speed-up / the control's speed-up", AtLeast(90.0), " %", share)),
        ratio("speed-up, to a loop", Nothing, find(lines, Subject::OursLoop), ours),
        ours.and_then(|ours| {
            let what = "CPython with Pillow, its best way in each round / ours";
            Outcome::of(what, AtLeast(1.8), "x", best_of_cpython(lines).by(ours))
        }),
        ratio("`image` under rayon / ours", Nothing, find(lines, Subject::ImageRayon), ours),
        pixels.and_then(|pixels| {
            let what = "pixels beside Pillow's: the largest difference";
            Outcome::of(what, AtMost(2.0), " levels", vec![pixels.most.into()])
        }),
        pixels.and_then(|pixels| {
            let what = "pixels beside Pillow's: the mean difference";
            Outcome::of(what, Below(0.2), " levels", vec![pixels.mean])
        }),
    ];
    outcomes.into_iter().flatten().collect()
}

/// How much of the control's speed-up a line reached, round by round, in percent. The loop cancels out.
pub(super) fn share_of_control(lines: &[Line], line: Option<&Line>) -> Option<Vec<f64>> {
    let control = find(lines, Subject::Control)?;
    Some(control.by(line?).into_iter().map(|share| 100.0 * share).collect())
}

/// A line of the fastest reading of each round, whichever way it was.
fn best_of_cpython(lines: &[Line]) -> Line {
    let ways: Vec<_> = lines.iter().filter(|line| line.subject.is_cpython()).collect();
    let rounds = ways.iter().map(|way| way.rounds.len()).max().unwrap_or(0);
    let best = |round: usize| ways.iter().filter_map(|way| *way.rounds.get(round)?).min_by(f64::total_cmp);
    Line { rounds: (0..rounds).map(best).collect(), ..Line::new(Subject::CpythonLoop) }
}

#[cfg(test)]
mod tests {
    use super::{Line, Subject, outcomes};
    use crate::xray::Difference;

    fn line(subject: Subject, rounds: &[Option<f64>]) -> Line {
        Line { subject, rounds: rounds.to_vec(), difference: None }
    }

    fn reached(lines: &[Line]) -> Vec<(Vec<f64>, bool)> {
        let asked = outcomes(lines).into_iter().filter_map(|row| Some((row.values, row.reached?)));
        asked.collect()
    }

    #[test]
    fn pillows_best_is_that_of_each_round() {
        let ours = line(Subject::OursProcesses, &[Some(1.0), Some(2.0), None]);
        let threads = line(Subject::CpythonThreads, &[Some(3.0), Some(3.4), Some(1.0)]);
        let processes = line(Subject::CpythonProcesses, &[Some(2.0), None, Some(1.0)]);
        assert_eq!(reached(&[ours, threads, processes]), [(vec![2.0, 1.7], true)]);
    }

    #[test]
    fn the_share_and_the_pixels_are_held_against_what_is_asked() {
        let difference = Difference { most: 3, mean: 0.1, pixels: 1, of: 10 };
        let ours = line(Subject::OursProcesses, &[Some(2.0), Some(2.0)]);
        let ours = Line { difference: Some(difference), ..ours };
        let control = line(Subject::Control, &[Some(1.0), Some(2.0)]);
        let expected = [(vec![50.0, 100.0], false), (vec![3.0], false), (vec![0.1], true)];
        assert_eq!(reached(&[ours, control]), expected);
    }

    #[test]
    fn nothing_is_asked_of_what_was_not_measured() {
        assert!(outcomes(&[line(Subject::CpythonLoop, &[Some(1.0)])]).is_empty());
    }
}
