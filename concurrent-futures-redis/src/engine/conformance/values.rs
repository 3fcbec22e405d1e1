//! Values beside the stream.

use super::Harness;
use super::actors::{Actor, LONG, MANY, SHORT, attempt, done, enter, id, place, until};
use crate::engine::{Fault, Step};
use crate::wire::{Answer, Attempt, BlobName, EntryId, Name, Payload, Session};

/// A task whose argument lies beside.
fn submit_beside(it: &mut Actor) -> EntryId {
    let session = it.open("c");
    submit_beside_of(it, session)
}

fn submit_beside_of(it: &mut Actor, session: Session) -> EntryId {
    it.link.put_argument(&it.life, &id("c", 1), b"argument").unwrap();
    let sent = Attempt { parcel: Payload::Beside, ..attempt("c", 1, session) };
    it.link.submit(&it.life, MANY, &[sent]).unwrap()[0]
}

fn argument(it: &mut Actor) -> Option<Vec<u8>> {
    it.link.get_argument(&it.life, &id("c", 1)).unwrap()
}

pub(super) fn an_argument_goes_with_its_answer(harness: &dyn Harness) {
    let mut it = enter(harness);
    submit_beside(&mut it);
    it.link.put_argument(&it.life, &id("c", 2), b"of another").unwrap();
    it.join("n", LONG);
    let entries = it.fetch("n", 1);
    assert_eq!(entries[0].attempt.parcel, Payload::Beside);
    assert_eq!(argument(&mut it).as_deref(), Some(&b"argument"[..]));
    // Given back, it is still wanted.
    it.step("n", Step { backs: vec![entries[0].id], ..Step::default() });
    assert!(argument(&mut it).is_some());
    let entries = it.fetch("n", 1);
    it.step("n", Step { answers: vec![done(&entries[0])], ..Step::default() });
    assert_eq!(argument(&mut it), None);
    assert_eq!(it.link.get_argument(&it.life, &id("c", 2)).unwrap().as_deref(), Some(&b"of another"[..]));
}

pub(super) fn an_argument_goes_with_its_cancel(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let place = submit_beside_of(&mut it, session);
    assert_eq!(it.link.cancel(&it.life, session, &id("c", 1), place), Ok(true));
    assert_eq!(argument(&mut it), None);
}

pub(super) fn an_argument_goes_with_its_loss(harness: &dyn Harness) {
    let mut it = enter(harness);
    let place = submit_beside(&mut it);
    it.join("n", LONG);
    it.fetch("n", 1);
    it.bury_in_time("n");
    assert!(argument(&mut it).is_some(), "it was not begun");
    it.join("m", LONG);
    let again = it.fetch("m", 1)[0].id;
    assert!(again > place);
    it.limit("m", again, 0);
    it.bury_in_time("m");
    assert_eq!(argument(&mut it), None);
}

pub(super) fn an_argument_of_nobody_is_fenced(harness: &dyn Harness) {
    let mut it = enter(harness);
    assert_eq!(it.link.put_argument(&it.life, &id("c", 1), b"x"), Err(Fault::Fenced));
    // A result of nobody is of no use, and no error.
    assert_eq!(it.link.put_result(&it.life, &id("c", 1), b"x"), Ok(()));
    it.open("c");
    assert_eq!(argument(&mut it), None);
    assert_eq!(it.link.get_result(&it.life, &id("c", 1)), Ok(None));
}

pub(super) fn a_result_goes_with_its_reply(harness: &dyn Harness) {
    let mut it = enter(harness);
    submit_beside(&mut it);
    let entries = it.fetch("n", 1);
    it.link.put_result(&it.life, &id("c", 1), b"result").unwrap();
    let answer = Answer { reply: Payload::Beside, ..done(&entries[0]) };
    it.step("n", Step { answers: vec![answer], ..Step::default() });
    let read = it.read("c", EntryId::ZERO);
    assert_eq!(read[0].reply, Payload::Beside);
    // However often: the answer may be lost.
    for _ in 0..2 {
        assert_eq!(it.link.get_result(&it.life, &id("c", 1)), Ok(Some(b"result".to_vec())));
    }
    it.read("c", place(&read[0]));
    assert_eq!(it.link.get_result(&it.life, &id("c", 1)), Ok(None));
}

pub(super) fn a_result_stays_until_its_own_reply_goes(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    it.submit("c", session, 1..=3);
    let entries = it.fetch("n", 3);
    for seq in 1..=3 {
        it.link.put_result(&it.life, &id("c", seq), b"result").unwrap();
    }
    // The second does not lie beside, whatever is there.
    let beside = |at: usize| Answer { reply: Payload::Beside, ..done(&entries[at]) };
    it.step("n", Step { answers: vec![beside(0), done(&entries[1]), beside(2)], ..Step::default() });
    let there = |it: &mut Actor| {
        let one = |seq| it.link.get_result(&it.life, &id("c", seq)).unwrap().is_some();
        (1..=3).map(one).collect::<Vec<_>>()
    };
    let read = it.read("c", EntryId::ZERO);
    it.link.wake_client(&it.life, &"c".into()).unwrap();
    it.read("c", place(&read[1]));
    assert_eq!(there(&mut it), [false, true, true]);
    it.read("c", place(&read[2]));
    assert_eq!(there(&mut it), [false, true, false]);
    it.link.leave_client(&it.life, &"c".into()).unwrap();
    assert_eq!(there(&mut it), [false; 3]);
}

pub(super) fn shared_data_stays_until_it_is_removed(harness: &dyn Harness) {
    let mut it = enter(harness);
    let (client, [one, other]) = (Name::from("c"), [b"one", b"two"].map(|bytes| BlobName::of(bytes)));
    it.open("c");
    it.link.put_blob(&it.life, &client, one, b"one").unwrap();
    it.link.put_blob(&it.life, &client, other, b"another").unwrap();
    assert_eq!(it.link.measure_blobs(&it.life, &client, &[other, one]), Ok(vec![7, 3]));
    submit_beside(&mut it);
    let entries = it.fetch("n", 1);
    it.step("n", Step { answers: vec![done(&entries[0])], ..Step::default() });
    assert_eq!(it.link.get_blob(&it.life, &client, one), Ok(Some(b"one".to_vec())));
    assert_eq!(it.link.get_blob(&it.life, &"d".into(), one), Ok(None));
    it.link.remove_blobs(&it.life, &client, &[one, BlobName::of(b"none")]).unwrap();
    assert_eq!(it.link.get_blob(&it.life, &client, one), Ok(None));
    assert_eq!(it.link.measure_blobs(&it.life, &client, &[one, other]), Ok(vec![0, 7]));
}

pub(super) fn shared_data_goes_with_its_client(harness: &dyn Harness) {
    let mut it = enter(harness);
    let (client, name) = (Name::from("c"), BlobName::of(b"x"));
    assert_eq!(it.link.put_blob(&it.life, &client, name, b"x"), Err(Fault::Fenced));
    it.open("c");
    it.link.put_blob(&it.life, &client, name, b"x").unwrap();
    it.link.leave_client(&it.life, &client).unwrap();
    assert_eq!(it.link.get_blob(&it.life, &client, name), Ok(None));
    it.link.open_session(&it.life, &client, SHORT).unwrap();
    it.link.put_blob(&it.life, &client, name, b"x").unwrap();
    // It lives as long as the client says that it does, and no longer.
    it.link.beat_client(&it.life, &client, LONG).unwrap();
    std::thread::park_timeout(SHORT * 2);
    assert_eq!(it.link.measure_blobs(&it.life, &client, &[name]), Ok(vec![1]));
    it.link.beat_client(&it.life, &client, SHORT).unwrap();
    until("it is gone", || it.link.measure_blobs(&it.life, &client, &[name]) == Ok(vec![0]));
}

pub(super) fn large_values(harness: &dyn Harness) {
    let mut it = enter(harness);
    let session = it.open("c");
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i / 7) as u8).collect();
    it.link.put_argument(&it.life, &id("c", 1), &large).unwrap();
    assert_eq!(argument(&mut it).as_deref(), Some(&large[..]));
    it.link.put_result(&it.life, &id("c", 1), &large).unwrap();
    assert_eq!(it.link.get_result(&it.life, &id("c", 1)), Ok(Some(large.clone())));
    // In the stream they are dear, and nothing worse.
    let sent = Attempt { parcel: Payload::Inline(large.into()), ..attempt("c", 1, session) };
    it.link.submit(&it.life, MANY, std::slice::from_ref(&sent)).unwrap();
    assert_eq!(it.fetch("n", 1)[0].attempt, sent);
}
