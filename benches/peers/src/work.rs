//! Work that lasts so long on this machine: arithmetic, not sleep, so that a task which is interrupted has as much left to
//! do as before.

use std::hint::black_box;
use std::time::Instant;

/// So many steps, each of which needs the one before. Never inlined: the probe, a loop and a pool then run the same
/// code, where each copy could come out faster or slower than the others.
#[inline(never)]
pub(crate) fn work(steps: u64) -> u64 {
    (0..steps).fold(steps, |x, step| black_box(x.wrapping_mul(31) ^ step))
}

/// How many steps take this long here without interruption: the fastest of several short probes.
pub(crate) fn steps(nanos: u64) -> u64 {
    const PROBE: u64 = 20_000;
    const PROBES: usize = 200;
    let probe = || {
        let start = Instant::now();
        black_box(work(black_box(PROBE)));
        start.elapsed().as_nanos() as u64
    };
    of_probe(nanos, PROBE, (0..PROBES).map(|_| probe()).min().unwrap_or(1))
}

/// None for no time; otherwise at least one.
fn of_probe(nanos: u64, steps: u64, took: u64) -> u64 {
    if nanos == 0 { 0 } else { (nanos * steps / took.max(1)).max(1) }
}

#[cfg(test)]
mod tests {
    use super::of_probe;

    #[test]
    fn as_many_steps_as_the_probe_says() {
        assert_eq!(of_probe(1_000, 20_000, 40_000), 500);
        assert_eq!(
            (of_probe(0, 20_000, 40_000), of_probe(1, 20_000, 40_000), of_probe(5, 10, 0)),
            (0, 1, 50)
        );
    }
}
