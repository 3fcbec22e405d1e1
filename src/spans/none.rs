//! Without `tracing`.

use crate::id::FutureId;
use std::sync::Arc;

/// Nobody wants to know of tasks.
#[cfg(feature = "process")]
#[inline(always)]
pub(crate) fn is_wanted() -> bool {
    false
}

#[derive(Default)]
pub(crate) struct TaskSpan(());

/// Nothing is entered.
pub(crate) struct Entered;

impl TaskSpan {
    #[inline(always)]
    pub(crate) fn open(&self, _: FutureId, _: impl FnOnce() -> Option<Arc<str>>) {}

    #[inline(always)]
    pub(crate) fn enter(&self, _: impl FnOnce() -> Arc<str>) -> Entered {
        Entered
    }

    #[cfg(feature = "process")]
    #[inline(always)]
    pub(crate) fn note<'a>(&self, _: impl FnOnce() -> super::Ran<'a>) {}

    #[inline(always)]
    pub(crate) fn close(&self) {}
}
