//! [`Recent`]: what a node has answered and the clients may not have read. A new life is told of it (N5).

use crate::wire::{AttemptId, EntryId, Name};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// So many are remembered.
const MOST: usize = 1 << 16;

/// How long an answer is remembered that reached no client. Its client may be cut off from the server and come back in
/// another life.
const UNHEARD: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct Recent {
    answered: VecDeque<Answered>,
    /// More was answered than is remembered.
    is_incomplete: bool,
}

struct Answered {
    id: AttemptId,
    /// Where the answer lies among its client's; none if the client was not there.
    place: Option<EntryId>,
    at: Instant,
}

impl Recent {
    pub(super) fn note(&mut self, id: AttemptId, place: Option<EntryId>, now: Instant) {
        self.answered.push_back(Answered { id, place, at: now });
        if self.answered.len() > MOST {
            self.answered.pop_front();
            self.is_incomplete = true;
        }
    }

    /// Half of the room is taken.
    pub(super) fn is_crowded(&self) -> bool {
        self.answered.len() > MOST / 2
    }

    /// Whose answers are remembered.
    pub(super) fn clients(&self) -> Vec<Name> {
        let mut clients: Vec<Name> =
            self.answered.iter().map(|answered| answered.id.client.clone()).collect();
        clients.sort_unstable();
        clients.dedup();
        clients
    }

    /// Forgets what these clients have read, each up to its mark.
    pub(super) fn forget_read(&mut self, clients: &[Name], marks: &[Option<EntryId>], now: Instant) {
        let marks: HashMap<&Name, EntryId> =
            clients.iter().zip(marks).filter_map(|(client, mark)| Some((client, (*mark)?))).collect();
        self.answered.retain(|answered| match (answered.place, marks.get(&answered.id.client)) {
            (Some(place), Some(mark)) => place > *mark,
            _ => now.saturating_duration_since(answered.at) < UNHEARD,
        });
    }

    /// What to testify, and whether it is not all.
    pub(super) fn testify(&self) -> (Vec<AttemptId>, bool) {
        (self.answered.iter().map(|answered| answered.id.clone()).collect(), self.is_incomplete)
    }

    /// The new life knows.
    pub(super) fn clear(&mut self) {
        *self = Recent::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Recent, UNHEARD};
    use crate::wire::{AttemptId, EntryId};
    use std::time::Instant;

    fn id(client: &str, seq: u64) -> AttemptId {
        AttemptId { client: client.into(), seq, attempt: 1 }
    }

    fn place(number: u64) -> EntryId {
        EntryId { millis: 1, number }
    }

    #[test]
    fn what_was_read_is_forgotten() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        (1..=3).for_each(|seq| recent.note(id("c", seq), Some(place(seq)), now));
        recent.note(id("d", 1), Some(place(1)), now);
        recent.note(id("gone", 1), None, now);
        let clients = recent.clients();
        assert_eq!(clients.len(), 3);
        let marks: Vec<Option<EntryId>> =
            clients.iter().map(|client| (**client == *"c").then_some(place(2))).collect();
        recent.forget_read(&clients, &marks, now);
        assert_eq!(recent.testify(), (vec![id("c", 3), id("d", 1), id("gone", 1)], false));
        recent.forget_read(&[], &[], now + UNHEARD);
        assert_eq!(recent.testify().0, []);
    }

    #[test]
    fn more_than_is_remembered_is_said() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        (1..=MOST as u64 + 1).for_each(|seq| recent.note(id("c", seq), None, now));
        let (answered, is_incomplete) = recent.testify();
        assert!(answered.len() == MOST && is_incomplete && recent.is_crowded());
        recent.clear();
        assert_eq!(recent.testify(), (vec![], false));
    }
}
