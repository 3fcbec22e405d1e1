//! The server's steps: each is one command or one script, so nothing comes between its parts.

use super::properties::Property;
use super::rules::{Rule, Scope};
use super::state::{
    Attempt, Entry, Id, Kind, Late, Limit, Name, Registered, Reply, Server, Set, State, Step, Stepped,
    Testimony, Work,
};

impl Server {
    pub(crate) fn registered(&self, name: Name) -> Option<&Registered> {
        self.names.iter().find(|registered| registered.name == name)
    }

    fn registered_mut(&mut self, name: Name) -> Option<&mut Registered> {
        self.names.iter_mut().find(|registered| registered.name == name)
    }

    pub(crate) fn is_leased(&self, name: Name) -> bool {
        self.registered(name).is_some_and(|registered| registered.leased)
    }

    /// `id`, given to `name`, is among what its limit lets it begin.
    fn may_have_begun(&self, name: Name, limit: Limit, id: Id) -> bool {
        let behind = |entry: &&Entry| entry.given == Some(name) && (limit.up_to + 1..id).contains(&entry.id);
        id <= limit.up_to || self.entries.iter().filter(behind).count() < usize::from(limit.credit)
    }

    /// Tasks of which an attempt is in the stream; SCAN.
    pub(crate) fn in_stream(&self, client: u8) -> Set {
        let mut tasks = Set::default();
        let own = self.entries.iter().filter(|entry| entry.attempt.client == client);
        own.for_each(|entry| tasks.add(entry.attempt.task));
        tasks
    }

    /// Some node has testified that it holds this attempt.
    pub(crate) fn is_held(&self, attempt: Attempt, scope: &Scope) -> bool {
        let same = |held: &Attempt| {
            held.task == attempt.task && (held.number == attempt.number || scope.lacks(Rule::HeldByAttempt))
        };
        self.names.iter().any(|registered| registered.testimony.held.iter().any(same))
    }

    pub(crate) fn remove(&mut self, id: Id) {
        self.entries.retain(|entry| entry.id != id);
    }

    fn remove_argument(&mut self, attempt: Attempt, scope: &Scope) {
        let arguments = &mut self.arguments[usize::from(attempt.task)];
        if scope.keeps(Rule::ArgumentByAttempt) {
            arguments.remove(attempt.number);
        } else {
            *arguments = Set::default();
        }
    }

    /// Into the stream of the client's replies; false if there is no such client.
    fn answer(&mut self, attempt: Attempt, kind: Kind, scope: &Scope) -> bool {
        let is_there = self.client == Some(attempt.client);
        if is_there {
            self.replies.push(Reply { attempt, kind });
            self.remove_argument(attempt, scope);
        }
        is_there
    }

    /// The client's keys run out.
    pub(crate) fn forget_client(&mut self, scope: &Scope) {
        self.client = None;
        self.session = 0;
        self.replies.clear();
        self.arguments = Default::default();
        if scope.keeps(Rule::BlobEndsWithClient) {
            self.blob = None;
        }
    }

    /// Takes shared data.
    pub(crate) fn put_blob(&mut self, client: u8, scope: &Scope) {
        if self.client == Some(client) || scope.lacks(Rule::BlobNeedsClient) {
            self.blob = Some(client);
        }
    }
}

impl State {
    /// At the stream's end.
    fn put(&mut self, attempt: Attempt) {
        let id = self.next_id();
        self.server.entries.push(Entry { id, attempt, given: None });
    }

    /// SUBMIT or CANCEL, by whichever connection.
    pub(crate) fn request(&mut self, request: Late, scope: &Scope) {
        if let Some(client) = request.blob {
            if request.life == self.server.life {
                self.server.put_blob(client, scope);
            }
            return;
        }
        let rule = if request.cancels { Rule::CancelFenced } else { Rule::SubmitFenced };
        let fenced = request.session != self.server.session && scope.keeps(rule);
        if fenced || request.life != self.server.life || self.server.client.is_none() {
            return;
        }
        for attempt in request.attempts.iter() {
            if request.cancels {
                self.cancel(*attempt, scope);
            } else {
                self.put(*attempt);
            }
        }
    }

    /// CANCEL: true if the attempt will never begin.
    pub(crate) fn cancel(&mut self, attempt: Attempt, scope: &Scope) -> bool {
        let Some(entry) = self.server.entries.iter().copied().find(|entry| entry.attempt == attempt) else {
            return false;
        };
        let free = match entry.given {
            None => true,
            Some(name) => {
                let limit = self.server.registered(name).map(|registered| registered.limit);
                let beyond = limit.is_some_and(|limit| !self.server.may_have_begun(name, limit, entry.id));
                beyond && scope.lacks(Rule::CancelOnlyNew)
            }
        };
        if free {
            self.server.remove(entry.id);
            self.server.remove_argument(attempt, scope);
        }
        free
    }

    /// FETCH: the first entry that no node was given.
    pub(crate) fn give(&mut self, name: Name) -> Option<Entry> {
        let entry = self.server.entries.iter_mut().find(|entry| entry.given.is_none())?;
        entry.given = Some(name);
        Some(*entry)
    }

    /// STEP.
    pub(crate) fn step(&mut self, step: &Step, scope: &Scope) -> Stepped {
        let server = &mut self.server;
        let mut stepped = Stepped::default();
        for (index, work) in (0..).zip(step.answers.iter()) {
            let Work { id, attempt, died, .. } = *work;
            server.remove(id);
            let kind = if died { Kind::Lost } else { Kind::Done };
            if server.answer(attempt, kind, scope) {
                for registered in server.names.iter_mut() {
                    registered.testimony.held.retain(|held| *held != attempt);
                }
            } else {
                stepped.nowhere.add(index);
            }
        }
        stepped.leased = server.is_leased(step.name);
        if stepped.leased
            && scope.keeps(Rule::LimitStated)
            && let Some(registered) = server.registered_mut(step.name)
        {
            registered.limit = step.limit;
        }
        stepped.leased |= scope.lacks(Rule::GrantNeedsLease);
        if let Some(id) = step.begin.filter(|_| stepped.leased) {
            let given = |entry: &Entry| entry.id == id && entry.given == Some(step.name);
            let entry = server.entries.iter().copied().find(given);
            let lives = entry.is_some_and(|entry| server.client == Some(entry.attempt.client));
            stepped.granted = lives || entry.is_some() && scope.lacks(Rule::GrantNeedsClient);
            stepped.granted |= scope.lacks(Rule::GrantNeedsLease);
            if stepped.granted && !lives && scope.keeps(Rule::GrantNeedsLease) {
                self.violate(Property::DeadClientBegun);
            } else if !lives && entry.is_some() && scope.keeps(Rule::DeadAreDropped) {
                self.server.remove(id);
            }
        }
        let given = |entry: &&Entry| Some(entry.id) == step.back && entry.given == Some(step.name);
        if let Some(Entry { id, attempt, .. }) = self.server.entries.iter().find(given).copied() {
            self.server.remove(id);
            self.put(attempt);
        }
        stepped
    }

    /// JOIN: a name that nobody has, with a lease.
    pub(crate) fn register(&mut self, testimony: Testimony) -> Name {
        let name = self.next_name();
        self.server.names.push(Registered { name, leased: true, testimony, ..Registered::default() });
        name
    }

    /// BURY, of the one name that lies at `at`.
    pub(crate) fn bury(&mut self, at: usize, scope: &Scope) {
        let Registered { name, limit, testimony, .. } = self.server.names[at];
        let before = self.server;
        for entry in before.entries.iter().filter(|entry| entry.given == Some(name)) {
            self.server.remove(entry.id);
            let begun = before.may_have_begun(name, limit, entry.id);
            if begun && entry.id > limit.up_to && scope.lacks(Rule::BuryKeepsLimit) {
                self.server.names[at].limit.credit -= 1;
            }
            if begun && scope.keeps(Rule::BuryHonoursLimit) {
                self.server.answer(entry.attempt, Kind::Lost, scope);
            } else {
                self.put(entry.attempt);
            }
        }
        for held in testimony.held.iter().copied() {
            if self.server.answer(held, Kind::Lost, scope) || scope.lacks(Rule::BuryAwaitsClient) {
                self.server.names[at].testimony.held.retain(|other| *other != held);
            }
        }
    }

    /// The server starts again with nothing. What it has answered may still be on its way.
    pub(crate) fn restart(&mut self) {
        self.server = Server { life: self.server.life + 1, ..Server::default() };
        self.client.up = false;
        self.stray = None;
    }
}
