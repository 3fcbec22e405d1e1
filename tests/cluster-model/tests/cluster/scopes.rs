//! What is searched.

use super::rules::Scope;

/// In each run of `cargo test`.
pub(crate) fn quick() -> Vec<Scope> {
    let new = Scope::new;
    vec![
        Scope { cancels: true, beside: true, batches: true, ..new("no fault") },
        Scope { breaks: 1, cancels: true, beside: true, batches: true, ..new("break") },
        Scope { deaths: 1, ..new("death") },
        Scope { lapses: 1, ..new("lapse") },
        Scope { restarts: 1, ..new("restart") },
        Scope { client_deaths: 1, ..new("client dies") },
        Scope { forgets: 1, ..new("client forgotten") },
        Scope { restarts: 1, late_node: true, ..new("restart, late node") },
    ]
}

/// What `ci/long/cluster-model.sh` adds.
pub(crate) fn long() -> Vec<Scope> {
    let new = Scope::new;
    let once = [1, 0];
    vec![
        Scope { breaks: 2, cancels: true, retries: once, ..new("2 breaks, retry") },
    ]
}
