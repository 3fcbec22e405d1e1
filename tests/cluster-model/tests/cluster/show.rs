//! One line for a state, in a trace.

use super::state::{Attempt, Node, Server, State};
use std::fmt;

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.server)?;
        for node in self.nodes.iter().filter(|node| node.up) {
            write!(f, " | {node}")?;
        }
        write!(f, " | client")?;
        for task in &self.client.tasks {
            write!(f, " {:?}/{}", task.at, task.attempt)?;
        }
        let client = &self.client;
        let flags = [
            (!client.up, "away"),
            (!self.is_same_life(), "in an old life"),
            (client.missing, "missing one"),
            (client.dead, "dead"),
            (!self.late.is_empty() || self.stray.is_some(), "late requests"),
        ];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| write!(f, ", {name}"))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "life {} [", self.life)?;
        for entry in self.entries.iter() {
            write!(f, " {}:{}", entry.id, entry.attempt)?;
            entry.given.iter().try_for_each(|name| write!(f, ">n{name}"))?;
        }
        write!(f, " ]")?;
        self.blob.iter().try_for_each(|client| write!(f, " shared by {client}"))?;
        for name in self.names.iter() {
            let lease = if name.leased { "" } else { "(out)" };
            write!(f, " n{}{lease} {}+{}", name.name, name.limit.up_to, name.limit.credit)?;
            name.testimony.held.iter().try_for_each(|held| write!(f, " holds {held}"))?;
        }
        self.replies.iter().try_for_each(|reply| write!(f, " {:?} {}", reply.kind, reply.attempt))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{} in {} {}+{}", self.name, self.life, self.limit.up_to, self.limit.credit)?;
        for work in self.work.iter() {
            write!(f, " {}:{} {:?}", work.id, work.attempt, work.stage)?;
            f.write_str(if work.waits { "(waits)" } else { "" })?;
        }
        if let Some(entry) = self.fetched {
            write!(f, " gets {}:{}", entry.id, entry.attempt)?;
        }
        if let Some(step) = self.step {
            write!(f, " STEP({:?} {}+{})", step.begin, step.limit.up_to, step.limit.credit)?;
            step.done.iter().try_for_each(|done| write!(f, "={}/{}", done.leased, done.granted))?;
        }
        if self.broken { write!(f, " broken") } else { Ok(()) }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}.{}", self.task, self.number)
    }
}
