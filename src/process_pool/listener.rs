//! [`Listener`]: a thread that waits for a task hears its reply by itself, while the worker's driver sleeps on.
//!
//! It saves two wake-ups of three on a small task's way there and back: the driver's, and then the waiter's by the
//! driver. The steps are those of `PAGE.md`, "Listen from outside".

use super::pool::Pool;
use super::sys::{Bell, Mapping};
use crate::future::home::Listen;
use crate::id::FutureId;
use std::sync::Arc;

pub(super) struct Listener {
    pool: Arc<Pool>,
    desk: usize,
    page: Arc<Mapping>,
    bell: Arc<Bell>,
    task: FutureId,
}

impl Listener {
    /// For a task that is alone in flight to its worker, whose driver sleeps.
    pub(super) fn new(pool: &Arc<Pool>, task: FutureId) -> Option<Self> {
        let (desk, page, bell) = pool.book.lock().lonely(task)?;
        page.ring.listen_instead().then(|| Listener { pool: pool.clone(), desk, page, bell, task })
    }
}

impl Listen for Listener {
    fn has_news(&self) -> bool {
        self.page.ring.has_news()
    }

    fn hear(self: Box<Self>) {
        let Listener { pool, desk, page, task, .. } = &*self;
        let (pool, mut reply) = (pool.clone(), Vec::new());
        let heard = pool.book.lock().hear(*desk, page, *task, &mut reply);
        if heard.as_ref().is_none_or(|(_, is_calm)| !is_calm) {
            self.bell.ring();
        }
        // Before anything of the user's runs: until then nobody is rung for what comes.
        drop(self);
        if let Some((record, _)) = heard {
            pool.complete(record, &reply);
        }
    }
}

/// Hangs up.
impl Drop for Listener {
    fn drop(&mut self) {
        if self.page.ring.hang_up() {
            self.bell.ring();
        }
    }
}
