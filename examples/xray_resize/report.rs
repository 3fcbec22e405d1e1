//! What was measured, and what follows from it: a table for people, an object for programs.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::{args::Kind, run::Outcome};

/// The figures of all runs. This is the object that `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) images: usize,
    /// How long the list of errors is: images, and folders that can't be read.
    pub(crate) failed: usize,
    pub(crate) workers: usize,
    /// Of the array of thumbnails.
    pub(crate) shape: [usize; 3],
    pub(crate) runs: Vec<Run>,
    /// What the better of the two controls gained over the loop.
    pub(crate) control_speedup: f64,
}

/// All images in one way.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) executor: String,
    /// The loop's are extrapolated when it had a sample only.
    pub(crate) seconds: f64,
    pub(crate) images_per_s: f64,
    pub(crate) speedup: f64,
}

/// Everything that was measured.
pub(crate) struct Measured {
    pub(crate) images: Amount,
    /// What the loop and the control had, as far as it was only to compare with.
    pub(crate) sample: Amount,
    /// Seconds for the sample.
    pub(crate) baseline: f64,
    pub(crate) control_threads: f64,
    pub(crate) control_processes: f64,
    pub(crate) runs: Vec<(Kind, Outcome)>,
    /// How many folders can't be read.
    pub(crate) closed: usize,
    pub(crate) workers: usize,
    pub(crate) size: u32,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Amount {
    pub(crate) images: usize,
    pub(crate) bytes: u64,
}

impl Measured {
    pub(crate) fn figures(&self) -> Figures {
        let images = self.images.images;
        let run = |kind: Kind, seconds: f64| Run {
            executor: kind.to_string(),
            seconds,
            images_per_s: images as f64 / seconds,
            speedup: self.loop_seconds() / seconds,
        };
        let looped = (!self.runs.iter().any(|(kind, _)| *kind == Kind::Loop))
            .then(|| run(Kind::Loop, self.loop_seconds()));
        let others = self.runs.iter().map(|(kind, outcome)| run(*kind, outcome.seconds));
        let failed = self.runs.last().map_or(0, |(_, outcome)| outcome.failed.len());
        let side = self.size as usize;
        Figures {
            images,
            failed: failed + self.closed,
            workers: self.workers,
            shape: [images - failed, side, side],
            runs: looped.into_iter().chain(others).collect(),
            control_speedup: self.baseline / self.control_threads.min(self.control_processes),
        }
    }

    /// For all images. Decoding takes the longer the larger a file is, so it is the bytes that count.
    fn loop_seconds(&self) -> f64 {
        self.baseline * self.images.bytes.max(1) as f64 / self.sample.bytes.max(1) as f64
    }

    pub(crate) fn table(&self) -> Result<String, fmt::Error> {
        let Self { images, sample, workers, size, .. } = self;
        let figures = self.figures();
        let mut out = String::new();
        writeln!(
            out,
            "X-rays to {size}x{size}: {} images, {:.1} MB, {workers} worker{}",
            images.images,
            images.bytes as f64 / 1e6,
            if *workers == 1 { "" } else { "s" }
        )?;
        writeln!(
            out,
            "{:<16}{:>8}{:>10}{:>10}{:>8}{:>10}",
            "", "images", "seconds", "images/s", "MB/s", "speed-up"
        )?;
        let mut row = |name: &str, amount: &Amount, seconds: f64, speedup: f64, how: &str| {
            let (rate, bytes) = (amount.images as f64 / seconds, amount.bytes as f64 / 1e6 / seconds);
            let line = format!(
                "{name:<16}{:>8}{seconds:>10.2}{rate:>10.1}{bytes:>8.1}{speedup:>9.2}x  {how}",
                amount.images
            );
            writeln!(out, "{}", line.trim_end())
        };
        let measured = if sample == images { "" } else { "measured" };
        if !self.runs.iter().any(|(kind, _)| *kind == Kind::Loop) {
            row("loop", sample, self.baseline, 1.0, measured)?;
            if sample != images {
                row("loop", images, self.loop_seconds(), 1.0, "extrapolated from these, by bytes")?;
            }
        }
        for ((kind, outcome), run) in
            self.runs.iter().zip(figures.runs.iter().skip(figures.runs.len() - self.runs.len()))
        {
            row(&kind.to_string(), images, outcome.seconds, run.speedup, "")?;
        }
        for (name, seconds) in
            [("bare threads", self.control_threads), ("bare processes", self.control_processes)]
        {
            row(name, sample, seconds, self.baseline / seconds, "control: no pool")?;
        }
        writeln!(out)?;
        for (kind, outcome) in self.runs.iter().filter(|(kind, _)| *kind != Kind::Map && *kind != Kind::Loop)
        {
            writeln!(out, "{kind:<16}{}", by_worker(outcome))?;
        }
        let best = figures.runs.iter().map(|run| run.speedup).fold(0.0, f64::max);
        writeln!(
            out,
            "{:<16}{:.2}x is what {workers} at once can give here, measured without a pool; {:.0} % of it was reached",
            "control",
            figures.control_speedup,
            100.0 * best / figures.control_speedup
        )?;
        Ok(out)
    }
}

/// Who resized how many; of many workers only how many they are.
fn by_worker(outcome: &Outcome) -> String {
    let workers = &outcome.by_worker;
    let (least, most) = (workers.values().min().unwrap_or(&0), workers.values().max().unwrap_or(&0));
    match workers.len() {
        0..=8 => {
            let each: Vec<_> = workers.iter().map(|(name, images)| format!("{name}: {images}")).collect();
            format!("images by worker: {}", each.join(", "))
        }
        many => format!("{many} workers, {least} to {most} images each"),
    }
}
