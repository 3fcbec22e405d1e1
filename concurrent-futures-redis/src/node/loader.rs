//! [`Loader`]: the thread that fetches large arguments of what may begin, and what tasks share, so that no other waits for them.

use super::blobs::{Unusable, read};
use super::line::Line;
use super::runner::{forget, refuse, start};
use super::shared::{Load, Phase, Shared};
use crate::engine::Fault;
use crate::wire::split_names;
use std::sync::Arc;
use std::time::Instant;

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
            // A new life knows of no attempt that was not started.
            if self.shared.lock().work.start(load.token).is_none() {
                continue;
            }
            let loaded = match &load.parcel {
                None => self.load_argument(&load),
                Some(parcel) => self.load_blobs(&load, parcel),
            };
            match loaded {
                Ok(()) => {}
                // The life is over: nobody waits for it.
                Err(Fault::Over) => forget(&self.shared, load.token),
                Err(fault) => {
                    self.shared.lock().loads.push_front(load);
                    let pause = self.line.pause("an argument can't be fetched", &fault);
                    self.shared.sleep(&self.shared.bells.loader, pause);
                }
            }
        }
    }

    fn load_argument(&mut self, load: &Load) -> Result<(), Fault> {
        let Load { token, attempt, life, .. } = load;
        match self.line.ask(life, |link| link.get_argument(life, &attempt.id))? {
            Some(argument) => start(&self.shared, load, argument),
            // The attempt was answered as lost, or its client is gone: nobody waits for it.
            None => forget(&self.shared, *token),
        }
        Ok(())
    }

    /// Fetches the shared data of a parcel that this node doesn't have. There is one loader: two tasks that want the same find it
    /// fetched by the first.
    fn load_blobs(&mut self, load: &Load, parcel: &[u8]) -> Result<(), Fault> {
        let Load { token, attempt, life, .. } = load;
        // From here on as long as the task: nothing of it is dropped meanwhile.
        let mut held = Vec::new();
        for name in split_names(parcel).0 {
            let kept = self.shared.blobs.lock().find(name, Instant::now());
            if kept.is_some() {
                held.extend(kept);
                continue;
            }
            let client = &attempt.id.client;
            let bytes = self.line.ask(life, |link| link.get_blob(life, client, name))?;
            let blob = bytes.ok_or(Unusable::Gone).and_then(|bytes| read(name, &bytes, &held));
            match blob {
                Ok(blob) => {
                    self.shared.blobs.lock().keep(name, blob.clone(), Instant::now());
                    held.push(blob);
                }
                Err(why) => {
                    refuse(&self.shared, *token, attempt, name, &why);
                    return Ok(());
                }
            }
        }
        start(&self.shared, load, parcel.to_vec());
        self.shared.blobs.lock().trim(self.shared.settings.lease, Instant::now());
        Ok(())
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
