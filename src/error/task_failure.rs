//! [`TaskFailure`]: what a fallible task may return as its error.

use super::BoxError;

/// What a fallible task may return as its error: whatever converts into [`BoxError`], such as `anyhow::Error`,
/// `io::Error`, `String` or a type of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a task's error",
    label = "not an error that can leave its thread",
    note = "it must convert into `Box<dyn std::error::Error + Send + Sync>`: implement `std::error::Error` for it, or use `anyhow::Error` or `String`",
    note = "a `Box<dyn Error>` needs `+ Send + Sync`"
)]
pub trait TaskFailure: 'static {
    #[doc(hidden)]
    fn into_box(self) -> BoxError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError> + 'static> TaskFailure for E {
    fn into_box(self) -> BoxError {
        self.into()
    }
}
