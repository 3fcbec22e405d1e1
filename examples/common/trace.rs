//! `--trace FILE`: what a pool did, for Perfetto, and as a table on stderr.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use concurrent_futures::Timeline;

use crate::{place::Place, plain, say::say};

/// A timeline, and the file that it goes to.
pub(crate) struct Trace {
    pub(crate) timeline: Arc<Timeline>,
    place: Place,
    name: String,
}

impl Trace {
    /// A file that can't be written to is told of before the work.
    pub(crate) fn new(path: &Path) -> Result<Self, String> {
        let name = plain::path(path);
        let place = Place::new(path).map_err(|error| format!("can't write --trace {name}: {error}"))?;
        Ok(Trace { timeline: Timeline::new(), place, name })
    }

    pub(crate) fn finish(self) -> Result<(), String> {
        say(self.timeline.summary());
        let written = self.place.begin().and_then(|mut draft| {
            let mut to = io::BufWriter::new(&mut draft);
            self.timeline.chrome_trace(&mut to)?;
            to.flush()?;
            drop(to);
            draft.finish()
        });
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("can't write --trace {}: {error}", self.name))
            }
            _ => Ok(()),
        }
    }
}
