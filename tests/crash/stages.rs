//! The stages: how a fault is brought to the place in a worker's life where it is to happen.

use crate::faults::Fault;
use crate::house;
use crate::support::eventually;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Starting,
    Initializer,
    Decoding,
    Running,
    Encoding,
    InFlight,
    Idle,
    Closing,
}

impl Stage {
    pub(crate) const ALL: [Stage; 8] = [
        Stage::Starting,
        Stage::Initializer,
        Stage::Decoding,
        Stage::Running,
        Stage::Encoding,
        Stage::InFlight,
        Stage::Idle,
        Stage::Closing,
    ];
}

/// A fault that is to happen, and the folder by which the worker and the test talk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    pub(crate) folder: PathBuf,
}

impl Plan {
    /// Comes to grief; leaves word of who did.
    pub(crate) fn commit(&self) {
        fs::write(self.folder.join("pid"), std::process::id().to_string()).unwrap();
        self.fault.commit();
    }

    /// The same in the middle of others; garbage only when the test has seen what came before it.
    fn commit_among_others(&self) {
        if self.is_garbage() {
            self.listen("go");
        }
        self.commit();
    }

    /// Whether the worker lies and lives on.
    pub(crate) fn is_garbage(&self) -> bool {
        matches!(self.fault, Fault::GarbageToPage | Fault::GarbageToSocket)
    }

    /// The same in the first process that comes by.
    pub(crate) fn commit_once(&self) {
        if File::create_new(self.folder.join("once")).is_ok() {
            self.commit();
        }
    }

    /// Who came to grief.
    pub(crate) fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.folder.join("pid")).ok()?.parse().ok()
    }

    pub(crate) fn tell(&self, what: &str) {
        drop(File::create(self.folder.join(what)));
    }

    pub(crate) fn was_told(&self, what: &str) -> bool {
        self.folder.join(what).exists()
    }

    /// Waits for word from the other process.
    pub(crate) fn listen(&self, what: &str) {
        while !self.was_told(what) {
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Leaves a thread behind that comes to grief when it is told to `go`.
    fn leave_agent(&self, holds_output: bool) {
        let plan = self.clone();
        let agent = thread::Builder::new().name("agent".into());
        let agent = agent.spawn(move || {
            // What is printed is flushed before a worker leaves: so it can't, yet.
            let _output = holds_output.then(|| std::io::stdout().lock());
            let _done = Tell(plan.clone(), "done");
            plan.tell("ready");
            plan.listen("go");
            plan.commit();
        });
        drop(agent.unwrap());
        self.listen("ready");
    }

    /// Lets the agent go, and waits for what comes of it.
    pub(crate) fn release_agent(&self, pid: u32) {
        self.tell("go");
        // Its last word comes before its panic's payload is dropped.
        let ends_the_process = self.fault == Fault::PanicBomb;
        let is_done = || !ends_the_process && self.was_told("done");
        eventually(|| is_done() || house::is_at_rest(pid));
    }
}

/// Tells it when it is dropped, however that comes.
struct Tell(Plan, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.tell(self.1);
    }
}

// ---- starting -------------------------------------------------------------------------------------

/// Where a worker that is to come to grief while it starts finds its plan.
pub(crate) const AT_START: &str = "CRASH_AT_START";

/// As a program's registries do, this runs before `main`, hence in a worker before its first word.
#[used]
// SAFETY: the loader calls what it finds here, as it calls every constructor.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn start() {
        let Some(text) = std::env::var_os(AT_START) else { return };
        let plan: Plan = serde_json::from_str(text.to_str().unwrap()).unwrap();
        plan.commit_once();
    }
    start
};

// ---- tasks ----------------------------------------------------------------------------------------

/// What a culprit that comes through gives.
const SURVIVED: u32 = 7;

pub(crate) fn initialize(argument: OnArrival) {
    argument.0.commit_once();
}

pub(crate) fn decode(_: Argument) -> u32 {
    SURVIVED
}

pub(crate) fn run(plan: Plan) -> u32 {
    plan.commit_among_others();
    SURVIVED
}

pub(crate) fn encode(plan: Plan) -> Outcome {
    Outcome(plan)
}

/// Its result is more than fits into a socket, and on its way when the fault comes.
pub(crate) fn send(plan: Plan) -> Large {
    plan.leave_agent(false);
    fs::write(plan.folder.join("pid"), std::process::id().to_string()).unwrap();
    Large { plan, ballast: String::new() }
}

pub(crate) fn linger(plan: Plan) -> u32 {
    plan.leave_agent(false);
    std::process::id()
}

pub(crate) fn linger_at_the_door(plan: Plan) -> u32 {
    plan.leave_agent(true);
    std::process::id()
}

/// The initializer's argument: the two errors of a codec.
#[derive(Debug)]
pub(crate) struct OnArrival(pub(crate) Plan);

impl Serialize for OnArrival {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.fault {
            Fault::EncodeError => Err(S::Error::custom("it can't be encoded")),
            _ => self.0.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for OnArrival {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let plan = Plan::deserialize(from)?;
        match plan.fault {
            Fault::DecodeError => Err(D::Error::custom("it can't be decoded")),
            _ => Ok(OnArrival(plan)),
        }
    }
}

/// Faults when it is decoded; its encode error comes at submit.
#[derive(Debug)]
pub(crate) struct Argument(pub(crate) Plan);

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.fault {
            Fault::EncodeError => Err(S::Error::custom("it can't be encoded")),
            _ => self.0.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let plan = Plan::deserialize(from)?;
        plan.commit_among_others();
        match plan.fault {
            Fault::DecodeError => Err(D::Error::custom("it can't be decoded")),
            _ => Ok(Argument(plan)),
        }
    }
}

/// Faults when it is encoded.
#[derive(Debug)]
pub(crate) struct Outcome(Plan);

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.commit_among_others();
        match self.0.fault {
            Fault::EncodeError => Err(S::Error::custom("it can't be encoded")),
            _ => to.serialize_u32(SURVIVED),
        }
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u32::deserialize(from)?;
        Ok(Outcome(Plan { fault: Fault::Exit0, folder: PathBuf::new() }))
    }
}

/// Several times what sockets hold.
const BALLAST: usize = 24 << 20;

/// Grows when it is encoded, and tells when that is done: what comes then is that it is sent.
#[derive(Debug)]
pub(crate) struct Large {
    plan: Plan,
    ballast: String,
}

impl Serialize for Large {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (&self.plan, "r".repeat(BALLAST)).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Large {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (plan, ballast) = <(Plan, String)>::deserialize(from)?;
        match plan.fault {
            Fault::DecodeError => Err(D::Error::custom("it can't be decoded")),
            _ => Ok(Large { plan, ballast }),
        }
    }
}

impl Large {
    pub(crate) fn is_whole(&self) -> bool {
        self.ballast.len() == BALLAST && self.ballast.bytes().all(|byte| byte == b'r')
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        if self.ballast.is_empty() {
            self.plan.tell("encoded");
        }
    }
}

/// An initializer that ends when it is told to: what is submitted meanwhile travels together.
pub(crate) fn wait_until_open(plan: Plan) {
    plan.listen("open");
}

// ---- a driver that is held ---------------------------------------------------------------------------

/// While this is closed, the driver that decodes a [`Held`] result waits in there.
static HELD: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Holds drivers until it is dropped.
pub(crate) struct Hold(());

impl Hold {
    pub(crate) fn new() -> Self {
        *HELD.0.lock().unwrap() = true;
        Hold(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        *HELD.0.lock().unwrap() = false;
        HELD.1.notify_all();
    }
}

/// A result whose decoding takes as long as the test likes.
#[derive(Debug, Serialize)]
pub(crate) struct Held(u32);

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = u32::deserialize(from)?;
        drop(HELD.1.wait_while(HELD.0.lock().unwrap(), |held| *held).unwrap());
        Ok(Held(value))
    }
}

pub(crate) fn hold_the_driver(_: ()) -> Held {
    Held(std::process::id())
}

impl Held {
    pub(crate) fn pid(&self) -> u32 {
        self.0
    }
}
