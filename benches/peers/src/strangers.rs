//! How much of the machine went to programs that are not ours while we measured. On Linux; elsewhere nobody is told.

use std::fs;
use std::time::Instant;

/// Processor time until now, in the kernel's ticks.
pub(crate) struct Strangers {
    since: Instant,
    everybody: u64,
    ours: u64,
}

/// The kernel's ticks per second in these files, whatever its own clock.
const TICKS: f64 = 100.0;

impl Strangers {
    pub(crate) fn watch() -> Option<Self> {
        let everybody = busy(&fs::read_to_string("/proc/stat").ok()?)?;
        let ours = own(&fs::read_to_string("/proc/self/stat").ok()?)?;
        Some(Self { since: Instant::now(), everybody, ours })
    }

    /// How many cores others kept busy since `watch`, on average.
    pub(crate) fn cores(&self) -> Option<f64> {
        let now = Self::watch()?;
        let ours = now.ours - self.ours;
        let others = (now.everybody - self.everybody).saturating_sub(ours);
        Some(others as f64 / TICKS / self.since.elapsed().as_secs_f64())
    }
}

/// Of the first line of `/proc/stat`: user, nice, system, then idle and iowait, which are not counted, irq, softirq, steal.
fn busy(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.split_whitespace().skip(1).take(8);
    let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(fields.iter().sum::<u64>() - fields.get(3)? - fields.get(4)?)
}

/// Of `/proc/self/stat`: this process and the children it has waited for, user and system. The fields are counted from
/// the end of the name, which may contain blanks.
fn own(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{busy, own};

    #[test]
    fn ticks_are_read_from_their_fields() {
        assert_eq!(busy("cpu  10 20 30 4000 500 6 7 8 0 0\ncpu0 1 2"), Some(10 + 20 + 30 + 6 + 7 + 8));
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 100 200 0 0 11 22 33 44 20 0 1 0 5";
        assert_eq!(own(stat), Some(11 + 22 + 33 + 44));
        assert_eq!((busy("nonsense"), own("nonsense")), (None, None));
    }
}
