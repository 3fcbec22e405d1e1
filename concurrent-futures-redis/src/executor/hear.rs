//! The thread that listens: answers come in, futures are resolved.
//!
//! It runs the user's callbacks, which may wait for other tasks of this executor. So there is a second one, which takes over
//! when the first doesn't come back from them; the first leaves when it does.

use super::client::{Client, Up};
use crate::engine::{Fault, Link};
use crate::logging;
use crate::wire::{Answer, Payload};
use std::time::{Duration, Instant};

/// Answers that are read at once.
const MOST: usize = 512;

/// How long a read waits. It is woken when there is something to do before that.
const WAIT: Duration = Duration::from_secs(1);

/// How often the deputy looks whether the listener is stuck; twice the same means that it is.
const LOOK: Duration = Duration::from_millis(20);

/// Runs until the client is over, or another listener has taken over.
pub(super) fn run(client: &Client, me: u64) {
    while let Some(up) = client.await_up() {
        if client.lock().listener != me {
            return;
        }
        let served = client.engine.connect().and_then(|mut link| serve(client, me, &up, &mut *link));
        if let Err(fault) = served {
            client.lost(up.number, &fault);
        }
    }
}

fn serve(client: &Client, me: u64, up: &Up, link: &mut dyn Link) -> Result<(), Fault> {
    loop {
        let (mark, name, gone) = {
            let mut state = client.lock();
            if state.is_over() || !state.is_up(up.number) || state.listener != me {
                return Ok(());
            }
            (state.book.mark(), state.book.client().clone(), state.gone.take())
        };
        // C4: names are forgotten only after a read that found nothing more.
        let wait = if gone.is_some() { Duration::ZERO } else { WAIT };
        let answers = link.read(&up.life, &name, mark, MOST, wait)?;
        let is_all = answers.len() < MOST;
        take(client, me, up, link, answers)?;
        if let Some(gone) = gone {
            let mut state = client.lock();
            if is_all && state.is_up(up.number) {
                state.book.forget(&gone);
            } else if state.gone.is_none() {
                state.gone = Some(gone);
            }
        }
    }
}

/// Enters answers into the book, and resolves what they resolve.
fn take(client: &Client, me: u64, up: &Up, link: &mut dyn Link, answers: Vec<Answer>) -> Result<(), Fault> {
    if answers.is_empty() {
        return Ok(());
    }
    let answers = with_values(client, up, link, answers)?;
    let mut state = client.lock();
    if !state.is_up(up.number) || state.listener != me {
        // Read again by whoever has taken over.
        return Ok(());
    }
    let ended = state.book.answers(answers);
    (state.is_resolving, state.heard) = (true, state.heard + 1);
    let (is_deputy_asleep, has_queued) =
        (std::mem::take(&mut state.is_deputy_asleep), state.book.queued() > 0);
    drop(state);
    if has_queued {
        // There is room in the window, or something to be tried again.
        client.bells.ship.notify_one();
    }
    if is_deputy_asleep {
        client.bells.deputy.notify_one();
    }
    client.resolve(ended);
    let mut state = client.lock();
    if state.listener == me {
        state.is_resolving = false;
    }
    Ok(())
}

/// An answer, and its reply if a node has given it.
pub(super) type Heard = (Answer, Option<Vec<u8>>);

/// Answers with their replies, large ones from beside the stream. One that is gone was read before a break; its task is
/// resolved, or has another answer.
pub(super) fn with_values(
    client: &Client,
    up: &Up,
    link: &mut dyn Link,
    answers: Vec<Answer>,
) -> Result<Vec<Heard>, Fault> {
    let mut values = Vec::with_capacity(answers.len());
    for answer in answers {
        let reply = match &answer.reply {
            Payload::Inline(bytes) => bytes.to_vec(),
            Payload::Beside => link.get_result(&up.life, &answer.id)?.unwrap_or_default(),
        };
        // What is not sealed by a node is not looked at any further: the task waits for its own answer.
        let is_genuine =
            client.secret.as_ref().is_none_or(|secret| secret.is_answer(&up.life, &answer, &reply));
        if !is_genuine {
            logging::warn(format_args!(
                "{}: an answer without the queue's secret was thrown away",
                client.describe()
            ));
        }
        values.push((answer, is_genuine.then_some(reply)));
    }
    Ok(values)
}

/// Takes over from a listener that is stuck in the user's code: gives the number of the next one. `None` when the client is
/// over.
pub(super) fn await_stuck(client: &Client) -> Option<u64> {
    let mut seen = None;
    let mut state = client.lock();
    loop {
        if state.is_over() {
            return None;
        }
        let heard = state.is_resolving.then_some((state.listener, state.heard));
        if heard.is_some() && heard == seen {
            state.listener += 1;
            state.is_resolving = false;
            return Some(state.listener);
        }
        seen = heard;
        if state.book.is_empty() && !state.is_resolving {
            state.is_deputy_asleep = true;
            client.bells.deputy.wait(&mut state);
            state.is_deputy_asleep = false;
        }
        // However many answers come meanwhile, it is not woken again.
        let next = Instant::now() + LOOK;
        while !state.is_over() && !client.bells.deputy.wait_until(&mut state, next).timed_out() {}
    }
}
