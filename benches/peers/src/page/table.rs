//! What stands in each block of the pages, as Markdown.

use std::fmt::Write as _;

use super::circumstances::Circumstances;
use super::part::{Part, Readings};
use super::speed_up::{Crossing, Curve, crossing, curves};
use crate::goal::Outcome;
use crate::group::Group;
use crate::processes::figure::Figure;
use crate::processes::subject::Subject as ProcessSubject;
use crate::report::{Line, Spread, short};
use crate::runner::QUIET;
use crate::subject::Subject;
use crate::{goal, group, processes, report};

/// By the block's name; `None` where the readings that it needs were not taken. An unknown name is an error.
pub(super) fn block(name: &str, readings: &Readings) -> Result<Option<String>, String> {
    let text = match name {
        "circumstances" => circumstances(&readings.taken),
        "summary" => summary(readings),
        "budget" => budget(readings),
        "break-even" => break_even(&curves(readings)),
        "speed-ups" => speed_ups(&curves(readings)),
        "threads-asked" => asked(&group::goal::outcomes(&readings.threads), thread_rounds(readings)),
        "processes-asked" => asked(&processes::goal::outcomes(&readings.processes), process_rounds(readings)),
        "threads-ratios" => report::verdict(&readings.threads),
        _ => match Part::all().into_iter().find(|part| part.name() == name) {
            Some(Part::Threads(group)) => of_group(readings, group),
            Some(Part::Processes(figure)) => of_figure(readings, figure),
            None => return Err(format!("no block is called {name}")),
        },
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn of_group(readings: &Readings, group: Group) -> String {
    let mut groups = readings.threads.chunk_by(|a, b| a.group == b.group);
    groups.find(|lines| lines[0].group == group).map(report::table).unwrap_or_default()
}

fn of_figure(readings: &Readings, figure: Figure) -> String {
    let mut figures = readings.processes.chunk_by(|a, b| a.figure == b.figure);
    figures.find(|lines| lines[0].figure == figure).map(processes::table::table).unwrap_or_default()
}

fn asked(outcomes: &[Outcome], rounds: usize) -> String {
    if outcomes.is_empty() { String::new() } else { goal::table(outcomes, rounds) }
}

fn thread_rounds(readings: &Readings) -> usize {
    readings.threads.iter().map(|line| line.rounds.len()).max().unwrap_or(0)
}

fn process_rounds(readings: &Readings) -> usize {
    readings.processes.iter().map(|line| line.rounds.len()).max().unwrap_or(0)
}

/// One sentence for all parts that were taken alike, and which they are where not all were.
fn circumstances(taken: &[(Part, Circumstances)]) -> String {
    let alike = |a: &Circumstances, b: &Circumstances| {
        (&a.date, &a.machine, a.quick) == (&b.date, &b.machine, b.quick)
    };
    let mut kinds: Vec<(Vec<Part>, Vec<&Circumstances>)> = Vec::new();
    for (part, circumstances) in taken {
        match kinds.iter_mut().find(|(_, of)| alike(of[0], circumstances)) {
            Some((parts, of)) => {
                parts.push(*part);
                of.push(circumstances);
            }
            None => kinds.push((vec![*part], vec![circumstances])),
        }
    }
    let one = kinds.len() == 1;
    let sentences = kinds.iter().map(|(parts, of)| {
        let what = if one {
            "Taken".to_owned()
        } else {
            parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(", ") + ": taken"
        };
        sentence(&what, parts, of)
    });
    sentences.collect::<Vec<_>>().join("\n\n")
}

fn sentence(what: &str, parts: &[Part], of: &[&Circumstances]) -> String {
    let Circumstances { date, machine, quick, .. } = of[0];
    let super::circumstances::Machine { cores, cpu, kernel, rustc } = machine;
    let rounds = |threads: bool| {
        let these = parts.iter().zip(of).filter(|(part, _)| matches!(part, Part::Threads(_)) == threads);
        let mut rounds: Vec<u32> = these.map(|(_, of)| of.rounds).collect();
        rounds.sort_unstable();
        rounds.dedup();
        rounds.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ")
    };
    let rounds = match (rounds(true), rounds(false)) {
        (threads, processes) if processes.is_empty() => format!("rounds: {threads}"),
        (threads, processes) if threads.is_empty() => format!("rounds: {processes}"),
        (threads, processes) => format!("rounds: {threads} of the threads, {processes} of the processes"),
    };
    let mut text = format!(
        "{what} on {date} by `cargo run --release -p peers -- page`; {cores} cores, {cpu}, {kernel}, {rustc}; {rounds}."
    );
    if *quick {
        text += " QUICK: a twentieth of the work, so the figures mean nothing.";
    }
    if let Some(noise) = of.iter().filter_map(|of| of.noise).max_by(f64::total_cmp) {
        let mark = if noise > QUIET { "NOISE: o" } else { "O" };
        text += &format!(" {mark}ther programs kept up to {noise:.2} cores busy at the time.");
    }
    text
}

/// A few figures of each kind: ours, the fastest other, and the floor.
fn summary(readings: &Readings) -> String {
    use Figure::{ColdStart, RoundTrip as ProcessTrip, SubmitCollect as ProcessTasks};
    use Group::{Memory, RoundTrip, SubmitCollect};
    let rows = [
        of_threads(readings, "threads: submit and collect, ns per task", SubmitCollect, 0),
        of_threads(readings, "the same, 64 producers", SubmitCollect, 2),
        of_threads(readings, "threads: round trip, ns", RoundTrip, 0),
        of_threads(readings, "threads: a pending task, bytes", Memory, 0),
        of_processes(readings, "processes: submit and collect, ns per task", ProcessTasks, 0),
        of_processes(readings, "processes: round trip, ns", ProcessTrip, 0),
        of_processes(readings, "processes: new pool to first result, us", ColdStart, 0),
    ];
    let rows: Vec<String> = rows.into_iter().flatten().collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("| | ours | fastest other | no pool at all |\n|---|---|---|---|\n{}", rows.concat())
}

fn of_threads(readings: &Readings, what: &str, group: Group, case: usize) -> Option<String> {
    let lines = readings.threads.iter().filter(|line| (line.group, line.case) == (group, case));
    let figures = lines.map(|line| Figures {
        name: line.subject.label(),
        role: match line.subject {
            Subject::Ours => Role::Ours,
            Subject::Floor => Role::Floor,
            _ => Role::Other,
        },
        rounds: &line.rounds,
    });
    row(what, &figures.collect::<Vec<_>>())
}

fn of_processes(readings: &Readings, what: &str, figure: Figure, case: usize) -> Option<String> {
    let lines = readings.processes.iter().filter(|line| (line.figure, line.case) == (figure, case));
    let figures = lines.filter(|line| line.subject != ProcessSubject::Chain).map(|line| Figures {
        name: line.subject.label(),
        role: match line.subject {
            ProcessSubject::Ours => Role::Ours,
            ProcessSubject::Floor => Role::Floor,
            _ => Role::Other,
        },
        rounds: &line.rounds,
    });
    row(what, &figures.collect::<Vec<_>>())
}

struct Figures<'a> {
    name: &'a str,
    role: Role,
    rounds: &'a [Option<f64>],
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Ours,
    Other,
    Floor,
}

fn row(what: &str, figures: &[Figures<'_>]) -> Option<String> {
    let median = |figures: &Figures<'_>| {
        let rounds: Vec<f64> = figures.rounds.iter().flatten().copied().collect();
        if rounds.is_empty() { f64::INFINITY } else { Spread::of(rounds.into_iter()).median }
    };
    let of = |role| {
        let of = figures.iter().filter(move |figures| figures.role == role && median(figures).is_finite());
        of.min_by(|a, b| median(a).total_cmp(&median(b)))
    };
    let ours = of(Role::Ours)?;
    let other = of(Role::Other).map(|other| format!("{} ({})", short(median(other)), other.name));
    let floor = of(Role::Floor).map(|floor| short(median(floor)));
    let (other, floor) = (other.unwrap_or_default(), floor.unwrap_or_default());
    Some(format!("| {what} | {} | {other} | {floor} |\n", short(median(ours))))
}

/// The steps of a task, some of them found as the difference of two readings of one round.
fn budget(readings: &Readings) -> String {
    let rounds = |case: usize, subject: Subject| -> Option<&[Option<f64>]> {
        let is = |line: &&Line| (line.group, line.case, line.subject) == (Group::Budget, case, subject);
        readings.threads.iter().find(is).map(|line| line.rounds.as_slice())
    };
    let ours = |case: usize| rounds(case, Subject::Ours);
    let (Some(make), Some(run), Some(collect)) = (ours(0), ours(1), ours(2)) else { return String::new() };
    let (Some(submit), Some(share)) = (ours(3), ours(4)) else { return String::new() };
    let (Some(asleep), Some(until), Some(waiter)) = (ours(5), ours(6), ours(7)) else { return String::new() };
    let floor = |case: usize| rounds(case, Subject::Floor).and_then(shown).unwrap_or_default();

    let rows = [
        ("make the task: one allocation", shown(make), floor(0), "`make`"),
        ("put it into the queue", difference(submit, make), floor(3), "`submit, worker busy` less `make`"),
        (
            "take it out of the queue",
            difference(share, run),
            String::new(),
            "`worker's share` less `run here`",
        ),
        ("claim, call, store the result", shown(run), String::new(), "`run here`"),
        ("collect the result, free the task", shown(collect), String::new(), "`collect`"),
        ("**all of it, no thread asleep**", sum(&[submit, share, collect]), String::new(), "the sum"),
        (
            "in addition, for a submit to a sleeping worker: wake it",
            difference(asleep, submit),
            String::new(),
            "`submit, worker asleep` less `submit, worker busy`",
        ),
        ("from submit until a sleeping worker runs the task", shown(until), floor(6), "`until it runs`"),
        (
            "from the task's end until a sleeping waiter has the result",
            shown(waiter),
            floor(7),
            "`waiter asleep`",
        ),
    ];
    let mut text = "| step | ns | floor, ns | reading |\n|---|---|---|---|\n".to_owned();
    for (step, ns, floor, reading) in rows {
        let ns = ns.unwrap_or_default();
        writeln!(text, "| {step} | {ns} | {floor} | {reading} |").expect("a string takes everything");
    }
    text
}

fn shown(rounds: &[Option<f64>]) -> Option<String> {
    spread(rounds.iter().flatten().copied().collect())
}

/// Round by round.
fn difference(a: &[Option<f64>], b: &[Option<f64>]) -> Option<String> {
    spread(a.iter().zip(b).filter_map(|(a, b)| Some((*a)? - (*b)?)).collect())
}

fn sum(of: &[&[Option<f64>]]) -> Option<String> {
    let rounds = of.iter().map(|rounds| rounds.len()).min().unwrap_or(0);
    spread((0..rounds).filter_map(|round| of.iter().map(|rounds| rounds[round]).sum()).collect())
}

fn spread(values: Vec<f64>) -> Option<String> {
    if values.is_empty() {
        return None;
    }
    let Spread { median, min, max, .. } = Spread::of(values.into_iter());
    Some(format!("{} ({} to {})", short(median), short(min), short(max)))
}

fn break_even(curves: &[Curve]) -> String {
    if curves.is_empty() {
        return String::new();
    }
    let mut text =
        "| tasks submitted by | as fast as the loop from | 1.5 times as fast from | the most |\n|---|---|---|---|\n"
            .to_owned();
    for Curve { name, points } in curves {
        let at = |level| match crossing(points, level) {
            Crossing::Below(length) => format!("below {length} us"),
            Crossing::At(length) => format!("{} us", short(length)),
            Crossing::Never => "not here".to_owned(),
        };
        let most = points.iter().map(|point| point.speed_up).fold(0.0, f64::max);
        writeln!(text, "| {name} | {} | {} | {most:.2}x |", at(1.0), at(1.5))
            .expect("a string takes everything");
    }
    text
}

/// A row for each length, a column for each way.
fn speed_ups(curves: &[Curve]) -> String {
    let Some(longest) = curves.iter().max_by_key(|curve| curve.points.len()) else { return String::new() };
    let mut text = "| a task takes |".to_owned();
    curves.iter().for_each(|curve| text += &format!(" {} |", curve.name));
    text += &format!("\n|---|{}\n", "---|".repeat(curves.len()));
    for length in longest.points.iter().map(|point| point.length) {
        text += &format!("| {length} us |");
        for curve in curves {
            let point = curve.points.iter().find(|point| point.length.total_cmp(&length).is_eq());
            text += &point.map_or_else(|| " |".to_owned(), |point| format!(" {:.2}x |", point.speed_up));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        Circumstances, Curve, Figures, Part, Readings, Role, block, break_even, circumstances, difference,
        row, sum,
    };
    use crate::group::Group;
    use crate::page::speed_up::Point;
    use crate::processes::figure::Figure;

    #[test]
    fn a_block_without_readings_is_left_alone_and_an_unknown_one_is_told() {
        let readings = Readings::default();
        for name in [
            "circumstances",
            "summary",
            "budget",
            "break-even",
            "speed-ups",
            "threads-asked",
            "processes-map",
        ] {
            assert_eq!(block(name, &readings), Ok(None), "{name}");
        }
        assert!(block("threads-nothing", &readings).is_err());
    }

    #[test]
    fn differences_and_sums_are_taken_within_a_round() {
        let (a, b) = ([Some(5.0), Some(9.0), None], [Some(1.0), Some(4.0), Some(1.0)]);
        assert_eq!(difference(&a, &b).as_deref(), Some("4.50 (4.00 to 5.00)"));
        assert_eq!(sum(&[&a, &b]).as_deref(), Some("9.50 (6.00 to 13.0)"));
        assert_eq!(difference(&a, &[None]), None);
    }

    #[test]
    fn the_fastest_other_is_named() {
        let figures = |name, role, rounds| Figures { name, role, rounds };
        let all = [
            figures("ours", Role::Ours, &[Some(1.0)][..]),
            figures("slow", Role::Other, &[Some(9.0)][..]),
            figures("fast", Role::Other, &[Some(2.0)][..]),
            figures("none", Role::Other, &[None][..]),
        ];
        assert_eq!(row("it", &all).as_deref(), Some("| it | 1.00 | 2.00 (fast) |  |\n"));
        assert_eq!(row("it", &all[1..]), None);
    }

    #[test]
    fn where_a_curve_crosses_is_said() {
        let points = [(0.1, 0.5), (10.0, 1.5)].map(|(length, speed_up)| Point { length, speed_up });
        let text = break_even(&[Curve { name: "threads, map".to_owned(), points: points.to_vec() }]);
        assert!(text.ends_with("| threads, map | 1.00 us | 10.0 us | 1.50x |\n"), "{text}");
    }

    #[test]
    fn parts_that_were_taken_on_another_day_are_named() {
        let mut first = Circumstances::now(5, false, Some(0.01));
        first.date = "2026-01-01".to_owned();
        let second = Circumstances { date: "2026-01-02".to_owned(), noise: Some(0.5), ..first.clone() };
        let (scale, map) = (Part::Threads(Group::Scale), Part::Processes(Figure::Map));
        let one =
            circumstances(&[(scale, first.clone()), (map, Circumstances { rounds: 3, ..first.clone() })]);
        assert!(one.starts_with("Taken on 2026-01-01 by `cargo run"), "{one}");
        assert!(
            one.contains("rounds: 5 of the threads, 3 of the processes. Other programs kept up to 0.01"),
            "{one}"
        );
        let two = circumstances(&[(scale, first), (map, second)]);
        assert!(
            two.contains("\n\nprocesses-map: taken on 2026-01-02") && two.contains("NOISE: other"),
            "{two}"
        );
    }
}
