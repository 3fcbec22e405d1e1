//! What may happen next.

use super::rules::{Rule, Scope};
use super::state::State;
use super::{client, faults, node};

/// A step and where it leads.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) name: &'static str,
    pub(crate) state: State,
    /// It need not happen.
    pub(crate) is_fault: bool,
}

/// Collects the steps that a state allows.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) from: &'a State,
    next: Vec<Next>,
}

impl Steps<'_> {
    /// Every step of `from`.
    pub(crate) fn of(scope: &Scope, from: &State) -> Vec<Next> {
        let mut steps = Steps { scope, from, next: Vec::new() };
        client::steps(&mut steps);
        node::steps(&mut steps);
        faults::steps(&mut steps);
        steps.next
    }

    pub(crate) fn go(&mut self, name: &'static str, act: impl FnOnce(&mut State)) {
        self.add(name, false, act);
    }

    pub(crate) fn fault(&mut self, name: &'static str, act: impl FnOnce(&mut State)) {
        self.add(name, true, act);
    }

    pub(crate) fn keeps(&self, rule: Rule) -> bool {
        self.scope.keeps(rule)
    }

    pub(crate) fn lacks(&self, rule: Rule) -> bool {
        self.scope.lacks(rule)
    }

    fn add(&mut self, name: &'static str, is_fault: bool, act: impl FnOnce(&mut State)) {
        let mut state = *self.from;
        act(&mut state);
        state.check(self.scope);
        state.tidy();
        if state != *self.from {
            self.next.push(Next { name, state, is_fault });
        }
    }
}
