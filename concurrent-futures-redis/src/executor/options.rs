//! [`Options`]: what an executor is built with, checked.

use crate::error::ConnectError;
use concurrent_futures::WhenFull;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) queue: String,
    pub(crate) window: Option<u64>,
    pub(crate) window_bytes: usize,
    pub(crate) capacity: Option<(usize, WhenFull)>,
    pub(crate) lease: Duration,
    pub(crate) no_node_timeout: Option<Duration>,
    pub(crate) coordinator_timeout: Option<Duration>,
    pub(crate) recursive: bool,
    pub(crate) secret: Option<Hidden>,
    pub(crate) allow_plaintext: bool,
}

/// Bytes that are not shown.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) Vec<u8>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            queue: "default".into(),
            window: None,
            window_bytes: 32 << 20,
            capacity: None,
            lease: Duration::from_secs(30),
            no_node_timeout: None,
            coordinator_timeout: None,
            recursive: false,
            secret: None,
            allow_plaintext: false,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let invalid = |option, why: &str| Err(ConnectError::Invalid { option, why: why.to_owned() });
        check_queue(&self.queue)?;
        if self.window == Some(0) {
            return invalid("window", "nothing could ever be sent; 1 is the least");
        }
        if self.window_bytes == 0 {
            return invalid("window_bytes", "nothing could ever be sent");
        }
        if matches!(self.capacity, Some((0, _))) {
            return invalid("queue_capacity", "a queue without a place takes no task; 1 is the least");
        }
        if matches!(self.capacity, Some((_, WhenFull::CallerRuns))) {
            return invalid(
                "queue_capacity",
                "tasks run on nodes, never in the caller; take `Block` or `Reject`",
            );
        }
        if let Some(secret) = &self.secret {
            check_secret(secret)?;
        }
        check_lease(self.lease)
    }

    /// How often a client says that it lives.
    pub(super) fn beat(&self) -> Duration {
        beat(self.lease)
    }

    /// How long the server keeps a client that says nothing.
    pub(super) fn time_to_live(&self) -> Duration {
        self.lease.saturating_mul(2)
    }

    /// How many tasks may be in the stream or with nodes.
    pub(super) fn window(&self, slots: u64) -> u64 {
        self.window.unwrap_or_else(|| most_entries(slots))
    }
}

/// How many entries the stream may have, all clients together: enough to keep every slot busy while answers travel.
pub(super) fn most_entries(slots: u64) -> u64 {
    slots.saturating_mul(4).saturating_add(64)
}

/// A fifteenth of a lease: several may be lost before it ends.
pub(crate) fn beat(lease: Duration) -> Duration {
    (lease / 15).clamp(Duration::from_millis(5), Duration::from_secs(2))
}

/// A queue's name is part of every key, between braces.
pub(crate) fn check_queue(queue: &str) -> Result<(), ConnectError> {
    let why = if queue.is_empty() {
        "it is empty"
    } else if queue.len() > 200 {
        "it is longer than 200 bytes"
    } else if queue.contains(['{', '}', '\0', '\n', '\r', ' ']) {
        "it has a brace, a space, a line's end or a NUL in it, which no key may have here"
    } else {
        return Ok(());
    };
    Err(ConnectError::Invalid { option: "queue", why: format!("{why}: {queue:?}") })
}

/// Short ones can be guessed.
pub(crate) fn check_secret(secret: &Hidden) -> Result<(), ConnectError> {
    const LEAST: usize = 16;
    if secret.0.len() >= LEAST {
        return Ok(());
    }
    let why = format!(
        "it has {} bytes, and {LEAST} random ones are the least that can't be guessed",
        secret.0.len()
    );
    Err(ConnectError::Invalid { option: "secret", why })
}

pub(crate) fn check_lease(lease: Duration) -> Result<(), ConnectError> {
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(24 * 3600);
    if (LEAST..=MOST).contains(&lease) {
        return Ok(());
    }
    Err(ConnectError::Invalid {
        option: "lease",
        why: format!("it is {lease:?}, and may be 100 ms to one day"),
    })
}
