//! How what has begun gets into the local pool, and what its end is to its client.

use super::awaited::when_done;
use super::blobs::Unusable;
use super::forward::forward;
use super::shared::{Load, Shared};
use super::work::{Outcome, Token, Why};
use crate::logging;
use crate::wire::{Attempt, BlobName, Kind, Life, Payload, split_names};
use concurrent_futures::remote::{Reply, ReturnAddress};
use concurrent_futures::{
    CodecError, Executor as _, Parcel, Rejected, Stage, TaskError, TaskOptions, Unsupported, WorkerDied,
};
use std::sync::Arc;
use std::time::Instant;

/// Starts what has begun; what lies beside the stream goes by the loader. Without a lock: the pool runs callbacks here.
pub(super) fn start_all(shared: &Arc<Shared>, loads: Vec<Load>) {
    for load in loads {
        if let Payload::Inline(bytes) = &load.attempt.parcel {
            start(shared, &load, bytes.to_vec());
        } else {
            fetch(shared, load);
        }
    }
}

/// Has the loader fetch what is still missing.
fn fetch(shared: &Shared, load: Load) {
    shared.lock().loads.push_back(load);
    shared.bells.loader.notify_all();
}

/// Gives a parcel to the local pool.
pub(super) fn start(shared: &Arc<Shared>, load: &Load, parcel: Vec<u8>) {
    let Load { token, attempt, life, .. } = load;
    let token = *token;
    if !is_genuine(shared, life, attempt, &parcel) {
        logging::warn(format_args!(
            "a task of {} was not run: it has not the queue's secret",
            attempt.id.client
        ));
        // A client that knows of no secret is told. What claims to know it and doesn't is forged, and not answered: the answer
        // would be sealed.
        if attempt.seal.is_empty() && shared.lock().work.start(token).is_some() {
            let why = Unsupported::new("the nodes of this queue have a secret, and this client has none");
            shared.end(token, verdict(nobody(), TaskError::Rejected(Rejected::Unsupported(why))));
            return;
        }
        return forget(shared, token);
    }
    let killed = shared.lock().work.start(token);
    let Some(killed) = killed else { return };
    let (names, _) = split_names(&parcel);
    let found = match &names[..] {
        [] => Some(Vec::new()),
        names => shared.blobs.lock().find_all(names, Instant::now()),
    };
    let Some(blobs) = found else {
        let (attempt, life) = (attempt.clone(), life.clone());
        return fetch(shared, Load { token, attempt, life, parcel: Some(parcel) });
    };
    let parcel = if names.is_empty() { parcel } else { split_names(&parcel).1.to_vec() };
    let parcel = match Parcel::with_shared(parcel, &blobs) {
        Ok(parcel) => parcel,
        Err(error) => return shared.end(token, verdict(nobody(), error)),
    };
    let address = parcel.return_address();
    if let Some(why) = killed {
        return shared.end(token, ended(shared, address, Err(TaskError::Cancelled), Some(why)));
    }
    let (task, future) = forward(parcel);
    let task = match attempt.time_limit {
        Some(limit) => task.with_options(TaskOptions::new().timeout(limit)),
        None => task,
    };
    let handle = future.cancel_handle();
    let weak = Arc::downgrade(shared);
    when_done(future, move |outcome| {
        if let Some(shared) = weak.upgrade() {
            if matches!(outcome, Err(TaskError::Cancelled)) && give_back(&shared, token) {
                return;
            }
            let why = shared.lock().work.why(token);
            let outcome = ended(&shared, address, outcome, why);
            shared.end(token, outcome);
        }
    });
    let killed = shared.lock().work.run(token, handle.clone());
    // Without its task the future ends, which nobody hears any more.
    let Some(killed) = killed else { return };
    shared.pool.execute(task);
    if killed.is_some() {
        handle.kill();
    }
}

/// Answers that an attempt can't be run because of data that it shares. Nothing of it has begun.
pub(super) fn refuse(shared: &Shared, token: Token, attempt: &Attempt, name: BlobName, why: &Unusable) {
    let id = &attempt.id;
    let told = format!(
        "nothing of the task was run (number {} of {}, attempt {}): the shared data {name} that it carries {why}",
        id.seq, id.client, id.attempt
    );
    logging::warn(format_args!("{told}"));
    shared.end(token, verdict(nobody(), TaskError::Codec(CodecError::new(Stage::DecodeArgument, told))));
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
        Ok(reply) => {
            let reply = address.reply(Ok(reply));
            if reply.len() as u64 <= shared.settings.most_bytes {
                return Outcome { kind: Kind::Done, reply: reply.into() };
            }
            // The server would end the connection, and the next, for ever.
            let why = format!(
                "it has {} bytes, and a value on the server may have 512 MB; return a path or the name of an object",
                reply.len()
            );
            return verdict(address, TaskError::Codec(CodecError::new(Stage::EncodeResult, why)));
        }
        Err(error) => error,
    };
    match (error, why) {
        (TaskError::WorkerDied(died), why) => {
            let died = why.and_then(cause).into_iter().fold(died.with_host(host), WorkerDied::with_cause);
            // What its client has ended it doesn't want again.
            let kind = if why == Some(Why::Ordered) { Kind::Verdict } else { Kind::Died };
            Outcome { kind, reply: address.reply(Err(TaskError::WorkerDied(died))).into() }
        }
        // It was ended before a worker had it. That is no cancel, unless its client has asked for it.
        (TaskError::Cancelled | TaskError::Abandoned, why) if why != Some(Why::Ordered) => {
            let told =
                format!("{}\n{}", shared.lock().name, why.and_then(cause).unwrap_or("its node gave it up"));
            Outcome { kind: Kind::Lost, reply: told.into_bytes().into() }
        }
        (error, _) => {
            if let TaskError::Broken(broken) = &error {
                shared.break_off(broken.to_string());
            }
            verdict(address, error)
        }
    }
}

/// Runs nothing and answers nothing of what may begin, and has its entry dropped if it is still there.
pub(super) fn forget(shared: &Shared, token: Token) {
    let mut state = shared.lock();
    if let Some(entry) = state.work.forget(token) {
        state.ahead.void(entry);
    }
    drop(state);
    shared.bells.stepper.notify_all();
}

/// Gives back what no worker has taken and none will, if it was called back.
fn give_back(shared: &Shared, token: Token) -> bool {
    let mut state = shared.lock();
    let Some(entry) = state.work.give_back(token) else { return false };
    state.ahead.give_back_begun(entry);
    drop(state);
    shared.bells.stepper.notify_all();
    true
}

/// Whether an attempt was made by somebody who knows the queue's secret. Nothing of it is decoded or run before.
fn is_genuine(shared: &Shared, life: &Life, attempt: &Attempt, parcel: &[u8]) -> bool {
    shared.settings.secret.as_ref().is_none_or(|secret| secret.is_attempt(life, attempt, parcel))
}

/// Why the node has ended a task by itself.
fn cause(why: Why) -> Option<&'static str> {
    match why {
        Why::Ordered => None,
        Why::ClientGone => Some("its node ended it, because the client was gone"),
        Why::CutOff => Some("its node ended it, because the server was out of reach for a lease"),
        Why::Drained => {
            Some("its node ended it, because the node was to end and its drain timeout had passed")
        }
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
