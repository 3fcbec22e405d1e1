//! [`Work`]: what a node has begun and the server has not taken an answer to. No I/O.

use crate::wire::{AttemptId, EntryId, Kind, Name};
use concurrent_futures::CancelHandle;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names what was begun, within this process.
pub(super) type Token = u64;

/// Why something that runs was ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// A client has asked for it.
    Ordered,
    /// Its client is gone.
    ClientGone,
    /// The server was out of reach for a lease.
    CutOff,
    /// The node is to end, and the task took too long.
    Drained,
}

/// How a task has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// As it came from the pool: a large one is not copied.
    pub(super) reply: Arc<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Work {
    next: Token,
    held: HashMap<Token, Held>,
    /// What has ended and is not in a STEP, in the order of the ends.
    outbox: VecDeque<Token>,
    running: u32,
    /// When to look again at what waits in the pool.
    next_look: Option<Instant>,
}

struct Held {
    id: AttemptId,
    /// None if it began in an earlier life.
    entry: Option<EntryId>,
    since: Instant,
    stage: Stage,
    killed: Option<Why>,
    /// It waited for long in the pool: if no worker has taken it, it goes back.
    is_called_back: bool,
    /// Of what began in an earlier life: its client was there in this one.
    is_client_seen: bool,
    /// Its answer found no client, and is kept until the client comes.
    awaits_client: bool,
}

enum Stage {
    /// On its way to the pool; none of it runs.
    Starting,
    Running(CancelHandle),
    Ended(Outcome),
}

/// What there is to answer.
pub(super) struct Ended {
    pub(super) token: Token,
    pub(super) id: AttemptId,
    pub(super) entry: Option<EntryId>,
    pub(super) outcome: Outcome,
}

impl Work {
    pub(super) fn begin(
        &mut self,
        id: AttemptId,
        entry: EntryId,
        killed: Option<Why>,
        now: Instant,
    ) -> Token {
        self.next += 1;
        self.running += 1;
        let (entry, stage) = (Some(entry), Stage::Starting);
        self.held.insert(
            self.next,
            Held {
                id,
                entry,
                since: now,
                stage,
                killed,
                is_called_back: false,
                is_client_seen: true,
                awaits_client: false,
            },
        );
        self.next
    }

    /// Whether it is still to be started; if its end was ordered meanwhile, why.
    pub(super) fn start(&self, token: Token) -> Option<Option<Why>> {
        let held = self.held.get(&token)?;
        matches!(held.stage, Stage::Starting).then_some(held.killed)
    }

    /// It goes to the pool. Gives why it is to be ended at once, if it is. None if it must not begin: another life has begun
    /// meanwhile, and was told that it has not.
    pub(super) fn run(&mut self, token: Token, handle: CancelHandle) -> Option<Option<Why>> {
        let held = self.held.get_mut(&token)?;
        if let Stage::Starting = held.stage {
            held.stage = Stage::Running(handle);
        }
        Some(held.killed)
    }

    /// Why it was ended, if it was.
    pub(super) fn why(&self, token: Token) -> Option<Why> {
        self.held.get(&token)?.killed
    }

    /// It has ended, and is to be answered. False if nobody waits for that any more.
    pub(super) fn end(&mut self, token: Token, outcome: Outcome) -> bool {
        match self.held.get_mut(&token) {
            Some(held) if !matches!(held.stage, Stage::Ended(_)) => {
                held.stage = Stage::Ended(outcome);
                self.running -= 1;
                self.outbox.push_back(token);
                true
            }
            _ => false,
        }
    }

    /// Forgets what nothing was run of. Gives its entry.
    pub(super) fn forget(&mut self, token: Token) -> Option<EntryId> {
        let is_starting = self.start(token).is_some();
        let held = if is_starting { self.held.remove(&token) } else { None }?;
        self.running -= 1;
        held.entry
    }

    /// What waits in the pool for longer than `patience` while others take up its `slots` workers, each once; and when to look
    /// again. Short tasks queue there for as long as the server may take; behind one that turns out to be long they would wait
    /// for it.
    pub(super) fn call_back(
        &mut self,
        slots: u32,
        patience: Duration,
        now: Instant,
    ) -> (Vec<CancelHandle>, Option<Instant>) {
        if self.running <= slots {
            self.next_look = None;
            return (Vec::new(), None);
        }
        // Not at every STEP: the look goes over all that runs.
        let next_look = *self.next_look.get_or_insert(now + patience);
        if now < next_look {
            return (Vec::new(), Some(next_look));
        }
        self.next_look = Some(now + patience / 2);
        let waits = |held: &Held| now.saturating_duration_since(held.since) >= patience;
        let mut running: Vec<(&Token, &mut Held)> =
            self.held.iter_mut().filter(|(_, held)| matches!(held.stage, Stage::Running(_))).collect();
        // The pool takes them in this order: the first are those that run.
        running.sort_unstable_by_key(|(token, _)| **token);
        let called = running.into_iter().skip(slots as usize).filter_map(|(_, held)| {
            let Stage::Running(handle) = &held.stage else { return None };
            let is_meant = waits(held) && held.entry.is_some() && held.killed.is_none();
            (is_meant && !std::mem::replace(&mut held.is_called_back, true)).then(|| handle.clone())
        });
        (called.collect(), self.next_look)
    }

    /// It was cancelled in the pool because it was called back: gives its entry. None if that isn't why, or if its entry is of
    /// an earlier life.
    pub(super) fn give_back(&mut self, token: Token) -> Option<EntryId> {
        let held = self.held.get(&token)?;
        let is_back = held.is_called_back && held.killed.is_none() && matches!(held.stage, Stage::Running(_));
        let entry = held.entry.filter(|_| is_back)?;
        self.held.remove(&token);
        self.running -= 1;
        Some(entry)
    }

    /// Takes at most `most` ends out of the outbox. What can't be answered is put back by [`put_back`](Self::put_back).
    pub(super) fn take_ended(&mut self, most: usize) -> Vec<Ended> {
        let tokens = self.outbox.drain(..self.outbox.len().min(most));
        tokens
            .filter_map(|token| {
                let held = self.held.get(&token)?;
                let Stage::Ended(outcome) = &held.stage else { return None };
                Some(Ended { token, id: held.id.clone(), entry: held.entry, outcome: outcome.clone() })
            })
            .collect()
    }

    /// Puts ends back that were taken, before all others.
    pub(super) fn put_back(&mut self, tokens: impl DoubleEndedIterator<Item = Token>) {
        tokens.rev().for_each(|token| self.outbox.push_front(token));
    }

    /// Puts an end back behind all others.
    pub(super) fn put_last(&mut self, token: Token) {
        self.outbox.push_back(token);
    }

    /// The server has taken the answer.
    pub(super) fn answered(&mut self, token: Token) {
        self.held.remove(&token);
    }

    /// N5: the answer found no client. That of what began in an earlier life is kept and sent again, until the client comes or
    /// is gone: false if this one is not, since its client was there before, or has been waited for.
    pub(super) fn keep_for_client(&mut self, token: Token) -> bool {
        let held = self.held.get_mut(&token).filter(|held| held.entry.is_none() && !held.is_client_seen);
        held.map(|held| held.awaits_client = true).is_some()
    }

    /// Answers are given up whose client is waited for: each is sent once more.
    pub(super) fn await_nobody(&mut self) {
        for (token, held) in &mut self.held {
            if std::mem::take(&mut held.awaits_client) {
                held.is_client_seen = true;
                self.outbox.push_back(*token);
            }
        }
    }

    /// N5: a new life knows no entry of what has begun. What has not been started can't be any more.
    pub(super) fn begin_life(&mut self) {
        let (running, outbox) = (&mut self.running, &mut self.outbox);
        self.held.retain(|token, held| {
            let is_kept = !matches!(held.stage, Stage::Starting);
            *running -= u32::from(!is_kept);
            (held.entry, held.is_client_seen) = (None, false);
            // Sent in the new life at once.
            if std::mem::take(&mut held.awaits_client) {
                outbox.push_back(*token);
            }
            is_kept
        });
    }

    /// What has begun and is not answered, for a testimony.
    pub(super) fn held(&self) -> Vec<AttemptId> {
        self.held.values().map(|held| held.id.clone()).collect()
    }

    /// N7: ends what runs of clients that are gone, as of a beat that was sent at `sent`. What began in an earlier life only
    /// if its client was seen in this one, or `patience` is over since the node has joined.
    pub(super) fn kill_of_gone(
        &mut self,
        living: &HashSet<Name>,
        sent: Instant,
        joined: Instant,
        patience: Duration,
    ) -> Vec<CancelHandle> {
        let is_late = sent.saturating_duration_since(joined) >= patience;
        for (token, held) in &mut self.held {
            held.is_client_seen |= living.contains(&held.id.client);
            // It has come, or is gone.
            if held.awaits_client && (held.is_client_seen || is_late) {
                (held.awaits_client, held.is_client_seen) = (false, true);
                self.outbox.push_back(*token);
            }
        }
        self.kill(Why::ClientGone, |held| {
            let was_there =
                if held.entry.is_some() { held.since <= sent } else { held.is_client_seen || is_late };
            was_there && !living.contains(&held.id.client)
        })
    }

    /// Ends what runs this attempt.
    pub(super) fn kill_attempt(&mut self, id: &AttemptId) -> Vec<CancelHandle> {
        self.kill(Why::Ordered, |held| held.id == *id)
    }

    /// Ends all that runs.
    pub(super) fn kill_all(&mut self, why: Why) -> Vec<CancelHandle> {
        self.kill(why, |_| true)
    }

    /// Marks what `is_meant`, and gives the handles of what runs of it: to be used without a lock.
    fn kill(&mut self, why: Why, is_meant: impl Fn(&Held) -> bool) -> Vec<CancelHandle> {
        let unended = self.held.values_mut().filter(|held| !matches!(held.stage, Stage::Ended(_)));
        unended
            .filter(|held| is_meant(held))
            .filter_map(|held| {
                held.killed.get_or_insert(why);
                if let Stage::Running(handle) = &held.stage { Some(handle.clone()) } else { None }
            })
            .collect()
    }

    /// How many have begun and not ended.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// Something is in the pool and has not ended. What is on its way there may wait for the server.
    pub(super) fn is_any_in_pool(&self) -> bool {
        self.held.values().any(|held| matches!(held.stage, Stage::Running(_)))
    }

    /// There is something to answer.
    pub(super) fn has_ended(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Why, Work};
    use crate::wire::{AttemptId, EntryId, Kind, Name};
    use std::collections::HashSet;
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn id(client: &str, seq: u64) -> AttemptId {
        AttemptId { client: client.into(), seq, attempt: 1 }
    }

    fn entry(number: u64) -> EntryId {
        EntryId { millis: 1, number }
    }

    fn outcome() -> Outcome {
        Outcome { kind: Kind::Done, reply: b"reply".to_vec().into() }
    }

    fn handle() -> concurrent_futures::CancelHandle {
        concurrent_futures::promise::<u8>().1.cancel_handle()
    }

    fn living(names: &[&str]) -> HashSet<Name> {
        names.iter().map(|name| Name::from(*name)).collect()
    }

    #[test]
    fn an_end_is_answered_once() {
        let (mut work, now) = (Work::default(), Instant::now());
        let token = work.begin(id("c", 1), entry(1), None, now);
        assert!(work.end(token, outcome()) && !work.end(token, outcome()));
        assert_eq!((work.running(), work.is_empty()), (0, false));
        let taken = work.take_ended(9);
        assert_eq!((taken.len(), taken[0].entry, work.has_ended()), (1, Some(entry(1)), false));
        work.put_back(taken.iter().map(|ended| ended.token));
        assert_eq!(work.take_ended(9).len(), 1);
        work.answered(token);
        assert!(work.is_empty());
    }

    #[test]
    fn what_began_in_an_earlier_life_has_no_entry() {
        let (mut work, now) = (Work::default(), Instant::now());
        let [running, starting, ended] = [1, 2, 3].map(|n| work.begin(id("c", n), entry(n), None, now));
        assert_eq!(work.run(running, handle()), Some(None));
        assert!(work.end(ended, outcome()));
        work.begin_life();
        // What was not started never will be, so nothing is told of it.
        assert_eq!((work.start(starting), work.run(starting, handle()), work.running()), (None, None, 1));
        let mut held = work.held();
        held.sort();
        assert_eq!(held, [id("c", 1), id("c", 3)]);
        assert_eq!(work.take_ended(9)[0].entry, None);
    }

    #[test]
    fn what_runs_of_a_client_that_is_gone_is_ended() {
        let (mut work, now) = (Work::default(), Instant::now());
        let sent = now + Duration::from_millis(1);
        let gone = work.begin(id("gone", 1), entry(1), None, now);
        let there = work.begin(id("there", 1), entry(2), None, now);
        let late = work.begin(id("gone", 2), entry(3), None, sent + Duration::from_millis(1));
        for token in [gone, there, late] {
            assert_eq!(work.run(token, handle()), Some(None));
        }
        assert_eq!(work.kill_of_gone(&living(&["there"]), sent, now, PATIENCE).len(), 1);
        assert_eq!([gone, there, late].map(|token| work.why(token)), [Some(Why::ClientGone), None, None]);
    }

    #[test]
    fn what_an_earlier_life_has_begun_is_ended_only_if_its_client_was_seen() {
        let (mut work, now) = (Work::default(), Instant::now());
        let token = work.begin(id("c", 1), entry(1), None, now);
        work.run(token, handle());
        work.begin_life();
        assert!(work.kill_of_gone(&living(&[]), now, now, PATIENCE).is_empty());
        assert!(work.kill_of_gone(&living(&["c"]), now, now, PATIENCE).is_empty());
        assert_eq!(work.kill_of_gone(&living(&[]), now, now, PATIENCE).len(), 1);
    }

    #[test]
    fn what_an_earlier_life_has_begun_is_ended_if_its_client_stays_away() {
        let (mut work, now) = (Work::default(), Instant::now());
        let token = work.begin(id("c", 1), entry(1), None, now);
        work.run(token, handle());
        work.begin_life();
        assert_eq!(work.kill_of_gone(&living(&[]), now + PATIENCE, now, PATIENCE).len(), 1);
    }

    #[test]
    fn an_answer_to_an_earlier_life_waits_for_its_client() {
        let (mut work, now) = (Work::default(), Instant::now());
        let token = work.begin(id("c", 1), entry(1), None, now);
        assert_eq!(work.run(token, handle()), Some(None));
        work.begin_life();
        assert!(work.end(token, outcome()));
        assert_eq!(work.take_ended(9).len(), 1);
        assert!(work.keep_for_client(token), "it found no client");
        work.kill_of_gone(&living(&["d"]), now, now, Duration::from_secs(9));
        assert!(!work.has_ended() && !work.is_empty());
        work.kill_of_gone(&living(&["c"]), now, now, Duration::from_secs(9));
        assert_eq!(work.take_ended(9).len(), 1, "it has come");
        assert!(!work.keep_for_client(token), "and is gone again");
    }

    #[test]
    fn a_client_is_not_waited_for_for_ever() {
        let (mut work, now) = (Work::default(), Instant::now());
        let token = work.begin(id("c", 1), entry(1), None, now);
        assert_eq!(work.run(token, handle()), Some(None));
        work.begin_life();
        assert!(work.end(token, outcome()));
        work.take_ended(9);
        assert!(work.keep_for_client(token));
        let patience = Duration::from_secs(9);
        work.kill_of_gone(&living(&[]), now + patience, now, patience);
        assert_eq!(work.take_ended(9).len(), 1);
        assert!(!work.keep_for_client(token));
    }

    #[test]
    fn what_is_ended_before_it_runs_says_so() {
        let (mut work, now) = (Work::default(), Instant::now());
        let token = work.begin(id("c", 1), entry(1), None, now);
        assert!(work.kill_attempt(&id("c", 1)).is_empty());
        assert_eq!(work.start(token), Some(Some(Why::Ordered)));
        assert_eq!(work.run(token, handle()), Some(Some(Why::Ordered)));
        // The first reason counts.
        assert_eq!(work.kill_all(Why::Drained).len(), 1);
        assert_eq!(work.why(token), Some(Why::Ordered));
    }

    #[test]
    fn what_nothing_was_run_of_is_forgotten() {
        let (mut work, now) = (Work::default(), Instant::now());
        let token = work.begin(id("c", 1), entry(1), None, now);
        assert_eq!(work.forget(token), Some(entry(1)));
        assert!(work.is_empty() && work.running() == 0);
    }
}
