//! Where a worker process starts, and as what.

use crate::Instance;

pub(crate) const INSTANCES: &[Instance] = &[];
