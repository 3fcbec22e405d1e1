//! [`TaskClock`]: when the task began that the worker runs.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The worker notes it while the parent wants it. No part of the protocol: only whoever looks at the pool reads it. One word
/// more would not do for a worker out of control, so what is read here is compared with the parent's own clock.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct TaskClock {
    wanted: AtomicU32,
    /// Which task it is: `{batch: 32 | index: 32}`. Written last.
    task: AtomicU64,
    /// In nanoseconds of the system's clock, which is the same in both processes.
    begun: AtomicU64,
}

impl TaskClock {
    /// Parent: from now on it is noted when a task begins.
    pub(crate) fn want(&self) {
        self.wanted.store(1, Ordering::Relaxed);
    }

    /// Worker: whether it is.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0
    }

    /// Worker: a task has begun.
    pub(crate) fn note(&self, batch: u32, index: u32, now: u64) {
        self.task.store(u64::MAX, Ordering::Relaxed);
        // ORDERING: Release pairs with the Acquire in `begun`: whoever reads this moment, and then the task again, finds the
        // task before it gone or this one there.
        self.begun.store(now, Ordering::Release);
        // ORDERING: Release pairs with the Acquire in `begun`: whoever finds the task finds its moment.
        self.task.store(pack(batch, index), Ordering::Release);
    }

    /// Parent: when that task began, if it was noted and no other has begun since.
    pub(crate) fn begun(&self, batch: u32, index: u32) -> Option<u64> {
        // ORDERING: Acquire pairs with the Release stores in `note`.
        let (task, begun) = (self.task.load(Ordering::Acquire), self.begun.load(Ordering::Acquire));
        let is_it = task == pack(batch, index) && self.task.load(Ordering::Relaxed) == task;
        (is_it && begun != 0).then_some(begun)
    }
}

/// No batch has so many tasks that this were all ones.
fn pack(batch: u32, index: u32) -> u64 {
    u64::from(batch) << 32 | u64::from(index)
}

#[cfg(test)]
mod tests {
    use super::TaskClock;

    #[test]
    fn a_moment_is_that_of_its_task_alone() {
        let clock = TaskClock::default();
        assert!(!clock.is_wanted());
        assert_eq!(clock.begun(0, 0), None);
        clock.want();
        assert!(clock.is_wanted());
        clock.note(0, 0, 7);
        assert_eq!((clock.begun(0, 0), clock.begun(0, 1), clock.begun(1, 0)), (Some(7), None, None));
        clock.note(1, 0, 8);
        assert_eq!((clock.begun(0, 0), clock.begun(1, 0)), (None, Some(8)));
    }
}
