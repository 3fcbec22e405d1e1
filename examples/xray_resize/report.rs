//! What was measured, and what follows from it: a table for people, an object for programs.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::{args::Kind, pictures::Pictures, plain, run::Outcome};

/// The figures of all runs. This is the object that `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) images: usize,
    /// How long the list of errors is: images, and folders that can't be read.
    pub(crate) failed: usize,
    pub(crate) workers: usize,
    /// Of the array of thumbnails.
    pub(crate) shape: [usize; 3],
    /// Those that gave a thumbnail at least.
    pub(crate) runs: Vec<Run>,
    /// What the better of the two controls gained over the loop; null when they were broken off.
    pub(crate) control_speedup: Option<f64>,
    /// With `--dir`: how many files are no pictures by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) passed_over: Option<usize>,
    /// With `--out`: each image, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) files: Option<Vec<Row>>,
}

/// Where in the array an image is, or why it is not there.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) file: String,
    pub(crate) row: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// All images in one way. Only those that gave a thumbnail count.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) executor: String,
    /// The loop's are extrapolated when it had a sample only.
    pub(crate) seconds: f64,
    pub(crate) images_per_s: f64,
    /// Null when the loop was broken off.
    pub(crate) speedup: Option<f64>,
}

/// Everything that was measured.
pub(crate) struct Measured {
    pub(crate) images: Amount,
    pub(crate) runs: Vec<(Kind, Outcome)>,
    /// Nothing when it was broken off, or there was nothing to measure.
    pub(crate) compared: Option<Compared>,
    /// How many folders can't be read.
    pub(crate) closed: usize,
    pub(crate) passed_over: Option<usize>,
    pub(crate) workers: usize,
    pub(crate) size: u32,
}

/// What the runs are compared with: a sample in a loop and without a pool.
pub(crate) struct Compared {
    pub(crate) sample: Amount,
    /// Seconds of the loop.
    pub(crate) baseline: f64,
    /// Seconds of each control that came to its end.
    pub(crate) controls: Vec<(&'static str, f64)>,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Amount {
    pub(crate) images: usize,
    pub(crate) bytes: u64,
}

impl Compared {
    /// For so many images. Decoding takes the longer the larger a file is, so it is the bytes that count.
    fn loop_seconds(&self, images: &Amount) -> f64 {
        self.baseline * images.bytes.max(1) as f64 / self.sample.bytes.max(1) as f64
    }

    fn control_speedup(&self) -> Option<f64> {
        let [(_, one), (_, other)] = self.controls[..] else { return None };
        Some(self.baseline / one.min(other))
    }
}

impl Measured {
    /// What the last run has done: the one whose thumbnails are kept.
    fn done(&self) -> Amount {
        self.runs.last().map_or_else(Amount::default, |(_, outcome)| outcome.done)
    }

    /// The runs that have done something, which alone can be measured.
    pub(crate) fn fruitful(&self) -> impl Iterator<Item = &(Kind, Outcome)> {
        self.runs.iter().filter(|(_, outcome)| outcome.done.images > 0)
    }

    /// The loop's seconds for all images, where they are known only from a sample.
    fn extrapolated(&self) -> Option<f64> {
        let compared =
            self.compared.as_ref().filter(|_| !self.runs.iter().any(|(kind, _)| *kind == Kind::Loop));
        compared.map(|compared| compared.loop_seconds(&self.done()))
    }

    pub(crate) fn figures(&self) -> Figures {
        let run = |kind: Kind, done: &Amount, seconds: f64| Run {
            executor: kind.to_string(),
            seconds,
            images_per_s: done.images as f64 / seconds,
            speedup: self.compared.as_ref().map(|compared| compared.loop_seconds(done) / seconds),
        };
        let looped = self.extrapolated().map(|seconds| run(Kind::Loop, &self.done(), seconds));
        let others = self.fruitful().map(|(kind, outcome)| run(*kind, &outcome.done, outcome.seconds));
        let failed = self.runs.last().map_or(0, |(_, outcome)| outcome.failed.len());
        let side = self.size as usize;
        Figures {
            images: self.images.images,
            failed: failed + self.closed,
            workers: self.workers,
            shape: [self.done().images, side, side],
            runs: looped.into_iter().chain(others).collect(),
            control_speedup: self.compared.as_ref().and_then(Compared::control_speedup),
            passed_over: self.passed_over,
            files: None,
        }
    }

    /// The row of each image in the array of thumbnails, as far as the run came that wrote it.
    pub(crate) fn rows(outcome: &Outcome, pictures: &Pictures) -> Vec<Row> {
        let mut failed = outcome.failed.iter().peekable();
        let mut next = 0;
        let row = |(place, file): (usize, &crate::pictures::File)| {
            let error = failed.next_if(|failed| failed.place == place).map(|failed| failed.error.clone());
            let row = error.is_none().then_some(next);
            next += usize::from(row.is_some());
            let name = file.path.to_str().map_or_else(|| plain::path(&file.path), str::to_owned);
            Row { file: name, row, error }
        };
        pictures.each().take(outcome.results()).enumerate().map(row).collect()
    }

    pub(crate) fn table(&self) -> Result<String, fmt::Error> {
        let Self { images, workers, size, .. } = self;
        let figures = self.figures();
        let done = self.done();
        let mut out = String::new();
        let of = if done == *images { String::new() } else { format!(" of {}", images.images) };
        writeln!(
            out,
            "X-rays to {size}x{size}: {}{of} images, {:.1} MB, {workers} worker{}",
            done.images,
            done.bytes as f64 / 1e6,
            if *workers == 1 { "" } else { "s" }
        )?;
        writeln!(
            out,
            "{:<16}{:>8}{:>10}{:>10}{:>8}{:>10}",
            "", "images", "seconds", "images/s", "MB/s", "speed-up"
        )?;
        let mut row = |name: &str, amount: &Amount, seconds: f64, speedup: Option<f64>, how: &str| {
            let (rate, bytes) = (amount.images as f64 / seconds, amount.bytes as f64 / 1e6 / seconds);
            let speedup = speedup.map_or_else(|| "-".to_owned(), |speedup| format!("{speedup:.2}x"));
            let line = format!(
                "{name:<16}{:>8}{seconds:>10.2}{rate:>10.1}{bytes:>8.1}{speedup:>10}  {how}",
                amount.images
            );
            writeln!(out, "{}", line.trim_end())
        };
        if let (Some(compared), Some(seconds)) = (&self.compared, self.extrapolated()) {
            let is_whole = compared.sample == done;
            row(
                "loop",
                &compared.sample,
                compared.baseline,
                Some(1.0),
                if is_whole { "" } else { "measured" },
            )?;
            if !is_whole {
                row("loop", &done, seconds, Some(1.0), "extrapolated from these, by bytes")?;
            }
        }
        let first = figures.runs.len() - self.fruitful().count();
        for ((kind, outcome), run) in self.fruitful().zip(&figures.runs[first..]) {
            row(&kind.to_string(), &outcome.done, outcome.seconds, run.speedup, "")?;
        }
        if let Some(compared) = &self.compared {
            for (name, seconds) in &compared.controls {
                row(name, &compared.sample, *seconds, Some(compared.baseline / seconds), "control: no pool")?;
            }
        }
        writeln!(out)?;
        for (kind, outcome) in self.fruitful().filter(|(kind, _)| !matches!(kind, Kind::Map | Kind::Loop)) {
            writeln!(out, "{kind:<16}{}", by_worker(outcome))?;
        }
        let best = figures.runs.iter().filter_map(|run| run.speedup).fold(0.0, f64::max);
        if let Some(control) = figures.control_speedup {
            let reached = best / control;
            writeln!(
                out,
                "{:<16}{control:.2}x is what {workers} at once can give here, measured without a pool; {:.0} % of it was reached",
                "control",
                100.0 * reached
            )?;
            if is_odd(control, reached) {
                writeln!(
                    out,
                    "{:<16}such figures come from a busy machine or a measurement that was too short: measure again on a quiet machine, with more images",
                    ""
                )?;
            }
        }
        Ok(out)
    }
}

/// Several workers can't be slower than one, nor a pool much faster than the same without it.
fn is_odd(control: f64, reached: f64) -> bool {
    control < 0.95 || reached > 1.15
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
