//! The rules C1 to C5 on the book alone. What threads and servers make of them is tested over both engines by the suite and by
//! `crate::faults`.

use super::book::{Book, Ended};
use crate::wire::{Answer, AttemptId, EntryId, Kind, Name, Payload, Testimony};
use concurrent_futures::{Future, Task, TaskError, TaskOptions};
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_secs(10);
const WINDOW: usize = 1 << 20;

fn plus_one(n: u32) -> u32 {
    n + 1
}

/// A book with one task of so many retries.
fn with_one(retries: u32) -> (Book, Future<u32>) {
    let mut book = Book::new("c".into(), LEASE);
    let future = enter(&mut book, retries);
    (book, future)
}

fn enter(book: &mut Book, retries: u32) -> Future<u32> {
    let (task, future) = Task::new(plus_one, 1);
    let mut task = task.with_options(TaskOptions::new().retries(retries));
    let parcel = task.encode_once().expect("a number can be encoded");
    assert!(task.start());
    book.enter(task, parcel, Vec::new());
    future
}

fn at(number: u64) -> EntryId {
    EntryId { millis: 1, number }
}

fn id(seq: u64, attempt: u32) -> AttemptId {
    AttemptId { client: "c".into(), seq, attempt }
}

/// Submits whatever there is; entries count from `first`.
fn ship(book: &mut Book, first: u64) -> usize {
    let batch = book.take_batch(100, 1 << 20, WINDOW);
    let entries: Vec<EntryId> = (first..).take(batch.len()).map(at).collect();
    book.note_shipped(&batch, &entries);
    batch.len()
}

fn answer(place: u64, id: AttemptId, kind: Kind) -> Answer {
    Answer { entry: Some(at(place)), id, kind, reply: Payload::Beside, seal: Vec::new() }
}

/// Enters an answer, and resolves what it resolves.
fn hear(book: &mut Book, place: u64, id: AttemptId, kind: Kind) -> bool {
    let ended = book.answer(&answer(place, id, kind), Some(b"a node".to_vec()));
    resolve(ended)
}

fn resolve(ended: impl IntoIterator<Item = Ended>) -> bool {
    let mut any = false;
    for ended in ended {
        ended.resolve();
        any = true;
    }
    any
}

fn witness(name: &str, was: &str) -> (Name, Testimony) {
    (name.into(), Testimony { was: Some(was.into()), ..Testimony::default() })
}

#[test]
fn an_answer_is_looked_at_once() {
    let (mut book, future) = with_one(0);
    assert_eq!(ship(&mut book, 1), 1);
    assert!(hear(&mut book, 1, id(1, 1), Kind::Done));
    assert!(future.is_done());
    assert!(!hear(&mut book, 1, id(1, 1), Kind::Done), "read twice");
    assert!(!hear(&mut book, 2, id(1, 1), Kind::Done), "sent twice");
    assert_eq!((book.totals.late, book.is_empty()), (1, true));
}

#[test]
fn a_verdict_counts_for_its_attempt_alone() {
    let (mut book, future) = with_one(1);
    ship(&mut book, 1);
    assert!(!hear(&mut book, 1, id(1, 1), Kind::Lost), "tried again");
    assert_eq!(ship(&mut book, 2), 1);
    assert!(!hear(&mut book, 2, id(1, 1), Kind::Lost), "of the first attempt");
    assert!(!future.is_done());
    assert!(hear(&mut book, 3, id(1, 2), Kind::Lost));
    assert!(matches!(future.result(), Err(TaskError::WorkerLost(lost)) if lost.node() == "a node"));
}

#[test]
fn a_result_of_an_earlier_attempt_is_as_good() {
    let (mut book, future) = with_one(1);
    ship(&mut book, 1);
    hear(&mut book, 1, id(1, 1), Kind::Died);
    assert_eq!(book.queued(), 1);
    assert!(hear(&mut book, 2, id(1, 1), Kind::Done), "queued again, and done after all");
    assert!(future.is_done());
    assert_eq!((book.queued(), ship(&mut book, 3)), (0, 0));
}

#[test]
fn only_a_death_or_a_loss_is_tried_again() {
    let (mut book, future) = with_one(5);
    ship(&mut book, 1);
    assert!(hear(&mut book, 1, id(1, 1), Kind::Verdict));
    assert!(future.is_done());
}

#[test]
fn after_a_break_what_is_nowhere_is_queued_as_the_same_attempt() {
    let (mut book, _first) = with_one(0);
    let (_second, _third) = (enter(&mut book, 0), enter(&mut book, 0));
    ship(&mut book, 1);
    book.reconcile(&[(id(1, 1), Some(at(7))), (id(3, 1), None)]);
    assert_eq!((book.queued(), book.dispatched()), (1, 2));
    let batch = book.take_batch(10, 1 << 20, WINDOW);
    assert_eq!(batch.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [id(2, 1)]);
}

#[test]
fn what_is_unsure_is_settled_by_the_scan() {
    let (mut book, _future) = with_one(0);
    let batch = book.take_batch(10, 1 << 20, WINDOW);
    book.reconcile(&[(id(1, 1), Some(at(4)))]);
    book.note_shipped(&batch, &[at(9)]);
    assert_eq!((book.queued(), book.dispatched()), (0, 1));
}

#[test]
fn a_new_life_waits_for_each_witness() {
    let now = Instant::now();
    let (mut book, _future) = with_one(0);
    book.learn(["n".into(), "m".into()]);
    ship(&mut book, 1);
    book.begin_life(now);
    assert!(book.is_in_doubt());
    assert!(!book.hear_witnesses(&[witness("n2", "n")], LEASE, now));
    let both = [witness("n2", "n"), witness("m2", "m")];
    assert!(book.hear_witnesses(&both, LEASE, now));
    assert!(!resolve(book.settle_doubts(&both)));
    assert_eq!(book.queued(), 1, "it never began: the same attempt");
    assert_eq!(book.take_batch(1, 1, WINDOW)[0].id, id(1, 1));
}

#[test]
fn a_witness_that_is_missing_costs_what_may_have_begun() {
    let now = Instant::now();
    let (mut book, future) = with_one(0);
    book.learn(["n".into()]);
    ship(&mut book, 1);
    book.begin_life(now);
    assert!(!book.hear_witnesses(&[], LEASE, now));
    assert!(book.hear_witnesses(&[], LEASE, now + LEASE));
    assert!(resolve(book.settle_doubts(&[])));
    assert!(matches!(future.result(), Err(TaskError::WorkerLost(_))));
}

#[test]
fn what_a_witness_holds_is_waited_for_if_it_is_this_attempt() {
    let now = Instant::now();
    for (attempt, is_held) in [(1, true), (2, false)] {
        let (mut book, future) = with_one(0);
        book.learn(["n".into()]);
        ship(&mut book, 1);
        book.begin_life(now);
        let mut said = witness("n2", "n");
        said.1.held = vec![id(1, attempt)];
        assert!(book.hear_witnesses(std::slice::from_ref(&said), LEASE, now));
        resolve(book.settle_doubts(&[said]));
        assert_eq!((book.dispatched() == 1, book.queued() == 0), (is_held, is_held));
        assert!(!future.is_done());
    }
}

#[test]
fn an_answer_that_was_in_the_server_alone_is_charged() {
    let now = Instant::now();
    let (mut book, future) = with_one(0);
    book.learn(["n".into()]);
    ship(&mut book, 1);
    book.begin_life(now);
    let mut said = witness("n2", "n");
    said.1.recent = vec![id(1, 1)];
    assert!(book.hear_witnesses(std::slice::from_ref(&said), LEASE, now));
    assert!(resolve(book.settle_doubts(&[said])));
    assert!(matches!(future.result(), Err(TaskError::WorkerLost(_))));
}

#[test]
fn in_a_second_new_life_one_witness_counts_as_missing() {
    let now = Instant::now();
    let (mut book, future) = with_one(0);
    book.learn(["n".into()]);
    ship(&mut book, 1);
    book.begin_life(now);
    // It testifies in the life between, and is known from then on.
    assert!(book.hear_witnesses(&[witness("n2", "n")], LEASE, now));
    book.begin_life(now);
    assert!(!book.hear_witnesses(&[], LEASE, now), "the names of both lives are waited for");
    let both = [witness("n3", "n2"), witness("n4", "n")];
    assert!(book.hear_witnesses(&both, LEASE, now));
    assert!(resolve(book.settle_doubts(&both)));
    assert!(matches!(future.result(), Err(TaskError::WorkerLost(_))));
}

#[test]
fn a_forgotten_client_charges_all_that_is_out() {
    let (mut book, future) = with_one(0);
    let again = enter(&mut book, 1);
    ship(&mut book, 1);
    let _queued = enter(&mut book, 0);
    assert!(resolve(book.be_forgotten("d".into())));
    assert!(matches!(future.result(), Err(TaskError::WorkerLost(_))));
    assert!(!again.is_done());
    assert_eq!(book.queued(), 2);
    let ids: Vec<(u64, u32)> =
        book.take_batch(10, 1 << 20, WINDOW).into_iter().map(|it| (it.id.seq, it.id.attempt)).collect();
    assert_eq!(ids, [(2, 2), (3, 1)]);
    assert!(!hear(&mut book, 1, id(2, 2), Kind::Done), "an answer to another name");
}

#[test]
fn a_full_server_has_taken_nothing() {
    let (mut book, _future) = with_one(0);
    let _second = enter(&mut book, 0);
    let batch = book.take_batch(10, 1 << 20, WINDOW);
    book.take_back_batch(&batch);
    assert_eq!(book.queued(), 2);
    let order: Vec<u64> = book.take_batch(10, 1 << 20, WINDOW).iter().map(|it| it.id.seq).collect();
    assert_eq!(order, [1, 2]);
}

#[test]
fn a_task_that_is_cancelled_here_is_not_sent() {
    let (mut book, future) = with_one(0);
    let task = book.take_if_queued(future.id()).expect("it is here");
    assert!(task.fail(TaskError::Cancelled));
    assert_eq!((book.queued(), ship(&mut book, 1)), (0, 0));
    assert!(book.is_empty());
}

#[test]
fn the_window_bounds_the_bytes_that_are_out() {
    let mut book = Book::new("c".into(), LEASE);
    let futures: Vec<Future<u32>> = (0..4).map(|_| enter(&mut book, 0)).collect();
    let one = book.take_batch(1, WINDOW, 1);
    assert_eq!(one.len(), 1, "one alone always goes");
    let len = one[0].parcel.as_bytes().len();
    assert!(book.take_batch(10, WINDOW, 2 * len - 1).is_empty());
    let second = book.take_batch(10, WINDOW, 2 * len);
    assert_eq!(second.len(), 1);
    // What comes back, ends here or is answered makes room.
    book.take_back_batch(&second);
    assert_eq!(book.take_batch(10, WINDOW, 2 * len).len(), 1);
    assert!(hear(&mut book, 1, id(1, 1), Kind::Done));
    assert_eq!(book.take_batch(10, WINDOW, 2 * len).len(), 1);
    assert_eq!(book.take_all().len(), 3);
    drop(futures);
    let _last = enter(&mut book, 0);
    assert_eq!(book.take_batch(10, WINDOW, 1).len(), 1, "nothing is out");
}

/// The error of a task without retries.
fn error(future: Future<u32>) -> String {
    future.result().unwrap_err().to_string()
}

#[test]
fn a_loss_says_which_node_and_for_how_long() {
    let (mut book, future) = with_one(0);
    ship(&mut book, 1);
    assert!(hear(&mut book, 1, id(1, 1), Kind::Lost));
    let Err(TaskError::WorkerLost(lost)) = future.result() else { panic!("not lost") };
    assert_eq!((lost.node(), lost.silent_for()), ("a node", Some(LEASE)));

    // The node itself: it was there, and ended the task before a worker had it.
    let (mut book, future) = with_one(0);
    ship(&mut book, 1);
    let told = b"n\nit was to end".to_vec();
    assert!(resolve(book.answer(&answer(1, id(1, 1), Kind::Lost), Some(told))));
    let Err(TaskError::WorkerLost(lost)) = future.result() else { panic!("not lost") };
    assert_eq!((lost.node(), lost.silent_for(), lost.cause()), ("n", None, Some("it was to end")));
}

#[test]
fn a_loss_of_an_earlier_life_names_the_node_or_says_that_it_is_not_known() {
    let now = Instant::now();
    // Answered, and the answer was in the server alone.
    let (mut book, future) = with_one(0);
    book.learn(["n".into()]);
    ship(&mut book, 1);
    book.begin_life(now);
    let mut said = witness("n2", "n");
    said.1.recent = vec![id(1, 1)];
    assert!(book.hear_witnesses(std::slice::from_ref(&said), LEASE, now));
    resolve(book.settle_doubts(&[said]));
    let lost = error(future);
    assert!(lost.contains("node n, ") && lost.contains("lost the answer"), "{lost}");

    for (names, wanted) in [(&["n"][..], "node n, "), (&["n", "m"][..], "none of m, n was heard from since")]
    {
        let (mut book, future) = with_one(0);
        book.learn(names.iter().map(|name| Name::from(*name)));
        ship(&mut book, 1);
        book.begin_life(now);
        assert!(book.hear_witnesses(&[], LEASE, now + LEASE));
        resolve(book.settle_doubts(&[]));
        let lost = error(future);
        assert!(lost.contains(wanted) && lost.contains("was not heard from for 10s"), "{lost}");
    }
}
