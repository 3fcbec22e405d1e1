//! The stack as it is, not as it was asked for.

use crate::Instance;

pub(crate) const INSTANCES: &[Instance] = &[];
