//! Waiting inside a task: what a task may find, and what it may wait for.

use crate::Instance;

pub(crate) const INSTANCES: &[Instance] = &[];
