//! [`Ahead`]: how far a lazy map reads ahead where nobody gave a `buffersize`. One rule for every executor.
//!
//! Four chunks a worker are enough where items take long: each worker has the next one at hand while the consumer fetches a
//! result. Of short items they are used up before the consumer, which sleeps until a result is there, is awake, and then every
//! item waits for a wake-up. So the number follows from how long a worker takes for an item, which the tasks measure:
//!
//! - As many as take each worker [`TIME`](Ahead::TIME), at least four chunks a worker.
//! - No more than [`ITEMS`](Ahead::ITEMS) a worker, and than [`BYTES`](Ahead::BYTES) of arguments in all: as encoded where they are
//!   encoded, else their own size.
//! - More than four chunks a worker only while the input says that at least the next chunk is there
//!   ([`size_hint`](Iterator::size_hint)): what a channel gives isn't waited for, and is handed out as it comes.
//! - It grows by what comes back, so a call of `next` takes at most twice from the input what it hands out. It
//!   shrinks by half at most for each chunk, since one measurement may be off.

use std::time::Duration;

pub(super) struct Ahead {
    workers: usize,
    /// Four chunks a worker.
    least: usize,
    /// How many items may be in flight. At least `least`.
    now: usize,
}

impl Ahead {
    /// Many times what a wake-up takes: where every core is busy, the consumer gets one only when a worker has used up what it
    /// has, so what is in flight is also how much runs between two wake-ups.
    const TIME: Duration = Duration::from_millis(1);

    /// For each worker: past that more of them save nothing.
    const ITEMS: usize = 2048;

    /// Of arguments, in all.
    const BYTES: usize = 1 << 20;

    /// `least` items are in flight at least.
    pub(super) fn new(workers: usize, least: usize) -> Self {
        Ahead { workers, least, now: least }
    }

    /// How many items may be in flight, if a chunk of `size` comes next and at least `known` items are left.
    pub(super) fn items(&self, size: usize, known: usize) -> usize {
        if known < size { self.least } else { self.now }
    }

    /// So many items have come back; a worker takes `each` for one, if that is known, and an argument has `bytes`.
    pub(super) fn note(&mut self, back: usize, each: Option<Duration>, bytes: usize) {
        let Some(each) = each else { return };
        let fitting = Self::TIME.as_nanos() / each.as_nanos().max(1);
        let a_worker = usize::try_from(fitting).unwrap_or(usize::MAX).min(Self::ITEMS);
        let all = a_worker.saturating_mul(self.workers).min(Self::BYTES / bytes.max(1));
        self.now = all.clamp(self.now / 2, self.now.saturating_add(back)).max(self.least);
    }

    /// Begins anew: an item took long.
    pub(super) fn forget(&mut self) {
        self.now = self.least;
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::Ahead;
    use std::time::Duration;

    const MANY: usize = usize::MAX;

    fn micros(micros: u64) -> Option<Duration> {
        Some(Duration::from_micros(micros))
    }

    /// As many as it comes to, if every item is like this one.
    fn settled(ahead: &mut Ahead, each: Option<Duration>, bytes: usize) -> usize {
        for _ in 0..100_000 {
            ahead.note(1, each, bytes);
        }
        ahead.items(1, MANY)
    }

    #[test]
    fn short_items_are_many_and_long_ones_are_few() {
        let mut ahead = Ahead::new(2, 8);
        assert_eq!(ahead.items(1, MANY), 8);
        assert_eq!(settled(&mut ahead, micros(1), 8), 2000);
        assert_eq!(settled(&mut ahead, micros(10), 8), 200);
        assert_eq!(settled(&mut ahead, micros(100), 8), 20);
        assert_eq!(settled(&mut ahead, micros(250), 8), 8);
        assert_eq!(settled(&mut ahead, micros(1_000_000), 8), 8);
        assert_eq!(settled(&mut ahead, Some(Duration::MAX), 8), 8);
        assert_eq!(settled(&mut ahead, Some(Duration::ZERO), 8), 2 * Ahead::ITEMS);
        assert_eq!(settled(&mut ahead, micros(1), 4096), 256);
        assert_eq!(settled(&mut ahead, micros(1), MANY), 8);
        assert_eq!(settled(&mut ahead, micros(1), 0), 2000);
        ahead.forget();
        assert_eq!(ahead.items(1, MANY), 8);
    }

    #[test]
    fn without_a_measurement_it_stays() {
        let mut ahead = Ahead::new(2, 8);
        ahead.note(100, None, 8);
        assert_eq!(ahead.items(1, MANY), 8);
        ahead.note(100, micros(1), 8);
        ahead.note(100, None, 8);
        assert_eq!(ahead.items(1, MANY), 108);
    }

    #[test]
    fn it_grows_by_what_comes_back_and_shrinks_by_half() {
        let mut ahead = Ahead::new(2, 8);
        ahead.note(1, micros(1), 8);
        assert_eq!(ahead.items(1, MANY), 9);
        ahead.note(9, micros(1), 8);
        assert_eq!(ahead.items(1, MANY), 18);
        assert_eq!(settled(&mut ahead, micros(1), 8), 2000);
        // One that was kept from running.
        ahead.note(1, micros(10_000), 8);
        assert_eq!(ahead.items(1, MANY), 1000);
        ahead.note(1, micros(1), 8);
        assert_eq!(ahead.items(1, MANY), 1001);
    }

    #[test]
    fn only_as_far_as_the_input_knows() {
        let mut ahead = Ahead::new(2, 80);
        assert_eq!(settled(&mut ahead, micros(1), 8), 2000);
        assert_eq!((ahead.items(10, 0), ahead.items(10, 9), ahead.items(10, 10)), (80, 80, 2000));
    }

    /// Whatever it is told, it keeps its bounds, and never more than doubles what comes back.
    #[test]
    fn its_bounds_hold_whatever_it_is_told() {
        // A small generator of its own: each run the same.
        let mut state = 0x9e37_79b9_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> (state % 64)
        };
        for workers in [1, 2, 64, 1 << 40, usize::MAX] {
            let least = workers.saturating_mul(4);
            let mut ahead = Ahead::new(workers, least);
            for _ in 0..20_000 {
                let before = ahead.now;
                let (back, bytes) = (next() as usize, next() as usize);
                let each = (next() % 4 > 0).then(|| Duration::from_nanos(next()));
                ahead.note(back, each, bytes);
                assert!(ahead.now >= least && ahead.now <= before.saturating_add(back).max(least));
                assert!(ahead.now >= before / 2);
                if let Some(each) = each
                    && ahead.now > before
                {
                    assert!(ahead.now <= workers.saturating_mul(Ahead::ITEMS));
                    assert!(ahead.now.saturating_mul(bytes) <= Ahead::BYTES);
                    let time = each.as_nanos() * (ahead.now / workers) as u128;
                    assert!(time <= Ahead::TIME.as_nanos(), "{time} ns in flight");
                }
                assert_eq!(ahead.items(2, 1), least);
                if next() % 100 == 0 {
                    ahead.forget();
                    assert_eq!(ahead.now, least);
                }
            }
        }
    }
}
