//! The lengths of tasks among which the break-even is searched, for threads and for processes.

/// From far below the cost of a task to far above it.
pub(crate) const NANOS: [u64; 9] = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];

/// The cases: for each length, one for each way, side by side.
macro_rules! per_length {
    ($case:ident, $unit:expr, $($way:literal),+) => {
        per_length!(@lengths $case, $unit, [$($way),+], "0.1", "0.3", "1", "3", "10", "30", "100", "300", "1000")
    };
    (@lengths $case:ident, $unit:expr, $ways:tt, $($length:literal),+) => {
        (&[$(per_length!(@ways $case, $unit, $length, $ways)),+]).as_flattened()
    };
    (@ways $case:ident, $unit:expr, $length:literal, [$($way:literal),+]) => {
        [$($case { name: concat!($length, " us, ", $way), unit: $unit }),+]
    };
}
pub(crate) use per_length;

/// As many tasks of this length as take a third of a second in a loop, within sensible limits.
pub(crate) fn tasks(nanos: u64) -> usize {
    const LOOP: u64 = 300_000_000;
    (LOOP / nanos).clamp(300, 100_000) as usize
}

#[cfg(test)]
mod tests {
    use super::{NANOS, tasks};

    #[test]
    fn neither_too_few_tasks_nor_too_many() {
        assert_eq!(NANOS.map(tasks), [100_000, 100_000, 100_000, 100_000, 30_000, 10_000, 3_000, 1_000, 300]);
    }
}
