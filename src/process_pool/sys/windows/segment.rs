//! The memory that a worker and its parent share.

use super::Handle;
use super::section::{Access, Promised, View, create};
use crate::process_pool::shared::Layout;
use std::io;
use std::ops::Deref;

/// Memory that two processes map, or one process on its own (a fake worker's).
#[derive(Debug)]
pub(crate) struct Segment(View);

const BYTES: usize = size_of::<Layout>().next_multiple_of(4096);

impl Segment {
    /// Fresh memory, all zero, and the handle by which another process can map it too.
    pub(crate) fn create() -> io::Result<(Segment, Handle)> {
        let section = create(BYTES, Promised::Now)?;
        Ok((Segment::of(&section)?, section))
    }

    /// Maps what another process made with `create`.
    pub(crate) fn of(section: &Handle) -> io::Result<Segment> {
        let view = View::map(section, 0, 0, Access::Write)?;
        if view.len != BYTES {
            return Err(io::Error::other("the shared segment has another size than this program's"));
        }
        Ok(Segment(view))
    }

    #[expect(clippy::unused_self, reason = "where there are forks it hides")]
    pub(crate) fn hide_from_forks(&self) {}
}

impl Deref for Segment {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        // SAFETY: the view is long enough and aligned for this, lives as long as `self`, began as zeros, which is a valid
        // value, and is only ever changed through atomics.
        unsafe { self.0.start.cast().as_ref() }
    }
}
