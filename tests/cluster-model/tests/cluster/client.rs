//! The client: ships, reads, cancels, and finds out what became of its tasks after a break or in a new life.

use super::list::List;
use super::rules::{Rule, Scope};
use super::state::{Attempt, Heard, Kind, Late, Reply, Set, State, TASKS, TaskAt};
use super::steps::Steps;

pub(crate) fn steps(steps: &mut Steps<'_>) {
    let State { client, server, .. } = *steps.from;
    if client.dead {
        return;
    }
    if !steps.from.is_same_life() {
        let scope = steps.scope;
        return steps.go("the client sees the new life", |state| state.enter_life(scope));
    }
    if server.client != Some(client.number) {
        let scope = steps.scope;
        return steps.go("the client learns that it was forgotten", |state| state.come_back(scope));
    }
    if client.up {
        submit(steps);
        cancel(steps);
        read(steps);
        settle(steps);
    } else {
        reconnect(steps);
    }
    let wanted = client.tasks.iter().position(|task| task.at == TaskAt::Queued && task.cancel);
    if let Some(task) = wanted {
        steps.go("cancel of a queued task", |state| state.resolve(task, TaskAt::Cancelled));
    }
}

/// Sends some of what is queued; in two requests at once, if the scope says so.
fn submit(steps: &mut Steps<'_>) {
    let State { client, budget, .. } = *steps.from;
    let scope = steps.scope;
    let queued = |task: &u8| client.tasks[usize::from(*task)].at == TaskAt::Queued;
    let queued: Vec<u8> = (0..TASKS as u8).filter(queued).collect();
    let mut batches: Vec<Vec<u8>> = queued.iter().map(|task| vec![*task]).collect();
    if scope.batches && queued.len() > 1 {
        batches.push(queued);
    }
    for batch in &batches {
        steps.go("SUBMIT", |state| {
            let request = state.ship(batch, scope);
            state.request(request, scope);
            batch.iter().for_each(|task| state.client.tasks[usize::from(*task)].at = TaskAt::Shipped);
        });
        if budget.breaks == 0 {
            continue;
        }
        steps.fault("SUBMIT, its answer is lost", |state| {
            let request = state.ship(batch, scope);
            state.request(request, scope);
            state.disconnect();
        });
        steps.fault("SUBMIT, on its way for long", |state| {
            let request = state.ship(batch, scope);
            state.late.push(request);
            state.disconnect();
        });
        if let [first, second] = **batch {
            for [one, other] in [[first, second], [second, first]] {
                steps.fault("SUBMIT twice, the second on its way for long", |state| {
                    let request = state.ship(&[one], scope);
                    state.request(request, scope);
                    let request = state.ship(&[other], scope);
                    state.late.push(request);
                    state.disconnect();
                });
            }
            steps.fault("SUBMIT twice, both on their way for long", |state| {
                for task in [first, second] {
                    let request = state.ship(&[task], scope);
                    state.late.push(request);
                }
                state.disconnect();
            });
        }
    }
    if scope.shared {
        share(steps, !batches.is_empty());
    }
    if scope.beside && scope.lacks(Rule::ArgumentFirst) {
        steps.go("the argument is put beside, late", State::put_argument);
    }
}

/// What both tasks share goes there before what carries it, and is removed when nothing that is out does: to make room, or since
/// all is resolved.
fn share(steps: &mut Steps<'_>, is_needed: bool) {
    let State { client, budget, .. } = *steps.from;
    let scope = steps.scope;
    if !client.has_put && is_needed && budget.breaks > 0 {
        steps.fault("shared data is put there, the answer is lost", |state| {
            state.server.put_blob(client.number, scope);
            state.disconnect();
        });
        steps.fault("shared data is put there, on its way for long", |state| {
            state.late.push(state.blob_request());
            state.disconnect();
        });
    }
    if !client.has_put && scope.lacks(Rule::BlobFirst) {
        steps.go("shared data is put there, late", |state| state.put_blob(scope));
    }
    let is_out = client.tasks.iter().any(|task| task.at.is_out());
    if client.has_put && (!is_out || scope.lacks(Rule::BlobWhileOut)) {
        steps.go("shared data is removed", |state| {
            state.client.has_put = false;
            state.server.blob = None;
        });
    }
}

fn cancel(steps: &mut Steps<'_>) {
    let State { client, budget, .. } = *steps.from;
    let scope = steps.scope;
    let wanted = |task: &usize| client.tasks[*task].at == TaskAt::Shipped && client.tasks[*task].cancel;
    for task in (0..TASKS).filter(wanted) {
        let attempt = steps.from.attempt(task);
        steps.go("CANCEL", |state| {
            state.client.tasks[task].cancel = false;
            if state.cancel(attempt, scope) {
                state.resolve(task, TaskAt::Cancelled);
            }
        });
        if budget.breaks > 0 {
            steps.fault("CANCEL, its answer is lost", |state| {
                state.client.tasks[task].cancel = false;
                state.cancel(attempt, scope);
                state.disconnect();
            });
            steps.fault("CANCEL, on its way for long", |state| {
                state.client.tasks[task].cancel = false;
                let request = Late { cancels: true, ..state.request_of(attempt) };
                state.late.push(request);
                state.disconnect();
            });
        }
    }
}

fn read(steps: &mut Steps<'_>) {
    let State { client, server, .. } = *steps.from;
    let scope = steps.scope;
    if !server.replies.is_empty() {
        steps.go("READ", |state| {
            let reply = state.server.replies.remove(0);
            state.read(reply, scope);
        });
    }
    let there = steps.from.names_there(scope);
    if there != client.known {
        steps.go("BEAT of the client", |state| {
            if scope.keeps(Rule::ForgetAfterRead) {
                state.read_all(scope);
            }
            state.client.known = there;
            for node in state.nodes.iter_mut().filter(|node| there.has(node.name)) {
                node.was_known |= scope.lacks(Rule::CreditLapses);
            }
        });
    }
}

/// A new session, then the stream, then the replies.
fn reconnect(steps: &mut Steps<'_>) {
    let scope = steps.scope;
    let scan_first = steps.keeps(Rule::ScanBeforeRead);
    if let Some(seen) = steps.from.client.scanned {
        steps.go("READ, and decide", |state| {
            let seen = if scan_first { seen } else { state.scan(scope) };
            if scan_first {
                state.read_all(scope);
            }
            state.client.scanned = None;
            state.client.up = true;
            for task in 0..TASKS {
                match state.client.tasks[task].at {
                    TaskAt::Unsure | TaskAt::Shipped if seen.has(task as u8) => {
                        state.client.tasks[task].at = TaskAt::Shipped;
                    }
                    TaskAt::Unsure | TaskAt::Shipped => state.queue_again(task),
                    _ => (),
                }
            }
        });
    } else {
        steps.go("a new session, SCAN", |state| {
            state.open_session();
            if !scan_first {
                state.read_all(scope);
            }
            state.client.scanned = Some(state.scan(scope));
        });
    }
}

/// Waits for the nodes of the last life; then what is in doubt is decided.
fn settle(steps: &mut Steps<'_>) {
    let State { client, server, nodes, budget, .. } = *steps.from;
    let scope = steps.scope;
    if !client.tasks.iter().any(|task| task.at == TaskAt::Doubt) {
        return;
    }
    for name in client.awaited.iter() {
        if server.names.iter().any(|registered| registered.testimony.was == Some(name)) {
            steps.go("a node has testified", |state| state.client.awaited.remove(name));
            continue;
        }
        let silent = |state: &mut State| {
            state.client.awaited.remove(name);
            state.client.missing = true;
        };
        if !nodes.iter().any(|node| node.up && node.name == name) {
            steps.go("a node never came back", silent);
        } else if budget.lapses > 0 {
            steps.fault("a node is silent for too long", |state| {
                silent(state);
                state.budget.lapses -= 1;
            });
        }
    }
    if let Some(heard) = client.heard {
        steps.go("READ, and settle", |state| state.settle(heard, scope));
    } else if client.awaited.is_empty() {
        steps.go("the testimonies are read", |state| {
            if scope.lacks(Rule::WitnessBeforeRead) {
                state.read_all(scope);
            }
            state.client.heard = Some(state.hear(scope));
        });
    }
}

impl State {
    fn attempt(&self, task: usize) -> Attempt {
        let number = self.client.tasks[task].attempt;
        Attempt { task: task as u8, number, client: self.client.number }
    }

    fn request_of(&self, attempt: Attempt) -> Late {
        let mut attempts = List::default();
        attempts.push(attempt);
        Late { attempts, session: self.client.session, life: self.client.life, ..Late::default() }
    }

    /// The request that submits these tasks, each for another try.
    fn ship(&mut self, batch: &[u8], scope: &Scope) -> Late {
        let mut attempts = List::default();
        for index in batch {
            let task = &mut self.client.tasks[usize::from(*index)];
            task.attempt += 1;
            task.at = TaskAt::Unsure;
            attempts.push(self.attempt(usize::from(*index)));
        }
        if scope.beside && scope.keeps(Rule::ArgumentFirst) && batch.contains(&0) {
            self.put_argument();
        }
        if scope.shared && scope.keeps(Rule::BlobFirst) && !self.client.has_put {
            self.put_blob(scope);
        }
        Late { attempts, cancels: false, blob: None, session: self.client.session, life: self.client.life }
    }

    fn put_blob(&mut self, scope: &Scope) {
        self.server.put_blob(self.client.number, scope);
        self.client.has_put = true;
    }

    pub(crate) fn blob_request(&self) -> Late {
        Late { blob: Some(self.client.number), life: self.client.life, ..Late::default() }
    }

    /// The first task's, for its present try.
    fn put_argument(&mut self) {
        let task = &self.client.tasks[0];
        if task.at.is_out() {
            self.server.arguments[0].add(task.attempt);
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.client.up = false;
        self.client.scanned = None;
        self.client.heard = None;
        self.budget.breaks -= 1;
    }

    fn open_session(&mut self) {
        let next = self.client.session.max(self.server.session) + 1;
        (self.client.session, self.server.session) = (next, next);
        self.server.client = Some(self.client.number);
    }

    fn scan(&self, scope: &Scope) -> Set {
        let mut seen = self.server.in_stream(self.client.number);
        let held =
            |task: &usize| scope.keeps(Rule::HeldIsThere) && self.server.is_held(self.attempt(*task), scope);
        (0..TASKS).filter(held).for_each(|task| seen.add(task as u8));
        seen
    }

    fn read_all(&mut self, scope: &Scope) {
        let replies = std::mem::take(&mut self.server.replies);
        replies.iter().for_each(|reply| self.read(*reply, scope));
    }

    fn read(&mut self, Reply { attempt, kind }: Reply, scope: &Scope) {
        let index = usize::from(attempt.task);
        let task = self.client.tasks[index];
        if task.at.is_resolved() && scope.keeps(Rule::LateDropped) {
            return;
        }
        match kind {
            Kind::Done => self.resolve(index, TaskAt::Done),
            Kind::Lost if attempt.number == task.attempt && task.at != TaskAt::Queued => {
                self.lose(index, scope)
            }
            Kind::Lost if scope.lacks(Rule::VerdictByAttempt) && task.at.is_out() => {
                self.violate(super::properties::Property::WrongLoss);
            }
            Kind::Lost => (),
        }
    }

    fn resolve(&mut self, task: usize, to: TaskAt) {
        self.check_resolve(task, to);
        self.client.tasks[task].at = to;
        self.client.tasks[task].cancel = false;
    }

    /// The present try may have begun and nobody will tell: a retry is charged, or the task is given up.
    fn lose(&mut self, index: usize, scope: &Scope) {
        self.check_loss(index, scope);
        let task = &mut self.client.tasks[index];
        if task.retries > 0 {
            task.retries -= 1;
            task.charged += 1;
            task.begun_now = false;
            task.at = TaskAt::Queued;
        } else {
            self.resolve(index, TaskAt::Lost);
        }
    }

    /// It never began: the same try once more.
    fn queue_again(&mut self, task: usize) {
        let task = &mut self.client.tasks[task];
        task.attempt -= 1;
        task.at = TaskAt::Queued;
    }

    /// The names that the client may not forget. A name whose node lives counts: by the time that it is forgotten, the
    /// node has lost its credit.
    fn names_there(&self, scope: &Scope) -> Set {
        let mut names = Set::default();
        for registered in self.server.names.iter() {
            let unburied = registered.leased || !registered.testimony.held.is_empty();
            let given = self.server.entries.iter().any(|entry| entry.given == Some(registered.name));
            let used = scope.keeps(Rule::CreditLapses) && self.is_used(registered.name);
            if unburied || given || used {
                names.add(registered.name);
            }
        }
        names
    }

    fn enter_life(&mut self, scope: &Scope) {
        let doubted = self.client.tasks.iter().any(|task| task.at == TaskAt::Doubt);
        let known = std::mem::take(&mut self.client.known);
        if doubted && scope.keeps(Rule::DoubtOnlyOnce) {
            self.client.awaited.0 |= known.0;
            self.client.missing = true;
        } else {
            self.client.awaited = known;
            self.client.missing = false;
        }
        if scope.lacks(Rule::WitnessesAwaited) {
            self.client.awaited = Set::default();
        }
        self.client.life = self.server.life;
        self.client.has_put &= scope.lacks(Rule::BlobByPlace);
        self.client.up = true;
        self.client.scanned = None;
        self.client.heard = None;
        self.open_session();
        for task in 0..TASKS {
            if !self.client.tasks[task].at.is_out() {
                continue;
            }
            if scope.keeps(Rule::DoubtAfterLife) {
                self.client.tasks[task].at = TaskAt::Doubt;
            } else {
                self.queue_again(task);
            }
        }
    }

    fn hear(&self, scope: &Scope) -> Heard {
        let mut heard = Heard::default();
        let in_doubt = |task: &usize| self.client.tasks[*task].at == TaskAt::Doubt;
        for task in (0..TASKS).filter(in_doubt) {
            let attempt = self.attempt(task);
            let answered =
                |number: u8| number == attempt.number || number > 0 && scope.lacks(Rule::RecentByAttempt);
            if self.server.is_held(attempt, scope) {
                heard.held.add(task as u8);
            }
            if self.server.names.iter().any(|name| answered(name.testimony.recent[task])) {
                heard.recent.add(task as u8);
            }
        }
        heard
    }

    fn settle(&mut self, heard: Heard, scope: &Scope) {
        self.client.heard = None;
        let heard = if scope.keeps(Rule::WitnessBeforeRead) {
            self.read_all(scope);
            heard
        } else {
            self.hear(scope)
        };
        for task in 0..TASKS {
            if self.client.tasks[task].at != TaskAt::Doubt {
                continue;
            }
            if heard.held.has(task as u8) {
                self.client.tasks[task].at = TaskAt::Shipped;
            } else if heard.recent.has(task as u8) || self.client.missing {
                self.lose(task, scope);
            } else {
                self.queue_again(task);
            }
        }
        if scope.keeps(Rule::WitnessIsKnown) {
            let witnesses = self.server.names.iter().filter(|name| name.testimony.was.is_some());
            witnesses.for_each(|witness| self.client.known.add(witness.name));
        }
    }

    /// Its keys have run out.
    fn come_back(&mut self, scope: &Scope) {
        if scope.lacks(Rule::ForgottenIsLost) {
            self.server.client = Some(self.client.number);
            self.client.up = false;
            self.client.heard = None;
            return;
        }
        let tasks = self.client.tasks;
        self.client.number += 1;
        self.client.has_put &= scope.lacks(Rule::BlobByPlace);
        self.open_session();
        self.client.up = true;
        self.client.scanned = None;
        self.client.heard = None;
        (0..TASKS).filter(|task| tasks[*task].at.is_out()).for_each(|task| self.lose(task, scope));
    }
}
