//! What must hold: in each state, at each begin and each resolution, and at the end.

use super::rules::Scope;
use super::state::{Attempt, State, TaskAt};
use std::fmt;

/// A property, named by what its violation looks like. The numbers are those of `PROTOCOL.md`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Property {
    /// I1.
    ResolvedTwice,
    /// I2.
    BegunTwice,
    /// I3.
    CancelledBegun,
    /// I4.
    Stuck,
    /// I5.
    WrongLoss,
    /// I6.
    DeadClientBegun,
    KilledAlive,
    /// I7.
    ArgumentGone,
    BlobGone,
    /// I8.
    BlobLeft,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Property::ResolvedTwice => "a task is resolved twice",
            Property::BegunTwice => "a task begins more often than its retries allow",
            Property::CancelledBegun => "a cancelled task begins",
            Property::Stuck => "no step leads to an end any more",
            Property::WrongLoss => "a task is given up that can't have begun",
            Property::DeadClientBegun => "a task of a client that is gone begins",
            Property::KilledAlive => "a task is killed whose client lives",
            Property::ArgumentGone => "an entry's argument is gone",
            Property::BlobGone => "shared data is gone that a task carries",
            Property::BlobLeft => "shared data outlives its client",
        })
    }
}

impl State {
    /// A node begins this attempt.
    pub(crate) fn check_begin(&mut self, attempt: Attempt) {
        let task = &mut self.client.tasks[usize::from(attempt.task)];
        task.begun += 1;
        task.begun_now |= attempt.number == task.attempt;
        let too_often = task.begun > task.charged + 1;
        // The attempts before this one were charged.
        let cancelled = task.at == TaskAt::Cancelled && task.begun > task.charged;
        if cancelled {
            self.violate(Property::CancelledBegun);
        } else if too_often {
            self.violate(Property::BegunTwice);
        }
    }

    /// A task is about to be resolved.
    pub(crate) fn check_resolve(&mut self, task: usize, to: TaskAt) {
        let task = self.client.tasks[task];
        if task.at.is_resolved() {
            self.violate(Property::ResolvedTwice);
        } else if to == TaskAt::Cancelled && task.begun > task.charged {
            self.violate(Property::CancelledBegun);
        }
    }

    /// A try is about to be given up: it began, or faults have left no witness.
    pub(crate) fn check_loss(&mut self, task: usize, scope: &Scope) {
        let budget = &self.budget;
        let restarts = scope.restarts - budget.restarts;
        let others =
            scope.deaths + scope.lapses + scope.forgets > budget.deaths + budget.lapses + budget.forgets;
        if !others && restarts < 2 && !self.client.tasks[task].begun_now {
            self.violate(Property::WrongLoss);
        }
    }

    /// Its client is there, and waits for this attempt.
    pub(crate) fn is_awaited(&self, attempt: Attempt) -> bool {
        let task = &self.client.tasks[usize::from(attempt.task)];
        let is_present = attempt.client == self.client.number && attempt.number == task.attempt;
        self.server.client == Some(attempt.client) && is_present && task.at.is_out()
    }

    pub(crate) fn has_blob(&self, attempt: Attempt) -> bool {
        self.server.blob == Some(attempt.client)
    }

    /// In each state.
    pub(crate) fn check(&mut self, scope: &Scope) {
        let server = &self.server;
        let gone = server.entries.iter().any(|entry| {
            let attempt = entry.attempt;
            let lies_there = server.arguments[usize::from(attempt.task)].has(attempt.number);
            scope.beside && attempt.task == 0 && server.client == Some(attempt.client) && !lies_there
        });
        let bare = |attempt: Attempt| scope.shared && self.is_awaited(attempt) && !self.has_blob(attempt);
        let bare = server.entries.iter().any(|entry| bare(entry.attempt));
        if gone {
            self.violate(Property::ArgumentGone);
        } else if bare {
            self.violate(Property::BlobGone);
        } else if server.blob.is_some() && server.blob != server.client {
            self.violate(Property::BlobLeft);
        }
    }

    /// Where every way without a fault must lead: all is resolved; of a client that died, nothing is left.
    pub(crate) fn is_settled(&self) -> bool {
        if self.client.dead {
            let idle = |node: &super::state::Node| node.work.is_empty() && node.fetched.is_none();
            self.server.entries.is_empty() && self.nodes.iter().all(idle)
        } else {
            self.client.tasks.iter().all(|task| task.at.is_resolved())
        }
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.client.tasks.iter().any(|task| task.at == TaskAt::Lost)
    }
}
