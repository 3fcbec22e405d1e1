//! The plots, as SVG. Each is drawn only where its readings were taken.

mod bars;
mod chart;
mod style;

use std::error::Error;
use std::path::Path;

use bars::{Bar, Panel};
use chart::{Chart, Kind, Series, number};
use style::{FLOOR, Look, OURS, PEER};

use super::part::Readings;
use super::speed_up::curves;
use crate::group::Group;
use crate::processes::figure::{Figure, lengths, to_one};
use crate::processes::subject::Subject as ProcessSubject;
use crate::report::Spread;
use crate::subject::Subject;

pub(super) fn all(readings: &Readings, folder: &Path) -> Result<(), Box<dyn Error>> {
    Chart {
        title: "Speed-up over a plain loop, 2 workers",
        x: "length of a task, us",
        y: "speed-up",
        ticks: &[0.1, 1.0, 10.0, 100.0, 1000.0],
        label: number,
        kind: Kind::Linear(1.0),
    }
    .draw(&folder.join("performance-break-even.svg"), &speed_ups(readings))?;
    Chart {
        title: "What a pool of processes adds to each item, by chunksize",
        x: "chunksize",
        y: "ns per item beyond the loop on two cores",
        ticks: &[1.0, 10.0, 100.0, 1000.0],
        label: number,
        kind: Kind::Logarithmic,
    }
    .draw(&folder.join("performance-chunks.svg"), &chunks(readings))?;
    Chart {
        title: "Bytes to another process and back",
        x: "size of the payload",
        y: "us for both ways",
        ticks: &KIB,
        label: size,
        kind: Kind::Logarithmic,
    }
    .draw(&folder.join("performance-echo.svg"), &echo(readings))?;
    bars::draw(&folder.join("performance-peers.svg"), &panels(readings))
}

fn median(rounds: &[Option<f64>]) -> Option<f64> {
    let rounds: Vec<f64> = rounds.iter().flatten().copied().collect();
    (!rounds.is_empty()).then(|| Spread::of(rounds.into_iter()).median)
}

fn of_process(readings: &Readings, figure: Figure, case: usize, subject: ProcessSubject) -> Option<f64> {
    let is = |line: &&crate::processes::table::Line| {
        (line.figure, line.case, line.subject) == (figure, case, subject)
    };
    readings.processes.iter().find(is).and_then(|line| median(&line.rounds))
}

/// A colour for each kind of pool, a mark for each way to hand out tasks.
fn speed_ups(readings: &Readings) -> Vec<Series> {
    const WAYS: [&str; 3] = ["submit", "map", "map_with"];
    let series = curves(readings).into_iter().map(|curve| {
        let nth = WAYS.iter().position(|way| curve.name.ends_with(&format!(", {way}")));
        Series {
            look: Look::of_way(curve.name.starts_with("threads"), nth.unwrap_or(WAYS.len())),
            points: curve.points.iter().map(|point| (point.length, point.speed_up)).collect(),
            name: curve.name,
        }
    });
    series.collect()
}

/// Of the short tasks: of long ones the cost drowns in the noise of the work.
fn chunks(readings: &Readings) -> Vec<Series> {
    let short = lengths().into_iter().filter(|length| ["0 us", "1 us", "10 us"].contains(&length.name));
    let series = short.enumerate().map(|(nth, length)| {
        let points = [length.ones].into_iter().chain(length.picked).filter_map(|case| {
            let (_, chunksize) = Figure::Map.cases()[case].name.split_once("chunksize ")?;
            let of = |subject| of_process(readings, Figure::Map, case, subject);
            let beyond = of(ProcessSubject::Ours)? - of(ProcessSubject::Floor)?;
            Some((chunksize.parse().ok()?, beyond)).filter(|_| beyond > 0.0)
        });
        Series {
            name: format!("tasks of {}", length.name),
            look: Look::of_case(nth),
            points: points.collect(),
        }
    });
    series.collect()
}

/// The payloads of the echo, in KiB, and their cases.
const KIB: [f64; 6] = [1.0, 64.0, 1024.0, 16.0 * 1024.0, 64.0 * 1024.0, 256.0 * 1024.0];
const ECHOES: [usize; 6] = [0, 1, 2, 3, 7, 8];

fn size(kib: f64) -> String {
    if kib < 1024.0 { format!("{kib} KiB") } else { format!("{} MiB", kib / 1024.0) }
}

fn echo(readings: &Readings) -> Vec<Series> {
    use ProcessSubject::{CpythonFork, Floor, Ours, PoolFork, Procspawn};
    let looks = [
        (Ours, Look::ours()),
        (Procspawn, Look::of_peer(0)),
        (CpythonFork, Look::of_peer(1)),
        (PoolFork, Look::of_peer(2)),
        (Floor, Look::floor()),
    ];
    let series = looks.map(|(subject, look)| {
        let point =
            |(kib, case): (f64, usize)| Some((kib, of_process(readings, Figure::Echo, case, subject)?));
        Series {
            name: subject.label().to_owned(),
            look,
            points: KIB.into_iter().zip(ECHOES).filter_map(point).collect(),
        }
    });
    let shared = KIB
        .into_iter()
        .filter_map(|kib| Some((kib, of_process(readings, Figure::Shared, to_one(kib)?, Ours)?)));
    let shared = Series {
        name: "ours, SharedBytes, one way".to_owned(),
        look: Look::of_way(false, 1),
        points: shared.collect(),
    };
    series.into_iter().chain([shared]).filter(|series| !series.points.is_empty()).collect()
}

fn panels(readings: &Readings) -> Vec<Panel> {
    let threads = |title, group: Group, case: usize| {
        let lines = readings.threads.iter().filter(|line| (line.group, line.case) == (group, case));
        let bar = |line: &crate::report::Line| {
            let colour = match line.subject {
                Subject::Ours => OURS,
                Subject::Floor => FLOOR,
                _ => PEER,
            };
            Some(Bar { name: line.subject.label(), value: median(&line.rounds)?, colour })
        };
        Panel { title, bars: lines.filter_map(bar).collect() }
    };
    let processes = |title, figure: Figure, case: usize| {
        let lines = readings.processes.iter().filter(|line| (line.figure, line.case) == (figure, case));
        let bar = |line: &crate::processes::table::Line| {
            let colour = match line.subject {
                ProcessSubject::Ours => OURS,
                ProcessSubject::Chain | ProcessSubject::Floor => FLOOR,
                _ => PEER,
            };
            Some(Bar { name: line.subject.label(), value: median(&line.rounds)?, colour })
        };
        Panel { title, bars: lines.filter_map(bar).collect() }
    };
    let panels = [
        threads("Threads: submit and collect, ns per task", Group::SubmitCollect, 0),
        threads("Threads: round trip, ns", Group::RoundTrip, 0),
        processes("Processes: submit and collect, ns per task", Figure::SubmitCollect, 0),
        processes("Processes: round trip, ns", Figure::RoundTrip, 0),
    ];
    panels.into_iter().filter(|panel| !panel.bars.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Readings, all, size};
    use crate::group::Group;
    use crate::report::Line;
    use crate::subject::Subject;

    #[test]
    fn a_plot_is_drawn_only_of_what_is_there() {
        let folder = std::env::temp_dir().join(format!("peers-plot-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let line = |case, subject| Line {
            group: Group::BreakEven,
            case,
            subject,
            rounds: vec![Some(case as f64 + 1.0)],
        };
        let lines = (0..9).flat_map(|case| [line(case, Subject::Ours), line(case, Subject::Floor)]);
        let readings = Readings { threads: lines.collect(), ..Readings::default() };
        all(&readings, &folder).unwrap();
        let drawn = std::fs::read_to_string(folder.join("performance-break-even.svg")).unwrap();
        assert!(drawn.contains("threads, map_with") && drawn.ends_with("</svg>\n"));
        assert!(!folder.join("performance-echo.svg").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_size_has_the_unit_that_makes_it_short() {
        assert_eq!(super::KIB.map(size), ["1 KiB", "64 KiB", "1 MiB", "16 MiB", "64 MiB", "256 MiB"]);
    }
}
