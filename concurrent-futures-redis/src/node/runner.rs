//! How what has begun gets into the local pool, and what its end is to its client.

use super::forward::forward;
use super::shared::{Load, Shared};
use super::work::{Outcome, Token, Why};
use crate::wire::{Kind, Payload};
use concurrent_futures::remote::{Reply, ReturnAddress};
use concurrent_futures::{Executor as _, Parcel, TaskError, TaskOptions, WorkerLost};
use std::sync::Arc;
use std::time::Duration;

/// Starts what has begun; what lies beside the stream goes by the loader. Without a lock: the pool runs callbacks here.
pub(super) fn start_all(shared: &Arc<Shared>, loads: Vec<Load>) {
    for load in loads {
        if let Payload::Inline(bytes) = &load.attempt.parcel {
            start(shared, load.token, bytes.to_vec(), load.attempt.time_limit);
        } else {
            shared.lock().loads.push_back(load);
            shared.bells.loader.notify_all();
        }
    }
}

/// Gives a parcel to the local pool.
pub(super) fn start(shared: &Arc<Shared>, token: Token, parcel: Vec<u8>, time_limit: Option<Duration>) {
    let killed = match shared.lock().work.start(token) {
        None => return,
        Some(killed) => killed,
    };
    let parcel = match Parcel::from_bytes(parcel) {
        Ok(parcel) => parcel,
        Err(error) => return shared.end(token, verdict(nobody(), error)),
    };
    let address = parcel.return_address();
    if let Some(why) = killed {
        return shared.end(token, ended(shared, address, Err(TaskError::Cancelled), Some(why)));
    }
    let (task, future) = forward(parcel);
    let task = match time_limit {
        Some(limit) => task.with_options(TaskOptions::new().timeout(limit)),
        None => task,
    };
    let handle = future.cancel_handle();
    let weak = Arc::downgrade(shared);
    future.on_done(move |outcome| {
        if let Some(shared) = weak.upgrade() {
            let why = shared.lock().work.why(token);
            let outcome = ended(&shared, address, outcome, why);
            shared.end(token, outcome);
        }
    });
    let killed = shared.lock().work.run(token, handle.clone());
    shared.pool.execute(task);
    if killed.is_some() {
        handle.kill();
    }
}

/// What the end of a task is to its client.
fn ended(
    shared: &Shared,
    address: ReturnAddress,
    outcome: Result<Reply, TaskError>,
    why: Option<Why>,
) -> Outcome {
    let host = &*shared.settings.host;
    let error = match outcome {
        Ok(reply) => return Outcome { kind: Kind::Done, reply: address.reply(Ok(reply)).into() },
        Err(error) => error,
    };
    let lost = |cause: &str| {
        let name = shared.lock().name.to_string();
        TaskError::WorkerLost(WorkerLost::new(name).with_cause(cause))
    };
    let error = match (error, why) {
        (TaskError::WorkerDied(died), why) => {
            let died = died.with_host(host);
            TaskError::WorkerDied(match why.and_then(cause) {
                Some(cause) => died.with_cause(cause),
                None => died,
            })
        }
        // It was ended before its worker had it. Only its client may call that a cancel.
        (TaskError::Cancelled, Some(Why::Ordered)) => TaskError::Cancelled,
        (TaskError::Cancelled | TaskError::Abandoned, why) => {
            lost(why.and_then(cause).unwrap_or("the node has ended"))
        }
        (TaskError::Broken(broken), _) => {
            shared.break_off(broken.to_string());
            TaskError::Broken(broken)
        }
        (other, _) => other,
    };
    verdict(address, error)
}

/// Why the node has ended a task by itself.
fn cause(why: Why) -> Option<&'static str> {
    match why {
        Why::Ordered => None,
        Why::ClientGone => Some("its node ended it, because the client was gone"),
        Why::CutOff => Some("its node ended it, because the server was out of reach for a lease"),
        Why::Drained => Some("its node ended it, because the node was to end and its drain timeout had passed"),
    }
}

fn verdict(address: ReturnAddress, error: TaskError) -> Outcome {
    Outcome { kind: Kind::Verdict, reply: address.reply(Err(error)).into() }
}

/// The address of a reply to a parcel that can't be read: nobody's in particular. The holder of the attempt takes it.
fn nobody() -> ReturnAddress {
    let mut head = [0; 24];
    head[..4].copy_from_slice(b"cfr1");
    // Only what doesn't begin like a reply is refused.
    match ReturnAddress::of_reply(&head) {
        Ok(address) => address,
        Err(error) => unreachable!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::nobody;
    use concurrent_futures::{Rejected, Task, TaskError};

    #[test]
    fn a_parcel_that_can_not_be_read_is_answered_all_the_same() {
        let (task, future) = Task::new(|n: u32| n, 1);
        let reply = nobody().reply(Err(TaskError::Rejected(Rejected::ForeignBuild)));
        assert!(task.start() && task.complete(&reply));
        assert!(matches!(future.result(), Err(TaskError::Rejected(Rejected::ForeignBuild))));
    }
}
