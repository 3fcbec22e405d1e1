//! A client that is driven by hand: steps on a connection, and no thread of its own.

use super::{LONG, MANY, engine, until};
use crate::engine::conformance::Harness;
use crate::engine::{Engine, Fault, Link, Order};
use crate::wire::{Answer, Attempt, AttemptId, EntryId, Kind, Life, Name, Payload, Session};
use concurrent_futures::{Future, Portable, Task, TaskError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A client: its tasks, and what became of them.
pub(super) struct Client {
    engine: Arc<dyn Engine>,
    link: Box<dyn Link>,
    life: Life,
    pub(super) name: Name,
    session: Session,
    pub(super) tasks: HashMap<u64, Task>,
    after: EntryId,
    last: u64,
    pub(super) answers: Vec<Answer>,
}

impl Client {
    pub(super) fn new(server: &dyn Harness, name: &str) -> Self {
        let engine = engine(server);
        let mut link = engine.connect().unwrap();
        let life = link.enter().unwrap();
        let session = link.open_session(&life, &name.into(), LONG).unwrap();
        Client {
            engine,
            link,
            life,
            name: name.into(),
            session,
            tasks: HashMap::new(),
            after: EntryId::ZERO,
            last: 0,
            answers: Vec::new(),
        }
    }

    /// Makes a step for as long as it takes.
    pub(super) fn ask<T>(&mut self, mut step: impl FnMut(&mut dyn Link, &Life) -> Result<T, Fault>) -> T {
        loop {
            match step(&mut *self.link, &self.life) {
                Ok(made) => return made,
                Err(Fault::Lost(_)) => {
                    until("the server is there", || match self.engine.connect() {
                        Ok(link) => {
                            self.link = link;
                            true
                        }
                        Err(_) => false,
                    });
                }
                Err(fault) => panic!("{fault}"),
            }
        }
    }

    /// Comes to a new life under the same name.
    pub(super) fn enter_again(&mut self) {
        loop {
            let Ok(mut link) = self.engine.connect() else { continue };
            let Ok(life) = link.enter() else { continue };
            let Ok(session) = link.open_session(&life, &self.name, LONG) else { continue };
            (self.link, self.life, self.session, self.after) = (link, life, session, EntryId::ZERO);
            return;
        }
    }

    pub(super) fn attempt(
        &self,
        seq: u64,
        attempt: u32,
        parcel: Payload,
        time_limit: Option<Duration>,
    ) -> Attempt {
        let id = AttemptId { client: self.name.clone(), seq, attempt };
        Attempt { id, session: self.session, time_limit, parcel, seal: Vec::new() }
    }

    /// Submits tasks at once; gives their futures and the first one's number.
    pub(super) fn submit<A: Portable, R: Portable>(
        &mut self,
        f: fn(A) -> R,
        args: Vec<A>,
    ) -> (u64, Vec<Future<R>>) {
        self.submit_within(f, args, None)
    }

    pub(super) fn submit_within<A: Portable, R: Portable>(
        &mut self,
        f: fn(A) -> R,
        args: Vec<A>,
        time_limit: Option<Duration>,
    ) -> (u64, Vec<Future<R>>) {
        let first = self.last + 1;
        let (mut futures, mut attempts) = (Vec::new(), Vec::new());
        for arg in args {
            self.last += 1;
            let (mut task, future) = Task::new(f, arg);
            let parcel = task.encode_once().unwrap().into_bytes();
            assert!(task.start());
            let id = AttemptId { client: self.name.clone(), seq: self.last, attempt: 1 };
            let parcel = if parcel.len() > 64 << 10 {
                self.ask(|link, life| link.put_argument(life, &id, &parcel));
                Payload::Beside
            } else {
                Payload::Inline(parcel.into())
            };
            attempts.push(self.attempt(self.last, 1, parcel, time_limit));
            self.tasks.insert(self.last, task);
            futures.push(future);
        }
        self.ask(|link, life| link.submit(life, MANY, &attempts));
        (first, futures)
    }

    /// Reads answers and resolves tasks, until all are.
    pub(super) fn resolve(&mut self) {
        while !self.tasks.is_empty() {
            self.read();
        }
    }

    pub(super) fn read(&mut self) {
        let (name, after) = (self.name.clone(), self.after);
        let page = self.ask(|link, life| link.read(life, &name, after, 1000, Duration::from_millis(500)));
        for answer in page {
            self.after = answer.entry.unwrap();
            if let Some(task) = self.tasks.remove(&answer.id.seq) {
                match (answer.kind, &answer.reply) {
                    (Kind::Lost, _) => drop(task.fail(TaskError::Abandoned)),
                    (_, Payload::Inline(reply)) => assert!(task.complete(reply)),
                    (_, Payload::Beside) => {
                        let id = answer.id.clone();
                        let reply = self.ask(|link, life| link.get_result(life, &id)).unwrap();
                        assert!(task.complete(&reply));
                    }
                }
            }
            self.answers.push(answer);
        }
    }

    pub(super) fn kill(&mut self, seq: u64) {
        let id = AttemptId { client: self.name.clone(), seq, attempt: 1 };
        self.ask(|link, life| link.order(life, &Order::Kill(id.clone())));
    }

    pub(super) fn is_streamed(&mut self, seq: u64) -> bool {
        let name = self.name.clone();
        self.ask(|link, life| link.scan(life, &name)).iter().any(|(id, _)| id.seq == seq)
    }
}
