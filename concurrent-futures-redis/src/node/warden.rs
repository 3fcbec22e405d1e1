//! [`Warden`]: the thread that ends what runs by the clock alone, whatever the server does: at the end of a lease that was not
//! renewed, at the end of a drain, and where nobody hears the last words.

use super::shared::{Phase, Shared};
use crate::logging;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Warden {
    shared: Arc<Shared>,
}

impl Warden {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Warden { shared }
    }

    pub(super) fn run(self) {
        loop {
            let killed = {
                let mut state = self.shared.lock();
                if matches!(state.phase, Phase::Drained | Phase::Aborted) {
                    break;
                }
                let (killed, next) = state.overdue(&self.shared.settings, Instant::now());
                if state.phase == Phase::Aborted {
                    let told = if state.has_told_all {
                        "it had nothing to tell"
                    } else {
                        "what it had to answer is lost"
                    };
                    logging::warn(format_args!(
                        "the node ends without its server, which does not answer: {told}"
                    ));
                    break;
                }
                if killed.is_empty() {
                    match next {
                        Some(next) => drop(self.shared.bells.warden.wait_until(&mut state, next)),
                        None => self.shared.bells.warden.wait(&mut state),
                    }
                }
                killed
            };
            for handle in killed {
                handle.kill();
            }
        }
        if self.shared.lock().phase == Phase::Aborted {
            self.shared.abort();
        }
    }
}
