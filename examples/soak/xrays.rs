//! Pictures resized by processes: some are cut off, some are no pictures, some end their worker.

use std::fs;
use std::io;
use std::path::Path;

use concurrent_futures::prelude::*;
use concurrent_futures::{MapOptions, TaskError, WorkerOutput};

use crate::chest;
use crate::dice::Dice;
use crate::progress;
use crate::report::Report;
use crate::thumbnail::{Order, image_resize};

const WORKERS: usize = 4;

/// Drawings to choose from.
const DRAWINGS: u64 = 6;

const SIZE: u32 = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    CutOff,
    Empty,
    Noise,
    Missing,
    Crash,
}

impl Kind {
    fn draw(dice: &mut Dice) -> Self {
        match dice.throw(20) {
            0 => Kind::CutOff,
            1 => Kind::Empty,
            2 => Kind::Noise,
            3 => Kind::Missing,
            4 => Kind::Crash,
            _ => Kind::Good,
        }
    }

    fn file(self) -> &'static str {
        match self {
            Kind::CutOff => "cut.jpg",
            Kind::Empty => "empty.jpg",
            Kind::Noise => "noise.jpg",
            Kind::Missing => "missing.jpg",
            Kind::Good | Kind::Crash => "",
        }
    }
}

pub(crate) fn run(pictures: u32, seed: u64) -> Report {
    let mut report = Report::new("xrays: 4 processes, one picture in four is broken or ends its worker");
    let written = tempfile::tempdir().and_then(|folder| Ok((write_pictures(folder.path(), seed)?, folder)));
    let (first, folder) = match written {
        Ok(written) => written,
        Err(error) => {
            report.is_wrong(format!("the pictures can't be written: {error}"));
            return report;
        }
    };
    let expected: Vec<Vec<u8>> =
        first.iter().map(|order| image_resize(order.clone()).expect("it is whole").pixels).collect();

    let mut dice = Dice::new(seed);
    let plan: Vec<(Kind, usize)> =
        (0..pictures).map(|_| (Kind::draw(&mut dice), dice.throw(DRAWINGS as u32) as usize)).collect();
    let orders = plan.iter().map(|(kind, drawing)| match kind {
        Kind::Good | Kind::Crash => Order { crash: *kind == Kind::Crash, ..first[*drawing].clone() },
        _ => Order { path: folder.path().join(kind.file()), size: SIZE, crash: false, draft: false },
    });
    let pool = ProcessPoolExecutor::builder()
        .max_workers(WORKERS)
        .stderr(WorkerOutput::Null)
        .build()
        .expect("a pool");
    let options = MapOptions::new().buffersize(4 * WORKERS);
    let mut outcomes = pool.try_map_with(options, image_resize, orders);
    for (kind, drawing) in &plan {
        if progress::is_stopping() {
            return report; // what is under way goes with the pool
        }
        progress::done(1);
        let Some(outcome) = outcomes.next() else {
            report.is_wrong("the results end too early");
            break;
        };
        match (kind, outcome) {
            (Kind::Good, Ok(thumbnail)) if thumbnail.pixels == expected[*drawing] => {
                report.count("resized", 1)
            }
            (Kind::Crash, Err(TaskError::WorkerDied(_))) => {
                report.count("ended their worker, and told of", 1)
            }
            (Kind::CutOff | Kind::Empty | Kind::Noise | Kind::Missing, Err(TaskError::Failed(_))) => {
                report.count("broken, and told of", 1);
            }
            (_, Ok(thumbnail)) => report.is_wrong(format!("{} has other pixels, or any", thumbnail.name)),
            (_, Err(error)) => report.is_wrong(error.to_string()),
        }
    }
    if outcomes.next().is_some() {
        report.is_wrong("more results than pictures");
    }
    report
}

/// Writes the drawings and the broken files; the orders for the drawings.
fn write_pictures(folder: &Path, seed: u64) -> io::Result<Vec<Order>> {
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map(|()| path)
    };
    let drawing = |number| {
        let path = write(&format!("{number}.jpg"), &chest::draw(seed, number))?;
        Ok(Order { path, size: SIZE, crash: false, draft: false })
    };
    let drawings = (0..DRAWINGS).map(drawing).collect::<io::Result<Vec<Order>>>()?;
    let whole = fs::read(&drawings[0].path)?;
    write(Kind::CutOff.file(), &whole[..whole.len() / 2])?;
    write(Kind::Empty.file(), &[])?;
    let mut dice = Dice::new(seed);
    let noise: Vec<u8> = (0..10_000).map(|_| dice.throw(256) as u8).collect();
    write(Kind::Noise.file(), &noise)?;
    Ok(drawings)
}
