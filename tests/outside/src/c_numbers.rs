//! Numbers at their edges: every number and duration that a user can give, every counter that only grows.

use crate::Instance;

pub(crate) const INSTANCES: &[Instance] = &[];
