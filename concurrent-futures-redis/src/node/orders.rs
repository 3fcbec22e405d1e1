//! [`Orders`]: the thread that waits for the orders of clients.

use super::line::Line;
use super::shared::{Phase, Shared, Standing, WAIT};
use crate::engine::{Fault, Order};
use crate::wire::{EntryId, Name};
use std::sync::Arc;

pub(super) struct Orders {
    shared: Arc<Shared>,
    line: Line,
    /// The last order that was read, and under which name: another life has others.
    read: Option<(Name, Option<EntryId>)>,
}

impl Orders {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let line = Line::new(shared.engine.clone(), shared.reconnects.clone());
        Orders { shared, line, read: None }
    }

    pub(super) fn run(mut self) {
        while let Some(standing) = self.next() {
            let Standing { life, name, .. } = &standing;
            let after = self.read.take().filter(|(read, _)| read == name).and_then(|(_, after)| after);
            match self.line.ask(life, |link| link.orders(life, after, WAIT)) {
                Ok((last, orders)) => {
                    self.read = Some((name.clone(), last));
                    orders.iter().for_each(|order| self.obey(order));
                }
                Err(Fault::Over) => self.shared.withdraw(name, false),
                Err(fault) => {
                    self.read = Some((name.clone(), after));
                    let pause = self.line.pause("no orders can be read", &fault);
                    self.shared.sleep(&self.shared.bells.orders, pause);
                }
            }
        }
    }

    fn next(&self) -> Option<Standing> {
        let mut state = self.shared.lock();
        loop {
            match (&state.phase, &state.standing) {
                (Phase::Drained | Phase::Aborted, _) => return None,
                (_, Some(standing)) => return Some(standing.clone()),
                (_, None) => self.shared.bells.orders.wait(&mut state),
            }
        }
    }

    fn obey(&self, order: &Order) {
        if let Order::Kill(id) = order {
            let killed = self.shared.lock().kill(id);
            for handle in killed {
                handle.kill();
            }
        }
    }
}
