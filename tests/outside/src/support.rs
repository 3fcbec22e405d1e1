//! What the instances share.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A time after which something that should take no time has failed. The time limit of an instance is longer.
pub const SOON: Duration = Duration::from_secs(20);

/// Closed until it is opened; what waits at it goes on then, and whatever comes later passes.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it for good.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Returns once it is open.
    pub fn wait(&self) {
        let opened = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(opened, |opened| !*opened).unwrap());
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *self.0.0.lock().unwrap()
    }
}

/// Looks until `what` holds, or until [`SOON`] has passed; says whether it did in time.
pub fn soon(what: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + SOON;
    while !what() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    true
}
