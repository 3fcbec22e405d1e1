//! What the user sees while images are made and resized: a progress bar, and with `--verbose` who did what.

use std::{fmt, time::Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::{plain, say::say};

/// Less than this is too narrow for a bar and the figures beside it.
const WIDE: u16 = 64;
/// And this for the name of what is done.
const NARROW: u16 = 32;

/// Writes to stderr, and draws only where that is a terminal.
pub(crate) struct Screen {
    bar: ProgressBar,
    start: Instant,
    verbose: bool,
}

impl Screen {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { bar: ProgressBar::new(0), start: Instant::now(), verbose }
    }

    pub(crate) fn begin(&self, name: &str, images: usize) {
        if self.bar.is_hidden() {
            say(format_args!("{name}: {images} images")); // nothing is drawn, but what takes the time is said
        }
        self.bar.set_style(style(console::Term::stderr().size().1));
        self.bar.set_length(images as u64);
        self.bar.set_prefix(name.to_owned());
        self.bar.reset();
    }

    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// One line for `--verbose`: when, what.
    pub(crate) fn log(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            let line = format!("{:8.3} s  {}", self.start.elapsed().as_secs_f64(), plain::line(&text()));
            self.bar.suspend(|| say(line));
        }
    }
}

/// What fits on one line of so many columns: a longer one would be broken, and left behind with each step.
fn style(columns: u16) -> ProgressStyle {
    let template = match columns {
        WIDE.. => "{prefix} {wide_bar} {pos}/{len} images, {rate}, {eta} left",
        NARROW.. => "{prefix} {pos}/{len}",
        _ => "{percent}%",
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // An error here could only be the bar's own, which has nobody to tell.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    });
    style.progress_chars("=> ")
}
