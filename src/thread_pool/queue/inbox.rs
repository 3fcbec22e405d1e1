//! [`Inbox`]: all that a push touches.

use crate::clock;
use crate::error::{Broken, Rejected, TaskError};
use crate::future::cell::Entry;
use crate::sync::HAS_CLOCK;
use std::collections::VecDeque;
use std::time::Instant;

pub(super) struct Inbox {
    pub(super) queue: VecDeque<Entry>,
    /// A push has to take `state` and leave.
    pub(super) ask: bool,
    /// Hint: some worker is active, and may be back in a moment.
    pub(super) busy: bool,
    pub(super) closed: Option<Closed>,
}

/// Why a pool takes no more tasks.
#[derive(Clone)]
pub(super) enum Closed {
    ShutDown,
    Broken(Broken),
    /// The system refused the only thread there would be: as broken until then.
    Refused(Broken, Option<Instant>),
}

impl Closed {
    pub(super) fn error(&self) -> TaskError {
        match self {
            Closed::ShutDown => TaskError::Rejected(Rejected::ShutDown),
            Closed::Broken(broken) | Closed::Refused(broken, _) => TaskError::Broken(broken.clone()),
        }
    }
}

impl Inbox {
    pub(super) fn new() -> Self {
        Inbox { queue: VecDeque::new(), ask: true, busy: false, closed: None }
    }

    /// Why nothing is taken. A refusal ends when its time is over: then the next submit tries again.
    pub(super) fn closed(&mut self) -> Option<&Closed> {
        if let Some(Closed::Refused(_, until)) = self.closed
            && HAS_CLOCK
            && clock::is_over(until)
        {
            self.closed = None;
        }
        self.closed.as_ref()
    }
}
