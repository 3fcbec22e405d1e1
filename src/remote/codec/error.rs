//! The codec's own error, for serde's traits; users see its text in a `CodecError`.

use serde_core::{de, ser};
use std::fmt;

/// One word, so that a `Result` of it stays in registers.
pub(super) struct Error(Box<Text>);

struct Text(String);

impl Error {
    #[cold]
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Error(Box::new(Text(text.to_string())))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.0, f)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Error::new(text)
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Error::new(text)
    }
}
