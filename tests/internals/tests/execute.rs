//! `remote::execute` and `Task::complete`: whatever the road did to a parcel or a reply, the far end answers, and the near
//! end has a value or an error that says what was wrong. Neither panics.
//!
//! A parcel names code by two addresses; another address of code would be run, as the documentation says. So these are
//! changed only to what can't be code.

use concurrent_futures::{Future, Rejected, Stage, Task, TaskError, remote};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::atomic::AtomicU8;

/// The parts of a parcel: `src/remote/parcel.rs`.
mod part {
    use std::ops::Range;

    pub(crate) const MAGIC: Range<usize> = 0..4;
    pub(crate) const ATTEMPT: Range<usize> = 4..8;
    pub(crate) const NONCE: Range<usize> = 8..16;
    pub(crate) const ID: Range<usize> = 16..24;
    pub(crate) const RUNNER: Range<usize> = 24..32;
    pub(crate) const FUNCTION: Range<usize> = 32..40;
    pub(crate) const FINGERPRINT: Range<usize> = 40..60;
    pub(crate) const BLOBS: Range<usize> = 60..64;
    pub(crate) const LENGTH: Range<usize> = 64..72;
    pub(crate) const ARGUMENT: usize = 72;
}

type Words = Vec<Option<String>>;

fn join(words: Words) -> String {
    words.into_iter().map(|word| word.unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join(" ")
}

/// A task, its future and its parcel.
fn sent(words: &Words) -> (Task, Future<String>, Vec<u8>) {
    let (mut task, future) = Task::new(join, words.clone());
    let parcel = task.encode().expect("texts can be encoded").into_bytes();
    (task, future, parcel)
}

fn execute(parcel: &[u8]) -> Vec<u8> {
    // SAFETY: the parcel was made here, and where it names code it is as it was or names none; a parcel with another
    // argument than the task's still has one of its type, or none.
    unsafe { remote::execute(parcel) }
}

/// What comes of the task if this is what arrives at the far end.
fn arrives(task: Task, future: Future<String>, parcel: &[u8]) -> Result<String, TaskError> {
    assert!(task.complete(&execute(parcel)));
    future.result()
}

#[track_caller]
fn refused(outcome: Result<String, TaskError>, why: &str) {
    match outcome {
        Err(TaskError::Rejected(Rejected::ForeignBuild)) => assert_eq!(why, FOREIGN),
        Err(TaskError::Codec(codec)) => assert_eq!((codec.stage(), codec.reason()), (Stage::Parcel, why)),
        other => panic!("{other:?}, not {why:?}"),
    }
}

#[track_caller]
fn garbled(outcome: Result<String, TaskError>, at: Stage) {
    match outcome {
        Err(TaskError::Codec(codec)) => assert_eq!(codec.stage(), at, "{codec}"),
        other => panic!("{other:?}, not {at:?}"),
    }
}

#[track_caller]
fn another_tasks(outcome: Result<String, TaskError>) {
    let text = format!("{outcome:?}");
    garbled(outcome, Stage::DecodeResult);
    assert!(text.contains("belongs to another task"), "{text}");
}

const NO_PARCEL: &str = "these bytes are no parcel";
const CUT: &str = "the parcel was cut short or grew on its way";
const FOREIGN: &str =
    "the parcel comes from another build of the program; run the same executable at both ends";
const NO_CODE: &str = "the parcel names a function that this executable doesn't have";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), words: Words) {
        let (task, future, _) = sent(&words);
        refused(arrives(task, future, &bytes), if bytes.len() < part::ARGUMENT { CUT } else { NO_PARCEL });
    }

    #[test]
    fn a_cut_or_grown_parcel(words: Words, at: Index, more in prop::collection::vec(any::<u8>(), 1..100)) {
        let (task, future, parcel) = sent(&words);
        refused(arrives(task, future, &parcel[..at.index(parcel.len())]), CUT);
        let (task, future, parcel) = sent(&words);
        refused(arrives(task, future, &[parcel, more].concat()), CUT);
    }

    #[test]
    fn a_flipped_bit(words: Words, at: Index, bit in 0..8_u8, head: bool) {
        let (task, future, mut parcel) = sent(&words);
        let at = at.index(if head { part::ARGUMENT } else { parcel.len() });
        // Of an address the upper half: no program is so long.
        let at = if part::RUNNER.contains(&at) || part::FUNCTION.contains(&at) { at | 4 } else { at };
        parcel[at] ^= 1 << bit;
        let outcome = arrives(task, future, &parcel);
        match at {
            at if part::MAGIC.contains(&at) => refused(outcome, NO_PARCEL),
            at if part::NONCE.contains(&at) || part::ID.contains(&at) => another_tasks(outcome),
            at if part::RUNNER.contains(&at) || part::FUNCTION.contains(&at) => refused(outcome, NO_CODE),
            at if part::FINGERPRINT.contains(&at) => refused(outcome, FOREIGN),
            at if part::LENGTH.contains(&at) || part::BLOBS.contains(&at) => refused(outcome, CUT),
            at if part::ATTEMPT.contains(&at) => prop_assert_eq!(outcome.unwrap(), join(words)),
            // Other words, or none: an argument has no checksum.
            _ => if outcome.is_err() { garbled(outcome, Stage::DecodeArgument) },
        }
    }

    #[test]
    fn any_argument(words: Words, argument in prop::collection::vec(prop_oneof![3 => 0..30_u8, 1 => any::<u8>()], 0..100)) {
        let (task, future, mut parcel) = sent(&words);
        parcel.truncate(part::ARGUMENT);
        parcel[part::LENGTH].copy_from_slice(&(argument.len() as u64).to_le_bytes());
        parcel.extend(argument);
        let outcome = arrives(task, future, &parcel);
        if outcome.is_err() {
            garbled(outcome, Stage::DecodeArgument);
        }
    }

    #[test]
    fn an_address_that_is_no_code(words: Words, far in 1_u64 << 32.., which in 0..2_usize) {
        static DATA: AtomicU8 = AtomicU8::new(0);
        let (_, _, parcel) = sent(&words);
        let place = [part::RUNNER, part::FUNCTION][which].clone();
        let own = u64::from_le_bytes(parcel[place.clone()].try_into().expect("eight bytes"));
        // Where the program is loaded: its own function tells, as far as it is one that a parcel names.
        let base = (join as fn(Words) -> String as *const ()).addr() as u64;
        let data = ((&raw const DATA).addr() as u64).wrapping_sub(base).wrapping_add({
            u64::from_le_bytes(parcel[part::FUNCTION].try_into().expect("eight bytes"))
        });
        prop_assert_ne!(own, data);
        for address in [far, u64::MAX, data] {
            let (task, future, mut parcel) = sent(&words);
            parcel[place.clone()].copy_from_slice(&address.to_le_bytes());
            refused(arrives(task, future, &parcel), NO_CODE);
        }
    }

    #[test]
    fn any_bytes_as_a_reply(words: Words, bytes in prop::collection::vec(any::<u8>(), 0..100), head: bool) {
        let (task, future, parcel) = sent(&words);
        let reply = if head { [&execute(&parcel)[..24], &bytes[..]].concat() } else { bytes };
        prop_assert!(task.complete(&reply));
        match future.result() {
            // Whoever writes a whole reply can write any.
            Ok(_) => prop_assert!(head),
            Err(TaskError::Codec(codec)) if !head => prop_assert_eq!(codec.stage(), Stage::DecodeResult),
            Err(error) => prop_assert!(head, "{error}"),
        }
    }

    #[test]
    fn a_cut_reply(words: Words, at: Index) {
        let (task, future, parcel) = sent(&words);
        let reply = execute(&parcel);
        prop_assert!(task.complete(&reply[..at.index(reply.len())]));
        garbled(future.result(), Stage::DecodeResult);
    }

    #[test]
    fn the_reply_of_another_task(mine: Words, theirs: Words) {
        let (task, future, _) = sent(&mine);
        let (other, others, parcel) = sent(&theirs);
        let reply = execute(&parcel);
        prop_assert!(task.complete(&reply));
        another_tasks(future.result());
        // It is not used up by that.
        prop_assert!(other.complete(&reply));
        prop_assert_eq!(others.result().unwrap(), join(theirs));
    }

    /// A transport may deliver twice: the task takes one reply of as many as there are, of whichever attempt.
    #[test]
    fn of_several_attempts_any_will_do(words: Words, count in 1..5_usize, which: Index) {
        let (mut task, future) = Task::new(join, words.clone());
        let parcels: Vec<_> = (0..count).map(|_| task.encode().expect("texts can be encoded")).collect();
        let replies: Vec<_> = parcels.iter().map(|parcel| execute(parcel.as_bytes())).collect();
        prop_assert!(parcels.iter().zip(1..).all(|(parcel, n)| parcel.attempt() == n));
        prop_assert!(task.complete(&replies[which.index(replies.len())]));
        prop_assert_eq!(future.result().unwrap(), join(words));
    }
}

/// `complete` takes the task, so that one that was completed can't be again; and a cancelled one says that it was.
#[test]
fn a_reply_for_a_task_that_is_done_changes_nothing() {
    let words: Words = vec![Some("a".to_owned()), None];
    let (task, future, parcel) = sent(&words);
    let reply = execute(&parcel);
    assert!(future.cancel());
    assert!(!task.complete(&reply));
    assert!(matches!(future.result(), Err(TaskError::Cancelled)));
}

#[test]
fn a_task_that_panics_is_a_reply_like_any_other() {
    let (mut task, future) = Task::new(|n: u32| -> u32 { panic!("number {n} is no good") }, 7);
    let parcel = task.encode().expect("a number");
    assert!(task.complete(&execute(parcel.as_bytes())));
    let error = future.result().expect_err("it panicked");
    assert!(
        matches!(&error, TaskError::Panicked(panic) if panic.message().contains("number 7")),
        "{error:?}"
    );
}
