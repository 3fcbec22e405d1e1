//! What is searched.

use super::rules::Scope;

/// In each run of `cargo test`.
pub(crate) fn quick() -> Vec<Scope> {
    let new = Scope::new;
    let once = [1, 0];
    vec![
        Scope { cancels: true, beside: true, batches: true, ..new() },
        Scope { breaks: 1, cancels: true, beside: true, batches: true, ..new() },
        Scope { deaths: 1, cancels: true, beside: true, ..new() },
        Scope { lapses: 1, ..new() },
        Scope { deaths: 1, slots: 2, backs: true, ..new() },
        Scope { lapses: 1, beside: true, retries: once, ..new() },
        Scope { crashes: 1, retries: once, beside: true, ..new() },
        Scope { restarts: 1, cancels: true, ..new() },
        Scope { restarts: 1, late_node: true, ..new() },
        Scope { client_deaths: 1, ..new() },
        Scope { forgets: 1, ..new() },
        Scope { restarts: 1, client_deaths: 1, tasks: 1, ..new() },
        Scope { restarts: 2, breaks: 1, tasks: 1, ..new() },
        Scope { breaks: 1, shared: true, ..new() },
        Scope { restarts: 1, shared: true, ..new() },
        Scope { client_deaths: 1, shared: true, ..new() },
        Scope { forgets: 1, shared: true, tasks: 1, ..new() },
        Scope { deaths: 1, pooled: true, tasks: 1, ..new() },
        Scope { lapses: 1, pooled: true, tasks: 1, ..new() },
    ]
}

/// What `ci/long/cluster-model.sh` adds.
pub(crate) fn long() -> Vec<Scope> {
    let new = Scope::new;
    let once = [1, 0];
    vec![
        Scope { breaks: 2, cancels: true, retries: once, ..new() },
        Scope { breaks: 2, batches: true, ..new() },
        Scope { deaths: 1, cancels: true, retries: once, ..new() },
        Scope { lapses: 1, cancels: true, retries: once, ..new() },
        Scope { lapses: 2, ..new() },
        Scope { lapses: 1, slots: 2, retries: once, ..new() },
        Scope { lapses: 1, breaks: 1, slots: 2, ..new() },
        Scope { lapses: 1, backs: true, retries: once, ..new() },
        Scope { deaths: 1, breaks: 1, backs: true, slots: 2, ..new() },
        Scope { restarts: 1, slots: 2, backs: true, ..new() },
        Scope { restarts: 1, cancels: true, retries: once, ..new() },
        Scope { restarts: 1, crashes: 1, retries: once, ..new() },
        Scope { restarts: 2, ..new() },
        Scope { deaths: 1, breaks: 1, ..new() },
        Scope { lapses: 1, breaks: 1, ..new() },
        Scope { restarts: 1, breaks: 1, ..new() },
        Scope { restarts: 1, deaths: 1, ..new() },
        Scope { restarts: 1, lapses: 1, ..new() },
        Scope { deaths: 1, lapses: 1, cancels: true, ..new() },
        Scope { restarts: 1, deaths: 1, late_node: true, ..new() },
        Scope { deaths: 1, breaks: 1, retries: once, late_node: true, ..new() },
        Scope { forgets: 1, retries: once, ..new() },
        Scope { forgets: 1, deaths: 1, ..new() },
        Scope { forgets: 1, breaks: 1, ..new() },
        Scope { forgets: 1, restarts: 1, ..new() },
        Scope { restarts: 1, client_deaths: 1, ..new() },
        Scope { client_deaths: 1, deaths: 1, ..new() },
        Scope { client_deaths: 1, lapses: 1, ..new() },
        Scope { tasks: 1, restarts: 2, lapses: 1, breaks: 1, ..new() },
        Scope { tasks: 1, restarts: 1, lapses: 2, retries: once, ..new() },
        Scope { tasks: 1, restarts: 1, deaths: 1, breaks: 1, lapses: 1, ..new() },
        Scope { tasks: 1, restarts: 2, forgets: 1, ..new() },
        Scope { tasks: 1, restarts: 3, ..new() },
        Scope { shared: true, lapses: 1, retries: once, ..new() },
        Scope { shared: true, breaks: 1, deaths: 1, ..new() },
        Scope { shared: true, restarts: 1, breaks: 1, ..new() },
        Scope { shared: true, forgets: 1, breaks: 1, ..new() },
        Scope { shared: true, client_deaths: 1, restarts: 1, ..new() },
        Scope { shared: true, pooled: true, restarts: 1, lapses: 1, tasks: 1, ..new() },
        Scope { pooled: true, deaths: 1, ..new() },
        Scope { pooled: true, lapses: 1, retries: once, tasks: 1, ..new() },
        Scope { pooled: true, breaks: 1, deaths: 1, tasks: 1, ..new() },
        Scope { pooled: true, restarts: 1, breaks: 1, tasks: 1, ..new() },
        Scope { pooled: true, lapses: 1, breaks: 1, tasks: 1, ..new() },
        Scope { one_node: true, tasks: 1, restarts: 2, lapses: 2, breaks: 1, retries: once, ..new() },
        Scope { one_node: true, restarts: 1, lapses: 1, crashes: 1, breaks: 1, retries: once, ..new() },
    ]
}
