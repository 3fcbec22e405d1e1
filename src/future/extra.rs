//! [`Extra`]: what comes with some tasks beside their work.

use super::cell::AnyCell;
use super::options::TaskOptions;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Options, a scope's counter. Most tasks have none, and no room for it.
pub(crate) trait Extra: Send + Sync {
    /// Whether there never is anything to ask. Known to the compiler, and noted in the cell's header.
    fn is_nothing() -> bool
    where
        Self: Sized,
    {
        false
    }

    fn options(&self) -> Option<&TaskOptions> {
        None
    }

    /// Sets the options, where they can come late.
    fn set_options(&self, _: TaskOptions) {}

    /// Which items of a map's input the task is for; empty if it is of no map.
    fn items(&self) -> Range<usize> {
        0..0
    }

    /// Whether all tasks with which it is together were asked to stop.
    fn is_asked(&self) -> bool {
        false
    }

    /// Nothing of the task is left but a result that is held.
    fn settled(&self) {}

    /// Whether somebody counts on being told that. Known to the compiler, and noted in the cell's header.
    fn counts_settled() -> bool
    where
        Self: Sized,
    {
        true
    }
}

impl Extra for () {
    fn is_nothing() -> bool {
        true
    }

    fn counts_settled() -> bool {
        false
    }
}

impl Extra for TaskOptions {
    fn counts_settled() -> bool {
        false
    }

    fn options(&self) -> Option<&TaskOptions> {
        Some(self)
    }
}

/// Options that may come after the task was made, once.
#[derive(Default)]
pub(crate) struct LateOptions(OnceLock<Box<TaskOptions>>);

impl Extra for LateOptions {
    fn counts_settled() -> bool {
        false
    }

    fn options(&self) -> Option<&TaskOptions> {
        self.0.get().map(|options| &**options)
    }

    fn set_options(&self, options: TaskOptions) {
        // A second call changes nothing, as Task::with_options says.
        let _ = self.0.set(Box::new(options));
    }
}

/// The task of a map, beside what else comes with it.
pub(crate) struct OfMap<X, I> {
    pub(crate) extra: X,
    pub(crate) items: I,
}

/// Which items of a map's input a task is for: one, by its place, or several.
pub(crate) trait Items: Send + Sync {
    fn range(&self) -> Range<usize>;
}

impl Items for usize {
    fn range(&self) -> Range<usize> {
        *self..*self + 1
    }
}

impl Items for Range<usize> {
    fn range(&self) -> Range<usize> {
        self.clone()
    }
}

impl<X: Extra, I: Items> Extra for OfMap<X, I> {
    fn options(&self) -> Option<&TaskOptions> {
        self.extra.options()
    }

    fn set_options(&self, options: TaskOptions) {
        self.extra.set_options(options);
    }

    fn items(&self) -> Range<usize> {
        self.items.range()
    }

    fn is_asked(&self) -> bool {
        self.extra.is_asked()
    }

    fn settled(&self) {
        self.extra.settled();
    }

    fn counts_settled() -> bool {
        X::counts_settled()
    }
}

/// What cells answer of it.
impl dyn AnyCell + '_ {
    /// What comes with the task beside its work, if anything does.
    fn extra_if_any(&self) -> Option<&dyn Extra> {
        (!self.header().is_plain()).then(|| self.extra())
    }

    pub(crate) fn options_if_any(&self) -> Option<&TaskOptions> {
        self.extra_if_any().and_then(Extra::options)
    }

    pub(crate) fn options(&self) -> &TaskOptions {
        static NONE: std::sync::LazyLock<TaskOptions> = std::sync::LazyLock::new(TaskOptions::new);
        self.options_if_any().unwrap_or(&NONE)
    }

    /// Whether it was asked to stop, by itself or with others.
    pub(crate) fn is_asked(&self) -> bool {
        self.header().word.load().is_asked() || self.extra_if_any().is_some_and(Extra::is_asked)
    }

    /// What whoever looks at the pool is told of the task: its label, and which items of a map it is for. None for most.
    pub(crate) fn about(&self) -> (Option<Arc<str>>, Range<usize>) {
        let Some(extra) = self.extra_if_any() else { return (None, 0..0) };
        (extra.options().and_then(|options| options.get_label().cloned()), extra.items())
    }

    /// Whether any of that is there.
    pub(crate) fn has_about(&self) -> bool {
        self.extra_if_any().is_some_and(|extra| extra.options().is_some() || !extra.items().is_empty())
    }

    /// Opens the task's span, if somebody wants it: its parent is the current one of this thread, which submits the task.
    pub(crate) fn open_span(&self) {
        let label = || self.options_if_any().and_then(|options| options.get_label().cloned());
        self.header().span.open(self.header().id, label);
    }

    #[cfg(feature = "process")]
    pub(crate) fn label(&self) -> Option<Arc<str>> {
        self.options_if_any().and_then(|options| options.get_label().cloned())
    }

    /// Nothing of the task is left but a result that is held.
    pub(crate) fn settle(&self) {
        if self.header().counts_settled() {
            self.extra().settled();
        }
    }
}
