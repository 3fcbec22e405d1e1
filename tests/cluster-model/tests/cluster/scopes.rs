//! What is searched.

use super::rules::Scope;

/// In each run of `cargo test`.
pub(crate) fn quick() -> Vec<Scope> {
    let new = Scope::new;
    let once = [1, 0];
    vec![
        Scope { cancels: true, beside: true, batches: true, ..new("no fault") },
        Scope { breaks: 1, cancels: true, beside: true, batches: true, ..new("break") },
        Scope { deaths: 1, cancels: true, beside: true, ..new("death") },
        Scope { lapses: 1, ..new("lapse") },
        Scope { lapses: 1, beside: true, retries: once, ..new("lapse, retry") },
        Scope { crashes: 1, retries: once, beside: true, ..new("crash, retry") },
        Scope { restarts: 1, cancels: true, ..new("restart") },
        Scope { restarts: 1, late_node: true, ..new("restart, late node") },
        Scope { client_deaths: 1, ..new("client dies") },
        Scope { forgets: 1, ..new("client forgotten") },
        Scope { restarts: 1, client_deaths: 1, tasks: 1, ..new("restart, client dies, 1 task") },
        Scope { restarts: 2, breaks: 1, tasks: 1, ..new("2 restarts, break, 1 task") },
    ]
}

/// What `ci/long/cluster-model.sh` adds.
pub(crate) fn long() -> Vec<Scope> {
    let new = Scope::new;
    let once = [1, 0];
    vec![
        Scope { breaks: 2, cancels: true, retries: once, ..new("2 breaks, retry") },
        Scope { breaks: 2, batches: true, ..new("2 breaks, batches") },
        Scope { deaths: 1, cancels: true, retries: once, ..new("death, retry") },
        Scope { lapses: 1, cancels: true, retries: once, ..new("lapse, retry, cancel") },
        Scope { lapses: 2, ..new("2 lapses") },
        Scope { restarts: 1, cancels: true, retries: once, ..new("restart, retry") },
        Scope { restarts: 1, crashes: 1, retries: once, ..new("restart, crash, retry") },
        Scope { restarts: 2, ..new("2 restarts") },
        Scope { deaths: 1, breaks: 1, ..new("death, break") },
        Scope { lapses: 1, breaks: 1, ..new("lapse, break") },
        Scope { restarts: 1, breaks: 1, ..new("restart, break") },
        Scope { restarts: 1, deaths: 1, ..new("restart, death") },
        Scope { restarts: 1, lapses: 1, ..new("restart, lapse") },
        Scope { deaths: 1, lapses: 1, ..new("death, lapse") },
        Scope { restarts: 1, deaths: 1, late_node: true, ..new("restart, death, late node") },
        Scope {
            deaths: 1,
            breaks: 1,
            retries: once,
            late_node: true,
            ..new("death, break, late node, retry")
        },
        Scope { forgets: 1, retries: once, ..new("client forgotten, retry") },
        Scope { forgets: 1, deaths: 1, ..new("client forgotten, death") },
        Scope { forgets: 1, breaks: 1, ..new("client forgotten, break") },
        Scope { forgets: 1, restarts: 1, ..new("client forgotten, restart") },
        Scope { restarts: 1, client_deaths: 1, ..new("restart, client dies") },
        Scope { client_deaths: 1, deaths: 1, ..new("client dies, death") },
        Scope { client_deaths: 1, lapses: 1, ..new("client dies, lapse") },
        Scope { tasks: 1, restarts: 2, lapses: 1, breaks: 1, ..new("1 task, 2 restarts, lapse, break") },
        Scope { tasks: 1, restarts: 1, lapses: 2, retries: once, ..new("1 task, restart, 2 lapses, retry") },
        Scope { tasks: 1, restarts: 1, deaths: 1, breaks: 1, lapses: 1, ..new("1 task, each once") },
        Scope { tasks: 1, restarts: 2, forgets: 1, ..new("1 task, 2 restarts, client forgotten") },
    ]
}
