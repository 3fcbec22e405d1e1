//! Starting a worker: this same executable, run again under the mark, with a socket for standard input.
//!
//! By `Command` without `pre_exec`, so that the standard library takes its `posix_spawn` path: a millisecond beside a
//! parent with gigabytes resident, where a fork would take forty.

use super::entry;
use super::frames::{Blocking, Filled, Inbox, Outbox, Piece};
use super::message::{Head, Kind, PROTOCOL, Welcome};
use super::outbound::Outbound;
use super::sys::{self, Bell, Child, Exit, Fd, Mapping, Signal, Socket, Standing};
use crate::clock::is_over;
use crate::error::TaskError;
use crate::remote::function::Fingerprint;
use crate::remote::{outcome, parcel};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// What every worker of a pool starts with: the parent as it was when the pool was built, and what its builder said.
/// What isn't in here is inherited from the parent as it is at the start.
pub(super) struct LaunchConfig {
    pub(super) program: PathBuf,
    pub(super) directory: Option<PathBuf>,
    pub(super) standing: Standing,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) own_group: bool,
    pub(super) address_space: Option<u64>,
    pub(super) name_prefix: String,
    pub(super) ancestry: Vec<u64>,
    /// The encoded call, or nothing.
    pub(super) initializer: Vec<u8>,
}

/// Where what workers print goes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Output {
    /// Where the parent's goes.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// To this file, which all workers of the pool share.
    File(Arc<File>),
}

impl From<File> for Output {
    fn from(file: File) -> Self {
        Output::File(Arc::new(file))
    }
}

impl Output {
    fn stdio(&self) -> io::Result<Stdio> {
        Ok(match self {
            Output::Inherit => Stdio::inherit(),
            Output::Null => sys::nowhere()?.into(),
            Output::File(file) => file.try_clone()?.into(),
        })
    }
}

/// A worker that is up, as its driver holds it.
pub(super) struct Worker {
    pub(super) child: Child,
    pub(super) outbound: Arc<Outbound>,
    pub(super) inbox: Inbox,
    pub(super) segment: Arc<Mapping>,
}

/// Why a worker didn't come up.
pub(super) enum LaunchError {
    /// The system refused, or the process ended or fell silent before its first task.
    Start(String),
    /// The initializer said no: the next worker's would as well.
    Initializer(TaskError),
    /// Nobody wants it any more.
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

/// Starts worker `number` and sees it through to where it can take tasks. `is_wanted` is asked whenever the event is signalled.
pub(super) fn launch(
    launch: &LaunchConfig,
    number: usize,
    event: &Bell,
    deadline: Option<Instant>,
    is_wanted: impl Fn() -> bool,
    started: impl FnOnce(u32),
) -> Result<Worker, LaunchError> {
    let refused = |what: &'static str| {
        move |error: io::Error| LaunchError::Start(format!("{what}: {error}{}", sys::advice(&error)))
    };
    let (socket, theirs) = Socket::pair().map_err(refused("no socket for a worker could be had"))?;
    let (segment, memory) =
        Mapping::create().map_err(refused("no memory to share with a worker could be had"))?;
    let mut command = launch.command(theirs).map_err(refused("a worker's output could not be prepared"))?;
    // What the process inherits is that of the thread which starts it: this one, whoever started it in turn.
    launch.standing.assume();
    let process = sys::with_stdio_taken(|| command.spawn())
        .map_err(|error| LaunchError::Start(launch.not_started(&error)))?;
    // Our copy of the worker's end goes with the command: as long as it is open, the stream never ends.
    drop(command);
    let child =
        Child::new(process.id(), launch.own_group).map_err(refused("a worker could not be watched"))?;
    started(child.pid());
    let mut coming =
        StartingWorker { child, socket, inbox: Inbox::with_bulk(find_bulk), event, deadline, is_wanted };
    coming.hear(Kind::Hello, |head, body| {
        if head.a == PROTOCOL && body == Fingerprint::own().as_bytes() {
            return Ok(());
        }
        Err(LaunchError::Start(format!(
            "the process that was started from {} is another build of this program; was its file written to?",
            launch.program.display()
        )))
    })?;
    let welcome = launch.welcome(number).to_bytes();
    let head = Head::new(Kind::Welcome, 0, 0, welcome.len()).to_bytes();
    // The stream is empty: a head has room.
    let sent =
        coming.socket.send_with_fd(&head, &memory).map_err(refused("a worker closed its connection"))?;
    if sent != head.len() {
        return Err(LaunchError::Start("a worker's socket has no room for its first words".into()));
    }
    drop(memory);
    coming.say(welcome)?;
    if !launch.initializer.is_empty() {
        coming.hear(Kind::Ready, |_, reply| {
            let id = parcel::Header::read(&launch.initializer).map_or(0, |(header, _)| header.id);
            let said = outcome::open(reply, parcel::nonce(), id).and_then(outcome::read::<()>);
            said.map_err(LaunchError::Initializer)
        })?;
    }
    let StartingWorker { child, socket, inbox, .. } = coming;
    Ok(Worker { child, outbound: Arc::new(Outbound::new(socket)), inbox, segment: Arc::new(segment) })
}

/// Whether this process may enter a directory: an error if it may not, or if it is none.
pub(super) fn enter(directory: &Path) -> io::Result<()> {
    // To look something up in a directory needs the right to enter it.
    std::fs::metadata(directory.join(".")).map(drop)
}

/// What a worker said that can't come up.
pub(super) fn start_failure(said: &[u8]) -> String {
    /// A worker that has gone mad may say more.
    const MOST: usize = 500;
    let said = String::from_utf8_lossy(&said[..said.len().min(MOST)]);
    format!("a worker could not come up: {said}")
}

/// What of a worker's frame is received out of band: the large string of a result.
fn find_bulk(head: &Head, beginning: &[u8]) -> Option<Range<usize>> {
    (head.kind == Kind::Reply).then(|| outcome::find_bulk(beginning)).flatten()
}

/// A worker that has been started and is not up yet.
struct StartingWorker<'a, W> {
    // Dropped before the child: a worker that can't be signalled leaves when its connection ends.
    socket: Socket,
    child: Child,
    inbox: Inbox,
    event: &'a Bell,
    deadline: Option<Instant>,
    is_wanted: W,
}

/// What a worker was at that didn't get through it.
fn step(kind: Kind) -> &'static str {
    match kind {
        Kind::Hello => "before it said that it is one",
        Kind::Ready => "in its initializer",
        _ => "while it was told what to do",
    }
}

impl<W: Fn() -> bool> StartingWorker<'_, W> {
    /// Waits for the one message that can come now.
    fn hear(
        &mut self,
        kind: Kind,
        understand: impl FnOnce(Head, &[u8]) -> Result<(), LaunchError>,
    ) -> Result<(), LaunchError> {
        loop {
            match self.inbox.next() {
                Ok(Some((head, body))) if head.kind == kind => {
                    return understand(head, self.inbox.body(body));
                }
                Ok(Some((head, body))) if head.kind == Kind::CannotStart => {
                    return Err(LaunchError::Start(start_failure(self.inbox.body(body))));
                }
                Ok(Some(_)) => return Err(LaunchError::Start("a worker spoke out of turn".into())),
                Err(error) => {
                    return Err(LaunchError::Start(format!("a worker could not be understood: {error}")));
                }
                Ok(None) => {}
            }
            match self.inbox.fill(&self.socket, Blocking::No) {
                // A process that is no worker of ours may talk for ever and never say anything.
                Ok(Filled::Some) => self.is_in_time(kind)?,
                Ok(Filled::Nothing) => self.wait(kind)?,
                Ok(Filled::End) | Err(_) => return Err(self.ended(kind)),
            }
        }
    }

    fn say(&mut self, bytes: Vec<u8>) -> Result<(), LaunchError> {
        let mut outbox = Outbox::default();
        outbox.push(Piece::Owned(bytes));
        loop {
            match outbox.flush(&self.socket) {
                Ok(true) => return Ok(()),
                Ok(false) => self.wait(Kind::Welcome)?,
                Err(_) => return Err(self.ended(Kind::Welcome)),
            }
        }
    }

    fn is_in_time(&self, kind: Kind) -> Result<(), LaunchError> {
        if !is_over(self.deadline) {
            return Ok(());
        }
        let step = step(kind);
        Err(LaunchError::Start(format!(
            "a worker did not start in time, its time was up {step}; `start_timeout` gives it longer"
        )))
    }

    /// Waits for a part of this message to come, or for room for it.
    fn wait(&self, kind: Kind) -> Result<(), LaunchError> {
        self.is_in_time(kind)?;
        let for_room = kind == Kind::Welcome;
        let awake = sys::sleep(Some(&self.socket), for_room, Some(&self.child), self.event, self.deadline);
        if awake.rung {
            self.event.clear();
            if !(self.is_wanted)() {
                return Err(LaunchError::NotWanted);
            }
        }
        // What it said before it went counts: whoever reads the stream finds its end behind that.
        if awake.ended && !awake.readable && self.child.has_ended() {
            return Err(self.ended(kind));
        }
        Ok(())
    }

    fn ended(&self, kind: Kind) -> LaunchError {
        if !self.child.signal(Signal::KILL) {
            self.socket.hang_up();
        }
        let how = match self.child.await_end().unwrap_or(Exit::Unknown) {
            Exit::Code(code) => format!("with exit code {code}"),
            Exit::Signal(signal) => format!("by signal {signal}"),
            Exit::Unknown => "in a way nobody knows".into(),
        };
        let step = step(kind);
        let advice = match kind {
            Kind::Hello => {
                "; it is this program, started again, and what ran there before `main` ended it: standard error may \
                 say why"
            }
            _ => "",
        };
        LaunchError::Start(format!("a worker ended {how} before its first task, {step}{advice}"))
    }
}

impl LaunchConfig {
    fn command(&self, socket: Fd) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        sys::set_identity(&mut command, &entry::mark(), self.own_group);
        // The program's arguments stay to be seen, in `ps` and by a task that asks for them.
        command.args(std::env::args_os().skip(1));
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(socket).stdout(self.stdout.stdio()?).stderr(self.stderr.stdio()?);
        Ok(command)
    }

    /// Why no process came of it. The system's own words leave open which file it was.
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
            initializer: self.initializer.clone(),
        }
    }

    pub(super) fn worker_name(&self, number: usize) -> String {
        format!("{}_{number}", self.name_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bell, Blocking, Child, Head, Inbox, Kind, LaunchError, Socket, StartingWorker};
    use crate::process_pool::frames::Stream;
    use std::io::IoSlice;
    use std::process::Command;
    use std::time::Instant;

    /// It begins to say something that has no end: its time is up whether it still talks or not.
    #[test]
    fn who_talks_past_its_time_is_not_heard_out() {
        let mut body = Command::new("sleep").arg("600").spawn().expect("a process");
        let (socket, theirs) = Socket::pair().expect("a socket");
        let theirs = Socket::from_fd(theirs);
        let head = Head::new(Kind::Hello, 0, 0, usize::MAX).to_bytes();
        theirs.send(&[IoSlice::new(&head)], Blocking::Yes).expect("room");
        while theirs.send(&[IoSlice::new(&[7; 1000])], Blocking::No).is_ok() {}
        let event = Bell::new().expect("an event");
        let mut coming = StartingWorker {
            child: Child::new(body.id(), false).expect("a child"),
            socket,
            inbox: Inbox::default(),
            event: &event,
            deadline: Some(Instant::now()),
            is_wanted: || true,
        };
        let heard = coming.hear(Kind::Hello, |_, _| Ok(()));
        assert!(matches!(heard, Err(LaunchError::Start(why)) if why.contains("in time")));
        let left = coming.socket.receive(&mut Vec::with_capacity(1), Blocking::No);
        assert!(left.is_ok_and(|left| left > 0), "it was heard out");
        body.kill().expect("it lives");
        body.wait().expect("it died");
    }
}
