//! Signals: what a worker does about them, and that none reaches a thread of the pool.

/// Sets up signals for a worker, which never reaches the runtime's own setup before `main`:
///
/// - No signal is blocked, whatever the parent's thread had blocked.
/// - A write to a closed pipe is an error.
/// - Ctrl-C, which the terminal sends to the whole group, is for the parent. A handler that does nothing takes it, because
///   programs that a task starts would inherit `SIG_IGN`.
/// - SIGTERM ends the worker, even if the program was started with it ignored.
/// - Other signals that are ignored stay so: `nohup` means the whole program.
pub(crate) fn take_over_signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = nothing as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
    // SAFETY: a sigset_t may be any bits; sigemptyset sets them all.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `none` is a valid place for a set.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: a valid set in, no set out. Only this thread is there yet.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // SAFETY: the handler does nothing, which is safe at any moment.
    unsafe { libc::signal(libc::SIGINT, handler) };
    // SAFETY: all zero is a valid place for an answer.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks, and sets nothing.
    unsafe { libc::sigaction(libc::SIGTERM, std::ptr::null(), &raw mut now) };
    // A handler that another constructor has set is the program's and stays.
    if now.sa_sigaction == libc::SIG_IGN {
        // SAFETY: what the system does by itself runs no code.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
    }
}

/// Blocks every signal on this thread, so that the program's handlers never run on a thread of the pool.
pub(crate) fn block_signals() {
    // SAFETY: a sigset_t may be any bits; sigfillset sets them all.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `all` is a valid place for a set.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: a valid set in, no set out.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) };
}
