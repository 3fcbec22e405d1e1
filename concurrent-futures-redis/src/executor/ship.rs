//! The thread that submits: from the queue into the stream, many at a time.

use super::blobs::{Blobs, Room};
use super::book::Outgoing;
use super::client::{Client, State, Up};
use super::options::most_entries;
use crate::engine::{Fault, Link};
use crate::wire::{Attempt, Payload, with_names};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tasks in one SUBMIT.
const BATCH: usize = 256;

/// Bytes in one SUBMIT, but for a task that has more alone.
const BATCH_BYTES: usize = 256 << 10;

/// What is larger goes beside the stream: scripts and BURY then copy references only.
pub(crate) const INLINE: usize = 64 << 10;

/// When a full stream is asked again, if no answer has come.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Runs until the client is over.
pub(super) fn run(client: &Client) {
    let mut blobs = Blobs::default();
    while let Some(up) = client.await_up() {
        let served = client.engine.connect().and_then(|mut link| serve(client, &up, &mut *link, &mut blobs));
        if let Err(fault) = served {
            client.lost(up.number, &fault);
        }
    }
}

/// Submits by this connection; returns when another one has taken its place.
fn serve(client: &Client, up: &Up, link: &mut dyn Link, blobs: &mut Blobs) -> Result<(), Fault> {
    // After a break it is not known what became of what was put.
    let mut next_look = (!blobs.is_empty()).then(Instant::now);
    let mut most_tasks = BATCH;
    while let Some(batch) = next_batch(client, up, next_look, most_tasks) {
        if next_look.is_some_and(|next_look| Instant::now() >= next_look) {
            let name = client.lock().book.client().clone();
            blobs.look_after(&up.life, &name, link)?;
            next_look = None;
        }
        let most = most_entries(client.lock().slots(client.build()));
        let is_out = |shared| client.lock().book.carries(shared);
        let room = Room { idle: client.options.window_bytes, is_out: &is_out };
        let attempts = attempts(client, up, link, blobs, &room, &batch);
        if next_look.is_none() && !blobs.is_empty() {
            next_look = Some(Instant::now() + client.options.beat());
        }
        let attempts = attempts?;
        // Beside the stream there is no room for what the others bring.
        let (batch, left) = batch.split_at(attempts.len());
        let submitted =
            if attempts.is_empty() { Ok(Vec::new()) } else { link.submit(&up.life, most, &attempts) };
        if submitted == Err(Fault::Full) {
            // Not what this batch carries: it would be sent again.
            blobs.make_room(&room, link)?;
        }
        // All of a batch counts as out: what one task brings finds room where the others of it give way.
        most_tasks = if submitted == Err(Fault::Full) || !left.is_empty() { 1 } else { BATCH };
        let mut state = client.lock();
        match submitted {
            Ok(entries) => {
                // After a break the SCAN has said where they are.
                if state.is_up(up.number) {
                    state.book.take_back_batch(left);
                    state.book.note_shipped(batch, &entries);
                }
                state.is_full = !left.is_empty();
                drop(state);
                client.note_room();
            }
            Err(Fault::Full) => {
                if state.is_up(up.number) {
                    state.book.take_back_batch(left);
                    state.book.take_back_batch(batch);
                }
                state.is_full = true;
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Waits for tasks and for room in the window; not beyond `until`, when there may be none. `None` when this connection is over.
fn next_batch(client: &Client, up: &Up, until: Option<Instant>, most: usize) -> Option<Vec<Outgoing>> {
    let mut state = client.lock();
    loop {
        if state.is_over() || !state.is_up(up.number) {
            return None;
        }
        if state.is_full {
            // Answers make room, or other clients do.
            state.is_full = false;
            client.bells.ship.wait_for(&mut state, FULL_PAUSE);
            continue;
        }
        let batch = take(client, &mut state, most);
        match until {
            _ if !batch.is_empty() => return Some(batch),
            Some(until) if Instant::now() >= until => return Some(batch),
            Some(until) => drop(client.bells.ship.wait_until(&mut state, until)),
            None => client.bells.ship.wait(&mut state),
        }
    }
}

fn take(client: &Client, state: &mut State, most: usize) -> Vec<Outgoing> {
    let window = client.options.window(state.slots(client.build()));
    let room = window.saturating_sub(state.book.dispatched() as u64).min(most as u64);
    state.book.take_batch(room as usize, BATCH_BYTES, client.options.window_bytes)
}

/// As the stream gets them, as many as there is room for; what they share and large arguments are put beside it first.
fn attempts(
    client: &Client,
    up: &Up,
    link: &mut dyn Link,
    blobs: &mut Blobs,
    room: &Room<'_>,
    batch: &[Outgoing],
) -> Result<Vec<Attempt>, Fault> {
    let mut attempts = Vec::with_capacity(batch.len());
    for outgoing in batch {
        match attempt(client, up, link, blobs, room, outgoing) {
            Ok(attempt) => attempts.push(attempt),
            Err(Fault::Full) => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(attempts)
}

fn attempt(
    client: &Client,
    up: &Up,
    link: &mut dyn Link,
    blobs: &mut Blobs,
    room: &Room<'_>,
    outgoing: &Outgoing,
) -> Result<Attempt, Fault> {
    let bytes = match &outgoing.shared[..] {
        [] => Cow::from(outgoing.parcel.as_bytes()),
        shared => {
            let names = blobs.put(&up.life, &outgoing.id.client, shared, room, link)?;
            Cow::from(with_names(&names, outgoing.parcel.as_bytes()))
        }
    };
    let parcel = if bytes.len() > INLINE {
        link.put_argument(&up.life, &outgoing.id, &bytes)?;
        Payload::Beside
    } else {
        Payload::Inline(Arc::from(&*bytes))
    };
    let mut attempt = Attempt {
        id: outgoing.id.clone(),
        session: up.session,
        time_limit: outgoing.time_limit,
        parcel,
        seal: Vec::new(),
    };
    if let Some(secret) = &client.secret {
        attempt.seal = secret.of_attempt(&up.life, &attempt, &bytes);
    }
    Ok(attempt)
}
