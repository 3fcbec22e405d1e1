//! What the user sees while days are fetched: a progress bar, and with `--verbose` who runs what.

use std::{fmt, thread, time::Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Writes to stderr, and draws only where that is a terminal. Cloning it is cheap; all clones share one bar.
#[derive(Clone)]
pub(crate) struct Screen {
    bar: ProgressBar,
    start: Instant,
    verbose: bool,
}

impl Screen {
    pub(crate) fn new(verbose: bool) -> Self {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} days, {rate}, {eta} left")
            .expect("the template is well formed")
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // An error here could only be the bar's own, which has nobody to tell.
                let _ = write!(out, "{:.1}/s", state.per_sec());
            });
        bar.set_style(style.progress_chars("=> "));
        Self { bar, start: Instant::now(), verbose }
    }

    pub(crate) fn begin(&self, name: &str, days: usize) {
        if days == 0 {
            return;
        }
        if self.bar.is_hidden() && !self.verbose {
            eprintln!("{name}: {days} days"); // nothing is drawn, but what takes the time is said
        }
        self.bar.set_length(days as u64);
        self.bar.set_prefix(name.to_owned());
        self.bar.reset();
    }

    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// Redraws: the time left goes on while no day comes.
    pub(crate) fn tick(&self) {
        self.bar.tick();
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// One line for `--verbose`: when, on which thread, what.
    pub(crate) fn log(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            let seconds = self.start.elapsed().as_secs_f64();
            let thread = thread::current();
            let line = format!("{seconds:8.3} s  {:<9} {}", thread.name().unwrap_or("?"), text());
            self.bar.suspend(|| eprintln!("{line}"));
        }
    }
}
