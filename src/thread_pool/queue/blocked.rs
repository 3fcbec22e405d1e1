//! Workers that wait: counted as blocked, so that another runs in their place.

use super::Queue;
use super::awaits::{Stage, Token};
use super::state::State;
use crate::future::cell::Entry;
use crate::future::hub::Hub;
use crate::sync::atomic::Ordering;
use crate::thread_pool::stats::Slot;
use std::sync::Arc;

impl Queue {
    /// A worker is about to wait. Those of `needed` that are queued go on the urgent stack, the last on top; `helper` is
    /// told when no other worker can run them.
    pub(in crate::thread_pool) fn begin_blocked(
        &self,
        slot: &Slot,
        needed: Vec<Entry>,
        helper: Option<&Arc<Hub>>,
    ) {
        let mut state = self.section();
        for entry in needed {
            self.push_urgent(&mut state, entry);
        }
        state.hold(slot, 1);
        state.helpers.extend(helper.map(|hub| (helper_key(slot, hub), hub.clone())));
        state.leave();
    }

    /// Gives a queued task a second entry, on the urgent stack, unless it has one.
    pub(super) fn push_urgent(&self, state: &mut State, entry: Entry) {
        if entry.header().word.mark_urgent() {
            self.doubled.fetch_add(1, Ordering::Relaxed);
            state.urgent.push(entry);
        }
    }

    /// It goes on.
    pub(in crate::thread_pool) fn end_blocked(&self, slot: &Slot, helper: Option<&Arc<Hub>>) {
        let mut state = self.section();
        state.unhold(slot, 1);
        if let Some(helper) = helper {
            state.helpers.remove(&helper_key(slot, helper));
        }
        state.leave();
    }

    /// A worker that counts as blocked is about to run a task in place, above all that it waits for: it is active
    /// meanwhile. Returns in how many waits it is, without those for what it polled (`tokens`): they may end meanwhile.
    pub(in crate::thread_pool) fn pause(&self, slot: &Slot, tokens: &[Arc<Token>]) -> usize {
        let mut state = self.section();
        let mut waits = slot.holds();
        state.unhold(slot, waits);
        for token in tokens.iter().filter(|token| token.stage() == Stage::Held) {
            token.set_stage(Stage::Paused);
            waits = waits.saturating_sub(1);
        }
        state.leave();
        waits
    }

    /// It waits again.
    pub(in crate::thread_pool) fn resume(&self, slot: &Slot, waits: usize, tokens: &[Arc<Token>]) {
        let mut state = self.section();
        let mut waits = waits;
        for token in tokens.iter().filter(|token| token.stage() == Stage::Paused) {
            token.set_stage(Stage::Held);
            waits += 1;
        }
        state.hold(slot, waits);
        state.leave();
    }
}

fn helper_key(slot: &Slot, hub: &Arc<Hub>) -> (usize, usize) {
    (slot.number, Arc::as_ptr(hub).addr())
}
