//! How a thread of the pool sleeps.

use super::handle::{is_signalled, new_timer, set_timer, wait};
use super::{Child, Event, Handle, Socket};
use crate::process_pool::sys::Awake;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::time::{Duration, Instant};

/// Sleeps until the socket has bytes (or, with `for_room`, room for some), that for notes has some, the child ends, the event
/// is set, or the deadline passes.
///
/// A read is begun before the wait, so bytes that come at any time set what is waited for; and what the wait was ended by is
/// looked at one by one, since the system names the first only.
pub(crate) fn sleep(
    socket: Option<&Socket>,
    for_room: bool,
    notes: Option<&Socket>,
    child: Option<&Child>,
    event: &Event,
    deadline: Option<Instant>,
) -> Awake {
    socket.iter().chain(&notes).for_each(|socket| socket.own());
    let is_readable = socket.is_some_and(Socket::begin_reading);
    let has_notes = notes.is_some_and(Socket::begin_reading);
    let room = socket.filter(|_| for_room);
    let has_room = room.is_some_and(Socket::has_room);
    let mut handles = vec![event.as_handle()];
    handles.extend(child.map(AsHandle::as_handle));
    handles.extend(socket.iter().chain(&notes).map(|socket| socket.arrival()));
    handles.extend(room.map(Socket::room));
    let is_ready = is_readable || has_notes || has_room;
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    await_any(&mut handles, if is_ready { Some(Duration::ZERO) } else { left });
    Awake {
        event_set: is_signalled(event),
        readable: is_readable || socket.is_some_and(Socket::begin_reading),
        has_notes: has_notes || notes.is_some_and(Socket::begin_reading),
        writable: has_room || room.is_some_and(Socket::has_room),
        ended: child.is_some_and(is_signalled),
    }
}

/// Sleeps until the socket has room, and no longer than that.
pub(crate) fn await_room(socket: &Socket, time: Duration) {
    await_any(&mut vec![socket.room()], Some(time));
}

/// Sleeps for so long.
pub(crate) fn pause(time: Duration) {
    await_any(&mut Vec::new(), Some(time));
}

/// Waits for the first, or for the time. Where it is short a timer ends it, since the system's waits are as coarse as its
/// clock's ticks (1 to 16 ms).
fn await_any(handles: &mut Vec<BorrowedHandle<'_>>, time: Option<Duration>) {
    thread_local! {
        static TIMER: Option<Handle> = new_timer().ok();
    }
    const TICK: Duration = Duration::from_millis(16);
    let is_short = time.is_some_and(|time| !time.is_zero() && time < TICK);
    if !is_short {
        let _ = wait(handles, time);
        return;
    }
    let timed = TIMER.try_with(|timer| match (timer, time) {
        (Some(timer), Some(short)) if set_timer(timer, short).is_ok() => {
            let mut handles = handles.clone();
            handles.push(timer.as_handle());
            let _ = wait(&handles, None);
        }
        _ => drop(wait(handles, time)),
    });
    // In a destructor of a thread-local the timer may be gone.
    if timed.is_err() {
        let _ = wait(handles, time);
    }
}
