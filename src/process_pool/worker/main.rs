//! The worker's life: reads batches, begins the tasks that the claim words let it begin, runs them, sends replies.
//!
//! ```text
//! main thread:  hello --> welcome --> [watches the parent; leaves with it]
//! task thread:            initializer --> { frame --> { begin? --> run --> reply } } --> end of stream: leave
//! ```
//!
//! The rules are those of `PROTOCOL.md`, section "Worker"; the names W1 to W4 in the code refer to it. It knows nothing of
//! the parent's side but the messages and the segment.

use super::abort::{boundary, leave_last_words};
use super::blobs::Blobs;
use super::notes;
use super::plane::{Arguments, ResultMemory};
use super::reply::{Reply, ring_doorbell};
use crate::contain::{contain, on_panic};
use crate::error::TaskError;
use crate::future::current::{Note, Sent, StopWord};
use crate::logging;
use crate::process_pool::shared::Layout;
use crate::process_pool::sys::{self, ForkDetector, Leave, MemoryFile, Segment, Socket};
use crate::process_pool::wire::batch::Tasks;
use crate::process_pool::wire::frames::{Blocking, Filled, Frame, Inbox, Stream, send_all};
use crate::process_pool::wire::message::{Message, PROTOCOL, Welcome};
use crate::process_pool::wire::times::Times;
use crate::remote::call_site::CallSite;
use crate::remote::codec::{Arrived, Output, ReadApart};
use crate::remote::executable;
use crate::remote::fingerprint::Fingerprint;
use crate::remote::{execute_call, execute_into, outcome, parcel};
use crate::sync::{OnceLock, Patience, channel, thread};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The exit code of a worker whose parent is gone or breaks the protocol: there is nobody to read it.
const LOST: i32 = 70;

/// How long a worker looks for its next batch before it sleeps.
const SPIN: Duration = Duration::from_micros(20);

/// What this process knows about the pool it works for.
pub(super) static SELF: OnceLock<Welcome> = OnceLock::new();

/// Whether this process is a worker of a [`ProcessPoolExecutor`](crate::ProcessPoolExecutor). A transport of another crate asks it
/// before it lets a task submit to the very executor that the task came by.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{is_worker, prelude::*};
///
/// let pool = ProcessPoolExecutor::new(1);
/// assert!(!is_worker());
/// assert!(pool.submit(|()| is_worker(), ()).result()?);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub fn is_worker() -> bool {
    SELF.get().is_some()
}

/// Whether this process is a worker of a pool that was built [on behalf of](crate::ProcessPoolBuilder::on_behalf_of) `name`,
/// or of a pool that one of its tasks has built.
pub fn works_for(name: &str) -> bool {
    ancestry().contains(&hash(name))
}

/// Names a place in the source, or whom a pool works for. The same in each process of one executable.
pub(crate) fn hash(text: &str) -> u64 {
    // FNV-1a; it needs no strength, only to be the same in every process.
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Where each pool was built that this process works for, the outermost first; empty in a process that is no worker.
pub(crate) fn ancestry() -> &'static [u64] {
    SELF.get().map_or(&[], |welcome| &welcome.ancestry)
}

/// Becomes the worker: never returns.
pub(crate) fn run() -> ! {
    sys::take_over_signals();
    if !sys::is_stdin_of_parent() {
        sys::complain(
            "concurrent-futures: this program was started under the name of a worker, and by no pool; \
             start it under its own name",
        );
        sys::exit_now(LOST);
    }
    let socket = Socket::from_parent().unwrap_or_else(|error| {
        let advice = sys::advice(&error);
        let why = format!("its standard input could not be emptied: {error}{advice}");
        sys::say_by_stdin(&Message::CannotStart.frame(why.as_bytes()));
        sys::exit_now(LOST);
    });
    let socket = Arc::new(socket);
    sys::go_first_without_memory();
    let mut inbox = Inbox::taking_handles();
    let mut blobs = Blobs::default();
    let (welcome, segment) = greet(&socket, &mut inbox, &mut blobs)
        .unwrap_or_else(|error| cannot_start(&*socket, &error.to_string()));
    sys::set_process_name(&short(&welcome.name));
    let (parent, name) = (welcome.parent, welcome.name.clone());
    if let Some(Err(error)) = welcome.address_space.map(sys::limit_address_space) {
        cannot_start(&*socket, &format!("its memory could not be bounded, see `address_space`: {error}"));
    }
    let welcome = SELF.get_or_init(|| welcome);
    let segment = Arc::new(segment);
    if cfg!(panic = "abort") {
        let segment = segment.clone();
        on_panic(move |told| leave_last_words(&segment, told));
    }
    let (stream, shared) = (socket.clone(), segment.clone());
    let (sender, receiver) = channel::bounded(1);
    let body = move || {
        let _ = sender.send(sys::Thread::own());
        note_objects(&segment);
        sys::tell_of_crashes(&segment);
        let mut held = Held { inbox, blobs, arguments: None, reply: Reply::default() };
        let served = serve(&*stream, &mut held, &segment, welcome);
        if served.is_ok() {
            call_on_exit(&welcome.on_exit);
        }
        flush_output();
        notes::end();
        sys::exit_now(if served.is_ok() { 0 } else { LOST });
    };
    let thread = thread::Builder::new().name(name).stack_size(sys::main_stack_size());
    if let Err(error) = thread.spawn(body) {
        let advice = sys::advice(&error);
        cannot_start(&*socket, &format!("the thread for its tasks could not be started: {error}{advice}"));
    }
    // The task thread sends it first of all.
    if let Ok(tasks) = receiver.recv()
        && sys::watch(parent, &socket, tasks, || shared.exit_flags.is_exit_requested()) == Leave::ThreadGone
    {
        shared.exit_flags.note_thread_gone();
    }
    sys::exit_now(LOST);
}

/// Tells the parent why there will be no worker.
fn cannot_start(stream: &impl Stream, why: &str) -> ! {
    let _ = send_all(stream, &Message::CannotStart.frame(why.as_bytes()));
    sys::exit_now(LOST)
}

/// Sends hello and waits for the welcome. The parent sends nothing before hello, and before the welcome what the initializer needs.
fn greet(socket: &Socket, inbox: &mut Inbox, blobs: &mut Blobs) -> io::Result<(Welcome, Segment)> {
    send_all(socket, &Message::Hello { protocol: PROTOCOL }.frame(Fingerprint::own().as_bytes()))?;
    let frame = loop {
        if let Some(frame) = inbox.next().map_err(io::Error::other)? {
            if frame.message == Message::Welcome {
                break frame;
            }
            blobs.handle(frame.message, inbox.body(frame.body), frame.handle)?;
            continue;
        }
        if inbox.fill(socket, Blocking::Yes)? == Filled::End {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let Frame { body, handle: Some(memory), .. } = frame else {
        return Err(io::Error::other("it was not welcomed"));
    };
    let segment = Segment::of(&memory)?;
    segment.hide_from_forks();
    let welcome = Welcome::from_bytes(inbox.body(body)).map_err(io::Error::other)?;
    Ok((welcome, segment))
}

/// What the task thread works with. A worker never drops it: a task may have closed the descriptors in it, and to close one a
/// second time ends the process.
#[derive(Default)]
pub(super) struct Held {
    inbox: Inbox,
    blobs: Blobs,
    arguments: Option<Arguments>,
    reply: Reply,
}

/// The task thread's life. Returns when the parent closed the stream.
pub(super) fn serve(
    stream: &impl Stream,
    Held { inbox, blobs, arguments, reply }: &mut Held,
    segment: &Arc<Segment>,
    welcome: &Welcome,
) -> io::Result<()> {
    if !welcome.initializer.is_empty() {
        // SAFETY: the parent made the parcel, and it is the same executable: it checked the fingerprint of our hello.
        unsafe { execute_into(&welcome.initializer, reply.body(false)) };
        reply.send(stream, Message::Ready)?;
        note_objects(segment);
    }
    let own = Own {
        name: welcome.name.as_str().into(),
        index: welcome.number as usize,
        stop: Arc::new(StopWords { segment: segment.clone(), fork_detector: ForkDetector::new() }),
    };
    let patience = Patience::new();
    let mut passed = 0;
    let mut unannounced = false;
    loop {
        // W1: before blocking, ring if the parent doesn't know of a frame that was passed.
        let frame = loop {
            if let Some(frame) = inbox.next().map_err(io::Error::other)? {
                break frame;
            }
            let filled = if unannounced {
                inbox.fill(stream, Blocking::No)?
            } else if welcome.may_spin
                && patience.is_left()
                && let filled @ (Filled::Some | Filled::End) =
                    spin(stream, segment, inbox, passed, &patience)?
            {
                filled
            } else {
                inbox.fill(stream, Blocking::Yes)?
            };
            match filled {
                Filled::Some => {}
                Filled::Nothing => {
                    ring_doorbell(stream)?;
                    unannounced = false;
                }
                Filled::End => return Ok(()),
            }
        };
        let bytes = inbox.body(frame.body);
        let (number, count) = match (frame.message, frame.handle) {
            (Message::Batch { number, tasks }, _) => (number, tasks),
            (Message::Arguments, Some(handle)) => {
                *arguments = Some(Arguments::new(MemoryFile::of(handle)?));
                continue;
            }
            (Message::Results, Some(handle)) => {
                let memory = ResultMemory::new(MemoryFile::of(handle)?, segment);
                *reply = Reply::with_memory(Arc::new(memory));
                continue;
            }
            (Message::Notes { level }, Some(handle)) => {
                notes::begin(handle, level, segment);
                continue;
            }
            (message, handle) => {
                blobs.handle(message, bytes, handle)?;
                continue;
            }
        };
        let apart = arguments.as_ref().map(|arguments| arguments as &dyn ReadApart);
        let body = Arrived::new(bytes, apart);
        let batch = Batch { number, count, tasks: Tasks::new(body), notes_times: welcome.notes_times };
        unannounced |= batch.run(stream, segment, &own, &mut passed, reply)?;
    }
}

/// Notes what is loaded, for who reads where this process crashed.
fn note_objects(segment: &Layout) {
    if sys::TELLS_STACKS {
        let objects = executable::objects();
        let told = objects.iter().map(|object| {
            let range = object.range.start as u64..object.range.end as u64;
            (object.base as u64, range, object.name.as_slice())
        });
        segment.stack_words.note_objects(told);
    }
}

/// After a reply another task often comes soon: for some microseconds it is cheaper to look for it than to sleep. The
/// claim word is looked at, which costs nothing; a batch that was opened there is on its way.
fn spin(
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

/// What tasks may ask of the worker.
struct Own {
    name: Arc<str>,
    index: usize,
    stop: Arc<dyn StopWord>,
}

/// By which the parent asks tasks to stop.
struct StopWords {
    segment: Arc<Segment>,
    /// A process that a task forks has no segment.
    fork_detector: ForkDetector,
}

impl StopWord for StopWords {
    fn is_asked(&self, batch: u32, index: u32) -> bool {
        !self.fork_detector.is_fork() && self.segment.claim(batch).is_asked(batch, index)
    }
}

/// A batch that has arrived.
struct Batch<'a> {
    number: u32,
    count: u32,
    tasks: Tasks<'a>,
    notes_times: bool,
}

impl Batch<'_> {
    /// Runs what may begin of it; returns whether the frame was passed without the parent's knowledge.
    fn run(
        mut self,
        stream: &impl Stream,
        segment: &Layout,
        own: &Own,
        passed: &mut u32,
        reply: &mut Reply,
    ) -> io::Result<bool> {
        let claim = segment.claim(self.number);
        let mut read = 0;
        // W2: begin by the claim word, before decoding.
        while let Some(index) = claim.begin() {
            let mut task = None;
            while read <= index {
                task = self.tasks.next();
                read += 1;
            }
            let Some(task) = task.filter(|_| index < self.count) else {
                return Err(io::Error::other("a batch shorter than it says"));
            };
            if task.flags.rings_when_begun {
                ring_doorbell(stream)?;
            }
            let began = segment.task_clock.is_wanted().then(sys::shared_clock);
            if let Some(began) = began {
                segment.task_clock.note(self.number, index, began);
            }
            let body = reply.body(!task.flags.is_for_elsewhere);
            let _speaking = task.flags.reports.then(|| notes::speaking_of(self.number, index));
            let sent = Sent {
                id: task.id,
                label: task.about.label,
                attempt: task.about.attempt,
                worker: &own.name,
                worker_index: own.index,
                stop: &own.stop,
                position: (self.number, index),
            };
            // SAFETY: the parent encoded the call, and it is the same executable: it checked the fingerprint of our hello.
            let run = || unsafe { execute_call(task.route, task.argument, body) };
            sys::note_running(&segment.stack_words, self.number, index);
            {
                let site = CallSite::default();
                let _called = site.mark();
                Note::sent(&sent, task.about.stop_after).within(run);
            }
            sys::note_ran();
            if self.notes_times {
                let ended = sys::shared_clock();
                Times { began: began.unwrap_or(ended), ended }.append_to(body);
            }
            let is_last = claim.load().is_through();
            if is_last {
                // W3: the limit never rises, so this frame is done with; whoever reads the reply that follows finds that too.
                *passed = passed.wrapping_add(1);
                segment.pass(*passed);
            }
            reply.give(stream, segment, self.number, index)?;
            if is_last {
                return Ok(false);
            }
        }
        *passed = passed.wrapping_add(1);
        segment.pass(*passed);
        Ok(true)
    }
}

/// Calls what the program wants called before the worker leaves in order. The parent's patience ends it, should it not return.
fn call_on_exit(parcel: &[u8]) {
    if parcel.is_empty() {
        return;
    }
    let mut reply = Output::default();
    // SAFETY: the parent made the parcel, and it is the same executable: it checked the fingerprint of our hello.
    unsafe { execute_into(parcel, &mut reply) };
    let (nonce, id) = parcel::Header::read(parcel).map_or((0, 0), |(header, _)| (header.nonce, header.id));
    let reply = reply.into_parts().0;
    let result = outcome::open(&reply, nonce, id).map_err(TaskError::Codec).and_then(outcome::read::<()>);
    if let Err(error) = result {
        logging::error(format_args!("a worker's on-exit hook failed: {error}"));
    }
}

/// Flushes what tasks printed without ending the line. A thread that a task left behind may hold the lock of standard
/// output for ever: then it is lost, and this doesn't return.
fn flush_output() {
    /// Longer than any thread holds that lock that only prints.
    const LOCKED: Duration = Duration::from_millis(200);
    let (sender, receiver) = channel::bounded(1);
    let leave_if_locked = move || {
        if receiver.recv_timeout(LOCKED) == Err(channel::RecvTimeoutError::Timeout) {
            sys::exit_now(0);
        }
    };
    // Without a thread that would end the wait, it may take as long as the parent lets it.
    let _ = thread::Builder::new().spawn(leave_if_locked);
    let _ = contain(|| {
        let mut output = io::stdout().lock();
        let _ = sender.send(());
        let _ = io::Write::flush(&mut output);
    });
}

/// A name's beginning and its number, in what the system keeps of it.
pub(super) fn short(name: &str) -> String {
    const KEPT: usize = 15;
    let (stem, number) = name.rsplit_once('_').unwrap_or((name, ""));
    let room = KEPT.saturating_sub(number.len() + 1);
    if name.len() <= KEPT { name.to_owned() } else { format!("{}_{number}", &stem[..boundary(stem, room)]) }
}
