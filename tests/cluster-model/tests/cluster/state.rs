//! What there is: a server, a client, nodes, and what is on its way between them.
//!
//! Everything is small and plain: a state is copied, compared and hashed millions of times.

use super::list::List;
use super::properties::Property;
use super::rules::Scope;

/// Of the one client.
pub(crate) const TASKS: usize = 2;
pub(crate) const NODES: usize = 2;

/// The place of an entry in the stream; 0 is before all.
pub(crate) type Id = u8;
/// A node's name.
pub(crate) type Name = u8;

/// A set of small numbers: tasks, or names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Set(pub(crate) u16);

impl Set {
    pub(crate) fn has(self, item: u8) -> bool {
        self.0 >> item & 1 == 1
    }

    pub(crate) fn add(&mut self, item: u8) {
        self.0 |= 1 << item;
    }

    pub(crate) fn remove(&mut self, item: u8) {
        self.0 &= !(1 << item);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |item| self.has(*item))
    }
}

/// One try of one task, of one client: a client that was forgotten goes on as another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Attempt {
    pub(crate) task: u8,
    /// From 1.
    pub(crate) number: u8,
    pub(crate) client: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    pub(crate) attempt: Attempt,
    /// The node that it was given to.
    pub(crate) given: Option<Name>,
}

/// What a node may have begun: all up to an entry, and so many of the next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Limit {
    pub(crate) up_to: Id,
    pub(crate) credit: u8,
}

/// What a node tells a new life of the last one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Testimony {
    pub(crate) was: Option<Name>,
    /// Begun and not answered.
    pub(crate) held: List<Attempt, 3>,
    /// Of each task, the attempt that it has answered last.
    pub(crate) recent: [u8; TASKS],
}

/// A name, as the server knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Registered {
    pub(crate) name: Name,
    pub(crate) leased: bool,
    pub(crate) limit: Limit,
    pub(crate) testimony: Testimony,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Kind {
    #[default]
    Done,
    /// Its worker died, or its node may have begun it and is gone.
    Lost,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Reply {
    pub(crate) attempt: Attempt,
    pub(crate) kind: Kind,
}

/// What the server remembers in one life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Server {
    pub(crate) life: u8,
    /// In the order of their ids.
    pub(crate) entries: List<Entry, 6>,
    pub(crate) names: List<Registered, 8>,
    pub(crate) replies: List<Reply, 8>,
    pub(crate) session: u8,
    /// The client that lives.
    pub(crate) client: Option<u8>,
    /// Of each task, the attempts whose argument lies there.
    pub(crate) arguments: [Set; TASKS],
    /// The client whose shared data lies there.
    pub(crate) blob: Option<u8>,
}

/// How far a node is with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Stage {
    #[default]
    Ready,
    /// In a STEP that is on its way, which asks leave to begin it.
    Asked,
    /// ... which gives it back.
    Returned,
    Begun,
    /// It has run to its end.
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Work {
    /// 0 if it began in an earlier life.
    pub(crate) id: Id,
    pub(crate) attempt: Attempt,
    pub(crate) stage: Stage,
    /// Its worker died, or what it shares was not there.
    pub(crate) died: bool,
    /// Begun, and nothing of it runs: it waits for what it shares, or for a worker.
    pub(crate) waits: bool,
}

/// What the server said to a STEP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Stepped {
    pub(crate) leased: bool,
    pub(crate) granted: bool,
    /// Which answers found no client, by their index.
    pub(crate) nowhere: Set,
}

/// A STEP on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Step {
    pub(crate) answers: List<Work, 3>,
    /// The one entry that it asks leave for.
    pub(crate) begin: Option<Id>,
    /// The one entry that it gives back.
    pub(crate) back: Option<Id>,
    pub(crate) limit: Limit,
    /// How much of the credit is new.
    pub(crate) extra: u8,
    pub(crate) done: Option<Stepped>,
    pub(crate) name: Name,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Node {
    pub(crate) up: bool,
    /// The life that it knows.
    pub(crate) life: u8,
    pub(crate) limit: Limit,
    pub(crate) work: List<Work, 5>,
    /// What a FETCH has brought, and it has not looked at.
    pub(crate) fetched: Option<Entry>,
    pub(crate) step: Option<Step>,
    /// Of each task, the attempt that it has answered last in this life.
    pub(crate) recent: [u8; TASKS],
    /// Its connection broke, and it has not read its history since.
    pub(crate) broken: bool,
    /// Its client has known it; only without [`CreditLapses`](super::rules::Rule), with which a live node stays known.
    pub(crate) was_known: bool,
    /// The client that lived at its last beat, counted from 1.
    pub(crate) sees: u8,
    pub(crate) name: Name,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum TaskAt {
    #[default]
    Queued,
    /// SUBMIT was sent, and not answered.
    Unsure,
    Shipped,
    /// The life in which it was shipped is over.
    Doubt,
    Done,
    Lost,
    Cancelled,
}

impl TaskAt {
    pub(crate) fn is_out(self) -> bool {
        matches!(self, TaskAt::Unsure | TaskAt::Shipped | TaskAt::Doubt)
    }

    pub(crate) fn is_resolved(self) -> bool {
        matches!(self, TaskAt::Done | TaskAt::Lost | TaskAt::Cancelled)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Task {
    pub(crate) at: TaskAt,
    pub(crate) attempt: u8,
    pub(crate) retries: u8,
    /// Its user may still want to cancel it.
    pub(crate) cancel: bool,
    /// How often it began, and how often it may have by now; whether its present attempt began.
    pub(crate) begun: u8,
    pub(crate) charged: u8,
    pub(crate) begun_now: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Client {
    pub(crate) dead: bool,
    /// Which of its names it has: it takes another when it was forgotten.
    pub(crate) number: u8,
    pub(crate) life: u8,
    pub(crate) session: u8,
    /// It has a connection.
    pub(crate) up: bool,
    pub(crate) tasks: [Task; TASKS],
    /// After a break: what the SCAN has seen.
    pub(crate) scanned: Option<Set>,
    /// In a new life: what the testimonies say.
    pub(crate) heard: Option<Heard>,
    /// It has put there what its tasks share.
    pub(crate) has_put: bool,
    /// Names of the nodes of this life.
    pub(crate) known: Set,
    /// ... and of the last one, of which it waits for word.
    pub(crate) awaited: Set,
    /// One of them didn't come back.
    pub(crate) missing: bool,
}

/// What all testimonies say of the client's tasks in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Heard {
    pub(crate) held: Set,
    pub(crate) recent: Set,
}

/// What an old connection of the client's still has in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Late {
    pub(crate) attempts: List<Attempt, TASKS>,
    /// It is a CANCEL, not a SUBMIT.
    pub(crate) cancels: bool,
    /// It brings shared data, of the client of this number.
    pub(crate) blob: Option<u8>,
    pub(crate) session: u8,
    pub(crate) life: u8,
}

/// What an old connection of a node's still has in it; only without [`OldConnectionEnds`](super::rules::Rule).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Stray {
    /// A STEP; without one, a FETCH.
    pub(crate) step: Option<Step>,
    pub(crate) life: u8,
    pub(crate) name: Name,
}

/// The faults that may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Budget {
    pub(crate) restarts: u8,
    pub(crate) deaths: u8,
    pub(crate) lapses: u8,
    pub(crate) breaks: u8,
    pub(crate) forgets: u8,
    pub(crate) client_deaths: u8,
    pub(crate) crashes: u8,
    /// No fault: a node that is down may be started.
    pub(crate) starts: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct State {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) nodes: [Node; NODES],
    pub(crate) late: List<Late, 4>,
    pub(crate) stray: Option<Stray>,
    pub(crate) budget: Budget,
    /// What went wrong.
    pub(crate) wrong: Option<Property>,
}

impl State {
    pub(crate) fn initial(scope: &Scope) -> State {
        let mut state = State::default();
        for (at, task) in state.client.tasks.iter_mut().enumerate() {
            let at_start = if at < scope.tasks { TaskAt::Queued } else { TaskAt::Done };
            let (retries, cancel) = (scope.retries[at], scope.cancels && at == 0);
            *task = Task { at: at_start, retries, cancel, ..Task::default() };
        }
        state.client.up = true;
        state.client.session = 1;
        state.server.session = 1;
        state.server.client = Some(0);
        for (name, node) in (0..).zip(&mut state.nodes) {
            if name > 0 && (scope.late_node || scope.one_node) {
                continue;
            }
            *node = Node { up: true, name, sees: 1, ..Node::default() };
            state.server.names.push(Registered { name, leased: true, ..Registered::default() });
            state.client.known.add(name);
        }
        state.budget = Budget {
            restarts: scope.restarts,
            deaths: scope.deaths,
            lapses: scope.lapses,
            breaks: scope.breaks,
            forgets: scope.forgets,
            client_deaths: scope.client_deaths,
            crashes: scope.crashes,
            starts: u8::from(!scope.one_node),
        };
        state.tidy();
        state
    }

    pub(crate) fn violate(&mut self, property: Property) {
        self.wrong.get_or_insert(property);
    }

    pub(crate) fn is_same_life(&self) -> bool {
        self.client.life == self.server.life
    }
}
