//! A node, with one slot and room to read ahead: fetches, asks leave, begins, answers, takes new names.

use super::list::List;
use super::properties::Property;
use super::rules::{Rule, Scope};
use super::state::{
    Attempt, Entry, Id, Limit, NODES, Node, Registered, Stage, State, Step, Stepped, Stray, Testimony, Work,
};
use super::steps::Steps;

/// What it reads ahead, at most.
const AHEAD: usize = 2;

pub(crate) fn steps(steps: &mut Steps<'_>) {
    for at in 0..NODES {
        let node = steps.from.nodes[at];
        if !node.up {
            if steps.from.budget.starts > 0 {
                steps.go("a node is started", |state| state.start_node(at));
            }
            continue;
        }
        if steps.from.server.life == node.life {
            fetch(steps, at);
            beat(steps, at);
            if node.step.is_none() {
                send(steps, at);
            }
        }
        work(steps, at);
        answered(steps, at);
        if !steps.from.server.is_leased(node.name) && node.step.is_none() {
            let scope = steps.scope;
            steps.go("a node takes a new name, JOIN", |state| state.join(at, scope));
        }
    }
    bury(steps);
}

fn fetch(steps: &mut Steps<'_>, at: usize) {
    let State { client, server, budget, .. } = *steps.from;
    let node = steps.from.nodes[at];
    let scope = steps.scope;
    if node.broken {
        let ends = steps.keeps(Rule::OldConnectionEnds);
        return steps.go("HISTORY", |state| {
            let stray = state.stray.filter(|stray| !ends || stray.name != node.name);
            state.stray = stray;
            state.read_history(at, scope);
        });
    }
    let ahead = node.work.iter().filter(|work| work.stage < Stage::Begun).count();
    // With no client there is nobody to know it: then it only tidies up.
    let known = client.known.has(node.name) || node.was_known || client.dead || steps.lacks(Rule::JoinWaits);
    let some = server.entries.iter().any(|entry| entry.given.is_none());
    if node.fetched.is_some() || ahead >= AHEAD || !known {
        return;
    }
    if some {
        steps.go("FETCH", |state| state.nodes[at].fetched = state.give(node.name));
    }
    if budget.breaks > 0 {
        if some {
            steps.fault("FETCH, its answer is lost", |state| {
                state.give(node.name);
                state.nodes[at].broken = true;
                state.budget.breaks -= 1;
            });
        }
        if steps.lacks(Rule::OldConnectionEnds) && steps.from.stray.is_none() {
            steps.fault("FETCH, on its way for long", |state| {
                state.stray = Some(Stray { step: None, life: node.life, name: node.name });
                state.nodes[at].broken = true;
                state.budget.breaks -= 1;
            });
        }
    }
}

/// What it does by itself.
fn work(steps: &mut Steps<'_>, at: usize) {
    let node = steps.from.nodes[at];
    let scope = steps.scope;
    if let Some(entry) = node.fetched {
        steps.go("a node looks at what it was given", |state| {
            state.nodes[at].fetched = None;
            state.take(at, entry);
            state.use_credit(at, scope);
        });
        if node.life != steps.from.server.life {
            steps.go("an old life's answer to FETCH is lost", |state| state.nodes[at].fetched = None);
        }
    }
    let begun = |work: &Work| work.stage == Stage::Begun;
    let running = node.work.iter().filter(|work| begun(work) && !work.waits).count();
    for (index, work) in node.work.iter().enumerate().filter(|(_, work)| begun(work)) {
        if work.waits {
            let is_there = !scope.shared || node.life == steps.from.server.life;
            if is_there && running < usize::from(scope.slots) {
                steps.go("a worker takes it, with what it shares", |state| state.run(at, index, scope));
            }
            continue;
        }
        steps.go("a task ends", |state| state.nodes[at].work[index].stage = Stage::Done);
        if steps.from.budget.crashes > 0 {
            steps.fault("a worker dies", |state| {
                state.nodes[at].work[index].stage = Stage::Done;
                state.nodes[at].work[index].died = true;
                state.budget.crashes -= 1;
            });
        }
    }
}

/// Its beat tells it which clients live.
fn beat(steps: &mut Steps<'_>, at: usize) {
    let scope = steps.scope;
    if scope.loses_clients() && steps.from.server.is_leased(steps.from.nodes[at].name) {
        steps.go("BEAT of a node", |state| state.look_for_clients(at, scope));
    }
}

/// A STEP: leave for the first that is ready, or credit for what comes; and all answers.
fn send(steps: &mut Steps<'_>, at: usize) {
    let (node, scope) = (steps.from.nodes[at], steps.scope);
    let mut answers = List::default();
    node.work.iter().filter(|work| work.stage == Stage::Done).for_each(|work| answers.push(*work));
    let busy = node.work.iter().filter(|work| work.stage == Stage::Begun).count() as u8;
    let free = (steps.scope.slots + u8::from(steps.scope.pooled)).saturating_sub(busy);
    let ready = node.work.iter().find(|work| work.stage == Stage::Ready);
    let credit = node.limit.credit;
    let usable = credit > 0 && ready.is_none_or(|work| node.credits(work.attempt, steps.scope));
    let begin = ready.map(|work| work.id).filter(|_| free > 0 && !usable);
    let extra = if ready.is_none() { free.saturating_sub(credit) } else { 0 };
    let stated = if steps.keeps(Rule::CreditBeforeUse) { extra } else { 0 };
    let limit = Limit { up_to: begin.unwrap_or(0).max(node.limit.up_to), credit: credit + stated };
    let step = Step { answers, begin, back: None, limit, extra, done: None, name: node.name };
    if begin.is_some() || !answers.is_empty() || extra > 0 {
        steps.go("a STEP is sent", |state| state.nodes[at].send(step));
    }
    let last = node.work.iter().rfind(|work| work.stage == Stage::Ready && steps.scope.backs);
    let waiting = |work: &&Work| work.stage == Stage::Begun && work.waits && work.id > 0;
    let last = last.or_else(|| node.work.iter().rfind(waiting).filter(|_| steps.scope.pooled));
    if let Some(work) = last {
        let step = Step { begin: None, back: Some(work.id), limit: node.limit, extra: 0, ..step };
        steps.go("a STEP that gives back is sent", |state| {
            state.nodes[at].send(step);
            state.nodes[at].call_back(work.id, scope);
        });
    }
}

fn answered(steps: &mut Steps<'_>, at: usize) {
    let State { server, budget, .. } = *steps.from;
    let node = steps.from.nodes[at];
    let scope = steps.scope;
    let Some(step) = node.step else { return };
    let Some(done) = step.done else {
        if server.life != node.life {
            return steps.go("STEP: the life is over", |state| state.drop_step(at));
        }
        return steps.go("STEP", |state| {
            let stepped = state.step(&step, scope);
            state.nodes[at].step = Some(Step { done: Some(stepped), ..step });
        });
    };
    steps.go("a STEP's answer comes", |state| state.take_answer(at, &step, done, scope));
    if server.life != node.life {
        steps.go("an old life's answer to STEP is lost", |state| state.drop_step(at));
    } else if budget.breaks > 0 {
        let again = |state: &mut State| {
            state.nodes[at].step = Some(Step { done: None, ..step });
            state.budget.breaks -= 1;
        };
        steps.fault("a STEP's answer is lost, it is sent again", again);
        if steps.lacks(Rule::OldConnectionEnds) && steps.from.stray.is_none() {
            steps.fault("a STEP is on its way twice", |state| {
                let twin = Step { done: None, ..step };
                state.stray = Some(Stray { step: Some(twin), life: node.life, name: node.name });
                state.budget.breaks -= 1;
            });
        }
    }
}

/// By anybody, so at any time.
fn bury(steps: &mut Steps<'_>) {
    let server = steps.from.server;
    let scope = steps.scope;
    for (at, registered) in server.names.iter().enumerate() {
        let Registered { name, leased, testimony, .. } = *registered;
        let user = |node: &Node| node.up && node.name == name && node.life == server.life;
        if leased && !steps.from.nodes.iter().any(user) {
            steps.go("a dead node's lease runs out", |state| state.server.names[at].leased = false);
        }
        let given = server.entries.iter().any(|entry| entry.given == Some(name));
        let heard = |held: &Attempt| server.client == Some(held.client);
        let held = testimony.held.iter().any(|held| heard(held) || steps.lacks(Rule::BuryAwaitsClient));
        if !leased && (given || held) {
            steps.go("BURY", |state| state.bury(at, scope));
        }
    }
}

impl Node {
    /// Credit is good for a task of this client.
    fn credits(&self, attempt: Attempt, scope: &Scope) -> bool {
        !scope.loses_clients() || self.sees == attempt.client + 1 || scope.lacks(Rule::CreditNeedsClient)
    }

    fn send(&mut self, step: Step) {
        for work in self.work.iter_mut().filter(|work| work.stage == Stage::Ready) {
            if step.begin == Some(work.id) {
                work.stage = Stage::Asked;
            } else if step.back == Some(work.id) {
                work.stage = Stage::Returned;
            }
        }
        self.step = Some(step);
    }

    /// No worker takes it any more.
    fn call_back(&mut self, id: Id, scope: &Scope) {
        for work in self.work.iter_mut().filter(|work| work.id == id && work.waits) {
            if scope.keeps(Rule::BackOnceCertain) {
                work.stage = Stage::Returned;
            }
        }
    }

    fn add_work(&mut self, work: Work) {
        self.work.push(work);
        self.work.sort_unstable();
    }

    fn answered(&mut self, attempt: Attempt) {
        let recent = &mut self.recent[usize::from(attempt.task)];
        *recent = attempt.number.max(*recent);
    }

    fn drop_unbegun(&mut self) {
        self.work.retain(|work| work.stage >= Stage::Begun);
    }
}

impl State {
    fn start_node(&mut self, at: usize) {
        self.budget.starts -= 1;
        let name = self.register(Testimony::default());
        let sees = self.server.client.map_or(0, |client| client + 1);
        self.nodes[at] = Node { up: true, life: self.server.life, name, sees, ..Node::default() };
    }

    /// What was given is ready.
    fn take(&mut self, at: usize, entry: Entry) {
        let Entry { id, attempt, .. } = entry;
        self.nodes[at].add_work(Work { id, attempt, stage: Stage::Ready, ..Work::default() });
    }

    fn read_history(&mut self, at: usize, scope: &Scope) {
        self.nodes[at].broken = false;
        if scope.lacks(Rule::HistoryRead) {
            return;
        }
        let Node { name, work, .. } = self.nodes[at];
        let entries = self.server.entries;
        let new = |entry: &&Entry| entry.given == Some(name) && !work.iter().any(|work| work.id == entry.id);
        entries.iter().filter(new).for_each(|entry| self.take(at, *entry));
        self.use_credit(at, scope);
    }

    /// Begins the first that is ready, while there is credit.
    fn use_credit(&mut self, at: usize, scope: &Scope) {
        while self.nodes[at].limit.credit > 0 {
            let node = &mut self.nodes[at];
            let in_order = scope.keeps(Rule::CreditSkipsNone);
            let unbegun = |work: &Work| work.stage < Stage::Begun;
            let allowed = |work: &Work| work.stage == Stage::Ready && node.credits(work.attempt, scope);
            let first = node.work.iter().position(|work| unbegun(work) && (in_order || allowed(work)));
            let Some(index) = first.filter(|index| allowed(&node.work[*index])) else { return };
            node.limit.credit -= 1;
            let (attempt, sees) = (node.work[index].attempt, node.sees);
            if self.server.client != Some(attempt.client)
                && sees != attempt.client + 1
                && scope.loses_clients()
            {
                self.violate(Property::DeadClientBegun);
            }
            self.begin(at, index, scope);
        }
    }

    fn begin(&mut self, at: usize, index: usize, scope: &Scope) {
        let node = &mut self.nodes[at];
        let work = &mut node.work[index];
        work.stage = Stage::Begun;
        work.waits = scope.shared || scope.pooled;
        let (attempt, waits) = (work.attempt, work.waits);
        node.limit.up_to = node.limit.up_to.max(work.id);
        if !waits {
            self.check_begin(attempt);
        }
    }

    /// What has begun for the server begins to run, if what it shares is there; else that is its verdict.
    fn run(&mut self, at: usize, index: usize, scope: &Scope) {
        let attempt = self.nodes[at].work[index].attempt;
        let is_bare = scope.shared && !self.has_blob(attempt);
        let work = &mut self.nodes[at].work[index];
        work.waits = false;
        if !is_bare {
            return self.check_begin(attempt);
        }
        (work.stage, work.died) = (Stage::Done, true);
        if self.is_awaited(attempt) {
            self.violate(Property::BlobGone);
        }
    }

    fn take_answer(&mut self, at: usize, step: &Step, done: Stepped, scope: &Scope) {
        let node = &mut self.nodes[at];
        node.step = None;
        let answers = (0..).zip(step.answers.iter());
        for (_, answer) in answers.filter(|(index, _)| !done.nowhere.has(*index)) {
            node.work.retain(|work| work.attempt != answer.attempt);
            node.answered(answer.attempt);
        }
        node.work.retain(|work| work.stage != Stage::Returned);
        let asked = node.work.iter().position(|work| work.stage == Stage::Asked);
        if let Some(index) = asked {
            if done.leased && done.granted {
                self.begin(at, index, scope);
            } else {
                node.work.remove(index);
            }
        }
        if done.leased {
            self.nodes[at].limit.credit += step.extra;
            self.use_credit(at, scope);
        }
    }

    /// It won't be answered; what was asked for is not begun.
    fn drop_step(&mut self, at: usize) {
        self.nodes[at].step = None;
        self.nodes[at].work.retain(|work| !matches!(work.stage, Stage::Asked | Stage::Returned));
    }

    fn join(&mut self, at: usize, scope: &Scope) {
        let life = self.server.life;
        let node = &mut self.nodes[at];
        let mut testimony = Testimony::default();
        if scope.keeps(Rule::NewNameDropsReady) {
            node.drop_unbegun();
        }
        if node.life != life {
            testimony.was = Some(node.name);
            if scope.keeps(Rule::WaitingNotHeld) {
                node.work.retain(|work| !work.waits);
            }
            let held = node.work.iter().filter(|work| matches!(work.stage, Stage::Begun | Stage::Done));
            held.for_each(|work| testimony.held.push(work.attempt));
            if scope.keeps(Rule::RecentTestified) {
                testimony.recent = node.recent;
            }
            node.recent = Default::default();
            if scope.keeps(Rule::OldAnswerNamesNone) {
                node.work.iter_mut().for_each(|work| work.id = 0);
            }
            node.sees = 0;
        }
        let Node { work, recent, sees, .. } = *node;
        let name = self.register(testimony);
        self.nodes[at] = Node { up: true, life, work, recent, sees, name, ..Node::default() };
    }

    /// What belongs to a client that is gone is dropped, or killed.
    fn look_for_clients(&mut self, at: usize, scope: &Scope) {
        let Node { sees: before, work, .. } = self.nodes[at];
        self.nodes[at].sees = self.server.client.map_or(0, |client| client + 1);
        for Work { id, attempt, stage, .. } in work.iter().copied() {
            if matches!(stage, Stage::Asked | Stage::Returned) || !self.is_gone(id, attempt, before, scope) {
                continue;
            }
            if stage == Stage::Ready && scope.lacks(Rule::DeadAreDropped) {
                continue;
            }
            if stage != Stage::Ready {
                if scope.keeps(Rule::KilledTestified) {
                    self.nodes[at].answered(attempt);
                }
                let forgotten = self.is_same_life() || self.client.number != attempt.client;
                if !self.client.dead && !forgotten {
                    self.violate(Property::KilledAlive);
                }
            }
            self.nodes[at].work.retain(|work| work.attempt != attempt);
            self.server.remove(id);
        }
        self.use_credit(at, scope);
    }

    /// Its client is not there and won't come back: it was there in this life, when the entry was made or at the beat
    /// `before`. Or it was away for so long.
    fn is_gone(&self, id: u8, attempt: Attempt, before: u8, scope: &Scope) -> bool {
        let there = self.server.client == Some(attempt.client);
        let was_there = id > 0 || before == attempt.client + 1;
        let too_long = self.client.dead || self.client.number > attempt.client;
        !there && (was_there || too_long || scope.lacks(Rule::KillOnlySeen))
    }
}
