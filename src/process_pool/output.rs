//! [`WorkerOutput`]: where what workers print goes.

use super::sys;
use std::fs::File;
use std::io;
use std::process::Stdio;
use std::sync::Arc;

/// Where what workers print goes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum WorkerOutput {
    /// Where the parent's goes.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// To this file, which all workers of the pool share.
    File(Arc<File>),
}

impl From<File> for WorkerOutput {
    fn from(file: File) -> Self {
        WorkerOutput::File(Arc::new(file))
    }
}

impl WorkerOutput {
    pub(crate) fn stdio(&self) -> io::Result<Stdio> {
        Ok(match self {
            WorkerOutput::Inherit => Stdio::inherit(),
            WorkerOutput::Null => sys::nowhere()?.into(),
            WorkerOutput::File(file) => file.try_clone()?.into(),
        })
    }
}
