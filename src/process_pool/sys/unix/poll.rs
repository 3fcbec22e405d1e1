//! How a thread of the pool sleeps.

use super::child::ASK_EVERY;
use super::{Child, Event, Socket};
use crate::clock::deadline_after;
use crate::process_pool::sys::Awake;
use crate::sync::delay;
use rustix::event::{PollFd, PollFlags};
use std::time::{Duration, Instant};

/// Sleeps until the socket has bytes (or, with `for_room`, room for some), that for notes has some, the child ends, the event
/// is set, or the deadline passes.
pub(crate) fn sleep(
    socket: Option<&Socket>,
    for_room: bool,
    notes: Option<&Socket>,
    child: Option<&Child>,
    event: &Event,
    deadline: Option<Instant>,
) -> Awake {
    let unwatched = child.is_some_and(|child| child.handle().is_none());
    let ask = unwatched.then(|| deadline_after(ASK_EVERY)).flatten();
    let deadline = deadline.into_iter().chain(ask).min();
    let timeout = deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        rustix::event::Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() }
    });
    let interest = if for_room { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    // The event, with no interest in it, takes the place of a descriptor that is not there.
    let stand_in = || PollFd::new(event, PollFlags::empty());
    let mut fds = [
        PollFd::new(event, PollFlags::IN),
        socket.map_or_else(stand_in, |socket| PollFd::new(socket, interest)),
        child.and_then(Child::handle).map_or_else(stand_in, |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        notes.map_or_else(stand_in, |socket| PollFd::new(socket, PollFlags::IN)),
    ];
    delay();
    if rustix::event::poll(&mut fds, timeout.as_ref()).is_err() {
        return Awake::default();
    }
    let [event, stream, ended, noted] = fds.map(|fd| fd.revents());
    Awake {
        event_set: event.contains(PollFlags::IN),
        readable: stream.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        has_notes: notes.is_some() && noted.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        writable: stream.contains(PollFlags::OUT),
        ended: unwatched || ended.contains(PollFlags::IN),
    }
}

/// Sleeps until the socket has room, and no longer than that.
pub(crate) fn await_room(socket: &Socket, time: Duration) {
    let time = rustix::event::Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() };
    // A signal may end it early.
    let _ = rustix::event::poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&time));
}

/// Sleeps for so long.
pub(crate) fn pause(time: Duration) {
    let time = rustix::event::Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() };
    // A signal may end it early.
    let _ = rustix::event::poll(&mut [], Some(&time));
}
