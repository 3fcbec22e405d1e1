//! [`Secret`]: what makes clients and nodes believe each other, and nobody else who can write to the server.
//!
//! A parcel can name any function of the program: whoever puts one into the queue has it run. With a secret each attempt and
//! each answer carries a seal, an HMAC-SHA256 over all that it says and where it belongs, which is checked before anything of it
//! is decoded or run. A seal is good for one life of the server, one session, one attempt: what is played again is known, and
//! counts as a second copy of the same attempt.
//!
//! The server itself says that a node is lost, and has no secret: such an answer is believed without a seal. Forged, it makes a
//! task fail, or with `retries` run again; it runs nothing of the forger's.

use crate::wire::{Answer, Attempt, Kind, Life};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;

/// The secret of a queue, if it has one.
#[derive(Clone)]
pub(crate) struct Secret {
    mac: Hmac<Sha256>,
    queue: Arc<str>,
    build: Arc<str>,
}

impl Secret {
    pub(crate) fn new(secret: &[u8], queue: &str, build: &str) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret).ok()?;
        Some(Secret { mac, queue: queue.into(), build: build.into() })
    }

    /// The seal of an attempt with this parcel.
    pub(crate) fn of_attempt(&self, life: &Life, attempt: &Attempt, parcel: &[u8]) -> Vec<u8> {
        self.begin_attempt(life, attempt, parcel).finalize().into_bytes().to_vec()
    }

    pub(crate) fn is_attempt(&self, life: &Life, attempt: &Attempt, parcel: &[u8]) -> bool {
        // In a time that says nothing of where they differ.
        self.begin_attempt(life, attempt, parcel).verify_slice(&attempt.seal).is_ok()
    }

    /// The seal of an answer with this reply.
    pub(crate) fn of_answer(&self, life: &Life, answer: &Answer, reply: &[u8]) -> Vec<u8> {
        self.begin_answer(life, answer, reply).finalize().into_bytes().to_vec()
    }

    pub(crate) fn is_answer(&self, life: &Life, answer: &Answer, reply: &[u8]) -> bool {
        answer.kind == Kind::Lost || self.begin_answer(life, answer, reply).verify_slice(&answer.seal).is_ok()
    }

    fn begin_attempt(&self, life: &Life, attempt: &Attempt, parcel: &[u8]) -> Hmac<Sha256> {
        let limit = attempt.time_limit.map_or(u128::MAX, |limit| limit.as_millis());
        self.over(&[
            b"attempt",
            life.0.as_bytes(),
            attempt.id.client.as_bytes(),
            &attempt.session.0.to_le_bytes(),
            &attempt.id.seq.to_le_bytes(),
            &attempt.id.attempt.to_le_bytes(),
            &limit.to_le_bytes(),
            parcel,
        ])
    }

    fn begin_answer(&self, life: &Life, answer: &Answer, reply: &[u8]) -> Hmac<Sha256> {
        let kind = match answer.kind {
            Kind::Done => 0,
            Kind::Died => 1,
            Kind::Verdict => 2,
            Kind::Lost => 3,
        };
        self.over(&[
            b"answer",
            life.0.as_bytes(),
            answer.id.client.as_bytes(),
            &answer.id.seq.to_le_bytes(),
            &answer.id.attempt.to_le_bytes(),
            &[kind],
            reply,
        ])
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        for part in [self.queue.as_bytes(), self.build.as_bytes()].iter().chain(parts) {
            // With its length: no two lists of parts are the same bytes.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

/// Says nothing of the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;
    use crate::wire::{Answer, Attempt, AttemptId, Kind, Life, Payload, Session};
    use std::time::Duration;

    fn secret(secret: &[u8]) -> Secret {
        Secret::new(secret, "thumbs", "8a64").expect("any length will do")
    }

    fn attempt() -> Attempt {
        let id = AttemptId { client: "c".into(), seq: 7, attempt: 2 };
        let parcel = Payload::Inline(b"parcel"[..].into());
        Attempt { id, session: Session(3), time_limit: None, parcel, seal: Vec::new() }
    }

    fn answer() -> Answer {
        let id = attempt().id;
        Answer { entry: None, id, kind: Kind::Done, reply: Payload::Beside, seal: Vec::new() }
    }

    #[test]
    fn whatever_is_changed_the_seal_is_not_right_any_more() {
        let (secret, life) = (secret(b"s"), Life("l".into()));
        let mut sealed = attempt();
        sealed.seal = secret.of_attempt(&life, &sealed, b"parcel");
        assert!(secret.is_attempt(&life, &sealed, b"parcel"));
        assert!(!secret.is_attempt(&life, &sealed, b"parcels"));
        assert!(!secret.is_attempt(&Life("m".into()), &sealed, b"parcel"));
        let changes: [fn(&mut Attempt); 7] = [
            |it| it.id.client = "d".into(),
            |it| it.id.seq += 1,
            |it| it.id.attempt += 1,
            |it| it.session.0 += 1,
            |it| it.time_limit = Some(Duration::from_secs(1)),
            |it| it.seal[0] ^= 1,
            |it| it.seal.clear(),
        ];
        for change in changes {
            let mut changed = sealed.clone();
            change(&mut changed);
            assert!(!secret.is_attempt(&life, &changed, b"parcel"), "{changed:?}");
        }
        for other in [
            self::secret(b"t"),
            Secret::new(b"s", "other", "8a64").expect("good"),
            Secret::new(b"s", "thumbs", "9").expect("good"),
        ] {
            assert!(!other.is_attempt(&life, &sealed, b"parcel"));
        }
    }

    #[test]
    fn an_answer_is_sealed_and_a_loss_is_not() {
        let (secret, life) = (secret(b"s"), Life("l".into()));
        let mut sealed = answer();
        sealed.seal = secret.of_answer(&life, &sealed, b"reply");
        assert!(secret.is_answer(&life, &sealed, b"reply"));
        assert!(!secret.is_answer(&life, &sealed, b"replies"));
        let changes: [fn(&mut Answer); 4] = [
            |it| it.id.seq += 1,
            |it| it.id.attempt += 1,
            |it| it.kind = Kind::Verdict,
            |it| it.seal.truncate(16),
        ];
        for change in changes {
            let mut changed = sealed.clone();
            change(&mut changed);
            assert!(!secret.is_answer(&life, &changed, b"reply"), "{changed:?}");
        }
        assert!(secret.is_answer(&life, &Answer { kind: Kind::Lost, ..answer() }, b"n"));
    }

    #[test]
    fn a_seal_of_one_thing_is_none_of_another() {
        let (secret, life) = (secret(b"s"), Life("l".into()));
        let mut swapped = answer();
        swapped.seal = secret.of_attempt(&life, &attempt(), b"parcel");
        assert!(!secret.is_answer(&life, &swapped, b"parcel"));
        assert!(!format!("{secret:?}").contains("mac"));
    }
}
