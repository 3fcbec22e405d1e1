//! [`Line`]: one thread's way to the server, over connections that break.

use crate::engine::{ConnectionId, Engine, Fault, Link};
use crate::logging;
use crate::wire::Life;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long to wait before the first new try, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A connection that is made anew when it breaks. The old one is ended at the server first, so that nothing it carries is done
/// after what the new one carries (N3).
pub(super) struct Line {
    engine: Arc<dyn Engine>,
    open: Option<Open>,
    /// The last one, which broke, and the life that it was used in.
    broken: Option<(Life, ConnectionId)>,
    pause: Duration,
    is_troubled: bool,
    reconnects: Arc<AtomicU64>,
}

struct Open {
    link: Box<dyn Link>,
    life: Life,
    id: ConnectionId,
}

impl Line {
    pub(super) fn new(engine: Arc<dyn Engine>, reconnects: Arc<AtomicU64>) -> Self {
        Line { engine, open: None, broken: None, pause: PAUSES.0, is_troubled: false, reconnects }
    }

    /// Makes a connection if there is none.
    pub(super) fn open(&mut self) -> Result<ConnectionId, Fault> {
        if let Some(open) = &self.open {
            return Ok(open.id);
        }
        let mut link = self.engine.connect()?;
        let life = link.enter()?;
        // Of another life: what it carries does nothing, and its number may be somebody else's.
        if let Some((_, id)) = self.broken.as_ref().filter(|(used, _)| *used == life) {
            link.end_connection(*id)?;
        }
        let id = link.connection()?;
        if self.broken.take().is_some() {
            self.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        self.open = Some(Open { link, life, id });
        Ok(id)
    }

    /// ENTER: the life that is.
    pub(super) fn enter(&mut self) -> Result<Life, Fault> {
        self.open()?;
        let entered = self.tried(|open| open.link.enter())?;
        if let Some(open) = &mut self.open {
            open.life = entered.clone();
        }
        Ok(entered)
    }

    /// Ends another connection, which was used in `life`. In another life its number may be somebody else's.
    pub(super) fn end(&mut self, life: &Life, id: ConnectionId) -> Result<(), Fault> {
        if self.enter()? == *life { self.tried(|open| open.link.end_connection(id)) } else { Ok(()) }
    }

    /// Makes a step in a life.
    pub(super) fn ask<T>(
        &mut self,
        life: &Life,
        step: impl FnOnce(&mut dyn Link) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.open()?;
        self.tried(|open| {
            // What this connection carries from now on is of that life.
            if open.life != *life {
                open.life = life.clone();
            }
            step(&mut *open.link)
        })
    }

    fn tried<T>(&mut self, step: impl FnOnce(&mut Open) -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(open) = &mut self.open else { return Err(Fault::Lost("there is no connection".to_owned())) };
        let made = step(open);
        match &made {
            Err(Fault::Lost(_)) => {
                if let Some(open) = self.open.take() {
                    self.broken = Some((open.life, open.id));
                }
            }
            Ok(_) => self.pause = PAUSES.0,
            Err(_) => {}
        }
        if made.is_ok() && self.is_troubled {
            self.is_troubled = false;
            logging::info(format_args!("the server at {} is there again", self.engine.address()));
        }
        made
    }

    /// Whether the last step before a fault went well, so that the next try need not wait.
    pub(super) fn is_calm(&self) -> bool {
        self.pause == PAUSES.0
    }

    /// Tells of a fault, the first of a row, and gives how long to wait before the next try.
    pub(super) fn pause(&mut self, what: &str, fault: &Fault) -> Duration {
        if !self.is_troubled {
            self.is_troubled = true;
            logging::warn(format_args!("{what}: {fault}; trying again"));
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        pause
    }
}
