//! The one door to `catch_unwind`: whatever belongs to the user runs in here.
//!
//! Tasks, callbacks, initializers, hooks, the logger, texts of errors, and the *drops* of closures, arguments, results and
//! panic payloads: each may panic, and none may take a worker thread with it. None may find a lock of the crate's held:
//! it may come back in by any door. Where debug assertions are, that is asserted.
//!
//! What can't be contained: a panic that leaves a `Drop` which runs because of another panic, a panic in the program's
//! panic hook, and one in a thread-local's destructor. Rust ends the process there.

use crate::sync::assert_unlocked;
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// A panic that was caught: what it carried, and where it was seen.
pub(crate) struct Panic {
    pub(crate) payload: Payload,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<Backtrace>,
}

impl Panic {
    /// The message of `panic!`, or a stand-in for a payload that is no text.
    pub(crate) fn message(&self) -> String {
        message_of(self.payload.get()).unwrap_or(NO_TEXT).to_owned()
    }
}

/// What a panic says whose payload is no text.
const NO_TEXT: &str = "(a panic payload that is not text)";

/// A panic's payload. Dropping it runs user code, which may panic again; that second panic goes no further.
pub(crate) struct Payload(Option<Box<dyn Any + Send>>);

impl Payload {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Payload(Some(payload))
    }

    fn get(&self) -> &(dyn Any + Send) {
        self.0.as_deref().expect("taken only by value")
    }

    pub(crate) fn into_inner(mut self) -> Box<dyn Any + Send> {
        self.0.take().expect("taken only by value")
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let Some(payload) = self.0.take() else { return };
        assert_unlocked();
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // Its drop may panic as well, and so on without end: leak it.
            std::mem::forget(second);
        }
    }
}

/// Runs `f`; a panic in it comes back as a value.
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    // Whatever can be is outside of this function, which is compiled for each type of each task.
    let outer = begin();
    // AssertUnwindSafe: nothing of ours is borrowed by `f`, and what the user shares between tasks is theirs to guard,
    // as it is with threads.
    let outcome = catch_unwind(AssertUnwindSafe(f));
    end(outer);
    outcome.map_err(caught)
}

/// Gives how many `contain` there were on this thread's stack; now there is one more.
#[inline]
fn begin() -> usize {
    assert_unlocked();
    install_hook();
    let outer = DEPTH.get();
    DEPTH.set(outer + 1);
    outer
}

#[inline]
fn end(outer: usize) {
    DEPTH.set(outer);
}

#[cold]
fn caught(payload: Box<dyn Any + Send>) -> Panic {
    let payload = Payload::new(payload);
    let (location, backtrace) = match SEEN.try_with(|seen| seen.borrow_mut().take()).ok().flatten() {
        // `resume_unwind` calls no hook: what was seen then belongs to an earlier panic.
        Some(seen) if seen.message.as_deref() == message_of(payload.get()) => (seen.location, seen.backtrace),
        _ => (None, None),
    };
    Panic { payload, location, backtrace }
}

/// Drops a value of the user's; the error is a panic in its drop.
pub(crate) fn drop_contained<T>(value: T) -> Result<(), Panic> {
    if std::mem::needs_drop::<T>() {
        let mut value = Some(value);
        contain_any(&mut || drop(value.take()))
    } else {
        Ok(())
    }
}

/// What the user's `Display` writes; if it panics, what it wrote until then, and that it did.
pub(crate) fn text(shown: &dyn fmt::Display) -> String {
    let mut text = String::new();
    if let Err(panic) = contain_any(&mut || {
        // An error that it returns ends the text as well.
        let _ = write!(text, "{shown}");
    }) {
        let _ = write!(text, "(its text could not be written: a panic: {})", panic.message());
    }
    text
}

/// [`contain`], compiled once: there is a drop for each type of each task, and a call through a pointer is nothing beside
/// catching an unwinding.
fn contain_any(f: &mut dyn FnMut()) -> Result<(), Panic> {
    contain(f)
}

struct Seen {
    message: Option<String>,
    location: Option<String>,
    backtrace: Option<Backtrace>,
}

thread_local! {
    /// How many `contain` are on this thread's stack. No drop glue: it may be read in a thread's last moments.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// Location and backtrace are known to the panic hook alone, so ours notes them and then calls the one before it: what
/// a panic prints stays as the program has it. A hook that the program sets later and that doesn't call ours costs the
/// location, nothing else.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    // The hook can't be changed by a thread that panics (a `submit` in a `Drop`, say): the next `contain` does it.
    if INSTALLED.is_completed() || std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.get() > 0 {
                note(info);
                #[cfg(feature = "process")]
                if let Some(last_words) = LAST_WORDS.get() {
                    tell(info, last_words);
                }
            }
            previous(info);
        }));
    });
}

/// Told of each panic that is contained, before anything unwinds.
#[cfg(feature = "process")]
type LastWords = Box<dyn Fn(&Told<'_>) + Send + Sync>;

#[cfg(feature = "process")]
static LAST_WORDS: crate::sync::OnceLock<LastWords> = crate::sync::OnceLock::new();

/// Has `tell` told of each contained panic: for a process that a panic ends, so that it can leave word.
#[cfg(feature = "process")]
pub(crate) fn on_panic(tell: impl Fn(&Told<'_>) + Send + Sync + 'static) {
    LAST_WORDS.get_or_init(|| Box::new(tell));
}

#[cfg(feature = "process")]
fn tell(info: &PanicHookInfo<'_>, last_words: &LastWords) {
    let message = message_of(info.payload()).unwrap_or(NO_TEXT);
    let location = info.location().map(|location| location.to_string());
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    last_words(&Told { message, location, backtrace });
}

/// What there is to tell of a panic.
#[cfg(feature = "process")]
pub(crate) struct Told<'a> {
    pub(crate) message: &'a str,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<String>,
}

fn note(info: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let seen = Seen {
        message: message_of(info.payload()).map(str::to_owned),
        location: info.location().map(|l| l.to_string()),
        backtrace: (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace),
    };
    // Fails only in a thread's last moments, or while the cell is in use: a location less is better than a panic here.
    let _ = SEEN.try_with(|cell| {
        if let Ok(mut cell) = cell.try_borrow_mut() {
            *cell = Some(seen);
        }
    });
}

fn message_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::{contain, drop_contained};

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn says_where() {
        let panic = contain(|| panic!("number {}", 7)).expect_err("it panics");
        assert_eq!(panic.message(), "number 7");
        assert!(panic.location.expect("the hook noted it").contains("contain.rs"));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_goes_no_further() {
        let caught = contain(|| std::panic::panic_any(Bomb)).expect_err("it panics");
        drop(caught);
    }

    #[test]
    fn a_resumed_panic_does_not_borrow_an_older_location() {
        let inner = contain(|| {
            let caught = std::panic::catch_unwind(|| panic!("first")).expect_err("it panics");
            drop(caught);
            std::panic::resume_unwind(Box::new("second"))
        });
        let panic = inner.expect_err("it panics");
        assert_eq!((panic.message().as_str(), panic.location), ("second", None));
    }

    #[test]
    fn a_drop_is_contained() {
        assert_eq!(drop_contained(Bomb).expect_err("it panics").message(), "dropped");
    }
}
