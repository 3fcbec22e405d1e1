//! loom's threads, behind the standard library's interface.

pub(crate) use loom::thread::JoinHandle;

/// They take turns on one thread of the system, each with a stack of loom's.
pub(crate) const HAVE_STACKS_OF_THE_SYSTEM: bool = false;

/// loom can't say; a handle kept until the join is harmless.
pub(crate) fn is_finished<T>(_: &JoinHandle<T>) -> bool {
    false
}

/// A thread's stack in words: loom's default of 32 KiB is too small for a panic's message.
const STACK_WORDS: usize = 0x4000;

/// Begins the names of threads that the system refuses from some number on: in a pool with the prefix
/// `at-most-2` no third thread starts.
const REFUSING: &str = "at-most-";

#[derive(Default)]
pub(crate) struct Builder {
    name: String,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Builder::default()
    }

    pub(crate) fn name(self, name: String) -> Self {
        Builder { name }
    }

    pub(crate) fn stack_size(self, _: usize) -> Self {
        self
    }

    pub(crate) fn spawn<F, T>(self, f: F) -> std::io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.is_refused() {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        loom::thread::Builder::new().name(self.name).stack_size(STACK_WORDS).spawn(f)
    }

    fn is_refused(&self) -> bool {
        let numbers = self.name.strip_prefix(REFUSING).and_then(|rest| rest.split_once('_'));
        numbers.is_some_and(|(most, number)| number.parse::<usize>().ok() >= most.parse().ok())
    }
}
