//! Failures that are remembered: refused once is not refused for ever.

use crate::Instance;

pub(crate) const INSTANCES: &[Instance] = &[];
