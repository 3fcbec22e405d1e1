//! The state machine of one task and the count of the pointers to it, in one word.
//!
//! ```text
//!            claim                     publish(Finished | Failed)
//!   Queued ---------> Running ---------------------------------> Finished, Failed
//!     |  ^
//!     |  | recall, dispatch
//!     |  +--> Dispatched ----------------------------------------> Finished, Failed   (elsewhere: on process pools,
//!     |                        publish(Finished | Failed)                              or by another crate's carrier)
//!     |
//!     |  (a Task that was started and then given to a pool: unclaim, Running -> Queued)
//!     |
//!     | cancel                publish(Cancelled)
//!     +--------> Cancelling ---------------------> Cancelled
//! ```
//!
//! | phase | who owns the work and the outcome |
//! |---|---|
//! | Queued | nobody: the first to claim or cancel it, by one compare-and-swap |
//! | Dispatched | the pool of processes that shipped it, or the holder of a task that has a carrier; whether it has begun there, they say |
//! | Running | the thread that claimed it (or the holder of the promise) |
//! | Cancelling | the thread whose `cancel` won; it drops the closure and the argument *before* anybody sees Cancelled |
//! | Finished, Failed, Cancelled | the owner of the future |
//!
//! What that means for the memory of the work and of the outcome is the table in `cell.rs`.
//!
//! The flags beside the phase are set by anybody at any time and say what the one who publishes has to look after.
//! The same word decides every race between a publisher and somebody who sets a flag: both are read-modify-writes of
//! it, so either the publisher sees the flag, or the one who sets it sees the outcome.

use crate::sync::CountedWord;
use crate::sync::atomic::Ordering;

/// Where a task stands, for its future's owner. Python's names are PENDING, RUNNING, CANCELLED and FINISHED.
///
/// # Examples
///
/// ```
/// use concurrent_futures::State;
///
/// let (promise, future) = concurrent_futures::promise();
/// assert_eq!(future.state(), State::Queued);
/// promise.set_result(1);
/// assert_eq!(future.state(), State::Finished);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum State {
    /// Waits for its turn; can be cancelled.
    Queued,
    /// Was handed to a worker, which has not begun it; can be cancelled. Python already calls this running.
    Dispatched,
    /// Is being run.
    Running,
    /// Has a result or an error.
    Finished,
    /// Was cancelled before it began.
    Cancelled,
}

/// [`State`], as the crate needs it: with the moment of cancelling, and a failure told from a success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    Queued,
    /// Set by process pools, and for carriers.
    Dispatched,
    Running,
    Cancelling,
    Finished,
    Failed,
    Cancelled,
}

const PHASE: u64 = 0b111;
/// Somebody waits or wants to be told: the watchers have entries.
const WATCHED: u64 = 1 << 3;
/// The task has a second entry in its pool's lists, on the urgent stack.
const URGENT: u64 = 1 << 4;
/// The future is gone: nobody will take the outcome.
const UNWANTED: u64 = 1 << 5;
/// The failure was seen by somebody.
const SEEN: u64 = 1 << 6;
/// The task has an entry in its pool's lists, or had one: its pool counts it.
const ENTERED: u64 = 1 << 7;
/// The task was asked to stop. It goes on until it looks.
const ASKED: u64 = 1 << 8;
/// From here on what never changes: nothing comes with the task beside its work.
const PLAIN: u64 = 1 << 9;
/// Somebody counts on being told when nothing is left of the task.
const COUNTS_SETTLED: u64 = 1 << 10;
/// The cell's memory is used again.
const KEPT: u64 = 1 << 11;
/// One pointer to the cell; all bits from here on are their count.
const POINTER: u64 = 1 << 12;

/// The state word. It changes only by the methods named after a transition.
#[derive(Debug)]
pub(crate) struct Word(CountedWord);

/// A copy of the word at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

impl Word {
    /// A word that begins as `first`, of a cell with so many pointers.
    pub(super) fn new(first: Snapshot, pointers: usize) -> Self {
        Word(CountedWord::new(first.0 + pointers as u64 * POINTER))
    }

    /// One pointer more, made from one that is there.
    #[inline]
    pub(super) fn add_pointer(&self) {
        // ORDERING: Relaxed, as of an `Arc`: the new pointer is handed to another thread, if at all, by other means.
        let before = self.0.fetch_add(POINTER, Ordering::Relaxed);
        if before > u64::MAX / 2 {
            // 2^51 pointers: somebody forgets them in a loop, and would have the cell freed under the others.
            std::process::abort();
        }
    }

    /// One pointer less; true for the last, which frees the cell. `pointer.rs` has the argument.
    #[inline]
    pub(super) fn remove_pointer(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of every pointer that went before, by the exchange below or by
        // `publish_finished_and_go`: what they did with the cell is done when it is freed.
        if self.0.load_count(Ordering::Acquire) < 2 * POINTER {
            return true;
        }
        // ORDERING: Release, for the Acquire of the last, which may be this exchange itself.
        self.0.fetch_sub(POINTER, Ordering::AcqRel) < 2 * POINTER
    }

    /// Running -> Finished by its owner, and one pointer less, in one step. False, and nothing is changed, if there is
    /// more to do: somebody waits, the future is gone, this is the only pointer; or something changed at this moment.
    #[inline]
    pub(super) fn publish_finished_and_go(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        if word & (WATCHED | UNWANTED) != 0 || word < 2 * POINTER {
            return false;
        }
        debug_assert_eq!(Snapshot(word).phase(), Phase::Running);
        let to = word + (Phase::Finished as u64 - Phase::Running as u64) - POINTER;
        // ORDERING: Release publishes the outcome as in `publish`, and is this pointer's as in `remove_pointer`. No Acquire:
        // no mark is there of which the publisher would have to look after anything.
        self.0.compare_exchange(word, to, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// What never changes, of which any look at the word tells.
    #[inline]
    pub(super) fn constants(&self) -> Snapshot {
        // ORDERING: Relaxed: they were there before anybody had a pointer.
        Snapshot(self.0.load_constants(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // ORDERING: Acquire pairs with the Release of `publish`: a thread that sees a resolved phase sees the outcome.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Queued -> Running. One caller wins, and from then on owns the work. The snapshot is of just before.
    pub(crate) fn claim(&self) -> Option<Snapshot> {
        self.leave_queued(Phase::Running)
    }

    /// Queued -> Cancelling. One caller wins, and from then on owns the work.
    pub(crate) fn begin_cancel(&self) -> Option<Snapshot> {
        self.leave_queued(Phase::Cancelling)
    }

    fn leave_queued(&self, to: Phase) -> Option<Snapshot> {
        // ORDERING: Acquire pairs with the Release of `unclaim` and `recall`, to see the work as its last owner left it. The first
        // one wrote it before anybody else had a handle, and what `encode` put back is ordered by the cell's lock. Release hands
        // nothing on.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (Snapshot(word).phase() == Phase::Queued).then_some(word | to as u64)
            })
            .ok()
            .map(Snapshot)
    }

    /// Running or Dispatched -> Queued, by the owner of the work, who has not begun it: a task that was started or
    /// dispatched and is then given to a pool. False if it is neither.
    pub(crate) fn unclaim(&self) -> bool {
        // ORDERING: Release hands the work on: it pairs with the Acquire of the next claim.
        self.leave(&[Phase::Running, Phase::Dispatched], Phase::Queued)
    }

    /// Dispatched -> Running, by its owner, the holder of the task: it ends or runs it here. False if it is not Dispatched.
    #[cfg(feature = "process")]
    pub(crate) fn begin_dispatched(&self) -> bool {
        // ORDERING: the owner stays the same and hands nothing on; AcqRel only as every change of the phase.
        self.leave(&[Phase::Dispatched], Phase::Running)
    }

    /// Running or Dispatched -> Cancelling, by the thread to which the carrier gave its task back: it certainly never began.
    /// False if it is neither.
    #[cfg(feature = "process")]
    pub(crate) fn cancel_owned(&self) -> bool {
        // ORDERING: as in `begin_dispatched`; the carrier handed the task itself over.
        self.leave(&[Phase::Running, Phase::Dispatched], Phase::Cancelling)
    }

    fn leave(&self, from: &[Phase], to: Phase) -> bool {
        // ORDERING: Release is what `unclaim` needs; AcqRel as every change of the phase.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                from.contains(&Snapshot(word).phase()).then_some(word & !PHASE | to as u64)
            })
            .is_ok()
    }

    /// Queued -> Dispatched. One caller wins, and from then on owns the outcome.
    #[cfg(feature = "process")]
    pub(crate) fn dispatch(&self) -> bool {
        self.leave_queued(Phase::Dispatched).is_some()
    }

    /// Dispatched -> Queued, by its owner: it certainly never began.
    #[cfg(feature = "process")]
    pub(crate) fn recall(&self) {
        // ORDERING: as in `unclaim`.
        self.0.fetch_sub(Phase::Dispatched as u64, Ordering::AcqRel);
    }

    /// Dispatched -> Cancelling, by its owner: it certainly never began, and now never will.
    #[cfg(feature = "process")]
    pub(crate) fn cancel_dispatched(&self) {
        // ORDERING: the owner stays the same and hands nothing on; AcqRel only as every change of the phase.
        self.0.fetch_add(Phase::Cancelling as u64 - Phase::Dispatched as u64, Ordering::AcqRel);
    }

    /// Running or Dispatched -> Finished or Failed, or Cancelling -> Cancelled, by its owner. Returns what was there before: the flags
    /// are what the publisher must look after.
    pub(crate) fn publish(&self, from: Phase, to: Phase) -> Snapshot {
        debug_assert!(matches!(
            (from, to),
            (Phase::Running | Phase::Dispatched, Phase::Finished | Phase::Failed | Phase::Cancelled)
                | (Phase::Cancelling, Phase::Cancelled)
        ));
        // The owner alone changes the phase, and phases rise: an addition changes it and leaves the flags alone.
        // ORDERING: Release publishes the outcome, for `load` and the marks below. Acquire pairs with the Release of
        // `mark_watched` and `mark_unwanted`: the publisher tells those watchers, and drops that outcome.
        Snapshot(self.0.fetch_add(to as u64 - from as u64, Ordering::AcqRel))
    }

    /// Marks that an entry is about to be queued, while the task is still Queued. False if it is not: then it was
    /// cancelled before it got there, and nobody would ever take the entry out of the count.
    pub(crate) fn mark_entered(&self) -> bool {
        self.load().is_entered() || self.mark_while_queued(ENTERED, 0)
    }

    /// Marks that the watchers have entries.
    pub(crate) fn mark_watched(&self) -> Snapshot {
        // ORDERING: Acquire pairs with the Release of `publish`, for a caller that finds the task done; Release with the
        // Acquire of `publish`, which finds the entries.
        Snapshot(self.0.fetch_or(WATCHED, Ordering::AcqRel))
    }

    /// Marks that the future is gone.
    pub(crate) fn mark_unwanted(&self) -> Snapshot {
        // ORDERING: Acquire pairs with the Release of `publish`, for a caller that finds the task done and drops the outcome;
        // Release with the Acquire of `publish`, which drops it after all that the caller did.
        Snapshot(self.0.fetch_or(UNWANTED, Ordering::AcqRel))
    }

    /// Marks that somebody saw the failure.
    pub(crate) fn mark_seen(&self) -> Snapshot {
        // ORDERING: nothing but the flag is handed on, to `load` before a report; AcqRel only as its neighbours.
        Snapshot(self.0.fetch_or(SEEN, Ordering::AcqRel))
    }

    /// Marks that the task is to stop. The snapshot is of just before.
    pub(crate) fn mark_asked(&self) -> Snapshot {
        // ORDERING: Release pairs with the Acquire of `load`: a task that finds itself asked sees what was done before. Acquire,
        // as its neighbours, for a caller that finds the task done.
        Snapshot(self.0.fetch_or(ASKED, Ordering::AcqRel))
    }

    /// Marks that a second entry is about to be made; true for the one caller who shall make it. Only while Queued:
    /// the thread that claims the task afterwards sees the mark and counts the entry as dead. And only of a task that has its
    /// first: one that still waits for a place in a full queue has nothing to be ahead of.
    pub(crate) fn mark_urgent(&self) -> bool {
        self.mark_while_queued(URGENT, ENTERED)
    }

    /// Sets `flag`, which was not set, beside those `required`.
    fn mark_while_queued(&self, flag: u64, required: u64) -> bool {
        // ORDERING: a claim changes the same word, so it sees the flag in any order; AcqRel only as its neighbours.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let marked = Snapshot(word).phase() == Phase::Queued && word & (flag | required) == required;
                marked.then_some(word | flag)
            })
            .is_ok()
    }
}

impl Snapshot {
    /// How a word begins that has no marks.
    pub(crate) fn first(phase: Phase) -> Self {
        Snapshot(phase as u64)
    }

    /// With its entry on its way.
    pub(crate) fn entered(self) -> Self {
        Snapshot(self.0 | ENTERED)
    }

    /// Of a task with which nothing comes beside its work.
    pub(super) fn plain_if(self, plain: bool) -> Self {
        self.with_if(PLAIN, plain)
    }

    /// Of a task of which somebody is told when it is settled.
    pub(super) fn counts_settled_if(self, counts: bool) -> Self {
        self.with_if(COUNTS_SETTLED, counts)
    }

    /// Of a cell whose memory is used again.
    pub(super) fn kept_if(self, kept: bool) -> Self {
        self.with_if(KEPT, kept)
    }

    fn with_if(self, mark: u64, is_set: bool) -> Self {
        Snapshot(self.0 | if is_set { mark } else { 0 })
    }

    pub(crate) fn phase(self) -> Phase {
        match self.0 & PHASE {
            0 => Phase::Queued,
            1 => Phase::Dispatched,
            2 => Phase::Running,
            3 => Phase::Cancelling,
            4 => Phase::Finished,
            5 => Phase::Failed,
            _ => Phase::Cancelled,
        }
    }

    pub(crate) fn state(self) -> State {
        match self.phase() {
            Phase::Queued | Phase::Cancelling => State::Queued,
            Phase::Dispatched => State::Dispatched,
            Phase::Running => State::Running,
            Phase::Finished | Phase::Failed => State::Finished,
            Phase::Cancelled => State::Cancelled,
        }
    }

    pub(crate) fn is_resolved(self) -> bool {
        self.0 & PHASE >= Phase::Finished as u64
    }

    pub(crate) fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }

    pub(crate) fn is_urgent(self) -> bool {
        self.0 & URGENT != 0
    }

    pub(crate) fn is_entered(self) -> bool {
        self.0 & ENTERED != 0
    }

    pub(crate) fn is_unwanted(self) -> bool {
        self.0 & UNWANTED != 0
    }

    pub(crate) fn is_seen(self) -> bool {
        self.0 & SEEN != 0
    }

    pub(crate) fn is_asked(self) -> bool {
        self.0 & ASKED != 0
    }

    pub(super) fn is_plain(self) -> bool {
        self.0 & PLAIN != 0
    }

    pub(super) fn counts_settled(self) -> bool {
        self.0 & COUNTS_SETTLED != 0
    }

    pub(super) fn is_kept(self) -> bool {
        self.0 & KEPT != 0
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Phase, Snapshot, Word};

    #[test]
    fn one_of_claim_and_cancel_wins() {
        let word = Word::new(Snapshot::first(Phase::Queued), 2);
        assert!(word.claim().is_some());
        assert!(word.begin_cancel().is_none() && word.claim().is_none());
        let word = Word::new(Snapshot::first(Phase::Queued), 2);
        assert!(word.begin_cancel().is_some());
        assert!(word.claim().is_none());
        assert_eq!(word.load().phase(), Phase::Cancelling);
    }

    #[test]
    fn flags_outlive_the_phase() {
        let word = Word::new(Snapshot::first(Phase::Queued), 2);
        assert!(!word.mark_urgent() && word.mark_entered());
        assert!(word.mark_urgent() && !word.mark_urgent());
        assert!(!word.mark_watched().is_watched());
        assert!(word.claim().is_some_and(|before| before.is_urgent()));
        assert!(!word.mark_urgent());
        let before = word.publish(Phase::Running, Phase::Failed);
        assert!(before.is_watched() && !before.is_resolved() && !before.is_unwanted());
        assert!(word.mark_unwanted().is_resolved());
        assert_eq!(word.load().phase(), Phase::Failed);
    }

    #[test]
    fn what_is_asked_stays_asked() {
        let word = Word::new(Snapshot::first(Phase::Queued), 2);
        assert!(word.claim().is_some() && !word.load().is_asked());
        assert!(!word.mark_asked().is_asked() && word.mark_asked().is_asked());
        assert!(word.publish_finished_and_go(), "nobody has to be told");
        assert!(word.load().is_asked() && word.mark_asked().is_resolved());
        assert!(word.remove_pointer());
    }

    #[test]
    fn the_last_pointer_knows_it() {
        let word = Word::new(Snapshot::first(Phase::Queued), 2);
        word.add_pointer();
        assert!(!word.remove_pointer() && !word.remove_pointer());
        assert!(word.mark_unwanted().phase() == Phase::Queued, "the count is beside the phase");
        assert!(word.remove_pointer());
    }

    #[test]
    fn finished_in_one_step_only_where_nothing_else_is_to_do() {
        let running = || {
            let word = Word::new(Snapshot::first(Phase::Queued).entered(), 2);
            assert!(word.claim().is_some());
            word
        };
        let word = running();
        assert!(word.publish_finished_and_go());
        assert!(word.load().phase() == Phase::Finished && word.load().is_entered());
        assert!(word.remove_pointer());
        let (watched, unwanted, alone) = (running(), running(), running());
        watched.mark_watched();
        unwanted.mark_unwanted();
        assert!(!alone.remove_pointer());
        for word in [watched, unwanted, alone] {
            assert!(!word.publish_finished_and_go());
            assert_eq!(word.load().phase(), Phase::Running);
        }
    }
}
