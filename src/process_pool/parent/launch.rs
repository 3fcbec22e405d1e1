//! Starting a worker: this same executable, run again under the mark, with a socket for standard input.
//!
//! By `Command` without `pre_exec`, so that the standard library takes its `posix_spawn` path: a millisecond beside a
//! parent with gigabytes resident, where a fork would take forty.

use super::arena::Arena;
use super::notes::Notes;
use super::outbound::Outbound;
use super::results::Results;
use crate::blob::Blob;
use crate::clock::is_over;
use crate::error::{ExitCode, TaskError};
use crate::logging;
use crate::process_pool::environment::Variables;
use crate::process_pool::output::WorkerOutput;
use crate::process_pool::sys::{self, Child, Event, Exit, Handle, Segment, Signal, Socket, Standing};
use crate::process_pool::wire::blob;
use crate::process_pool::wire::frames::{Blocking, Filled, Frame, Inbox, Outbox, Piece};
use crate::process_pool::wire::message::{Message, PROTOCOL, Welcome};
use crate::process_pool::worker::entry;
use crate::remote::fingerprint::Fingerprint;
use crate::remote::{outcome, parcel};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

/// What every worker of a pool starts with: the parent as it was when the pool was built, and what its builder said.
/// What isn't in here is inherited from the parent as it is at the start.
pub(crate) struct LaunchConfig {
    pub(crate) program: PathBuf,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) standing: Standing,
    pub(in crate::process_pool) environment: Variables,
    pub(crate) stdout: WorkerOutput,
    pub(crate) stderr: WorkerOutput,
    pub(crate) own_group: bool,
    pub(crate) address_space: Option<u64>,
    pub(crate) name_prefix: String,
    pub(crate) ancestry: Vec<u64>,
    /// The encoded calls, or nothing; and what their arguments carry, for as long as there are workers to come.
    pub(crate) initializer: Vec<u8>,
    pub(crate) on_exit: Vec<u8>,
    pub(crate) hooks_blobs: Vec<Arc<Blob>>,
    /// Bytes of results that may lie in memory that a worker shares with the parent.
    pub(crate) payload_memory: usize,
    /// The pool has an observer, or its tasks have spans.
    pub(crate) notes_times: bool,
    /// What workers log goes to this process's logger.
    pub(crate) forwards_logs: bool,
}

/// One attempt to start a worker.
pub(crate) struct Launching<'a, W, P> {
    /// The worker's place in its pool.
    pub(crate) number: usize,
    /// How many workers the pool may have.
    pub(crate) max_workers: usize,
    /// The driver's.
    pub(crate) event: &'a Event,
    pub(crate) deadline: Option<Instant>,
    /// Where large arguments will lie.
    pub(crate) arena: Option<&'a Arena>,
    /// Asked whenever the event is set.
    pub(crate) is_wanted: W,
    /// Called with the process's id once there is one.
    pub(crate) on_process: P,
}

/// A worker that is up, as its driver holds it.
pub(crate) struct RunningWorker {
    pub(crate) child: Child,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) inbox: Inbox,
    pub(crate) segment: Arc<Segment>,
    /// Where its large results lie, if there is such memory.
    pub(crate) results: Option<Arc<Results>>,
    /// What it says beside its replies, if it can.
    pub(crate) notes: Option<Notes>,
}

/// Why a worker could not be started.
pub(crate) enum LaunchError {
    /// The system refused, or the process ended or fell silent before its first task.
    Start(String),
    /// The initializer failed: the next worker's would as well.
    Initializer(TaskError),
    /// It is not wanted any more.
    NotWanted,
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaunchError::Start(why) => f.write_str(why),
            LaunchError::Initializer(error) => write!(f, "its initializer failed: {error}"),
            LaunchError::NotWanted => f.write_str("it is not wanted any more"),
        }
    }
}

impl LaunchConfig {
    /// Starts a worker and sees it through to where it can take tasks.
    pub(crate) fn launch<W: Fn() -> bool, P: FnOnce(u32)>(
        &self,
        launching: Launching<'_, W, P>,
    ) -> Result<RunningWorker, LaunchError> {
        let refused = |what: &'static str| {
            move |error: io::Error| LaunchError::Start(format!("{what}: {error}{}", sys::advice(&error)))
        };
        let Launching { number, max_workers, event, deadline, arena, is_wanted, on_process } = launching;
        let (socket, theirs) =
            Socket::pair().map_err(refused("the socket for a worker could not be created"))?;
        let (segment, memory) =
            Segment::create().map_err(refused("the memory shared with a worker could not be created"))?;
        let segment = Arc::new(segment);
        let command =
            self.command(theirs, max_workers).map_err(refused("a worker's output could not be prepared"))?;
        // What the process inherits is that of the thread which starts it: this one, whichever thread started it in turn.
        self.standing.assume();
        // Our copy of the worker's end goes with the command: as long as it is open, the stream never ends.
        let child = Child::start(command, &entry::mark(), self.own_group)
            .map_err(|error| LaunchError::Start(self.not_started(&error)))?;
        socket.attach(&child).map_err(refused("a worker's process could not be held"))?;
        on_process(child.pid());
        let inbox = Inbox::default();
        let mut starting = StartingWorker { child, socket, inbox, event, deadline, is_wanted };
        let frame = starting.receive(Stage::Hello)?;
        match frame.message {
            Message::Hello { protocol: PROTOCOL }
                if starting.inbox.body(frame.body) == Fingerprint::own().as_bytes() => {}
            Message::Hello { .. } => {
                return Err(LaunchError::Start(format!(
                    "the process that was started from {} is another build of this program; was its file written to?",
                    self.program.display()
                )));
            }
            _ => return Err(out_of_turn()),
        }
        for piece in self.hooks_blobs.iter().flat_map(blob::pieces) {
            starting.send(piece)?;
        }
        let welcome = Message::Welcome.frame(&self.welcome(number).to_bytes());
        starting.send(Piece::WithHandle(welcome, Arc::new(memory)))?;
        // What can't be had is not sent: large values go through the socket then.
        if let Some(handle) = arena.and_then(Arena::handle_to_read) {
            starting.send(Piece::WithHandle(Message::Arguments.frame(&[]), Arc::new(handle)))?;
        }
        let results = self.results(&segment);
        if let Some((_, handle)) = &results {
            starting.send(Piece::WithHandle(Message::Results.frame(&[]), handle.clone()))?;
        }
        let results = results.map(|(results, _)| results);
        let notes = match self.notes(number, &segment) {
            Some((notes, level, handle)) => {
                starting.send(Piece::WithHandle(Message::Notes { level }.frame(&[]), Arc::new(handle)))?;
                Some(notes)
            }
            None => None,
        };
        if !self.initializer.is_empty() {
            let frame = starting.receive(Stage::Initializer)?;
            let Message::Ready = frame.message else { return Err(out_of_turn()) };
            let id = parcel::Header::read(&self.initializer).map_or(0, |(header, _)| header.id);
            let reply = starting.inbox.body(frame.body);
            let result = outcome::open(reply, parcel::nonce(), id)
                .map_err(TaskError::Codec)
                .and_then(outcome::read::<()>);
            result.map_err(LaunchError::Initializer)?;
        }
        let StartingWorker { child, socket, inbox, .. } = starting;
        let outbound = Arc::new(Outbound::new(socket));
        outbound.note_sent(&self.hooks_blobs);
        Ok(RunningWorker { child, outbound, inbox, segment, results, notes })
    }

    /// The memory for a worker's large results, and its handle for the worker. A worker whose address space is bounded gets
    /// none: it would take from the bound what the program needs.
    fn results(&self, segment: &Arc<Segment>) -> Option<(Arc<Results>, Arc<Handle>)> {
        if self.address_space.is_some() {
            return None;
        }
        let results = Results::create(self.payload_memory, segment)?;
        let handle = results.file().handle().ok()?;
        Some((Arc::new(results), Arc::new(handle)))
    }

    /// The socket for notes, up to which level log records are some, and the worker's end of it. None where it can't be had: tasks
    /// run all the same.
    fn notes(&self, number: usize, segment: &Arc<Segment>) -> Option<(Notes, u32, Handle)> {
        let level = if self.forwards_logs { logging::level() } else { 0 };
        let (ours, theirs) = Socket::pair().ok()?;
        Some((Notes::new(ours, number, &self.worker_name(number), segment), level.into(), theirs))
    }

    fn command(&self, socket: Handle, max_workers: usize) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        // The program's arguments stay to be seen, in `ps` and by a task that asks for them.
        command.args(std::env::args_os().skip(1));
        command.env_clear().envs(self.environment.of_worker(max_workers));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(socket).stdout(self.stdout.stdio()?).stderr(self.stderr.stdio()?);
        Ok(command)
    }

    /// Why no process was started. The system's own error leaves open which file it was about.
    fn not_started(&self, error: &io::Error) -> String {
        let text = format!("a worker process could not be started: {error}{}", sys::advice(error));
        let program = self.program.display();
        if std::fs::symlink_metadata(&self.program).is_err() {
            return format!("{text}; workers are started from {program}, which can't be read here");
        }
        match self.directory.as_ref().map(|directory| (directory.display(), enter(directory))) {
            Some((name, Err(error))) => {
                format!("{text}; its directory, {name}, can't be entered any more: {error}")
            }
            _ => format!("{text}; workers are started from {program}"),
        }
    }

    fn welcome(&self, number: usize) -> Welcome {
        Welcome {
            parent: std::process::id(),
            number: number as u32,
            name: self.worker_name(number),
            ancestry: self.ancestry.clone(),
            may_spin: !crate::sync::one_processor(),
            address_space: self.address_space,
            notes_times: self.notes_times,
            initializer: self.initializer.clone(),
            on_exit: self.on_exit.clone(),
        }
    }

    pub(crate) fn worker_name(&self, number: usize) -> String {
        format!("{}_{number}", self.name_prefix)
    }
}

/// Whether this process may enter a directory: an error if it may not, or if it is none.
pub(crate) fn enter(directory: &Path) -> io::Result<()> {
    // To look something up in a directory needs the right to enter it.
    std::fs::metadata(directory.join(".")).map(drop)
}

/// What a worker sent that could not start.
pub(crate) fn start_failure(why: &[u8]) -> String {
    /// A worker out of control may send more.
    const MOST: usize = 500;
    let why = String::from_utf8_lossy(&why[..why.len().min(MOST)]);
    format!("a worker could not start: {why}")
}

fn out_of_turn() -> LaunchError {
    LaunchError::Start("a worker sent a message out of turn".into())
}

/// A worker that has been started and is not up yet.
struct StartingWorker<'a, W> {
    // Dropped before the child: a worker that can't be signalled leaves when its connection ends.
    socket: Socket,
    child: Child,
    inbox: Inbox,
    event: &'a Event,
    deadline: Option<Instant>,
    is_wanted: W,
}

/// What a worker is at that is not up yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Hello,
    Welcome,
    Initializer,
}

impl Stage {
    fn text(self) -> &'static str {
        match self {
            Stage::Hello => "before it said that it is one",
            Stage::Welcome => "while it was told what to do",
            Stage::Initializer => "in its initializer",
        }
    }
}

impl<W: Fn() -> bool> StartingWorker<'_, W> {
    /// Waits for the next message. An error if it is that the worker can't start.
    fn receive(&mut self, stage: Stage) -> Result<Frame, LaunchError> {
        loop {
            match self.inbox.next() {
                Ok(Some(frame)) if frame.message == Message::CannotStart => {
                    return Err(LaunchError::Start(start_failure(self.inbox.body(frame.body))));
                }
                Ok(Some(frame)) => return Ok(frame),
                Err(error) => {
                    return Err(LaunchError::Start(format!("a worker sent an invalid message: {error}")));
                }
                Ok(None) => {}
            }
            match self.inbox.fill(&self.socket, Blocking::No) {
                // A process that is no worker of ours may send for ever, and never a whole message.
                Ok(Filled::Some) => self.is_in_time(stage)?,
                Ok(Filled::Nothing) => self.wait(stage)?,
                Ok(Filled::End) | Err(_) => return Err(self.ended(stage)),
            }
        }
    }

    fn send(&mut self, piece: Piece) -> Result<(), LaunchError> {
        let mut outbox = Outbox::default();
        outbox.push(piece);
        loop {
            match outbox.flush(&self.socket) {
                // Another thread may serve it from here on.
                Ok(true) if self.socket.is_taken() => return Ok(()),
                Ok(_) => self.wait(Stage::Welcome)?,
                Err(_) => return Err(self.ended(Stage::Welcome)),
            }
        }
    }

    fn is_in_time(&self, stage: Stage) -> Result<(), LaunchError> {
        if !is_over(self.deadline) {
            return Ok(());
        }
        let stage = stage.text();
        Err(LaunchError::Start(format!(
            "a worker did not start in time, its time was up {stage}; `start_timeout` gives it longer"
        )))
    }

    /// Waits for bytes to come, or for room for the welcome.
    fn wait(&self, stage: Stage) -> Result<(), LaunchError> {
        self.is_in_time(stage)?;
        let for_room = stage == Stage::Welcome;
        let awake =
            sys::sleep(Some(&self.socket), for_room, None, Some(&self.child), self.event, self.deadline);
        if awake.event_set {
            self.event.clear();
            if !(self.is_wanted)() {
                return Err(LaunchError::NotWanted);
            }
        }
        // What it sent before it ended counts: a reader finds the stream's end behind that.
        if awake.ended && !awake.readable && self.child.has_ended() {
            return Err(self.ended(stage));
        }
        Ok(())
    }

    fn ended(&self, stage: Stage) -> LaunchError {
        if !self.child.signal(Signal::KILL) {
            self.socket.shut_down();
        }
        let how = match self.child.await_end().unwrap_or(Exit::Unknown) {
            Exit::Code(code) => format!("with exit code {}", ExitCode(code)),
            Exit::Signal(signal) => format!("by signal {signal}"),
            Exit::Unknown => "for an unknown reason".into(),
        };
        let advice = match stage {
            Stage::Hello => {
                "; it is this program, started again, and what ran there before `main` ended it: standard error may \
                 say why"
            }
            _ => "",
        };
        let stage = stage.text();
        LaunchError::Start(format!("a worker ended {how} before its first task, {stage}{advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocking, Child, Event, Inbox, LaunchError, Message, Socket, Stage, StartingWorker};
    use crate::process_pool::tests::a_process_that_stays;
    use crate::process_pool::wire::frames::{ROOM, Stream};
    use crate::process_pool::wire::message::Head;
    use std::io::IoSlice;
    use std::time::Instant;

    /// It begins a message that has no end: its time is up whether it still sends or not.
    #[test]
    fn a_worker_that_sends_past_its_time_is_not_read_to_the_end() {
        let mut process = a_process_that_stays();
        let (socket, theirs) = Socket::pair().expect("a socket");
        let theirs = Socket::from_handle(theirs).expect("a socket");
        let head = Head { message: Message::Hello { protocol: 0 }, len: usize::MAX }.to_bytes();
        theirs.send(&[IoSlice::new(&head)], Blocking::Yes).expect("room");
        // More than is read at a time, on every system.
        while theirs.send(&[IoSlice::new(&[7; ROOM])], Blocking::No).is_ok() {}
        let event = Event::new().expect("an event");
        let mut starting = StartingWorker {
            child: Child::new(&process, false).expect("a child"),
            socket,
            inbox: Inbox::default(),
            event: &event,
            deadline: Some(Instant::now()),
            is_wanted: || true,
        };
        let received = starting.receive(Stage::Hello);
        assert!(matches!(received, Err(LaunchError::Start(why)) if why.contains("in time")));
        let left = starting.socket.receive(&mut Vec::with_capacity(1), Blocking::No);
        assert!(left.is_ok_and(|left| left > 0), "it was read to the end");
        process.kill().expect("it lives");
        process.wait().expect("it died");
    }
}
