//! What the user sees while days are fetched: a progress bar, and with `--verbose` who runs what.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{plain, say::say};

/// Writes to stderr, and draws only where that is a terminal. Cloning it is cheap; all clones share one bar.
#[derive(Clone)]
pub(crate) struct Screen {
    bar: ProgressBar,
    start: Instant,
    verbose: bool,
    /// What is under way, and since when.
    phase: Arc<Mutex<(String, Instant)>>,
}

impl Screen {
    pub(crate) fn new(verbose: bool) -> Self {
        let bar = ProgressBar::new(0);
        // One line that is cut where the terminal ends, however narrow that is.
        bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("the template is well formed"));
        let start = Instant::now();
        Self { bar, start, verbose, phase: Arc::new(Mutex::new((String::new(), start))) }
    }

    pub(crate) fn begin(&self, name: &str, days: usize) {
        if days == 0 {
            return;
        }
        if self.bar.is_hidden() && !self.verbose {
            say(format_args!("{name}: {days} days")); // nothing is drawn, but what takes the time is said
        }
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (name.to_owned(), Instant::now());
        self.bar.set_length(days as u64);
        self.bar.reset();
        self.tick();
    }

    pub(crate) fn advance(&self) {
        self.bar.inc(1);
        self.tick();
    }

    /// Redraws: the time left goes on while no day comes.
    pub(crate) fn tick(&self) {
        if !self.bar.is_hidden() {
            self.bar.set_message(self.line());
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// The numbers first, then a bar: a narrow terminal shows the begin.
    fn line(&self) -> String {
        let (name, since) = self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let seconds = since.elapsed().as_secs_f64();
        let speed = if done > 0 {
            let left = Duration::from_secs_f64(seconds / done as f64 * all.saturating_sub(done) as f64);
            format!(", {:.1}/s, {} s left", done as f64 / seconds, left.as_secs())
        } else {
            String::new()
        };
        let bar = (done * BAR).checked_div(all).unwrap_or(0) as usize;
        format!(
            "{done}/{all} days {name}{speed} [{:<2$}>{:<3$}]",
            "=".repeat(bar),
            "",
            bar,
            BAR as usize - bar
        )
    }

    /// One line for `--verbose`: when, on which thread, what.
    pub(crate) fn log(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            let seconds = self.start.elapsed().as_secs_f64();
            let thread = thread::current();
            let line =
                format!("{seconds:8.3} s  {:<9} {}", thread.name().unwrap_or("?"), plain::line(&text()));
            self.bar.suspend(|| say(line));
        }
    }
}

/// How wide the bar is where there is room.
const BAR: u64 = 30;
