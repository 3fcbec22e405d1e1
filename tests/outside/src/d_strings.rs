//! Strings at their edges: every name, path and variable that reaches the system.

use crate::Instance;

pub(crate) const INSTANCES: &[Instance] = &[];
