//! Where a worker's task is when it crashes, or is asked: signal handlers that walk its stack.
//!
//! A handler may come at any instruction: inside `malloc`, with any lock held, on a stack that is full. So:
//!
//! - It runs on a stack of its own, which the thread that runs tasks has from its start.
//! - It calls the system, writes to shared memory, and walks the stack by `_Unwind_Backtrace`; it allocates nothing, prints
//!   nothing, and takes no lock of this program. The unwinder was called once before the first task, so whatever it prepares is
//!   there. With glibc 2.35 and later, and GCC 12's unwinder and later, it takes no lock at all; with older ones, and on musl,
//!   it takes the one of the loader's list of libraries, which is held for moments by `dlopen` and not by `malloc`. A crash
//!   within such a moment can make it wait for ever: then the parent ends the process after some seconds.
//! - A stack that is destroyed may make the walk itself crash. What was found until then stands in shared memory, and the
//!   signal goes on as below.
//! - Then the signal goes on to whoever had it before: the program's handler is called as the kernel would have called it;
//!   where there was none, the process dies by that signal. If the program's handler returns and mended what was wrong (a
//!   virtual machine's does), the program goes on and nothing is told.
//!
//! The stack of a task that is out of time is asked for by SIGURG. Nothing happens by default when it comes, programs must
//! expect it at any time, and hardly any uses it. It never ends the process and interrupts nothing but the task that is to be
//! ended anyway: that one's thread goes on no more, because a call that was cut short could give it another result than
//! none. See [`asked`] for why only that task is stopped.

use crate::process_pool::shared::stack_words::{Circumstances, StackWords, key};
use crate::process_pool::sys::Segment;
use crate::remote::call_site;
use crate::sync::plain::{AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence};
use libc::{c_int, c_void, siginfo_t};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Whether a worker tells where it crashed.
pub(crate) const TELLS_STACKS: bool = true;

/// By which a stack is asked for (`child.rs`).
const ASKED: c_int = libc::SIGURG;

/// What a crash is.
const CRASHES: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP];

/// What a handler must know. Made once, before the handlers are there.
struct Site {
    words: &'static StackWords,
    /// A process that a task forks has the handlers and not the shared memory.
    pid: c_int,
    /// The thread that runs tasks.
    thread: c_int,
    stack: Stack,
    /// What was there before, for each of [`CRASHES`] and [`ASKED`].
    before: [Option<libc::sigaction>; CRASHES.len() + 1],
}

/// That one's stack.
struct Stack {
    whole: Range<usize>,
    /// Where it ends: what is touched there overflows it.
    guard: Range<usize>,
}

static SITE: OnceLock<Site> = OnceLock::new();

/// The task that runs, by its [`key`]; 0 if none does. Only its own thread writes it, and only a handler on that thread
/// decides by it.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// The thread that tells; 0 if none does.
static TELLER: AtomicU32 = AtomicU32::new(0);

/// The teller walks its stack; afterwards the signal goes on.
static IS_WALKING: AtomicU32 = AtomicU32::new(0);

/// The signal by which it does, with what the kernel gave for it. Only the teller uses them.
static SIGNAL: AtomicU32 = AtomicU32::new(0);
static INFO: AtomicUsize = AtomicUsize::new(0);
static CONTEXT: AtomicUsize = AtomicUsize::new(0);

// ---- what the worker does ---------------------------------------------------------------------------------

/// Has this process tell in `segment` where it crashes. For the thread that runs tasks, once, before the first of them.
pub(crate) fn tell_of_crashes(segment: &Arc<Segment>) {
    // For ever: a handler may come at any time.
    let segment: &'static Arc<Segment> = Box::leak(Box::new(segment.clone()));
    set_handler_stack();
    // What the unwinder does but once, and what the loader does at the first call, is done here.
    // SAFETY: no other thread of ours walks a stack; the library's lock is for its own lists, which a walk doesn't use.
    unsafe { backtrace::trace_unsynchronized(|frame| !frame.ip().is_null()) };
    let all = CRASHES.iter().chain([&ASKED]);
    let mut before = [None; CRASHES.len() + 1];
    before.iter_mut().zip(all.clone()).for_each(|(place, signal)| *place = action_of(*signal));
    let site = Site {
        words: &segment.stack_words,
        pid: process(),
        thread: thread(),
        stack: Stack::of_this_thread(),
        before,
    };
    if SITE.set(site).is_err() {
        return;
    }
    for (signal, before) in all.zip(before) {
        // A signal that is ignored stays so.
        if before.is_some_and(|before| before.sa_sigaction != libc::SIG_IGN) {
            set_handler(*signal);
        }
    }
}

/// A task begins to run on this thread.
pub(crate) fn note_running(words: &StackWords, batch: u32, index: u32) {
    // Of a crash that the program survived in a way of its own (a jump out of its handler).
    if words.is_begun() && TELLER.load(Ordering::Relaxed) == thread().cast_unsigned() {
        words.clear();
        TELLER.store(0, Ordering::Relaxed);
    }
    RUNNING.store(key(batch, index), Ordering::Relaxed);
}

/// It has run; of its reply no byte is given yet.
pub(crate) fn note_ran() {
    RUNNING.store(0, Ordering::Relaxed);
    // ORDERING: nothing of the reply moves to before this, for a handler on this very thread.
    compiler_fence(Ordering::SeqCst);
}

/// Gives this thread a stack on which handlers run: 64 KiB, below which nothing is mapped.
fn set_handler_stack() {
    const GUARD: usize = 64 << 10;
    // SAFETY: reads a number that the kernel has left.
    let least = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    let size = ((64 << 10) + least).next_multiple_of(GUARD);
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK);
    // SAFETY: the kernel picks the place, so the new mapping touches no memory of ours.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), GUARD + size, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return;
    }
    let stack = start.wrapping_byte_add(GUARD);
    // SAFETY: the range is the mapping's, which nobody else knows of.
    if unsafe { libc::mprotect(stack, size, protection) } != 0 {
        return;
    }
    let stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: size };
    // SAFETY: the memory is there, and nobody else uses it as long as this process lives.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

impl Stack {
    fn of_this_thread() -> Self {
        // SAFETY: all zero is a valid place for attributes.
        let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
        // SAFETY: returns the calling thread's id.
        let own = unsafe { libc::pthread_self() };
        // SAFETY: fills the attributes of this thread, which is there.
        if unsafe { libc::pthread_getattr_np(own, &raw mut attributes) } != 0 {
            return Stack { whole: 0..0, guard: 0..0 };
        }
        let (mut start, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
        // SAFETY: attributes that were filled, and valid places for the answers.
        unsafe { libc::pthread_attr_getstack(&raw const attributes, &raw mut start, &raw mut size) };
        // SAFETY: as above.
        unsafe { libc::pthread_attr_getguardsize(&raw const attributes, &raw mut guard) };
        // SAFETY: they were filled, and are used no more.
        unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
        let (start, guard) = (start.addr(), guard.max(rustix::param::page_size()));
        // Some C libraries count the guard among the stack, some put it below.
        Stack { whole: start..start + size, guard: start.saturating_sub(guard)..start + guard }
    }
}

fn action_of(signal: c_int) -> Option<libc::sigaction> {
    // SAFETY: all zero is a valid place for an answer.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks, and sets nothing.
    (unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } == 0).then_some(action)
}

fn set_handler(signal: c_int) {
    // SAFETY: all zero is an action with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler_of(signal);
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    if signal != ASKED {
        // A walk that crashes must come here again.
        action.sa_flags |= libc::SA_NODEFER;
    }
    // SAFETY: the handlers keep to what is allowed in one, as the head of this file argues.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}

fn handler_of(signal: c_int) -> libc::sighandler_t {
    let handler = if signal == ASKED { asked } else { crashed };
    handler as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as *const () as libc::sighandler_t
}

// ---- the handlers: nothing below allocates, locks or panics -----------------------------------------------

/// The process crashes.
extern "C" fn crashed(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let error = last_error();
    tell_and_pass_on(signal, info, context);
    set_last_error(error);
}

fn tell_and_pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(site) = SITE.get().filter(|site| site.pid == process()) else {
        return pass_on(signal, info, context);
    };
    let own = thread().cast_unsigned();
    // ORDERING: Acquire pairs with the Release below, of a crash that the program has mended.
    match TELLER.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
        Ok(_) => {
            tell(site, signal, info, context);
            pass_on(signal, info, context);
            // It came back. If the handler of before is to have the next one by itself, it is about to come: not mended.
            if action_of(signal).is_some_and(|action| action.sa_sigaction == handler_of(signal)) {
                site.words.clear();
                // ORDERING: Release pairs with the Acquire above.
                TELLER.store(0, Ordering::Release);
            }
        }
        // The walk itself crashed. What it found stands.
        Err(teller) if teller == own && IS_WALKING.swap(0, Ordering::Relaxed) != 0 => {
            let first = SIGNAL.load(Ordering::Relaxed).cast_signed();
            let info = std::ptr::with_exposed_provenance_mut(INFO.load(Ordering::Relaxed));
            let context = std::ptr::with_exposed_provenance_mut(CONTEXT.load(Ordering::Relaxed));
            add_caller(site, first, context);
            site.words.finish();
            if first == ASKED {
                await_end();
            }
            pass_on(first, info, context);
            // There is nowhere to go back to.
            die_of(first);
        }
        // The handler of before crashed in its turn, or ended the process by `abort`.
        Err(teller) if teller == own => pass_on(signal, info, context),
        // Two threads crash at once: the first one's death is this one's too.
        Err(_) => {
            const TRIES: u32 = 100;
            for _ in 0..TRIES {
                if TELLER.load(Ordering::Relaxed) == 0 {
                    break;
                }
                rest(10_000_000);
            }
            pass_on(signal, info, context);
        }
    }
}

/// The parent wants to know where the task is whose time is over. The kernel gives its signal to any thread.
///
/// Only that task is stopped. The task that the parent asks for is compared with the one that runs, on the thread that runs it:
/// while this handler is at work that thread does nothing else, so the answer doesn't change. [`RUNNING`] is set before the
/// user's code is called and taken back before the first byte of a reply is given, on this very thread. So if they are equal,
/// the parent has no reply of the task and never will have, and finds it in its table when it looks again: it kills this
/// process, as it would have without having asked. If they differ, the task has come to its end, or this signal is somebody
/// else's: nothing happens here, and the worker goes on.
extern "C" fn asked(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let error = last_error();
    let here = SITE.get().filter(|site| site.pid == process());
    match here.map(|site| (site, site.words.asked())) {
        Some((site, asked)) if asked != 0 => {
            let own = thread();
            let running = RUNNING.load(Ordering::Relaxed);
            if own != site.thread {
                // SAFETY: sends a signal to a thread of this process, or to none if it has ended.
                unsafe { libc::syscall(libc::SYS_tgkill, site.pid, site.thread, signal) };
            } else if running == asked
                // ORDERING: Acquire pairs with the Release of a crash that the program has mended.
                && TELLER.compare_exchange(0, own.cast_unsigned(), Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                tell(site, signal, info, context);
                await_end();
            }
        }
        _ => pass_on(signal, info, context),
    }
    set_last_error(error);
}

/// Writes down where this thread is.
fn tell(site: &Site, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    SIGNAL.store(signal.cast_unsigned(), Ordering::Relaxed);
    INFO.store(info.expose_provenance(), Ordering::Relaxed);
    CONTEXT.store(context.expose_provenance(), Ordering::Relaxed);
    let is_elsewhere = thread() != site.thread;
    let is_of_memory = matches!(signal, libc::SIGSEGV | libc::SIGBUS);
    let is_overflow = !is_elsewhere
        && is_of_memory
        && address_of(info).is_some_and(|address| site.stack.guard.contains(&address));
    site.words.begin(signal, Circumstances { is_overflow, is_elsewhere });
    IS_WALKING.store(1, Ordering::Relaxed);
    let place = Place::of(context);
    site.words.push(place.code);
    if has_room() {
        // The walk begins here; what counts begins where the signal came, and ends before who called the user's function.
        let innermost = call_site::innermost();
        let (stack, end) = (&site.stack.whole, if is_elsewhere { usize::MAX } else { innermost });
        let (mut is_there, mut above) = (false, 0);
        let each = |frame: &backtrace::Frame| {
            /// So many frames a handler has at most.
            const ABOVE: u32 = 16;
            let (address, pointer) = (frame.ip().addr(), frame.sp().addr());
            if is_there {
                // The frame before this one has that call site in it.
                if pointer > end && stack.contains(&pointer) && stack.contains(&end) && site.words.count() > 1
                {
                    site.words.drop_last();
                    return false;
                }
                return site.words.push(address);
            }
            is_there = address == place.code;
            above += 1;
            is_there || above < ABOVE
        };
        // SAFETY: the lock that it leaves out is for the library's own lists, which a walk doesn't use. `each` doesn't panic.
        unsafe { backtrace::trace_unsynchronized(each) };
    }
    add_caller(site, signal, context);
    IS_WALKING.store(0, Ordering::Relaxed);
    site.words.finish();
}

/// After a call of what is no code, of which a walk finds nothing: its caller, which is on top of the stack.
fn add_caller(site: &Site, signal: c_int, context: *mut c_void) {
    let place = Place::of(context);
    if site.words.count() == 1
        && matches!(signal, libc::SIGSEGV | libc::SIGBUS)
        && !site.words.is_of_an_object(place.code)
        && let Some(caller) = place.caller()
    {
        site.words.push(caller);
    }
}

/// Where a thread was.
struct Place {
    code: usize,
    #[cfg_attr(target_arch = "aarch64", expect(dead_code, reason = "the caller stands in a register"))]
    stack: usize,
    #[cfg(target_arch = "aarch64")]
    link: usize,
}

impl Place {
    fn of(context: *mut c_void) -> Self {
        // SAFETY: the kernel passes this to a handler that was set with SA_SIGINFO, and it lives as long as the call.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        return Place {
            code: registers.gregs[libc::REG_RIP as usize] as usize,
            stack: registers.gregs[libc::REG_RSP as usize] as usize,
        };
        #[cfg(target_arch = "aarch64")]
        return Place {
            code: registers.pc as usize,
            stack: registers.sp as usize,
            link: registers.regs[30] as usize,
        };
    }

    /// Where the call would return that led here, if it was the last instruction.
    fn caller(&self) -> Option<usize> {
        #[cfg(target_arch = "x86_64")]
        {
            let top = std::ptr::with_exposed_provenance::<usize>(self.stack);
            // SAFETY: the stack pointer of the thread that was interrupted. If it is destroyed, this crashes as the walk
            // may, and the next handler goes on.
            (top.is_aligned() && !top.is_null()).then(|| unsafe { top.read_volatile() })
        }
        #[cfg(target_arch = "aarch64")]
        return Some(self.link);
    }
}

/// The address that could not be touched.
fn address_of(info: *mut siginfo_t) -> Option<usize> {
    // SAFETY: the kernel passes this to a handler that was set with SA_SIGINFO, and it lives as long as the call.
    let info = unsafe { &*info };
    // What another process sent has none.
    // SAFETY: the field is there for the signals that our caller asks for.
    (info.si_code > 0).then(|| unsafe { info.si_addr() }.addr())
}

/// Whether there is room for a walk: a thread that a task has started may have a handler's stack of another make, which is small.
fn has_room() -> bool {
    const NEEDED: usize = 24 << 10;
    // SAFETY: all zero is a valid place for an answer.
    let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
    // SAFETY: asks, and sets nothing.
    unsafe { libc::sigaltstack(std::ptr::null(), &raw mut stack) };
    stack.ss_flags & libc::SS_ONSTACK == 0 || stack.ss_size >= NEEDED
}

/// Hands a signal to whoever had it before.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let at = CRASHES.iter().position(|crash| *crash == signal).unwrap_or(CRASHES.len());
    let before = SITE.get().and_then(|site| site.before.get(at).copied().flatten());
    let Some(before) = before.filter(|before| before.sa_sigaction != libc::SIG_DFL) else {
        if signal != ASKED {
            die_of(signal);
        }
        return;
    };
    // As the kernel does it. The end of our own handler sets the mask back.
    let mut mask = before.sa_mask;
    if before.sa_flags & libc::SA_NODEFER == 0 {
        // SAFETY: a valid set, and the number of a signal.
        unsafe { libc::sigaddset(&raw mut mask, signal) };
    }
    // SAFETY: a valid set in, none out.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, std::ptr::null_mut()) };
    let handler: *const () = std::ptr::with_exposed_provenance(before.sa_sigaction);
    if before.sa_flags & libc::SA_SIGINFO == 0 {
        // SAFETY: neither SIG_DFL nor SIG_IGN, for which no handler of ours is set: a function of this type, by its flags.
        let handler = unsafe { std::mem::transmute::<*const (), extern "C" fn(c_int)>(handler) };
        handler(signal);
    } else {
        type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
        // SAFETY: as above, with the other flag.
        let handler = unsafe { std::mem::transmute::<*const (), Handler>(handler) };
        handler(signal, info, context);
    }
}

/// Ends this process by a signal, as if nobody had ever handled it.
fn die_of(signal: c_int) -> ! {
    // SAFETY: what the system does by itself runs no code.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: a sigset_t may be any bits; sigemptyset sets them all.
    let mut only: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `only` is a valid place for a set.
    unsafe { libc::sigemptyset(&raw mut only) };
    // SAFETY: a valid set, and the number of a signal.
    unsafe { libc::sigaddset(&raw mut only, signal) };
    // SAFETY: a valid set in, none out.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut()) };
    // SAFETY: signals this thread.
    unsafe { libc::syscall(libc::SYS_tgkill, process(), thread(), signal) };
    await_end()
}

/// Nothing more happens on this thread.
fn await_end() -> ! {
    loop {
        rest(1_000_000_000);
    }
}

/// Sleeps, so many nanoseconds at most.
fn rest(nanos: i64) {
    let time = libc::timespec { tv_sec: nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 };
    // SAFETY: a valid time in, none out.
    unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
}

fn process() -> c_int {
    // SAFETY: returns a number.
    unsafe { libc::getpid() }
}

fn thread() -> c_int {
    // SAFETY: returns a number.
    unsafe { libc::syscall(libc::SYS_gettid) as c_int }
}

fn last_error() -> c_int {
    let place = error_place();
    // SAFETY: this thread's own number, which lives as long as the thread.
    unsafe { *place }
}

fn set_last_error(error: c_int) {
    let place = error_place();
    // SAFETY: as above.
    unsafe { *place = error };
}

fn error_place() -> *mut c_int {
    // SAFETY: returns an address.
    unsafe { libc::__errno_location() }
}
