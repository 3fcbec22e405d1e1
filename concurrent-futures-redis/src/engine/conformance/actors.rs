//! What the cases are played by.

use super::Harness;
use crate::engine::{Fault, Link, Step, Stepped};
use crate::wire::{
    Answer, Attempt, AttemptId, Entry, EntryId, Kind, Life, Name, NodeInfo, Payload, Session, Testimony,
};
use std::time::{Duration, Instant};

/// Longer than any case.
pub(super) const LONG: Duration = Duration::from_secs(600);
/// A lease that is meant to run out.
pub(super) const SHORT: Duration = Duration::from_millis(50);
pub(super) const NOW: Duration = Duration::ZERO;
/// How long a read waits that is meant to get something.
pub(super) const WAIT: Duration = Duration::from_secs(60);
pub(super) const MANY: u64 = 1 << 40;

/// One connection in the present life.
pub(super) struct Actor {
    pub(super) link: Box<dyn Link>,
    pub(super) life: Life,
}

pub(super) fn enter(harness: &dyn Harness) -> Actor {
    enter_as(harness, "q", "b")
}

pub(super) fn enter_as(harness: &dyn Harness, queue: &str, build: &str) -> Actor {
    let mut link = harness.engine(queue, build).connect().unwrap();
    let life = link.enter().unwrap();
    Actor { link, life }
}

pub(super) fn name(text: &str) -> Name {
    text.into()
}

pub(super) fn id(client: &str, seq: u64) -> AttemptId {
    AttemptId { client: client.into(), seq, attempt: 1 }
}

pub(super) fn attempt(client: &str, seq: u64, session: Session) -> Attempt {
    let parcel = Payload::Inline(format!("parcel {seq}").into_bytes().into());
    Attempt { id: id(client, seq), session, time_limit: None, parcel, seal: Vec::new() }
}

pub(super) fn done(entry: &Entry) -> Answer {
    let reply = Payload::Inline(format!("reply {}", entry.attempt.id.seq).into_bytes().into());
    Answer {
        entry: Some(entry.id),
        id: entry.attempt.id.clone(),
        kind: Kind::Done,
        reply,
        seal: b"seal".to_vec(),
    }
}

pub(super) fn node(name: &str) -> NodeInfo {
    NodeInfo { name: name.into(), build: "b".into(), host: "here".into(), pid: 7, slots: 2, running: 1 }
}

pub(super) fn ids(entries: &[Entry]) -> Vec<EntryId> {
    entries.iter().map(|entry| entry.id).collect()
}

/// Leave to begin them.
pub(super) fn begins(entries: &[Entry]) -> Vec<(EntryId, Name)> {
    entries.iter().map(|entry| (entry.id, entry.attempt.id.client.clone())).collect()
}

pub(super) fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.attempt.id.seq).collect()
}

/// Where an answer that was read lies.
pub(super) fn place(answer: &Answer) -> EntryId {
    answer.entry.unwrap()
}

/// Asks again until it is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

impl Actor {
    pub(super) fn open(&mut self, client: &str) -> Session {
        self.link.open_session(&self.life, &client.into(), LONG).unwrap()
    }

    pub(super) fn join(&mut self, name: &str, lease: Duration) {
        self.link.join(&self.life, &node(name), lease, &Testimony::default()).unwrap();
    }

    pub(super) fn testify(&mut self, name: &str, lease: Duration, testimony: &Testimony) {
        self.link.join(&self.life, &node(name), lease, testimony).unwrap();
    }

    pub(super) fn submit(
        &mut self,
        client: &str,
        session: Session,
        seqs: std::ops::RangeInclusive<u64>,
    ) -> Vec<EntryId> {
        let attempts: Vec<Attempt> = seqs.map(|seq| attempt(client, seq, session)).collect();
        self.link.submit(&self.life, MANY, &attempts).unwrap()
    }

    pub(super) fn fetch(&mut self, name: &str, most: usize) -> Vec<Entry> {
        self.link.fetch(&self.life, &name.into(), most, NOW).unwrap()
    }

    pub(super) fn history(&mut self, name: &str, after: EntryId, most: usize) -> Vec<Entry> {
        self.link.history(&self.life, &name.into(), after, most).unwrap()
    }

    pub(super) fn step(&mut self, name: &str, step: Step) -> Stepped {
        self.link.step(&self.life, &name.into(), &step).unwrap()
    }

    pub(super) fn limit(&mut self, name: &str, limit: EntryId, credit: u32) {
        self.step(name, Step { limit, credit, ..Step::default() });
    }

    pub(super) fn scan(&mut self, client: &str) -> Vec<u64> {
        self.link.scan(&self.life, &client.into()).unwrap().into_iter().map(|(id, _)| id.seq).collect()
    }

    pub(super) fn read(&mut self, client: &str, after: EntryId) -> Vec<Answer> {
        self.link.read(&self.life, &client.into(), after, 1000, NOW).unwrap()
    }

    /// Kind and task of each answer that lies there.
    pub(super) fn verdicts(&mut self, client: &str) -> Vec<(Kind, u64)> {
        self.read(client, EntryId::ZERO).into_iter().map(|answer| (answer.kind, answer.id.seq)).collect()
    }

    pub(super) fn bury(&mut self) -> Vec<Name> {
        self.link.bury(&self.life).unwrap()
    }

    /// Lets the lease of a node run out.
    pub(super) fn expire(&mut self, name: &str) {
        self.link.beat_node(&self.life, &node(name), Duration::from_millis(1)).unwrap();
        until("a lease runs out", || {
            let beat = self.link.beat_client(&self.life, &"nobody".into(), LONG).unwrap();
            beat.nodes.iter().all(|node| *node.name != *name)
        });
    }

    /// Lets the lease of a node run out, and buries it.
    pub(super) fn bury_in_time(&mut self, name: &str) {
        self.link.beat_node(&self.life, &node(name), Duration::from_millis(1)).unwrap();
        until("a burial", || self.bury().iter().any(|buried| **buried == *name));
    }

    pub(super) fn is_over<T>(result: Result<T, Fault>) -> bool {
        matches!(result, Err(Fault::Over))
    }
}
