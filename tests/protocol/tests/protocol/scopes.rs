//! The scopes: each puts a few things together, and is searched to its end.

use super::rules::Scope;
use super::state::Set;

/// One worker, small replies by the ring, a thread that may wait directly.
fn ring(scope: Scope) -> Scope {
    Scope { workers: 1, ring: 1, direct_waits: 1, ..scope }
}

/// The same with two workers. That is much: so a few steps are one, and who shuts down waits for the results first.
fn rings(scope: Scope) -> Scope {
    Scope { ring: 1, direct_waits: 1, coarse: true, drains_late: true, ..scope }
}

/// What `cargo test` has time for.
pub(crate) fn quick() -> Vec<Scope> {
    let new = Scope::new;
    let some = Set::of;
    vec![
        new("1 queued", 1, 1),
        new("4 queued", 4, 4),
        Scope { may_cancel_all: true, ..new("submit 2, shutdown(cancel)", 2, 0) },
        Scope { large: some(&[1]), sigkills: 1, ..new("large replies, SIGKILL", 2, 2) },
        Scope { sigkills: 1, ..new("submit, SIGKILL", 2, 1) },
        Scope { crashing: some(&[2]), retried: some(&[2]), ..new("crash, retry", 3, 3) },
        Scope { crashing: Set::ALL, ..new("all crash", 3, 3) },
        Scope { kills: 2, ..new("2 kills", 2, 2) },
        Scope { asks: 2, ..new("2 asks", 2, 2) },
        Scope { asks: 1, sigkills: 1, retried: Set::ALL, ..new("ask, SIGKILL, retry", 1, 1) },
        Scope { asks: 1, workers: 1, ..new("one worker, ask", 3, 1) },
        Scope { limited: some(&[1]), kills: 1, ..new("time limit, kill", 2, 2) },
        Scope { max_tasks: 1, ..new("max_tasks 1", 3, 1) },
        Scope { idle_ends: true, ..new("idle ends", 2, 1) },
        Scope { buffer: 1, ..new("frames larger than the buffer", 4, 4) },
        Scope { buffer: 1, ..new("larger frames, submit", 2, 0) },
        ring(new("ring, submit", 2, 0)),
        Scope { ring: 2, direct_waits: 2, ..ring(new("ring, 3 queued", 3, 3)) },
        Scope { direct_waits: 2, ..ring(new("ring, 2 wait", 1, 0)) },
        ring(Scope { sigkills: 1, ..new("ring, SIGKILL", 2, 1) }),
        ring(Scope { kills: 1, ..new("ring, kill", 2, 2) }),
        ring(Scope { cancels: 1, ..new("ring, cancel", 2, 1) }),
        ring(Scope { max_tasks: 1, ..new("ring, max_tasks 1", 3, 1) }),
        ring(Scope { may_cancel_all: true, ..new("ring, shutdown(cancel)", 2, 1) }),
        ring(Scope { apart: some(&[1, 2]), ..new("result slot, ring", 2, 1) }),
        ring(Scope { apart: Set::ALL, large: some(&[2]), sigkills: 1, ..new("result slot, SIGKILL", 2, 2) }),
    ]
}

/// What `ci/long/protocol.sh` adds.
pub(crate) fn long() -> Vec<Scope> {
    let new = Scope::new;
    let some = Set::of;
    vec![
        new("submit 3", 3, 0),
        Scope { cancels: 1, sigkills: 1, ..new("cancel, SIGKILL", 2, 2) },
        Scope { may_cancel_all: true, kills: 1, retried: Set::ALL, ..new("shutdown(cancel), kill", 2, 2) },
        Scope { any_batch: true, ..new("4 queued, any batch", 4, 4) },
        Scope { any_batch: true, ..new("submit 3, any batch", 3, 0) },
        Scope { large: some(&[1, 2]), ..new("large replies", 3, 3) },
        Scope { sigkills: 1, ..new("SIGKILL", 3, 3) },
        Scope { sigkills: 1, ..new("4 queued, SIGKILL", 4, 4) },
        Scope { sigkills: 2, ..new("2 SIGKILLs, failed starts", 2, 0) },
        Scope { crashing: some(&[1]), ..new("crash", 3, 3) },
        Scope { cancels: 1, ..new("cancel", 3, 2) },
        Scope { cancels: 2, ..new("2 cancels", 3, 3) },
        Scope { kills: 1, ..new("kill", 3, 3) },
        Scope { kills: 1, cancels: 1, large: some(&[1]), ..new("kill, cancel, large", 2, 2) },
        Scope { kills: 1, sigkills: 1, retried: Set::ALL, ..new("kill, SIGKILL, retry", 2, 2) },
        Scope { kills: 1, cancels: 1, sigkills: 1, ..new("kill, cancel, SIGKILL", 2, 2) },
        Scope { kills: 1, any_batch: true, ..new("kill, any batch", 3, 3) },
        Scope { limited: some(&[1, 2]), ..new("time limits", 3, 3) },
        Scope { limited: some(&[1]), sigkills: 1, kills: 1, ..new("time limit, kill, SIGKILL", 2, 2) },
        Scope { may_cancel_all: true, ..new("shutdown(cancel)", 3, 2) },
        Scope { may_cancel_all: true, cancels: 1, ..new("shutdown(cancel), cancel", 3, 3) },
        Scope { may_cancel_all: true, sigkills: 1, ..new("shutdown(cancel), SIGKILL", 3, 3) },
        Scope { max_tasks: 2, sigkills: 1, ..new("max_tasks 2, SIGKILL", 3, 3) },
        Scope { cancels: 1, ..new("submit, cancel", 2, 1) },
        Scope { kills: 1, ..new("submit, kill", 2, 1) },
        Scope { max_tasks: 1, sigkills: 1, ..new("max_tasks 1, SIGKILL", 3, 1) },
        Scope { buffer: 1, idle_ends: true, sigkills: 1, ..new("larger frames, idle ends, SIGKILL", 2, 1) },
        Scope { idle_ends: true, cancels: 1, ..new("idle ends, cancel", 3, 2) },
        Scope { idle_ends: true, sigkills: 1, ..new("idle ends, SIGKILL", 2, 1) },
        Scope { max_tasks: 1, cancels: 1, ..new("max_tasks 1, cancel", 3, 2) },
        Scope {
            buffer: 1,
            cancels: 1,
            sigkills: 1,
            large: some(&[1]),
            ..new("larger frames, cancel, SIGKILL", 2, 2)
        },
        Scope { direct_waits: 2, ..ring(new("ring, 2 wait, 2", 2, 0)) },
        ring(Scope { kills: 1, retried: Set::ALL, ..new("ring, submit, kill", 2, 1) }),
        ring(Scope { kills: 1, sigkills: 1, ..new("ring, kill, SIGKILL", 2, 2) }),
        ring(Scope { large: some(&[2]), cancels: 1, ..new("ring, large reply, cancel", 3, 3) }),
        ring(Scope { idle_ends: true, sigkills: 1, ..new("ring, idle ends, SIGKILL", 2, 1) }),
        ring(Scope { limited: some(&[1]), ..new("ring, time limit", 3, 1) }),
        ring(Scope { buffer: 1, ..new("ring, larger frames", 2, 0) }),
        ring(Scope { apart: Set::ALL, direct_waits: 2, ..new("result slot, 2 wait", 2, 0) }),
        ring(Scope { apart: Set::ALL, kills: 1, retried: Set::ALL, ..new("result slot, kill", 3, 3) }),
        ring(Scope { apart: Set::ALL, sigkills: 1, retried: Set::ALL, ..new("result slot, retry", 3, 3) }),
        rings(new("two rings, submit", 2, 0)),
        rings(Scope { cancels: 1, ..new("two rings, cancel", 2, 2) }),
        rings(Scope { kills: 1, ..new("two rings, kill", 2, 2) }),
        rings(Scope { sigkills: 1, ..new("two rings, SIGKILL", 2, 2) }),
        Scope { drains_late: false, ..rings(new("two rings, shutdown", 2, 2)) },
        rings(new("two rings, 3 queued", 3, 3)),
    ]
}

pub(crate) fn all() -> Vec<Scope> {
    quick().into_iter().chain(long()).collect()
}
