//! [`Layout`]: what lies in the memory segment that a worker shares with its parent.
//!
//! The protocol over these words, and its proof, are in `PROTOCOL.md`. What the parent reads here was written by another
//! process, which may be out of control: every number is checked before it is used.

pub(crate) mod claim;
pub(crate) mod credit;
pub(crate) mod last_words;
pub(crate) mod results;
pub(crate) mod ring;
pub(crate) mod stack_words;
pub(crate) mod task_clock;

use crate::sync::atomic::{AtomicU32, Ordering};
use claim::Claims;
use credit::Credit;
use last_words::LastWords;
use results::ResultSlots;
use ring::Ring;
use stack_words::StackWords;
use std::ops::Deref;
use task_clock::TaskClock;

/// All zero is its initial state. Words that both sides use have a cache line each.
#[repr(C)]
pub(crate) struct Layout {
    claims: Claims,
    pub(crate) ring: Ring,
    pub(crate) result_slots: ResultSlots,
    pub(crate) exit_flags: ExitFlags,
    pub(crate) task_clock: TaskClock,
    pub(crate) credit: Credit,
    pub(crate) last_words: LastWords,
    pub(crate) stack_words: StackWords,
}

impl Deref for Layout {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.claims
    }
}

/// A word in a cache line of its own.
#[repr(C, align(64))]
#[derive(Default)]
struct CachePadded<T>(T);

/// How a worker is ended that can't be signalled, and what one notes that ends by itself. No part of the protocol: the
/// parent learns of any death by the process's handle.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct ExitFlags {
    exit_requested: AtomicU32,
    thread_gone: AtomicU32,
}

impl ExitFlags {
    /// Parent: the worker is to leave at once.
    pub(crate) fn request_exit(&self) {
        // ORDERING: Release pairs with `is_exit_requested`. The flag alone counts; no other data rests on it.
        self.exit_requested.store(1, Ordering::Release);
    }

    /// Worker: whether it is to leave at once.
    pub(crate) fn is_exit_requested(&self) -> bool {
        // ORDERING: Acquire pairs with `request_exit`.
        self.exit_requested.load(Ordering::Acquire) != 0
    }

    /// Worker: it leaves because the thread that runs its tasks is gone.
    pub(crate) fn note_thread_gone(&self) {
        // ORDERING: Release pairs with `was_thread_gone`. The worker's death, which the kernel reports, orders it as well.
        self.thread_gone.store(1, Ordering::Release);
    }

    /// Parent: whether it left for that reason.
    pub(crate) fn was_thread_gone(&self) -> bool {
        // ORDERING: Acquire pairs with `note_thread_gone`.
        self.thread_gone.load(Ordering::Acquire) != 0
    }
}
