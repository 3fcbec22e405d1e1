//! [`Case`]: what is measured.

use clap::ValueEnum;
use serde::Serialize;

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Case {
    /// A small task and its result, one after another.
    Trip,
    /// A MiB to a node and back.
    Mib,
    /// Small tasks, all submitted at once.
    Many,
    /// Tasks that all need the same 16 MiB.
    Shared,
    /// A folder of pictures.
    Xray,
    /// A million tasks: what the client and the server take.
    Memory,
    /// A future that waits, of that million.
    #[value(skip)]
    Future,
}

/// Those that every subject is asked for.
pub(crate) const SIDE_BY_SIDE: [Case; 3] = [Case::Trip, Case::Mib, Case::Many];

impl Case {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Case::Trip => "round trip of a small task",
            Case::Mib => "a MiB there and back",
            Case::Many => "small tasks, all at once",
            Case::Shared => "a task that needs 16 MiB",
            Case::Xray => "pictures, made small",
            Case::Memory => "memory for many tasks",
            Case::Future => "a task that waits, in the client",
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Case::Trip | Case::Mib | Case::Shared => "us",
            Case::Many | Case::Xray => "1/s",
            Case::Memory => "MiB",
            Case::Future => "B",
        }
    }
}
