//! What a storm counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::house::House;

/// This many impossible states are described in full; all are counted.
const TOLD: usize = 20;

/// Counts, and impossible states.
#[derive(Default)]
pub(crate) struct Report {
    name: &'static str,
    counts: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Report { name, ..Report::default() }
    }

    pub(crate) fn count(&mut self, what: &'static str, more: u64) {
        *self.counts.entry(what).or_default() += more;
    }

    /// Something that the crate promises never happens.
    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub(crate) fn is_wrong(&mut self, what: impl Into<String>) {
        crate::progress::wrong();
        self.wrong.push(what.into());
    }

    pub(crate) fn must_be_equal(&mut self, what: &str, one: u64, other: u64) {
        if one != other {
            self.is_wrong(format!("{what}: {one} and {other}"));
        }
    }

    /// Another part of the same storm.
    pub(crate) fn add(&mut self, other: Report) {
        for (what, count) in other.counts {
            self.count(what, count);
        }
        self.wrong.extend(other.wrong);
    }

    /// Compares with the resources before.
    pub(crate) fn left_behind(&mut self, before: &House) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let after = House::look();
            // A thread's end is seen a moment after it was joined.
            if after.is_like(before) {
                return;
            }
            if Instant::now() > deadline {
                return self.is_wrong(format!("left behind: {after}; before: {before}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for (what, count) in &self.counts {
            writeln!(f, "  {count:>12}  {what}")?;
        }
        writeln!(f, "  {:>12}  impossible states", self.wrong.len())?;
        for what in self.wrong.iter().take(TOLD) {
            writeln!(f, "                {what}")?;
        }
        Ok(())
    }
}

/// The storms' tasks panic on purpose, millions of times.
pub(crate) fn silence_panics_of_tasks() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<OnPurpose>().is_none() {
            loud(info);
        }
    }));
}

/// What those panics carry.
pub(crate) struct OnPurpose;
