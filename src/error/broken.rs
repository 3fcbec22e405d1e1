//! [`Broken`]: the pool can't run anything any more.

use super::BoxError;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The pool can't run anything any more: an initializer failed, or no worker could be started. Every queued future and
/// every later submit gets this, with the error that broke the pool inside.
///
/// `Display` ends with that error's text and `source()` is that error's, so that a chain prints each cause once.
#[derive(Debug, Clone)]
pub struct Broken(Arc<BrokenInner>);

#[derive(Debug)]
struct BrokenInner {
    reason: String,
    source: Option<BoxError>,
}

impl Broken {
    /// A pool that broke for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Broken(Arc::new(BrokenInner { reason: reason.into(), source: None }))
    }

    /// A pool that broke because of `source`.
    pub fn with_source(reason: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Broken(Arc::new(BrokenInner { reason: reason.into(), source: Some(source.into()) }))
    }

    /// Why it broke.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The reason and the error that broke it, in one text.
    pub(crate) fn why(&self) -> String {
        match &self.0.source {
            Some(cause) => format!("{}: {cause}", self.0.reason),
            None => self.0.reason.clone(),
        }
    }

    /// The error that broke it, if one did.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pool is broken: {}", self.why())
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().and_then(|cause| cause.source())
    }
}
