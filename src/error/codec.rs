//! [`CodecError`]: a value could not be carried between processes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Where on its way a value could not be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The argument, before it was sent.
    EncodeArgument,
    /// The argument, in the worker.
    DecodeArgument,
    /// The result, in the worker.
    EncodeResult,
    /// The result, when it came back.
    DecodeResult,
    /// The parcel, before anything in it was decoded or run.
    Parcel,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::EncodeArgument => "the argument could not be encoded",
            Stage::DecodeArgument => "the argument could not be decoded in the worker",
            Stage::EncodeResult => "the result could not be encoded in the worker",
            Stage::DecodeResult => "the result could not be decoded",
            Stage::Parcel => "the parcel could not be read, and nothing of it was run",
        })
    }
}

/// A value could not be carried between processes.
#[derive(Debug, Clone)]
pub struct CodecError(Arc<(Stage, String)>);

impl CodecError {
    /// A failure at `stage`, told by `reason`.
    pub fn new(stage: Stage, reason: impl Into<String>) -> Self {
        CodecError(Arc::new((stage, reason.into())))
    }

    /// Where on its way the value was.
    pub fn stage(&self) -> Stage {
        self.0.0
    }

    /// What the encoder or decoder said.
    pub fn reason(&self) -> &str {
        &self.0.1
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.0, self.0.1)
    }
}

impl Error for CodecError {}
