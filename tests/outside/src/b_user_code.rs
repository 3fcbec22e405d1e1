//! The user's code that is called from inside: loggers, hooks, wakers, callbacks, formatting, iterators, drops.

use crate::Instance;

pub(crate) const INSTANCES: &[Instance] = &[];
