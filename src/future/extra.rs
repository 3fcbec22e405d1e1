//! [`Extra`]: what comes with some tasks beside their work.

use super::options::TaskOptions;
use std::sync::OnceLock;

/// Options, a scope's counter. Most tasks have none, and no room for it.
pub(crate) trait Extra: Send + Sync {
    fn options(&self) -> Option<&TaskOptions> {
        None
    }

    /// Sets the options, where they can come late.
    fn set_options(&self, _: TaskOptions) {}

    /// Nothing of the task is left but a result that is held.
    fn settled(&self) {}
}

impl Extra for () {}

impl Extra for TaskOptions {
    fn options(&self) -> Option<&TaskOptions> {
        Some(self)
    }
}

/// Options that may come after the task was made, once.
#[derive(Default)]
pub(crate) struct LateOptions(OnceLock<Box<TaskOptions>>);

impl Extra for LateOptions {
    fn options(&self) -> Option<&TaskOptions> {
        self.0.get().map(|options| &**options)
    }

    fn set_options(&self, options: TaskOptions) {
        // A second call changes nothing, as Task::with_options says.
        let _ = self.0.set(Box::new(options));
    }
}
