//! The faults: how a process comes to grief by its own hand.

use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::panic::panic_any;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Fault {
    Sigkill,
    Sigsegv,
    StackOverflow,
    Exit0,
    Abort,
    Panic,
    /// A panic whose payload panics when it is dropped.
    PanicBomb,
    EncodeError,
    DecodeError,
    ClosesSocket,
    GarbageToSocket,
    GarbageToPage,
    /// SIGSTOP, for longer than there is time.
    Stops,
    /// More memory than it may have.
    EatsMemory,
}

impl Fault {
    pub(crate) const ALL: [Fault; 14] = [
        Fault::Sigkill,
        Fault::Sigsegv,
        Fault::StackOverflow,
        Fault::Exit0,
        Fault::Abort,
        Fault::Panic,
        Fault::PanicBomb,
        Fault::EncodeError,
        Fault::DecodeError,
        Fault::ClosesSocket,
        Fault::GarbageToSocket,
        Fault::GarbageToPage,
        Fault::Stops,
        Fault::EatsMemory,
    ];

    /// Does it, to this process. Returns where that leaves one alive. The two errors of a codec are for whoever encodes
    /// or decodes: nothing happens here.
    pub(crate) fn commit(self) {
        match self {
            Fault::Sigkill => raise(libc::SIGKILL),
            Fault::Sigsegv => fall_through(),
            Fault::StackOverflow => drop(black_box(recurse(0))),
            Fault::Exit0 => std::process::exit(0),
            Fault::Abort => std::process::abort(),
            Fault::Panic => panic!("a panic"),
            Fault::PanicBomb => panic_any(Bomb),
            Fault::EncodeError | Fault::DecodeError => {}
            Fault::ClosesSocket => close_socket(),
            Fault::GarbageToSocket => babble(),
            Fault::GarbageToPage => scribble(0xAA),
            Fault::Stops => raise(libc::SIGSTOP),
            Fault::EatsMemory => eat(),
        }
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload's drop");
    }
}

pub(crate) fn raise(signal: i32) {
    // This very thread, so that it doesn't go on for a moment while another one takes the signal.
    // SAFETY: signals this thread.
    unsafe { libc::raise(signal) };
}

fn fall_through() {
    let nowhere = std::ptr::without_provenance_mut::<u8>(black_box(8));
    // SAFETY: none; it is a fault on purpose, and address 8 is never mapped.
    unsafe { nowhere.write_volatile(1) };
}

#[expect(unconditional_recursion, reason = "that is the fault")]
fn recurse(depth: u64) -> u64 {
    let ballast = black_box([depth; 512]);
    recurse(depth + 1) + black_box(ballast)[3]
}

fn eat() {
    loop {
        // Address space is what is bounded: nothing needs to be touched.
        std::mem::forget(black_box(Vec::<u8>::with_capacity(128 << 20)));
    }
}

/// The sockets of this worker that lead to its parent: the only stream sockets of their kind that it has.
fn sockets() -> impl Iterator<Item = i32> {
    (0..64).filter(|fd| {
        let (mut domain, mut size) = (0_i32, size_of::<i32>() as libc::socklen_t);
        // SAFETY: the places are valid for an int and its length.
        let got = unsafe {
            libc::getsockopt(*fd, libc::SOL_SOCKET, libc::SO_DOMAIN, (&raw mut domain).cast(), &raw mut size)
        };
        got == 0 && domain == libc::AF_UNIX
    })
}

/// Shuts the stream and closes the descriptor, as a program does that closes all it does not know.
fn close_socket() {
    for fd in sockets() {
        // SAFETY: a socket; who else uses the descriptor gets errors.
        unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
        close(fd);
    }
}

/// Closes descriptors and no streams: what another thread sleeps in goes on.
pub(crate) fn close_all_descriptors() {
    (3..64).for_each(close);
}

fn close(fd: i32) {
    // SAFETY: who else uses the descriptor gets errors.
    unsafe { libc::close(fd) };
}

fn babble() {
    let bytes = [0xAA_u8; 200];
    for fd in sockets() {
        // SAFETY: the bytes are there.
        unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    }
}

/// Fills the words of the page that is shared with the parent.
pub(crate) fn scribble(byte: u8) {
    const WORDS: usize = 192;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines().filter(|line| line.contains("/memfd:concurrent-futures")) {
        let start = line.split('-').next().unwrap();
        let start = usize::from_str_radix(start, 16).unwrap();
        let page = std::ptr::with_exposed_provenance_mut::<u8>(start);
        for at in 0..WORDS {
            // SAFETY: the mapping is longer than that; whoever reads it must be prepared for anything.
            unsafe { page.wrapping_add(at).write_volatile(byte) };
        }
    }
}
