//! A file that is not there, and a task that runs until it is.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Runs until the file is there.
pub(crate) fn hold(path: String) -> String {
    while !Path::new(&path).exists() {
        thread::sleep(Duration::from_millis(5));
    }
    path
}

/// A file that is not there, and lets [`hold`] go once it is.
pub(crate) struct Gate(pub(super) PathBuf);

impl Gate {
    pub(crate) fn new(name: &str) -> Self {
        static GATES: AtomicU64 = AtomicU64::new(0);
        let number = GATES.fetch_add(1, Ordering::Relaxed);
        let file = format!("concurrent-futures-node-{}-{name}-{number}", std::process::id());
        Gate(std::env::temp_dir().join(file))
    }

    pub(crate) fn path(&self) -> String {
        self.0.display().to_string()
    }

    pub(crate) fn open(&self) {
        std::fs::write(&self.0, "").unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
