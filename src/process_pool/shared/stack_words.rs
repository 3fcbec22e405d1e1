//! [`StackWords`]: where a worker's task was when it crashed or ran out of time.
//!
//! The worker's signal handlers write them, so nothing here allocates, locks or panics on that side. An address is as it is in the
//! worker; to what it belongs, the objects say, which the worker notes before its first task. On the parent's side nothing is
//! believed: counts are cut, an unknown state is none, a name is any text, and an address is only ever looked up, never read.

use crate::sync::plain::{AtomicU32, AtomicU64, Ordering};
use std::ops::Range;

/// So many frames are kept, the innermost ones.
pub(crate) const FRAMES: usize = 128;

/// So many of the executable and its libraries are noted.
const OBJECTS: usize = 40;

/// Room for a name, in words.
const NAME: usize = 16;

/// A worker writes them at this moment. Odd numbers, so that memory filled with one byte is neither.
const WALKING: u32 = 0x7761_6c6b;
/// All are there.
const WHOLE: u32 = 0x7768_6f6c;

/// All zero: nothing is told.
#[repr(C, align(64))]
pub(crate) struct StackWords {
    /// Where the task is whose stack the parent wants, by [`key`]; 0 if of none.
    asked: AtomicU64,
    state: AtomicU32,
    signal: AtomicU32,
    circumstances: AtomicU32,
    count: AtomicU32,
    addresses: [AtomicU64; FRAMES],
    objects: [ObjectWords; OBJECTS],
}

#[repr(C)]
struct ObjectWords {
    base: AtomicU64,
    start: AtomicU64,
    end: AtomicU64,
    /// Its bytes; zeros behind them.
    name: [AtomicU64; NAME],
}

/// What stands beside the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Circumstances {
    /// The task's stack was full.
    pub(crate) is_overflow: bool,
    /// It was another thread than the one that runs tasks.
    pub(crate) is_elsewhere: bool,
}

/// An object of the worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ToldObject {
    pub(crate) base: u64,
    pub(crate) range: Range<u64>,
    /// Empty for the executable.
    pub(crate) name: String,
}

/// What a worker has told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) signal: i32,
    pub(crate) circumstances: Circumstances,
    /// The innermost first: where it was, then to where each call would have returned.
    pub(crate) addresses: Vec<u64>,
    pub(crate) objects: Vec<ToldObject>,
}

/// A task's place as one number that is not 0.
pub(crate) fn key(batch: u32, index: u32) -> u64 {
    ((u64::from(batch) << 32) | u64::from(index)).wrapping_add(1)
}

const OVERFLOW: u32 = 1;
const ELSEWHERE: u32 = 2;

// ---- the worker's side ------------------------------------------------------------------------------------

impl StackWords {
    /// Notes what is loaded where: before the first task, and again when its initializer may have loaded more.
    pub(crate) fn note_objects<'a>(&self, objects: impl Iterator<Item = (u64, Range<u64>, &'a [u8])>) {
        for (words, (base, range, name)) in self.objects.iter().zip(objects) {
            // The end of a long path tells more than its beginning.
            let name = &name[name.len().saturating_sub(NAME * 8)..];
            let mut padded = [0; NAME * 8];
            padded[..name.len()].copy_from_slice(name);
            for (word, bytes) in words.name.iter().zip(padded.as_chunks().0) {
                word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
            words.base.store(base, Ordering::Relaxed);
            words.start.store(range.start, Ordering::Relaxed);
            words.end.store(range.end, Ordering::Relaxed);
        }
    }
}

/// For the handlers, where there are any.
#[cfg_attr(
    not(any(
        test,
        all(
            feature = "backtrace",
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )
    )),
    expect(dead_code, reason = "no handler is set")
)]
impl StackWords {
    /// Whose stack the parent wants, if any.
    #[cfg_attr(
        not(all(
            feature = "backtrace",
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )),
        expect(dead_code, reason = "no handler is set, and a test asks nothing")
    )]
    pub(crate) fn asked(&self) -> u64 {
        // ORDERING: Acquire pairs with `ask`. The number alone counts; no other data rests on it.
        self.asked.load(Ordering::Acquire)
    }

    /// Begins to tell.
    pub(crate) fn begin(&self, signal: i32, circumstances: Circumstances) {
        let Circumstances { is_overflow, is_elsewhere } = circumstances;
        let bits = if is_overflow { OVERFLOW } else { 0 } | if is_elsewhere { ELSEWHERE } else { 0 };
        self.count.store(0, Ordering::Relaxed);
        self.signal.store(signal.cast_unsigned(), Ordering::Relaxed);
        self.circumstances.store(bits, Ordering::Relaxed);
        // ORDERING: Release pairs with `state`: who sees that it is being told sees by which signal.
        self.state.store(WALKING, Ordering::Release);
    }

    /// The next frame; false if there is room for no more.
    pub(crate) fn push(&self, address: usize) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        let Some(place) = self.addresses.get(count as usize) else { return false };
        place.store(address as u64, Ordering::Relaxed);
        // ORDERING: Release pairs with `told`: of a walk that itself crashed, what was counted is there.
        self.count.store(count + 1, Ordering::Release);
        count as usize + 1 < FRAMES
    }

    /// The last frame was one too many.
    pub(crate) fn drop_last(&self) {
        self.count.store(self.count().saturating_sub(1), Ordering::Relaxed);
    }

    /// How many frames are there.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether an address belongs to what was noted as loaded.
    pub(crate) fn is_of_an_object(&self, address: usize) -> bool {
        let address = address as u64;
        self.objects.iter().any(|object| {
            (object.start.load(Ordering::Relaxed)..object.end.load(Ordering::Relaxed)).contains(&address)
        })
    }

    /// All is told.
    pub(crate) fn finish(&self) {
        // ORDERING: Release pairs with `state`: who sees this sees all of it.
        self.state.store(WHOLE, Ordering::Release);
    }

    /// It is told no more: the program goes on, or its next task begins.
    pub(crate) fn clear(&self) {
        self.state.store(0, Ordering::Relaxed);
    }

    /// Whether something was told, which [`clear`](Self::clear) would take back.
    pub(crate) fn is_begun(&self) -> bool {
        self.state.load(Ordering::Relaxed) != 0
    }
}

// ---- the parent's side ------------------------------------------------------------------------------------

impl StackWords {
    /// The stack of the task with this [`key`] is wanted, or of none any more.
    pub(crate) fn ask(&self, key: u64) {
        // ORDERING: Release pairs with `asked`. The signal that follows orders it as well.
        self.asked.store(key, Ordering::Release);
    }

    /// Whether all is told.
    pub(crate) fn is_whole(&self) -> bool {
        self.state() == WHOLE
    }

    /// The signal by which it crashed whose handler is at work.
    pub(crate) fn walks_after(&self) -> Option<i32> {
        (self.state() == WALKING).then(|| self.signal.load(Ordering::Relaxed).cast_signed())
    }

    fn state(&self) -> u32 {
        // ORDERING: Acquire pairs with `begin` and `finish`.
        self.state.load(Ordering::Acquire)
    }

    /// What is told, also if the teller did not come to its end.
    pub(crate) fn told(&self) -> Option<Told> {
        if !matches!(self.state(), WALKING | WHOLE) {
            return None;
        }
        // ORDERING: Acquire pairs with `push`.
        let count = self.count.load(Ordering::Acquire) as usize;
        let bits = self.circumstances.load(Ordering::Relaxed);
        let addresses = self.addresses.iter().take(count).map(|address| address.load(Ordering::Relaxed));
        Some(Told {
            signal: self.signal.load(Ordering::Relaxed).cast_signed(),
            circumstances: Circumstances {
                is_overflow: bits & OVERFLOW != 0,
                is_elsewhere: bits & ELSEWHERE != 0,
            },
            addresses: addresses.collect(),
            objects: self
                .objects
                .iter()
                .map(ObjectWords::read)
                .filter(|told| !told.range.is_empty())
                .collect(),
        })
    }
}

impl ObjectWords {
    fn read(&self) -> ToldObject {
        let bytes = self.name.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        let name: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        ToldObject {
            base: self.base.load(Ordering::Relaxed),
            range: self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed),
            name: String::from_utf8_lossy(&name).into_owned(),
        }
    }
}

#[cfg(test)]
impl StackWords {
    /// As a worker out of control may leave them: any words, but for the state.
    pub(crate) fn scribbled(is_whole: bool, mut word: impl FnMut() -> u64) -> Self {
        let mut wide = || AtomicU64::new(word());
        StackWords {
            asked: wide(),
            signal: AtomicU32::new(wide().into_inner() as u32),
            circumstances: AtomicU32::new(wide().into_inner() as u32),
            count: AtomicU32::new(wide().into_inner() as u32),
            addresses: std::array::from_fn(|_| wide()),
            objects: std::array::from_fn(|_| ObjectWords {
                base: wide(),
                start: wide(),
                end: wide(),
                name: std::array::from_fn(|_| wide()),
            }),
            state: AtomicU32::new(if is_whole { WHOLE } else { wide().into_inner() as u32 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Circumstances, FRAMES, StackWords, key};

    fn blank() -> StackWords {
        StackWords::scribbled(false, || 0)
    }

    #[test]
    fn what_is_told_arrives_and_no_more_than_there_is_room_for() {
        let words = blank();
        assert_eq!((words.told(), words.walks_after(), words.is_whole()), (None, None, false));
        let long = [b'x'; 300];
        let objects =
            [(10, 100..200, &b""[..]), (20, 300..400, &b"/lib/libc.so"[..]), (30, 500..600, &long[..])];
        words.note_objects(objects.into_iter());
        assert!(words.is_of_an_object(150) && words.is_of_an_object(399) && !words.is_of_an_object(250));
        let circumstances = Circumstances { is_overflow: true, is_elsewhere: false };
        words.begin(11, circumstances);
        assert_eq!((words.walks_after(), words.is_whole(), words.is_begun()), (Some(11), false, true));
        let pushed = (0..FRAMES + 10).map(|at| words.push(at)).filter(|has_room| *has_room).count();
        assert_eq!(pushed, FRAMES - 1);
        let told = words.told().expect("half is told");
        words.finish();
        assert_eq!((words.walks_after(), words.told().as_ref()), (None, Some(&told)));
        assert_eq!((told.signal, told.circumstances), (11, circumstances));
        assert_eq!(told.addresses, (0..FRAMES as u64).collect::<Vec<_>>());
        let names: Vec<(&str, u64)> =
            told.objects.iter().map(|object| (object.name.as_str(), object.base)).collect();
        assert_eq!(names, [("", 10), ("/lib/libc.so", 20), ("x".repeat(128).as_str(), 30)]);
        words.drop_last();
        assert_eq!(words.told().expect("it is told").addresses.len(), FRAMES - 1);
        words.clear();
        assert_eq!(words.told(), None);
    }

    #[test]
    fn no_task_is_taken_for_none() {
        assert!([key(0, 0), key(0, 1), key(1, 0), key(u32::MAX, 7)].iter().all(|key| *key != 0));
        assert_ne!(key(0, 1), key(1, 0));
    }
}
