//! [`Environment`]: the variables that workers have.

use crate::error::BuildError;
use std::ffi::{OsStr, OsString};

/// By these, libraries with threads of their own are told how many to start.
const THREADS: [&str; 8] = [
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "POLARS_MAX_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
];

/// What differs from this process's own.
#[derive(Clone, Default)]
pub(super) struct Environment {
    /// None where a variable is removed. The last one of a name counts.
    changes: Vec<(OsString, Option<OsString>)>,
    /// How many threads a library may have in each worker; 0 if nobody tells it.
    pub(super) threads: Option<usize>,
}

impl Environment {
    pub(super) fn set(&mut self, name: OsString, value: Option<OsString>) {
        self.changes.push((name, value));
    }

    pub(super) fn check(&self) -> Result<(), BuildError> {
        self.changes.iter().try_for_each(check_variable)
    }

    /// All variables, as this process has them now and as they are changed.
    pub(super) fn of_workers(self) -> Variables {
        let mut all: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let is_set = |name: &&str| all.iter().any(|(known, _)| is_same(known, name.as_ref()));
        let is_changed = |name: &&str| self.changes.iter().any(|(known, _)| is_same(known, name.as_ref()));
        let threads = THREADS.into_iter().filter(|name| !is_set(name) && !is_changed(name)).collect();
        for (name, value) in self.changes {
            all.retain(|(known, _)| !is_same(known, &name));
            all.extend(value.map(|value| (name, value)));
        }
        Variables { all, threads, each: self.threads }
    }
}

/// What workers find in their environment.
#[derive(Default)]
pub(super) struct Variables {
    all: Vec<(OsString, OsString)>,
    /// Those that say how many threads a library may have: nobody has set them.
    threads: Vec<&'static str>,
    /// How many; 0 if nobody tells it.
    each: Option<usize>,
}

impl Variables {
    /// For a worker that is started now, in a pool of so many.
    pub(super) fn of_worker(&self, max_workers: usize) -> impl Iterator<Item = (OsString, OsString)> {
        let each = self.each.unwrap_or_else(|| (num_cpus::get() / max_workers.max(1)).max(1));
        let threads = self.threads.iter().filter(move |_| each > 0);
        let threads = threads.map(move |name| (OsString::from(name), OsString::from(each.to_string())));
        self.all.iter().cloned().chain(threads)
    }
}

/// Whether two names are those of one variable. Windows takes no notice of case.
fn is_same(one: &OsStr, other: &OsStr) -> bool {
    if cfg!(windows) { one.eq_ignore_ascii_case(other) } else { one == other }
}

/// Whether a variable can be had in the environment of a process. To have none of that name is always possible.
fn check_variable((name, value): &(OsString, Option<OsString>)) -> Result<(), BuildError> {
    /// So long a variable may be where the system has pages of the smallest size, its name, `=` and end included.
    const LONGEST: usize = 128 << 10;
    let Some(value) = value else { return Ok(()) };
    let invalid = |what: &OsString, why: &str| Err(BuildError::invalid("env", what, why));
    let has = |text: &OsString, byte| text.as_encoded_bytes().contains(&byte);
    if name.is_empty() {
        return invalid(name, "a variable needs a name");
    }
    if has(name, b'=') {
        return invalid(name, "the name of a variable can't contain `=`");
    }
    if has(name, 0) || has(value, 0) {
        let which = if has(name, 0) { name } else { value };
        return invalid(which, "the name or value of a variable can't contain a NUL");
    }
    if cfg!(target_os = "linux") && name.len() + value.len() + 2 > LONGEST {
        let why = format!("a variable may have 128 KiB at most, and this one has {} bytes", value.len());
        return invalid(name, &why);
    }
    Ok(())
}
