//! How much of a thread's stack is left, and whether there is room for one more task or callback inside those that run.
//!
//! Where the stack ends is asked of the system, once a thread: what was asked for is not what there is, since the
//! thread-locals of the program and its libraries lie in the stacks of all threads but the main one (by glibc and musl).
//! How much a task of the user's takes nobody can know. So what is looked at is how much the ones below it took: each
//! task or callback that runs inside another is a [`level`], and the widest so far is what the next is expected to be.
//!
//! Levels belong to the stack they run on, and nothing else in the crate goes deeper without end: so whoever begins one
//! asks here first, and does something else where there is no room. On a stack that isn't the thread's own (a coroutine's),
//! or where the system doesn't tell, [`UNKNOWN`] bytes are taken to be there.

use crate::sync::thread;
use std::cell::Cell;

/// What a stack is taken to have from the outermost level on it, where nobody knows.
const UNKNOWN: usize = 64 << 10;

/// What is always left over: for the crate's own calls, and for a panic with its backtrace. Of small stacks a quarter.
const RESERVE: usize = 64 << 10;

/// The addresses of this thread's stack. It grows towards `low`.
#[derive(Clone, Copy)]
struct Bounds {
    low: usize,
    high: usize,
    /// The system told; else whatever lies below is taken for this stack, and for spent.
    told: bool,
}

impl Bounds {
    fn contains(self, address: usize) -> bool {
        address < self.high && (address >= self.low || !self.told)
    }

    /// The stack of this thread, of which this is about the beginning if the system doesn't tell.
    fn find(nominal: usize) -> Self {
        let here = address_here();
        let nominal =
            Bounds { low: here.saturating_sub(nominal), high: here.saturating_add(4096), told: false };
        let told = thread::HAVE_STACKS_OF_THE_SYSTEM.then(system::bounds).flatten();
        told.filter(|bounds| bounds.contains(here)).unwrap_or(nominal)
    }
}

/// A task or callback that runs on this stack.
#[derive(Clone, Copy)]
struct Level {
    /// Where the outermost on this stack began; 0 if there is none.
    first: usize,
    /// Where this one began.
    began: usize,
    /// What the widest of those outside it took.
    widest: usize,
}

impl Level {
    const NONE: Level = Level { first: 0, began: 0, widest: 0 };

    fn starting(at: usize) -> Self {
        Level { first: at, began: at, widest: 0 }
    }

    /// Whether it runs on the stack that has this address: both lie in the thread's own, or neither does.
    fn is_below(self, address: usize, own: Bounds) -> bool {
        own.contains(self.first) == own.contains(address)
    }
}

crate::sync::thread_local! {
    // No drop glue in either: they may be read in a thread's last moments.
    static BOUNDS: Cell<Option<Bounds>> = const { Cell::new(None) };
    static LEVEL: Cell<Level> = const { Cell::new(Level::NONE) };
}

fn bounds() -> Bounds {
    BOUNDS.with(|cell| {
        cell.get().unwrap_or_else(|| {
            let found = Bounds::find(UNKNOWN);
            cell.set(Some(found));
            found
        })
    })
}

/// The rest of this thread's life is one level: it is a worker, and here its stack is about whole. So many bytes were
/// asked for, which is what counts where the system doesn't tell.
pub(crate) fn begin(asked_for: usize) {
    BOUNDS.with(|cell| cell.set(Some(Bounds::find(asked_for))));
    LEVEL.with(|cell| cell.set(Level::starting(address_here())));
}

/// Runs `f`, a task or callback, as one more level.
pub(crate) fn level<R>(f: impl FnOnce() -> R) -> R {
    struct Ends(Level);
    impl Drop for Ends {
        fn drop(&mut self) {
            LEVEL.with(|cell| cell.set(self.0));
        }
    }
    let here = address_here();
    let outer = LEVEL.with(Cell::get);
    let inner = if outer.first != 0 && outer.is_below(here, bounds()) {
        Level { began: here, widest: outer.widest.max(outer.began.saturating_sub(here)), ..outer }
    } else {
        Level::starting(here)
    };
    LEVEL.with(|cell| cell.set(inner));
    let _ends = Ends(outer);
    f()
}

/// What one more level would find.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    left: usize,
    /// What was left where the outermost level began.
    whole: usize,
    /// What the widest level took.
    widest: usize,
}

/// What there is here and now. A few instructions, but for the first time in a thread.
pub(crate) fn room() -> Room {
    let here = address_here();
    let bounds = bounds();
    let level = LEVEL.with(Cell::get);
    let is_below = level.first != 0 && level.is_below(here, bounds);
    let level = if is_below { level } else { Level::starting(here) };
    let low = if bounds.contains(here) { bounds.low } else { level.first.saturating_sub(UNKNOWN) };
    Room {
        left: here.saturating_sub(low),
        whole: level.first.saturating_sub(low),
        widest: level.widest.max(level.began.saturating_sub(here)),
    }
}

/// Whether a task may run here, where no other thread can run it: always as the outermost level, and else if it fits.
pub(crate) fn may_run_here() -> bool {
    LEVEL.with(Cell::get).first == 0 || room().fits_another()
}

impl Room {
    /// So much that nobody else need be looked for.
    pub(crate) fn is_nearly_whole(self) -> bool {
        self.left > self.whole / 8 * 7
    }

    /// Enough for a level that could as well go elsewhere, or wait.
    pub(crate) fn is_ample(self) -> bool {
        self.left >= self.whole / 2 && self.fits_another()
    }

    /// Enough for one that takes twice what any other took.
    pub(crate) fn fits_another(self) -> bool {
        self.left > self.widest.saturating_mul(2).saturating_add(RESERVE.min(self.whole / 4))
    }
}

#[inline(never)]
fn address_here() -> usize {
    let here = 0_u8;
    (&raw const here).addr()
}

/// Where the system says that this thread's stack lies.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "dragonfly"))]
#[expect(unsafe_code, reason = "asks the system about this thread")]
mod system {
    use super::Bounds;
    use std::mem::MaybeUninit;

    pub(super) fn bounds() -> Option<Bounds> {
        let attributes = Attributes::of_this_thread()?;
        let (mut low, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
        // SAFETY: the attributes are initialized, and the two places are ours.
        let got =
            unsafe { libc::pthread_attr_getstack(&raw const attributes.0, &raw mut low, &raw mut size) };
        // SAFETY: as above.
        let guarded = unsafe { libc::pthread_attr_getguardsize(&raw const attributes.0, &raw mut guard) };
        if got != 0 || guarded != 0 {
            return None;
        }
        let high = low.addr().checked_add(size)?;
        // Some systems count the guard in, others don't; a page more or less is nothing. The main thread has none.
        let low = low.addr().checked_add(guard)?;
        Some(Bounds { low: main_thread(high).unwrap_or(low), high, told: true })
    }

    /// Of the main thread musl knows only how far its stack has grown.
    #[cfg(target_env = "musl")]
    fn main_thread(high: usize) -> Option<usize> {
        const USUAL: libc::rlim_t = 8 << 20;
        // SAFETY: it reads a number.
        let process = unsafe { libc::getpid() };
        // SAFETY: it reads a number.
        if process != unsafe { libc::gettid() } {
            return None;
        }
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the place is ours.
        let got = unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) };
        (got == 0).then(|| high.saturating_sub(limit.rlim_cur.min(USUAL) as usize))
    }

    #[cfg(not(target_env = "musl"))]
    fn main_thread(_: usize) -> Option<usize> {
        None
    }

    /// Initialized, and destroyed when dropped.
    struct Attributes(libc::pthread_attr_t);

    impl Attributes {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        fn of_this_thread() -> Option<Self> {
            let mut attributes = MaybeUninit::uninit();
            // SAFETY: names this thread.
            let me = unsafe { libc::pthread_self() };
            // SAFETY: the thread lives, being this one; the place is ours, and initialized if the answer is 0.
            if unsafe { libc::pthread_getattr_np(me, attributes.as_mut_ptr()) } != 0 {
                return None;
            }
            // SAFETY: just initialized.
            Some(Attributes(unsafe { attributes.assume_init() }))
        }

        #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
        fn of_this_thread() -> Option<Self> {
            let mut attributes = MaybeUninit::uninit();
            // SAFETY: the place is ours, and initialized if the answer is 0.
            if unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) } != 0 {
                return None;
            }
            // SAFETY: just initialized.
            let mut attributes = Attributes(unsafe { attributes.assume_init() });
            // SAFETY: names this thread.
            let me = unsafe { libc::pthread_self() };
            // SAFETY: the thread lives, being this one; the attributes are initialized.
            let got = unsafe { libc::pthread_attr_get_np(me, &raw mut attributes.0) };
            (got == 0).then_some(attributes)
        }
    }

    impl Drop for Attributes {
        fn drop(&mut self) {
            // SAFETY: initialized, and used no more.
            unsafe { libc::pthread_attr_destroy(&raw mut self.0) };
        }
    }
}

#[cfg(target_vendor = "apple")]
#[expect(unsafe_code, reason = "asks the system about this thread")]
mod system {
    use super::Bounds;

    pub(super) fn bounds() -> Option<Bounds> {
        // SAFETY: names this thread.
        let me = unsafe { libc::pthread_self() };
        // SAFETY: the thread lives, being this one.
        let high = unsafe { libc::pthread_get_stackaddr_np(me) }.addr();
        // SAFETY: as above.
        let size = unsafe { libc::pthread_get_stacksize_np(me) };
        Some(Bounds { low: high.checked_sub(size)?, high, told: true })
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
)))]
mod system {
    use super::Bounds;

    pub(super) fn bounds() -> Option<Bounds> {
        None
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Room, UNKNOWN, begin, bounds, level, may_run_here, room};
    use std::hint::black_box;
    use std::thread;

    fn on_a_thread<R: Send + 'static>(size: usize, f: impl FnOnce() -> R + Send + 'static) -> R {
        thread::Builder::new().stack_size(size).spawn(f).expect("a thread").join().expect("no overflow")
    }

    /// How many levels with frames of N bytes there are until one says no.
    fn nest<const N: usize>(may: fn(Room) -> bool, depth: usize) -> usize {
        let mut frame = [0_u8; N];
        black_box(&mut frame);
        let reached = if may(room()) { level(|| nest::<N>(may, depth + 1)) } else { depth };
        black_box(&mut frame);
        reached
    }

    /// More than any other thread of this test has: the C library gives a thread the stack of one that has ended, if it
    /// is large enough and not four times as large.
    const LARGE: usize = 16 << 20;

    #[test]
    #[cfg_attr(windows, ignore = "Windows isn't asked: what counts there is what was asked for")]
    fn the_system_tells_where_it_ends() {
        for size in [256 << 10, 1 << 20, LARGE] {
            let (left, whole) = on_a_thread(size, || (room().left, bounds().high - bounds().low));
            assert!((size - (16 << 10)..5 * size).contains(&whole), "{whole} of {size}");
            assert!(left < whole && left > whole / 4 * 3, "{left} of {whole}");
        }
        assert!(room().left > UNKNOWN);
    }

    #[test]
    #[cfg_attr(windows, ignore = "Windows isn't asked: what counts there is what was asked for")]
    fn room_runs_out_before_the_stack_does() {
        // What was asked for does not matter where the system tells.
        for asked_for in [0, 1 << 20, 1 << 30] {
            let (few, half, all, large) = on_a_thread(LARGE, move || {
                begin(asked_for);
                let few = nest::<{ 10 << 10 }>(Room::is_nearly_whole, 0);
                let half = nest::<{ 10 << 10 }>(Room::is_ample, 0);
                let all = nest::<{ 10 << 10 }>(Room::fits_another, 0);
                (few, half, all, nest::<{ 1 << 20 }>(Room::fits_another, 0))
            });
            assert!((150..210).contains(&few) && (700..825).contains(&half), "{few}, {half}");
            assert!((1400..1640).contains(&all) && (10..16).contains(&large), "{all}, {large}");
        }
        on_a_thread(64 << 10, || assert!(nest::<1024>(Room::fits_another, 0) > 5));
    }

    #[inline(never)]
    fn framed<const N: usize>(f: impl FnOnce()) {
        let mut frame = [0_u8; N];
        black_box(&mut frame);
        f();
        black_box(&mut frame);
    }

    #[test]
    fn the_widest_level_counts_as_long_as_it_is_below() {
        const WIDE: usize = 6 << 20;
        on_a_thread(LARGE, || {
            assert!(may_run_here(), "the outermost may always");
            level(|| {
                let before = room();
                framed::<WIDE>(|| {
                    assert!(!room().fits_another() && !may_run_here());
                    level(|| assert!(room().widest >= WIDE));
                });
                assert!(room().whole == before.whole && room().widest < WIDE);
                assert!(may_run_here());
            });
            assert!(may_run_here());
        });
    }
}
