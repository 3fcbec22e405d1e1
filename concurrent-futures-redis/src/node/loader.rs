//! [`Loader`]: the thread that fetches large arguments of what may begin, so that no other waits for them.

use super::line::Line;
use super::runner::{forget, start};
use super::shared::{Load, Phase, Shared};
use crate::engine::Fault;
use std::sync::Arc;

pub(super) struct Loader {
    shared: Arc<Shared>,
    line: Line,
}

impl Loader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let line = Line::new(shared.engine.clone(), shared.reconnects.clone());
        Loader { shared, line }
    }

    pub(super) fn run(mut self) {
        while let Some(load) = self.next() {
            let Load { token, attempt, life } = &load;
            // A new life knows of no attempt that was not started.
            if self.shared.lock().work.start(*token).is_none() {
                continue;
            }
            match self.line.ask(life, |link| link.get_argument(life, &attempt.id)) {
                Ok(Some(argument)) => start(&self.shared, &load, argument),
                // The attempt was answered as lost, its client is gone, or the life is over: nobody waits for it.
                Ok(None) | Err(Fault::Over) => forget(&self.shared, *token),
                Err(fault) => {
                    self.shared.lock().loads.push_front(load);
                    let pause = self.line.pause("an argument can't be fetched", &fault);
                    self.shared.sleep(&self.shared.bells.loader, pause);
                }
            }
        }
    }

    fn next(&self) -> Option<Load> {
        let mut state = self.shared.lock();
        loop {
            if matches!(state.phase, Phase::Drained | Phase::Aborted) {
                return None;
            }
            match state.loads.pop_front() {
                Some(load) => return Some(load),
                None => self.shared.bells.loader.wait(&mut state),
            }
        }
    }
}
