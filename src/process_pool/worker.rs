//! The child: reads batches, begins tasks by the segment's leave, runs them, sends replies.
//!
//! ```text
//! main thread:  hello --> welcome --> [watches the parent; leaves with it]
//! task thread:            initializer --> { frame --> { begin? --> run --> reply } } --> end of stream: leave
//! ```
//!
//! The rules are those of `PROTOCOL.md`, section "Worker"; the names W1 to W4 in the code refer to it. It knows nothing of
//! the parent's side but the messages and the segment.

use super::buffer::reuse;
use super::frames::{Blocking, Filled, Inbox, Stream, send_all};
use super::message::{HEAD, Head, Kind, LENGTH, PROTOCOL, ProtocolError, Welcome, cannot_start};
use super::ring::Ring;
use super::shared::{LAST_WORDS, Layout};
use super::sys::{self, Leave, Mapping, Socket};
use crate::contain::{Told, contain, on_panic};
use crate::error::{Panicked, TaskError};
use crate::remote::codec::{Arrived, Bulk};
use crate::remote::execute_into;
use crate::remote::function::Fingerprint;
use crate::remote::outcome;
use crate::remote::parcel::Header;
use crate::sync::{OnceLock, Patience, channel, thread};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What a worker leaves with when the parent is gone or talks nonsense; nobody is there to be told.
const LOST: i32 = 70;

/// How long a worker looks for its next batch before it sleeps.
const SPIN: Duration = Duration::from_micros(20);

/// What this process knows about the pool it works for.
static SELF: OnceLock<Welcome> = OnceLock::new();

/// Where each pool was built that this process works for, the outermost first; empty in a process that is no worker.
pub(super) fn ancestry() -> &'static [u64] {
    SELF.get().map_or(&[], |welcome| &welcome.ancestry)
}

/// Becomes the worker: never returns.
pub(super) fn run() -> ! {
    sys::take_over_signals();
    if !sys::is_stdin_of_parent() {
        sys::complain(
            "concurrent-futures: this program was started under the name of a worker, and by no pool; \
             start it under its own name",
        );
        sys::exit_now(LOST);
    }
    let socket = sys::take_stdin().map(Socket::from_fd).unwrap_or_else(|error| {
        let advice = sys::advice(&error);
        sys::say_by_stdin(&cannot_start(&format!(
            "its standard input could not be emptied: {error}{advice}"
        )));
        sys::exit_now(LOST);
    });
    let socket = Arc::new(socket);
    sys::go_first_without_memory();
    let (welcome, segment) = greet(&socket).unwrap_or_else(|error| give_up(&*socket, &error.to_string()));
    sys::set_process_name(&short(&welcome.name));
    let (parent, name) = (welcome.parent, welcome.name.clone());
    if let Some(Err(error)) = welcome.address_space.map(sys::limit_address_space) {
        give_up(&*socket, &format!("its memory could not be bounded, see `address_space`: {error}"));
    }
    let welcome = SELF.get_or_init(|| welcome);
    let segment = Arc::new(segment);
    if cfg!(panic = "abort") {
        let segment = segment.clone();
        on_panic(move |told| leave_last_words(&segment, told));
    }
    let (stream, shared) = (socket.clone(), segment.clone());
    let (tell, told) = channel::bounded(1);
    let body = move || {
        let _ = tell.send(sys::Thread::own());
        let served = serve(&*stream, &segment, welcome);
        flush_output();
        sys::exit_now(if served.is_ok() { 0 } else { LOST });
    };
    let thread = thread::Builder::new().name(name).stack_size(sys::main_stack_size());
    if let Err(error) = thread.spawn(body) {
        let advice = sys::advice(&error);
        give_up(&*socket, &format!("no thread for its tasks could be had: {error}{advice}"));
    }
    // The task thread sends it first of all.
    if let Ok(tasks) = told.recv()
        && sys::watch(parent, &socket, tasks, || shared.exit_flags.is_exit_requested()) == Leave::ThreadGone
    {
        shared.exit_flags.note_thread_gone();
    }
    sys::exit_now(LOST);
}

/// Tells the parent why there will be no worker.
fn give_up(stream: &impl Stream, why: &str) -> ! {
    let _ = send_all(stream, &cannot_start(why));
    sys::exit_now(LOST)
}

/// Says hello and waits to be told what to do. The parent says nothing before.
fn greet(socket: &Socket) -> io::Result<(Welcome, Mapping)> {
    let body = Fingerprint::own();
    let head = Head::new(Kind::Hello, PROTOCOL, 0, body.as_bytes().len());
    send_all(socket, &[&head.to_bytes()[..], body.as_bytes()].concat())?;
    let mut bytes = [0; HEAD];
    let (got, segment) = socket.receive_with_fd(&mut bytes)?;
    let head = Head::from_bytes(&bytes).ok().filter(|head| got == HEAD && head.kind == Kind::Welcome);
    let Some(head) = head else { return Err(io::Error::other("it was not welcomed")) };
    let Some(segment) = segment else {
        return Err(io::Error::other("no descriptor for the memory that it shares could be had"));
    };
    let mut body = Vec::with_capacity(head.len);
    while body.len() < head.len {
        if socket.receive(&mut body, Blocking::Yes)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let segment = Mapping::of(&segment)?;
    segment.hide_from_forks();
    let welcome = Welcome::from_bytes(&body).map_err(|ProtocolError(what)| io::Error::other(what))?;
    Ok((welcome, segment))
}

/// The task thread's life. Returns when the parent closed the stream.
fn serve(stream: &impl Stream, segment: &Layout, welcome: &Welcome) -> io::Result<()> {
    let mut reply = Reply::default();
    if !welcome.initializer.is_empty() {
        // SAFETY: the parent made the parcel, and it is the same executable: it checked the fingerprint of our hello.
        unsafe { execute_into(&welcome.initializer, reply.body()) };
        reply.send(stream, Kind::Ready, 0, 0)?;
    }
    let mut inbox = Inbox::with_bulk(find_bulk);
    let patience = Patience::new();
    let mut through = 0;
    let mut unrung = false;
    loop {
        // W1: before blocking, ring if the parent has not heard of something.
        let (head, body) = loop {
            if let Some(frame) = inbox.next().map_err(|ProtocolError(what)| io::Error::other(what))? {
                break frame;
            }
            let filled = if unrung {
                inbox.fill(stream, Blocking::No)?
            } else if welcome.may_spin
                && patience.is_left()
                && let filled @ (Filled::Some | Filled::End) =
                    look(stream, segment, &mut inbox, through, &patience)?
            {
                filled
            } else {
                inbox.fill(stream, Blocking::Yes)?
            };
            match filled {
                Filled::Some => {}
                Filled::Nothing => {
                    ring(stream)?;
                    unrung = false;
                }
                Filled::End => return Ok(()),
            }
        };
        if head.kind != Kind::Batch {
            return Err(io::Error::other("not a batch"));
        }
        let bulk = inbox.take_out_of_band().map(|out_of_band| Bulk::new(out_of_band.at, out_of_band.bytes));
        let body = Arrived::with_bulk(inbox.body(body), bulk.as_ref());
        unrung |= run_batch(stream, segment, head, body, &mut through, &mut reply)?;
    }
}

/// Whoever just had a reply often has another task: for some microseconds it is cheaper to look for it than to sleep. The
/// segment is looked at, which costs nothing; a batch that was opened there is on its way.
fn look(
    stream: &impl Stream,
    segment: &Layout,
    inbox: &mut Inbox,
    next: u32,
    patience: &Patience,
) -> io::Result<Filled> {
    let mut filled = Ok(Filled::Nothing);
    patience.spin(SPIN, || {
        if !segment.claim(next).load().is_through() {
            filled = inbox.fill(stream, Blocking::No);
        }
        !matches!(filled, Ok(Filled::Nothing))
    });
    filled
}

/// Runs what the segment lets it begin of one batch; says whether the batch was passed without the parent hearing of it.
fn run_batch(
    stream: &impl Stream,
    segment: &Layout,
    head: Head,
    body: Arrived<'_>,
    through: &mut u32,
    reply: &mut Reply,
) -> io::Result<bool> {
    let (number, tasks) = (head.a, head.b);
    let claim = segment.claim(number);
    let mut rest = body;
    let mut at = 0;
    // W2: begin by the segment's leave, before decoding.
    while let Some(index) = claim.begin() {
        let mut parcel = None;
        while at <= index {
            parcel = task(&mut rest);
            at += 1;
        }
        let Some((&[flags], parcel)) = parcel.filter(|_| index < tasks).and_then(|task| task.front(1)) else {
            return Err(io::Error::other("a batch shorter than it says"));
        };
        if flags & RING_WHEN_BEGUN != 0 {
            ring(stream)?;
        }
        // SAFETY: the parent made the parcel, and it is the same executable: it checked the fingerprint of our hello.
        unsafe { execute_into(parcel, reply.body()) };
        let last = claim.load().is_through();
        if last {
            // W3: the limit never rises, so this frame is done with; who hears the reply that follows hears of that too.
            *through = through.wrapping_add(1);
            segment.pass(*through);
        }
        reply.give(stream, &segment.ring, number, index)?;
        if last {
            return Ok(false);
        }
    }
    *through = through.wrapping_add(1);
    segment.pass(*through);
    Ok(true)
}

/// Takes the next task of a batch: its flags and its parcel.
fn task<'a>(rest: &mut Arrived<'a>) -> Option<Arrived<'a>> {
    let (len, behind) = rest.front(LENGTH)?;
    let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
    let (task, behind) = behind.split(len)?;
    *rest = behind;
    Some(task)
}

/// What of a batch is received out of band: the large string of a task that travels alone.
fn find_bulk(head: &Head, beginning: &[u8]) -> Option<Range<usize>> {
    if head.kind != Kind::Batch || head.b != 1 {
        return None;
    }
    let found = Header::find_bulk(beginning.get(PARCEL_AT..)?)?;
    Some(found.start + PARCEL_AT..found.end.checked_add(PARCEL_AT)?)
}

/// What stands before a parcel in a batch: its length and the flags.
pub(super) const PARCEL_AT: usize = LENGTH + 1;

/// Set before a parcel whose beginning the parent wants to hear of: its time is limited.
pub(super) const RING_WHEN_BEGUN: u8 = 1;

fn ring(stream: &impl Stream) -> io::Result<()> {
    send_all(stream, &Head::new(Kind::Doorbell, 0, 0, 0).to_bytes())
}

/// One reply at a time, its head before it, so that it goes in one piece.
#[derive(Default)]
struct Reply(Vec<u8>);

impl Reply {
    /// An empty body to write to.
    fn body(&mut self) -> &mut Vec<u8> {
        reuse(&mut self.0);
        self.0.extend_from_slice(&[0; HEAD]);
        &mut self.0
    }

    /// W4: a small one into the ring; else through the socket.
    fn give(&mut self, stream: &impl Stream, ring: &Ring, batch: u32, index: u32) -> io::Result<()> {
        if !ring.put(batch, index, &self.0[HEAD..]) {
            return self.send(stream, Kind::Reply, batch, index);
        }
        if ring.takes_doorbell() { self::ring(stream) } else { Ok(()) }
    }

    /// Sends it through the socket, completely.
    fn send(&mut self, stream: &impl Stream, kind: Kind, a: u32, b: u32) -> io::Result<()> {
        let head = Head::new(kind, a, b, self.0.len() - HEAD);
        self.0[..HEAD].copy_from_slice(&head.to_bytes());
        send_all(stream, &self.0)
    }
}

/// Under `panic = "abort"` nothing catches a panic: what it says goes to the segment before it ends the process.
fn leave_last_words(segment: &Layout, told: &Told<'_>) {
    let panic = Panicked::new(told.message);
    let panic = told.location.iter().fold(panic, Panicked::with_location);
    let panic = told.backtrace.iter().fold(panic, Panicked::with_backtrace);
    let mut words = Vec::new();
    outcome::write::<()>(Err(TaskError::Panicked(panic)), &mut words);
    // A long backtrace is left out rather than cut in its middle.
    if words.len() > LAST_WORDS {
        write_without_backtrace(told.message, told, &mut words);
    }
    // A long message loses its end, and not its place.
    if words.len() > LAST_WORDS {
        let surplus = words.len() - LAST_WORDS + CUT.len();
        let kept = boundary(told.message, told.message.len().saturating_sub(surplus));
        write_without_backtrace(&[&told.message[..kept], CUT].concat(), told, &mut words);
    }
    segment.last_words.leave(&words);
}

/// Stands at the end of a panic's message that was too long for the segment.
const CUT: &str = " ... (the rest of this message was too long to be kept)";

fn write_without_backtrace(message: &str, told: &Told<'_>, words: &mut Vec<u8>) {
    words.clear();
    let panic = told.location.iter().fold(Panicked::new(message), Panicked::with_location);
    outcome::write::<()>(Err(TaskError::Panicked(panic)), words);
}

/// What tasks printed without ending the line. A thread that a task left behind may hold the lock of standard output for
/// ever: then it is lost, and this doesn't return.
fn flush_output() {
    /// Longer than anybody holds that lock who only prints.
    const LOCKED: Duration = Duration::from_millis(200);
    let (tell, told) = channel::bounded(1);
    let leave_if_locked = move || {
        if told.recv_timeout(LOCKED) == Err(channel::RecvTimeoutError::Timeout) {
            sys::exit_now(0);
        }
    };
    // Without a thread that would end the wait, it may take as long as the parent lets it.
    let _ = thread::Builder::new().spawn(leave_if_locked);
    let _ = contain(|| {
        let mut output = io::stdout().lock();
        let _ = tell.send(());
        let _ = io::Write::flush(&mut output);
    });
}

/// A name's beginning and its number, in what the system keeps of it.
fn short(name: &str) -> String {
    const KEPT: usize = 15;
    let (stem, number) = name.rsplit_once('_').unwrap_or((name, ""));
    let room = KEPT.saturating_sub(number.len() + 1);
    if name.len() <= KEPT { name.to_owned() } else { format!("{}_{number}", &stem[..boundary(stem, room)]) }
}

/// The last place up to `most` where a text can be cut.
fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
