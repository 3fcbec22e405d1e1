//! The protocol's rules, each of which can be taken away; and what is in a scope.

use super::state::{LANES, Set, Task};

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// A rule of the protocol. `src/process_pool/PROTOCOL.md` says what each is for; without it the model does what a careless
        /// implementation would.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            pub(crate) const ALL: &[Rule] = &[$(Rule::$rule),*];
        }
    };
}

rules! {
    /// A slot is used again only when `over` says that the worker is through with its frame.
    SlotWaitsForOver,
    /// ... and only when every entry of its table is empty.
    SlotWaitsForResults,
    /// `limit` is set before the frame's first byte is written. Without: after its last.
    LimitBeforeBytes,
    /// The worker begins by compare-and-swap. Without: by a load and a store.
    BeginByCas,
    /// `cancel()` lowers `limit` by compare-and-swap. Without: by a load and a store.
    CancelByCas,
    /// Before a reply the worker looks whether the frame is through. Without: only after it, and doesn't ring for it.
    LookBeforeReply,
    /// Before a reply it moves `over` only if `begun == limit`. Without: always.
    OverOnlyAtLimit,
    /// A worker that moved `over` and has written nothing since rings before it waits.
    OverRings,
    /// Through is through: it never looks at that claim word again.
    ThroughIsFinal,
    /// The worker looks at `doorbell` after it put a reply in the ring, and sends a doorbell frame if it was 1. Without: it doesn't.
    ReplyRings,
    /// The worker notes whose a result slot is before it gives the reply. Without: after it.
    SlotBeforeTail,
    /// A result that finds no free slot is part of its reply. Without: the worker waits for a slot.
    NoWaitForSlot,
    /// The parent frees a slot when it has copied what lies there. Without: before.
    SlotFreedAfterCopy,
    /// The worker rings when it begins a task with a time limit.
    LimitedRings,
    /// Pop, table, claim and `sent` are one critical section.
    TableWithQueue,
    /// Taking what is out of the table happens once, by who empties the entry: a recall empties as well.
    RecallEmpties,
    /// The dead worker's tasks are recalled and settled in one critical section. Without: read, then settled.
    DeathRecalls,
    /// Socket and ring are drained before the dead worker is reaped.
    DrainBeforeReap,
    /// Half a reply is no result.
    HalfIsVoid,
    /// A dead worker is replaced while tasks are queued, in shutdown too.
    RespawnWhileQueued,
    /// A driver recalls before it kills.
    RecallBeforeKill,
    /// After the recall it takes all there is off the socket and out of the ring.
    DrainBeforeKill,
    /// A request to kill ends with the task's result, even if the driver has taken it up.
    ResultEndsKill,
    /// It ships nothing once it has sent the signal.
    NoShipAfterSignal,
    /// Only the driver sends signals. Without: any thread that calls `kill()`.
    DriverSignals,
    /// `kill()` recalls by itself what has not begun. Without: it only asks the driver.
    KillRecalls,
    /// Requests to kill are kept for each task. Without: one for each worker, the last.
    KillsAreASet,
    /// A driver that can't take what is queued wakes one that can.
    PassOn,
    /// A driver whose worker died is no longer on the idle list when it passes on.
    DeadIsNotIdle,
    /// Whoever finds nobody idle and a vacant place starts a driver for it. Without: `cancel()` marks it only.
    StartsAreKept,
    /// Before it sleeps a driver looks at `tail` once more, `doorbell` being set.
    SecondLook,
    /// `head` moves in the critical section that empties the entry. Without: a waiter's entry is emptied in a later one.
    HeadWithEntry,
    /// A waiter direct_waits only if `doorbell` was 1, so that one direct_waits at a time. Without: always.
    OneDirectWait,
    /// A waiter that took the reply decides for the driver: onto the idle list, or woken. Without: neither.
    TakerDecides,
    /// ... woken too if it could steal.
    StealableWakes,
    /// A waiter that enables the doorbell again looks at `tail` once more.
    EnableLooks,
    /// The eventfd is cleared before the dispatcher is looked at.
    ClearBeforeLook,
    /// Finding nothing to do and entering the idle list are one critical section.
    IdleInSection,
    /// `submit` wakes an idle driver. Without: any that sleeps.
    SubmitWakesIdle,
    /// Recalled tasks wake as many idle drivers.
    RequeueWakes,
    /// A thief leaves the only task of a worker that runs nothing.
    LoneTaskStays,
    /// A thief reckons what it takes from `limit`, which nobody else can lower now. Without: from `begun`, which moves.
    StealFromLimit,
    /// The argument is kept until the future is resolved. Without: until its frame is written.
    ArgumentKept,
    /// The out-buffer owns its bytes.
    BufferOwns,
    /// A frame once started is written to its end.
    FrameWhole,
    /// A driver with bytes to write polls for room.
    PollForRoom,
    /// A user's thread that can't send all of a frame wakes the driver.
    RestWakes,
    /// `shutdown` wakes every driver.
    ShutdownWakes,
    /// A worker is closed only when nothing is in flight.
    CloseWhenEmpty,
    /// `shutdown(cancel)` recalls what was shipped.
    CancelRecalls,
    /// ... and what comes back later is cancelled.
    CancelsReturned,
    /// Within a batch, who is asked to stop only rises.
    AskRises,
    /// A slot that is used again says of nobody that it is asked.
    AskIsOfItsBatch,
    /// A task that was asked to stop is not tried once more.
    AskedIsNotRetried,
    /// A kill recalls the newest frame first.
    NewestFirst,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) name: &'static str,
    pub(crate) tasks: Task,
    /// `max_workers`: 1 or 2.
    pub(crate) workers: usize,
    /// Queued from the start, with both workers up. Zero: there are none yet.
    pub(crate) queued: Task,
    /// A driver may ship one task where two would go.
    pub(crate) any_batch: bool,
    /// Their replies come in two parts.
    pub(crate) large: Set,
    /// Their results lie in a result slot, if one is free.
    pub(crate) apart: Set,
    /// They have a time limit.
    pub(crate) limited: Set,
    /// They end their worker.
    pub(crate) crashing: Set,
    /// They may be tried once more.
    pub(crate) retried: Set,
    /// From outside, at any step.
    pub(crate) sigkills: u8,
    pub(crate) cancels: u8,
    /// By `kill()`, or because the time is up.
    pub(crate) kills: u8,
    /// By `ask_to_stop()`.
    pub(crate) asks: u8,
    /// `max_tasks_per_child`; zero: none.
    pub(crate) max_tasks: u8,
    /// A worker that is idle for too long is closed.
    pub(crate) idle_ends: bool,
    pub(crate) may_drain: bool,
    /// ... but not before everything is resolved.
    pub(crate) drains_late: bool,
    pub(crate) may_cancel_all: bool,
    /// Half frames that the kernel's buffer holds; 1: less than a frame.
    pub(crate) buffer: u8,
    /// Replies that the ring holds; 0: all are too large for it.
    pub(crate) ring: u8,
    /// How often a thread that waits may wait directly.
    pub(crate) direct_waits: u8,
    /// Some accesses are one step with their neighbour: a driver's look at the socket and the one at the ring, its waking
    /// and `doorbell` back to 0, a worker's look at `doorbell` and the swap.
    pub(crate) coarse: bool,
    pub(crate) without: Option<Rule>,
}

impl Scope {
    pub(crate) const fn new(name: &'static str, tasks: Task, queued: Task) -> Scope {
        Scope {
            name,
            tasks,
            workers: LANES,
            queued,
            any_batch: false,
            large: Set::of(&[]),
            apart: Set::of(&[]),
            limited: Set::of(&[]),
            crashing: Set::of(&[]),
            retried: Set::of(&[]),
            sigkills: 0,
            cancels: 0,
            kills: 0,
            asks: 0,
            max_tasks: 0,
            idle_ends: false,
            may_drain: true,
            drains_late: false,
            may_cancel_all: false,
            buffer: 3,
            ring: 0,
            direct_waits: 0,
            coarse: false,
            without: None,
        }
    }

    pub(crate) fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    pub(crate) fn lacks(&self, rule: Rule) -> bool {
        !self.keeps(rule)
    }
}
