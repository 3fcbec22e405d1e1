//! States that differ only in how things are called are one: names and ids are given anew after each step.

use super::state::{Id, Name, Registered, Set, State, TaskAt, Testimony};

impl State {
    /// Forgets what nobody can ask for, numbers ids from 0 and names from 0, puts the nodes in order.
    pub(crate) fn tidy(&mut self) {
        self.forget();
        self.number_ids();
        self.nodes.sort_unstable();
        self.number_names();
        self.server.names.sort_unstable_by_key(|registered| registered.name);
    }

    fn forget(&mut self) {
        let in_doubt = self.is_in_doubt();
        if !in_doubt {
            self.client.awaited = Set::default();
            self.client.missing = false;
            for registered in self.server.names.iter_mut() {
                registered.testimony.was = None;
                registered.testimony.recent = Default::default();
            }
        }
        if self.late.is_empty() && self.client.session == self.server.session {
            (self.client.session, self.server.session) = (1, 1);
        }
        let tasks = self.client.tasks;
        let testimonies = self.server.names.iter_mut().map(|registered| &mut registered.testimony.recent);
        for recent in self.nodes.iter_mut().map(|node| &mut node.recent).chain(testimonies) {
            for (attempt, task) in recent.iter_mut().zip(tasks) {
                *attempt *= u8::from(!task.at.is_resolved());
            }
        }
        if !in_doubt && !self.server.names.iter().all(|registered| self.is_of_use(registered)) {
            let before = *self;
            self.server.names.retain(|registered| before.is_of_use(registered));
        }
    }

    /// The client is in doubt, or will be.
    fn is_in_doubt(&self) -> bool {
        !self.is_same_life() || self.client.tasks.iter().any(|task| task.at == TaskAt::Doubt)
    }

    fn is_of_use(&self, registered: &Registered) -> bool {
        let name = registered.name;
        registered.leased
            || self.client.known.has(name)
            || self.is_used(name)
            || registered.testimony != Testimony::default()
    }

    /// Somebody may still act, or be answered for, under this name.
    pub(crate) fn is_used(&self, name: Name) -> bool {
        let by_node = self
            .nodes
            .iter()
            .any(|node| node.up && (node.name == name || node.step.is_some_and(|step| step.name == name)));
        let by_entry = self.server.entries.iter().any(|entry| entry.given == Some(name));
        by_node || by_entry || self.stray.is_some_and(|stray| stray.name == name)
    }

    /// An id behind all that this life has seen.
    pub(crate) fn next_id(&self) -> Id {
        let mut last = 0;
        let mut seen = *self;
        let life = self.server.life;
        // An earlier life's ids say nothing: the clock may have been set back.
        for node in seen.nodes.iter_mut().filter(|node| node.life != life) {
            *node = super::state::Node::default();
        }
        seen.stray = seen.stray.filter(|stray| stray.life == life);
        seen.each_id(&mut |id| last = last.max(*id));
        last + 1
    }

    /// A name that nobody has.
    pub(crate) fn next_name(&self) -> Name {
        let mut used = self.client.known.0 | self.client.awaited.0;
        let mut seen = *self;
        seen.each_name(&mut |name| used |= 1 << *name);
        used.trailing_ones() as Name
    }

    fn number_ids(&mut self) {
        let mut used = 1_u64;
        self.each_id(&mut |id| used |= 1 << *id);
        // An id's rank.
        self.each_id(&mut |id| *id = (used & ((1 << *id) - 1)).count_ones() as Id);
    }

    fn number_names(&mut self) {
        let (mut new, mut next) = ([Name::MAX; 16], 0);
        let mut give = |name: Name| {
            let slot = &mut new[usize::from(name)];
            if *slot == Name::MAX {
                *slot = next;
                next += 1;
            }
            *slot
        };
        self.each_name(&mut |name| *name = give(*name));
        for set in [&mut self.client.known, &mut self.client.awaited] {
            let mut renamed = Set::default();
            set.iter().for_each(|name| renamed.add(give(name)));
            *set = renamed;
        }
    }

    fn each_id(&mut self, f: &mut dyn FnMut(&mut Id)) {
        for entry in self.server.entries.iter_mut() {
            f(&mut entry.id);
        }
        for registered in self.server.names.iter_mut() {
            f(&mut registered.limit.up_to);
        }
        for node in self.nodes.iter_mut() {
            f(&mut node.limit.up_to);
            node.work.iter_mut().for_each(|work| f(&mut work.id));
            if let Some(entry) = &mut node.fetched {
                f(&mut entry.id);
            }
        }
        let steps = self.nodes.iter_mut().filter_map(|node| node.step.as_mut());
        for step in steps.chain(self.stray.iter_mut().filter_map(|stray| stray.step.as_mut())) {
            f(&mut step.limit.up_to);
            step.begin.iter_mut().chain(&mut step.back).for_each(&mut *f);
            step.answers.iter_mut().for_each(|work| f(&mut work.id));
        }
    }

    /// All but those in sets. Those of the nodes come first: so the order of the nodes gives the names.
    fn each_name(&mut self, f: &mut dyn FnMut(&mut Name)) {
        for node in self.nodes.iter_mut().filter(|node| node.up) {
            f(&mut node.name);
            if let Some(name) = node.fetched.as_mut().and_then(|entry| entry.given.as_mut()) {
                f(name);
            }
            if let Some(step) = &mut node.step {
                f(&mut step.name);
            }
        }
        if let Some(stray) = &mut self.stray {
            f(&mut stray.name);
            stray.step.iter_mut().for_each(|step| f(&mut step.name));
        }
        for name in self.server.entries.iter_mut().filter_map(|entry| entry.given.as_mut()) {
            f(name);
        }
        for registered in self.server.names.iter_mut() {
            f(&mut registered.name);
            registered.testimony.was.iter_mut().for_each(&mut *f);
        }
    }
}
