//! [`report`]: words from a running task, and where they go.
//!
//! In this process the task calls what its [`TaskOptions::on_report`](super::TaskOptions::on_report) was given, on its own
//! thread. In a worker process it can only write the words down; who carries them is told as the task begins.

use crate::contain::{Panic, contain, drop_contained};
use crate::id::FutureId;
use crate::logging;
#[cfg(feature = "process")]
use crate::remote::codec::{self, Arrived, Output};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::any::{Any, type_name};
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
#[cfg(feature = "process")]
use std::rc::Rc;
use std::sync::Arc;

/// Sends a message out of a running task: how far it is, a row as it comes.
///
/// The task's [`TaskOptions::on_report`](crate::TaskOptions::on_report) is called with it; a task that has none
/// pays next to nothing. Outside a task, and on threads that a task starts, it does nothing. The message is of the type that
/// `on_report` takes; one of another type is dropped, and that is logged.
///
/// On threads, and wherever the task runs in the process that submitted it, this returns when `on_report` has, and the message is a clone.
/// In a worker process it returns when the message is on its way. It waits while 256 KiB of the worker's messages, or one
/// message, wait for `on_report`: none is dropped, and memory doesn't grow.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskOptions, prelude::*, report};
/// use std::sync::{Arc, Mutex};
///
/// fn sum(up_to: u64) -> u64 {
///     let mut sum = 0;
///     for n in 1..=up_to {
///         sum += n;
///         if n % 1000 == 0 {
///             report(&(n * 100 / up_to)); // percent
///         }
///     }
///     sum
/// }
///
/// let pool = ThreadPoolExecutor::new(1);
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let shown = seen.clone();
/// let options = TaskOptions::new().on_report(move |percent: u64| shown.lock().unwrap().push(percent));
/// assert_eq!(pool.submit_with(options, sum, 4000).result()?, 8_002_000);
/// assert_eq!(*seen.lock().unwrap(), [25, 50, 75, 100]);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub fn report<M: Clone + Serialize + DeserializeOwned + Send + 'static>(message: &M) {
    match CURRENT.try_with(|current| current.borrow().clone()).ok().flatten() {
        None => {}
        Some(Current::Here(to, task)) => to.hear(task, message),
        #[cfg(feature = "process")]
        Some(Current::Away(give)) => {
            let mut words = Output::default();
            match contain(|| codec::encode_into(message, &mut words)) {
                Ok(Ok(())) => give(hash_of::<M>(), &words),
                Ok(Err(why)) => log_lost::<M>(&why),
                Err(panic) => log_lost::<M>(&panic.message()),
            }
        }
    }
}

#[cfg(feature = "process")]
fn log_lost<M>(why: &str) {
    logging::error(format_args!("a report of type `{}` could not be encoded: {why}", type_name::<M>()));
}

/// Names the type of a message in another process of the same build.
#[cfg(feature = "process")]
fn hash_of<M>() -> u64 {
    let bytes = type_name::<M>().bytes();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Carries words in their process's way, with the name of their type.
#[cfg(feature = "process")]
type Give = dyn Fn(u64, &[u8]);

/// The task of this thread, as far as its words go.
#[derive(Clone)]
enum Current {
    Here(ReportTo, FutureId),
    #[cfg(feature = "process")]
    Away(Rc<Give>),
}

crate::sync::thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Until it is dropped the thread runs another task, or none, as far as words go.
pub(crate) struct Speaking {
    before: Option<Current>,
}

impl Speaking {
    /// A task with these options of words, if it has some.
    pub(crate) fn of(to: &ReportTo, task: FutureId) -> Self {
        Self::begin(Some(Current::Here(to.clone(), task)))
    }

    /// A task of another process, whose words are given to `give` with the name of their type.
    #[cfg(feature = "process")]
    pub(crate) fn away(give: impl Fn(u64, &[u8]) + 'static) -> Self {
        Self::begin(Some(Current::Away(Rc::new(give))))
    }

    /// What follows is said to nobody: it is no part of the task that this thread runs. Nothing, where that speaks to nobody.
    #[inline]
    pub(crate) fn none() -> Option<Self> {
        let speaks = CURRENT.try_with(|current| current.borrow().is_some()).unwrap_or(false);
        speaks.then(|| Self::begin(None))
    }

    #[cold]
    fn begin(current: Option<Current>) -> Self {
        Speaking { before: CURRENT.try_with(|place| place.replace(current)).ok().flatten() }
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        // In a thread's last moments it is gone, and so is every task.
        drop(CURRENT.try_with(|place| place.replace(self.before.take())));
    }
}

/// What is told of a task's words.
#[derive(Clone)]
pub(crate) struct ReportTo(Arc<dyn Sink>);

trait Sink: Send + Sync {
    /// `message` is a `M`.
    fn hear(&self, message: &dyn Any) -> Heard;

    #[cfg(feature = "process")]
    fn read(&self, message_type: u64, words: &[u8]) -> Heard;
}

/// What became of a message.
enum Heard {
    Told,
    /// It is of another type than this.
    OtherType(&'static str),
    /// It can't be decoded.
    #[cfg(feature = "process")]
    Unreadable(String),
}

struct Calls<M, F> {
    /// None while it is dropped.
    f: Option<F>,
    message: PhantomData<fn(M)>,
}

impl<M, F> Drop for Calls<M, F> {
    /// It goes with the last pointer to its task, wherever that is.
    fn drop(&mut self) {
        if let Err(panic) = drop_contained(self.f.take()) {
            logging::error(format_args!("the drop of an on_report panicked: {}", panic.message()));
        }
    }
}

impl<M, F: Fn(M)> Calls<M, F> {
    fn call(&self, message: M) {
        if let Some(f) = &self.f {
            f(message);
        }
    }
}

impl<M: Clone + DeserializeOwned + 'static, F: Fn(M) + Send + Sync> Sink for Calls<M, F> {
    fn hear(&self, message: &dyn Any) -> Heard {
        let Some(message) = message.downcast_ref::<M>() else { return Heard::OtherType(type_name::<M>()) };
        self.call(message.clone());
        Heard::Told
    }

    #[cfg(feature = "process")]
    fn read(&self, message_type: u64, words: &[u8]) -> Heard {
        if message_type != hash_of::<M>() {
            return Heard::OtherType(type_name::<M>());
        }
        match codec::decode::<M>(Arrived::from(words)) {
            Ok(message) => self.call(message),
            Err(why) => return Heard::Unreadable(why),
        }
        Heard::Told
    }
}

impl ReportTo {
    pub(super) fn new<M>(f: impl Fn(M) + Send + Sync + 'static) -> Self
    where
        M: Clone + DeserializeOwned + 'static,
    {
        ReportTo(Arc::new(Calls { f: Some(f), message: PhantomData }))
    }

    fn hear<M: 'static>(&self, task: FutureId, message: &M) {
        // What it calls is not said by the task.
        let _silence = Speaking::none();
        note(task, contain(|| self.0.hear(message)));
    }

    /// Tells of what a worker process has written down.
    #[cfg(feature = "process")]
    pub(crate) fn read(&self, task: FutureId, message_type: u64, words: &[u8]) {
        note(task, contain(|| self.0.read(message_type, words)));
    }
}

fn note(task: FutureId, heard: Result<Heard, Panic>) {
    match heard {
        Ok(Heard::Told) => {}
        Ok(Heard::OtherType(takes)) => logging::error(format_args!(
            "a report of task {task} is dropped: it is of another type than its on_report takes, `{takes}`"
        )),
        #[cfg(feature = "process")]
        Ok(Heard::Unreadable(why)) => {
            logging::error(format_args!("a report of task {task} could not be decoded: {why}"));
        }
        Err(panic) => {
            let location = panic.location.as_deref().unwrap_or("an unknown place");
            logging::error(format_args!(
                "an on_report of task {task} panicked at {location}: {}",
                panic.message()
            ));
        }
    }
}

// A panic in it is contained, and each call is one of its own: nothing half done is seen through it that is not the user's.
impl UnwindSafe for ReportTo {}
impl RefUnwindSafe for ReportTo {}

/// The same one, not an equal one.
impl PartialEq for ReportTo {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ReportTo {}

impl fmt::Debug for ReportTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
