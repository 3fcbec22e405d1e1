//! [`Whereabouts`]: which task an error is about, and where it ran.

use crate::id::FutureId;
use std::fmt;
use std::sync::Arc;

/// Which task, where: what every error about a task's run can name.
#[derive(Debug, Clone, Default)]
pub(super) struct Whereabouts {
    pub(super) task: Option<FutureId>,
    pub(super) label: Option<Arc<str>>,
    pub(super) worker: Option<Arc<str>>,
    pub(super) item: Option<Item>,
}

/// Whose result of a map an error takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its place in the map's input.
    pub(crate) index: usize,
    /// The error is that of a task of several items, and which of them ran is not known.
    pub(crate) is_one_of_several: bool,
}

impl Whereabouts {
    pub(super) fn set(&mut self, task: FutureId, label: Option<Arc<str>>, worker: Arc<str>) {
        self.of_task(task, label);
        self.worker = Some(worker);
    }

    /// Which item of a map; of one that passed through several maps, that of the first.
    pub(super) fn in_map(&mut self, item: Item) {
        self.item.get_or_insert(item);
    }

    /// Where the process that made the error doesn't know its task.
    pub(super) fn of_task(&mut self, task: FutureId, label: Option<Arc<str>>) {
        (self.task, self.label) = (Some(task), label);
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task")?;
        match (&self.label, self.task) {
            (Some(label), _) => write!(f, " `{label}`")?,
            (None, Some(id)) => write!(f, " {id}")?,
            (None, None) => {}
        }
        match self.item {
            Some(Item { index, is_one_of_several: false }) => write!(f, " (item {index} of the map)")?,
            Some(Item { index, .. }) => write!(f, " (a chunk with item {index} of the map)")?,
            None => {}
        }
        match &self.worker {
            Some(worker) => write!(f, " in worker {worker}"),
            None => Ok(()),
        }
    }
}
