//! What was measured, and what follows from it: a table for people, an object for programs.

use std::fmt::{self, Write};

use serde::Serialize;

/// The figures of one run. This is the object that `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) days: usize,
    pub(crate) workers: usize,
    /// The pause in each answer; none when the server isn't ours.
    pub(crate) latency_s: Option<f64>,
    /// All days one by one: extrapolated from those measured. None when no day was.
    pub(crate) sequential_s: Option<f64>,
    pub(crate) sequential_days_measured: usize,
    pub(crate) parallel_s: f64,
    pub(crate) speedup: Option<f64>,
    pub(crate) ideal_speedup: f64,
    /// speedup / ideal_speedup
    pub(crate) efficiency: Option<f64>,
    pub(crate) retries: u64,
    pub(crate) failed: usize,
}

/// What a run took: the baseline's days that came and its seconds, and those of all days.
pub(crate) struct Measured {
    /// Those that were asked for, and came or failed.
    pub(crate) days: usize,
    pub(crate) workers: usize,
    pub(crate) latency_s: Option<f64>,
    pub(crate) sequential_days: usize,
    pub(crate) sequential_s: f64,
    pub(crate) parallel_s: f64,
    pub(crate) retries: u64,
    pub(crate) failed: usize,
}

impl Figures {
    /// Rates and speed-ups are those of the days that came: what failed at once would make any of them large.
    pub(crate) fn new(measured: &Measured) -> Self {
        let Measured { days, workers, latency_s, sequential_days, parallel_s, retries, failed, .. } =
            *measured;
        let came = days.saturating_sub(failed);
        let sequential_s = (sequential_days > 0 && came > 0)
            .then(|| measured.sequential_s * came as f64 / sequential_days as f64);
        let speedup = sequential_s.map(|sequential| sequential / parallel_s);
        let ideal_speedup = came as f64 / rounds(came, workers) as f64;
        Self {
            days,
            workers,
            latency_s,
            sequential_s,
            sequential_days_measured: sequential_days,
            parallel_s,
            speedup,
            ideal_speedup,
            efficiency: speedup.map(|speedup| speedup / ideal_speedup),
            retries,
            failed,
        }
    }

    /// The figures as a table. `serial_s` is the time for what no worker can share: sorting and writing.
    pub(crate) fn table(&self, serial_s: f64) -> Result<String, fmt::Error> {
        let Self { workers, parallel_s, ideal_speedup, .. } = *self;
        let days = self.days.saturating_sub(self.failed);
        let mut out = String::new();
        let pause = self.latency_s.map(|pause| format!(", the server's pause {pause} s")).unwrap_or_default();
        writeln!(out, "Air temperature, one call a day{pause}")?;
        if days == 0 {
            writeln!(out, "No day was fetched, so there is nothing to measure.")?;
            return Ok(out);
        }
        writeln!(out, "{:<24}{:>6}{:>11}{:>9}", "", "days", "seconds", "days/s")?;
        let mut row = |name: &str, days: usize, seconds: f64, how: &str| {
            writeln!(out, "{name:<24}{days:>6}{seconds:>11.2}{:>9.1}  {how}", days as f64 / seconds)
        };
        if let Some(sequential_s) = self.sequential_s {
            let measured = self.sequential_days_measured;
            row("one by one", measured, sequential_s * measured as f64 / days as f64, "measured")?;
            if measured < days {
                row("one by one", days, sequential_s, &format!("extrapolated from these {measured}"))?;
            }
        }
        if workers > 1 {
            row(&format!("{workers} threads"), days, parallel_s, "measured")?;
        }
        if self.retries > 0 {
            writeln!(out, "{} calls were repeated; the times include the waits before them.", self.retries)?;
        }
        writeln!(out)?;
        let (Some(sequential_s), Some(speedup), Some(efficiency)) =
            (self.sequential_s, self.speedup, self.efficiency)
        else {
            writeln!(out, "No days were fetched one by one, so there is no speed-up.")?;
            return Ok(out);
        };
        if workers == 1 {
            return Ok(out);
        }
        let rounds = rounds(days, workers);
        let (all_s, p) = (sequential_s + serial_s, sequential_s / (sequential_s + serial_s));
        let amdahl = 1.0 / ((1.0 - p) + p / workers as f64);
        let with_writing = all_s / (parallel_s + serial_s);
        writeln!(out, "speed-up    {speedup:>6.1}x   {sequential_s:.2} s / {parallel_s:.2} s")?;
        writeln!(
            out,
            "ideal       {ideal_speedup:>6.1}x   {days} days by {workers} threads are {rounds} round{} of waiting",
            if rounds == 1 { "" } else { "s" }
        )?;
        writeln!(out, "efficiency  {:>6.1} %  speed-up / ideal", 100.0 * efficiency)?;
        writeln!(
            out,
            "Amdahl      {amdahl:>6.1}x   1 / ((1 - p) + p / {workers}), p = {p:.4}: sorting and writing, {serial_s:.2} s, stay serial"
        )?;
        writeln!(out, "with that   {with_writing:>6.1}x   {all_s:.2} s / {:.2} s", parallel_s + serial_s)?;
        writeln!(out)?;
        writeln!(
            out,
            "Amdahl's law ignores rounds and counts every thread as a processor, which is true only of waiting."
        )?;
        Ok(out)
    }
}

/// How often the workers must go out, all at once, until each day was fetched.
fn rounds(days: usize, workers: usize) -> usize {
    days.div_ceil(workers).max(1)
}
