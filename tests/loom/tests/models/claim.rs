//! The segment's words, with the orderings that they have: who begins a task, and when a slot may be used again.
//!
//! The order of the protocol's steps is searched in `tests/protocol`, one step after the other. Here it is about what one
//! side sees of the other's.

use crate::support::explore;
use concurrent_futures::internals::{Claims, SLOTS};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex, mpsc};
use loom::thread;

/// A batch's table: what of it is neither begun nor recalled.
type Table = Mutex<Vec<u32>>;

/// As `Lane::recall`, by anyone who holds the dispatcher.
fn recall(segment: &Claims, table: &Table, to: u32) -> Vec<u32> {
    let mut table = table.lock().expect("no panics");
    let limit = segment.claim(0).lower(to) as usize;
    let above = limit.min(table.len());
    table.split_off(above)
}

#[test]
fn each_task_is_begun_or_recalled() {
    const TASKS: u32 = 3;
    explore("each_task_is_begun_or_recalled", 3, || {
        let segment = Arc::new(Claims::default());
        let table: Arc<Table> = Arc::new(Mutex::new((0..TASKS).collect()));
        segment.claim(0).open(TASKS);
        let worker = {
            let segment = segment.clone();
            thread::spawn(move || std::iter::from_fn(|| segment.claim(0).begin()).collect::<Vec<_>>())
        };
        let thief = {
            let (segment, table) = (segment.clone(), table.clone());
            thread::spawn(move || recall(&segment, &table, 2))
        };
        let cancelled = recall(&segment, &table, 1);
        let mut all = worker.join().expect("no panics");
        all.extend(thief.join().expect("no panics"));
        all.extend(cancelled);
        all.sort_unstable();
        assert_eq!(all, (0..TASKS).collect::<Vec<_>>());
    });
}

/// A worker that is through with a frame has let go of its slot: its last look happens before the parent's next set, and
/// it never begins a task of one batch by the frame of another.
#[test]
fn a_slot_is_used_again_only_after_over() {
    const NEXT: u32 = SLOTS as u32;
    explore("a_slot_is_used_again_only_after_over", 3, || {
        let segment = Arc::new(Claims::default());
        // In the socket's place: what was done before a frame was sent is seen by who has it.
        let (socket, frames) = mpsc::channel();
        // Whoever has the slot's word for himself touches this; loom watches that nobody else does meanwhile.
        let slot = Arc::new(UnsafeCell::new(()));
        slot.with_mut(|_| ());
        segment.claim(0).open(1);
        let worker = {
            let (segment, slot) = (segment.clone(), slot.clone());
            thread::spawn(move || {
                let mut begun = Vec::new();
                for through in 1..=2 {
                    let number = frames.recv().expect("two are sent");
                    slot.with(|_| ());
                    begun.extend(
                        std::iter::from_fn(|| segment.claim(number).begin()).map(|index| (number, index)),
                    );
                    slot.with(|_| ());
                    segment.pass(through);
                }
                begun
            })
        };
        socket.send(0).expect("the worker reads");
        let recalled = segment.claim(0).lower(0) == 0;
        let is_free = segment.over() == 1;
        if is_free {
            slot.with_mut(|_| ());
            segment.claim(NEXT).open(1);
        }
        // Else a frame that was recalled whole: its slot is as the first has left it.
        socket.send(NEXT).expect("the worker reads");
        let begun = worker.join().expect("no panics");
        let of_first = if recalled { vec![] } else { vec![(0, 0)] };
        let of_second = if is_free { vec![(NEXT, 0)] } else { vec![] };
        assert_eq!(begun, [of_first, of_second].concat());
    });
}

/// Breaks if who is asked to stop may fall again (the one that runs misses it), if a batch leaves it behind for the next in its
/// slot, or if it is written or read without Release and Acquire.
#[test]
fn a_task_is_asked_for_itself() {
    const NEXT: u32 = SLOTS as u32;
    explore("a_task_is_asked_for_itself", 3, || {
        let segment = Arc::new(Claims::default());
        let written = Arc::new(UnsafeCell::new(()));
        segment.claim(0).open(2);
        assert_eq!((segment.claim(0).begin(), segment.claim(0).begin()), (Some(0), Some(1)));
        let worker = {
            let (segment, written) = (segment.clone(), written.clone());
            thread::spawn(move || {
                // The second task runs; the first is over, and its reply on its way.
                if segment.claim(0).is_asked(0, 1) {
                    written.with(|_| ());
                    assert!(segment.claim(0).is_asked(0, 1), "it stays asked");
                }
                segment.pass(1);
            })
        };
        written.with_mut(|_| ());
        segment.claim(0).ask(0, 1);
        segment.claim(0).ask(0, 0);
        if segment.over() == 1 {
            segment.claim(NEXT).open(2);
            assert!((0..2).all(|index| !segment.claim(NEXT).is_asked(NEXT, index)));
        }
        worker.join().expect("no panics");
    });
}
