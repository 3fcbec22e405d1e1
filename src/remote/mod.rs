//! What both sides of a process boundary share.

pub(crate) mod codec;
