//! Faults that public bug reports of similar systems show, one file a kind, each instance a small program of our own.
//!
//! Every instance runs in a process of its own (`outside run NAME`), started by `tests/outside.rs` under a hard time
//! limit: a hang, an abort, a stack overflow or a changed working directory stays in that process and fails that
//! instance alone. The same program is built with optimisation and with `panic = "abort"` by `ci/long/outside.sh`.

pub mod support;

mod a_counting;
mod b_user_code;
mod c_numbers;
mod d_strings;
mod e_accepted_work;
mod f_remembered_failures;
mod further_reports;
mod g_stack;
mod h_size;
mod i_waiting_in_tasks;
mod j_worker_start;
mod k_worker_end;
mod m_locks_and_limits;
mod silent_ends;

pub use g_stack::run_with_locals;

/// One instance of a kind of fault.
#[derive(Clone, Copy)]
pub struct Instance {
    /// Its name within the kind: what holds, as a sentence.
    pub name: &'static str,
    /// The public reports that it comes from, `owner/repository#number`; empty where the fault was found here.
    pub reports: &'static [&'static str],
    /// Returns if what the name says holds, and panics if it doesn't.
    pub run: fn(),
    /// Takes longer than ten seconds: only `ci/long/outside.sh` runs it.
    pub is_long: bool,
    /// With `panic = "abort"` a panic in this process ends it, which is what the user chose: SIGABRT is right then.
    pub panics_here: bool,
}

impl Instance {
    /// An instance that ends in seconds.
    pub const fn new(name: &'static str, reports: &'static [&'static str], run: fn()) -> Self {
        Instance { name, reports, run, is_long: false, panics_here: false }
    }

    /// Only for `ci/long/outside.sh`.
    pub const fn long(mut self) -> Self {
        self.is_long = true;
        self
    }

    /// Panics in this process, or may.
    pub const fn panics_here(mut self) -> Self {
        self.panics_here = true;
        self
    }
}

/// Every kind, by its letter and name.
pub const KINDS: &[(&str, &[&[Instance]])] = &[
    ("a_counting", &[a_counting::INSTANCES]),
    ("b_user_code", &[b_user_code::INSTANCES]),
    ("c_numbers", &[c_numbers::INSTANCES, c_numbers::processes::INSTANCES]),
    ("d_strings", &[d_strings::INSTANCES, d_strings::processes::INSTANCES]),
    ("e_accepted_work", &[e_accepted_work::INSTANCES]),
    (
        "f_remembered_failures",
        &[f_remembered_failures::INSTANCES, f_remembered_failures::processes::INSTANCES],
    ),
    ("g_stack", &[g_stack::INSTANCES]),
    ("h_size", &[h_size::INSTANCES]),
    ("i_waiting_in_tasks", &[i_waiting_in_tasks::INSTANCES]),
    ("j_worker_start", &[j_worker_start::INSTANCES]),
    ("k_worker_end", &[k_worker_end::INSTANCES]),
    ("m_locks_and_limits", &[m_locks_and_limits::INSTANCES]),
    ("further_reports", &[further_reports::INSTANCES]),
];

/// Every instance with its full name, `kind::name`.
pub fn instances() -> impl Iterator<Item = (String, &'static Instance)> {
    KINDS.iter().flat_map(|(kind, instances)| {
        instances
            .iter()
            .copied()
            .flatten()
            .map(move |instance| (format!("{kind}::{}", instance.name), instance))
    })
}
