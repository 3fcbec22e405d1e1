//! The processor time of a process, in nanoseconds: the kernel's ticks are too coarse for an idle one.

use std::time::Duration;
use std::{fs, io};

use rustix::time::{ClockId, clock_gettime};

/// This process until now, all of its threads, those that have ended too.
pub(crate) fn own() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The threads that another process has now. `None` if the kernel doesn't say.
pub(crate) fn of(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    // One that ended since the folder was read has no file any more.
    let read =
        |thread: io::Result<fs::DirEntry>| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok();
    let each: Option<Vec<Duration>> = threads.filter_map(read).map(|text| running(&text)).collect();
    each.filter(|each| !each.is_empty()).map(|each| each.iter().sum())
}

/// Of a `schedstat`: nanoseconds on a core, nanoseconds of waiting for one, turns.
fn running(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::process;
    use std::time::Duration;

    use super::{of, own, running};
    use crate::work::work;

    #[test]
    fn work_shows() {
        let before = own();
        std::hint::black_box(work(1_000_000));
        assert!(own() - before > Duration::from_micros(100));
        assert!(of(process::id()).is_some_and(|time| !time.is_zero()));
    }

    #[test]
    fn the_first_field_is_the_time_on_a_core() {
        assert_eq!(running("1500 20 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!((running(""), running("x 1 2")), (None, None));
    }
}
