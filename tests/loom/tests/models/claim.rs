//! The page's words, with the orderings that they have: who begins a task, and when a slot may be used again.
//!
//! The order of the protocol's steps is searched in `tests/page`, one step after the other. Here it is about what one
//! side sees of the other's.

use crate::page::{FLIGHTS, Page};
use crate::support::explore;
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

/// A batch's table: what of it is neither begun nor recalled.
type Table = Mutex<Vec<u32>>;

/// As `Desk::recall`, by anyone who holds the book.
fn recall(page: &Page, table: &Table, to: u32) -> Vec<u32> {
    let mut table = table.lock().expect("no panics");
    let limit = page.claim(0).lower(to).limit as usize;
    let above = limit.min(table.len());
    table.split_off(above)
}

#[test]
fn each_task_is_begun_or_recalled() {
    const TASKS: u32 = 2;
    explore("each_task_is_begun_or_recalled", 2, || {
        let page = Arc::new(Page::alone());
        let table: Arc<Table> = Arc::new(Mutex::new((0..TASKS).collect()));
        page.claim(0).open(TASKS);
        let worker = {
            let page = page.clone();
            thread::spawn(move || std::iter::from_fn(|| page.claim(0).begin()).collect::<Vec<_>>())
        };
        let thief = {
            let (page, table) = (page.clone(), table.clone());
            thread::spawn(move || recall(&page, &table, 1))
        };
        let cancelled = recall(&page, &table, 0);
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
    const NEXT: u32 = FLIGHTS as u32;
    explore("a_slot_is_used_again_only_after_over", 2, || {
        let page = Arc::new(Page::alone());
        // The socket, as far as it orders: what was sent before is seen after.
        let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        // Whoever has the slot's word for himself touches this; loom watches that nobody else does meanwhile.
        let slot = Arc::new(UnsafeCell::new(()));
        slot.with_mut(|_| ());
        page.claim(0).open(1);
        let worker = {
            let (page, slot) = (page.clone(), slot.clone());
            let (first, second) = (first.clone(), second.clone());
            thread::spawn(move || {
                let mut begun = Vec::new();
                for (through, number, frame) in [(1, 0, first), (2, NEXT, second)] {
                    frame.wait();
                    slot.with(|_| ());
                    begun.extend(std::iter::from_fn(|| page.claim(number).begin()).map(|index| (number, index)));
                    slot.with(|_| ());
                    page.pass(through);
                }
                begun
            })
        };
        first.notify();
        let recalled = page.claim(0).lower(0).limit == 0;
        let is_free = page.over() == 1;
        if is_free {
            slot.with_mut(|_| ());
            page.claim(NEXT).open(1);
        }
        // Else a frame that was recalled whole: its slot is as the first has left it.
        second.notify();
        let begun = worker.join().expect("no panics");
        let of_first = if recalled { vec![] } else { vec![(0, 0)] };
        let of_second = if is_free { vec![(NEXT, 0)] } else { vec![] };
        assert_eq!(begun, [of_first, of_second].concat());
    });
}
