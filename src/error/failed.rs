//! [`Failed`]: the task's own error.

use super::{BoxError, TaskFailure};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The task's own error.
///
/// `Display` and `source()` are the inner error's, so that a chain of causes prints each cause once.
#[derive(Clone)]
pub struct Failed(Arc<FailedInner>);

struct FailedInner {
    error: BoxError,
    type_name: Cow<'static, str>,
}

impl Failed {
    /// Wraps a task's error.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::Failed;
    ///
    /// let failed = Failed::new("no such day".to_string());
    /// assert_eq!(failed.to_string(), "no such day");
    /// assert_eq!(failed.type_name(), "alloc::string::String");
    /// ```
    pub fn new<E: TaskFailure>(error: E) -> Self {
        let type_name = Cow::Borrowed(std::any::type_name::<E>());
        Failed(Arc::new(FailedInner { error: error.into_box(), type_name }))
    }

    /// An error of another process: the name of its type, its text and those of its causes.
    #[cfg(feature = "process")]
    pub(crate) fn from_elsewhere(type_name: String, chain: impl Iterator<Item = String>) -> Self {
        let texts: Vec<String> = chain.collect();
        let link = |source, text| Some(Box::new(ErrorText { text, source }));
        let error = texts.into_iter().rev().fold(None, link).unwrap_or_default();
        Failed(Arc::new(FailedInner { error, type_name: Cow::Owned(type_name) }))
    }

    /// The name of the error's type, as the compiler writes it.
    pub fn type_name(&self) -> &str {
        &self.0.type_name
    }

    /// The error itself.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.error
    }

    /// The error itself, if it is an `E`. An `anyhow::Error` keeps its chain of causes but hides its type; of an error
    /// that comes from another process the texts are left, and [`type_name`](Failed::type_name).
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{TaskError, prelude::*};
    /// use std::num::ParseIntError;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let error = pool.try_submit(|s: &str| s.parse::<u32>(), "x").result().unwrap_err();
    /// let TaskError::Failed(failed) = error else { panic!("{error}") };
    /// assert!(failed.downcast_ref::<ParseIntError>().is_some());
    /// ```
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.error.downcast_ref()
    }

    /// The error, owned.
    ///
    /// # Errors
    ///
    /// `self`, while other clones of it live.
    pub fn into_inner(self) -> Result<BoxError, Self> {
        Arc::try_unwrap(self.0).map(|inner| inner.error).map_err(Failed)
    }
}

/// A task's error as it arrives from another process: its text, and those of its causes.
#[cfg(feature = "process")]
#[derive(Debug, Default)]
struct ErrorText {
    text: String,
    source: Option<Box<ErrorText>>,
}

#[cfg(feature = "process")]
impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(feature = "process")]
impl Error for ErrorText {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failed").field(&self.0.error).finish()
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.error.source()
    }
}
