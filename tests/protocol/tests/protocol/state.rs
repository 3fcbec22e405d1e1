//! What there is: the words of the segment, the socket, a worker, its driver, and the dispatcher.
//!
//! Everything is small and plain: a state is copied, compared and hashed millions of times.

/// A task's number, from 1.
pub(crate) type Task = u8;
/// In a task's place: there is none.
pub(crate) const NONE: Task = 0;
/// The most tasks in a scope.
pub(crate) const TASKS: usize = 4;
/// Workers, each with its driver.
pub(crate) const LANES: usize = 2;
/// Claim words in a segment: frames in flight to one worker.
pub(crate) const SLOTS: usize = 2;
/// Threads that wait directly at once.
pub(crate) const WAITERS: usize = 2;
/// The tasks of one frame, in order.
pub(crate) type Batch = [Task; 2];

/// A set of tasks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Set(u8);

impl Set {
    pub(crate) const ALL: Set = Set(u8::MAX);

    pub(crate) const fn of(tasks: &[Task]) -> Set {
        let (mut set, mut i) = (0, 0);
        while i < tasks.len() {
            set |= 1 << tasks[i];
            i += 1;
        }
        Set(set)
    }

    pub(crate) fn has(self, task: Task) -> bool {
        self.0 >> task & 1 == 1
    }

    pub(crate) fn add(&mut self, task: Task) {
        self.0 |= 1 << task;
    }

    pub(crate) fn remove(&mut self, task: Task) {
        self.0 &= !(1 << task);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// `claim`: of a frame's tasks, `begun` were begun and those below `limit` may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Claim {
    pub(crate) limit: u8,
    pub(crate) begun: u8,
}

impl Claim {
    pub(crate) fn unbegun(self) -> u8 {
        self.limit.saturating_sub(self.begun)
    }
}

/// The word of a result slot, of which the model has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum SlotWord {
    #[default]
    Free,
    Held,
    /// Of the reply with this slot and index of a frame.
    Of(u8, u8),
}

/// What both sides map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Segment {
    pub(crate) claim: [Claim; SLOTS],
    /// Beside each: one more than the index of the task that is asked to stop. The batch's number is left out, as if it came
    /// round at once.
    pub(crate) asked: [u8; SLOTS],
    /// Frames sent less `over`: both only grow, and only their difference is ever asked for.
    pub(crate) unfinished: u8,
    /// A reply in the ring is to be followed by a doorbell frame.
    pub(crate) doorbell: bool,
    /// What lies between `head` and `tail`, the oldest first.
    pub(crate) ring: [Reply; 2],
    pub(crate) result_slot: SlotWord,
    /// Whose values lie in it.
    pub(crate) values: Task,
}

impl Segment {
    /// `tail` is past `head`.
    pub(crate) fn has_replies(&self) -> bool {
        self.ring[0].task != NONE
    }

    /// Moves `tail`, unless the ring is full.
    pub(crate) fn put(&mut self, reply: Reply, room: u8) -> bool {
        let free = self.ring[..room as usize].iter_mut().find(|place| place.task == NONE);
        free.map(|place| *place = reply).is_some()
    }

    /// Moves `head`.
    pub(crate) fn take(&mut self) -> Option<Reply> {
        let [first, second] = self.ring;
        self.ring = [second, Reply::default()];
        (first.task != NONE).then_some(first)
    }
}

/// What goes down the socket: the slot whose claim word rules it, and its tasks as they were shipped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Frame {
    pub(crate) slot: u8,
    pub(crate) tasks: Batch,
}

impl Frame {
    pub(crate) fn is_none(self) -> bool {
        self.tasks == [NONE; 2]
    }
}

/// A result on its way: the parent finds the future by slot and index. `task` is the truth, which no word says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Reply {
    pub(crate) slot: u8,
    pub(crate) index: u8,
    pub(crate) task: Task,
    /// Its large values lie in a result slot, it says.
    pub(crate) apart: bool,
}

/// What comes up the socket. A small reply comes by the ring, while that has room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Item {
    #[default]
    Nothing,
    /// A doorbell.
    Doorbell,
    /// A small reply.
    Whole(Reply),
    /// The first part of a large reply.
    Half(Reply),
    /// Its end.
    Rest(Reply),
}

/// A stream each way. What is in the parent's out-buffer counts here too: the frames are the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Socket {
    /// Shipped and not yet wholly read; the oldest first.
    pub(crate) frames: [Frame; 3],
    /// Half frames in the kernel's buffer.
    pub(crate) down: u8,
    /// Half frames in the driver's out-buffer.
    pub(crate) out: u8,
    /// The parent writes no more.
    pub(crate) closed: bool,
    pub(crate) up: [Item; 2],
}

impl Socket {
    pub(crate) fn frames(&self) -> usize {
        self.frames.iter().filter(|frame| !frame.is_none()).count()
    }

    pub(crate) fn take_frame(&mut self) -> Frame {
        let frame = self.frames[0];
        self.frames.rotate_left(1);
        self.frames[2] = Frame::default();
        frame
    }

    /// Whether there was room.
    pub(crate) fn push(&mut self, item: Item) -> bool {
        let free = self.up.iter_mut().find(|item| **item == Item::Nothing);
        free.map(|place| *place = item).is_some()
    }

    pub(crate) fn take_item(&mut self) -> Item {
        let item = self.up[0];
        self.up = [self.up[1], Item::Nothing];
        item
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Life {
    #[default]
    Gone,
    /// Its hello has not come.
    Starting,
    Up,
}

/// Where a worker is: each is one access to the segment or the socket, but for `Run`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum WorkerAt {
    /// W1: the next frame, else the doorbell, else wait.
    #[default]
    Read,
    /// W2: begin the frame's next task, or be through.
    Begin,
    /// Without `BeginByCas`: the store after the load.
    BeginStore,
    /// W2: the doorbell of a task with a time limit.
    Clock,
    /// The user's function.
    Run,
    /// The result is encoded: hold a result slot, and write there.
    Hold,
    /// W3: is the frame through?
    Look,
    /// It is.
    Over,
    /// W4: whose the result slot is.
    Note,
    /// W4: the reply, or its first part.
    Reply,
    /// Its end.
    Rest,
    /// It is in the ring: look at `doorbell`, swap it, write the frame.
    Doorbell,
    Swap,
    Ring,
    /// Without `SlotBeforeTail`: the note after the reply.
    NoteLate,
}

/// The worker process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    pub(crate) at: WorkerAt,
    /// Half a frame was read.
    pub(crate) half: bool,
    pub(crate) frame: Frame,
    pub(crate) index: u8,
    /// `over` counts the frame in hand already.
    pub(crate) through: bool,
    /// Its result lies in a result slot.
    pub(crate) holds: bool,
    /// `over` has moved and nothing was written since.
    pub(crate) unannounced: bool,
    /// The driver's SIGKILL is on its way; meant for this task.
    pub(crate) signal: Task,
}

impl Process {
    pub(crate) fn task(&self) -> Task {
        self.frame.tasks[self.index as usize & 1]
    }

    pub(crate) fn runs(&self) -> bool {
        self.life == Life::Up && self.at == WorkerAt::Run
    }
}

/// Where a driver is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum DriverAt {
    /// Waits for hello.
    #[default]
    Start,
    /// D1, if there is a ring: set `doorbell`, then look at `tail`.
    Enable,
    Look,
    /// D1, without waiting.
    Poll,
    /// D1, waiting.
    Sleep,
    /// D1, if there is a ring: `doorbell` back to 0.
    Disable,
    /// D2: one item off the socket, then one out of the ring.
    Drain,
    Ring,
    /// D4: half a frame from the out-buffer.
    Write,
    /// D3: the critical section.
    Decide,
    /// Kill: the newest slot, the other, the socket, the ring, the check.
    KillRecallNewest,
    KillRecallOldest,
    KillDrain,
    KillRing,
    KillCheck,
    /// Death: socket and ring, which nobody fills any more, then the section that reaps.
    DeathDrain,
    DeathReads,
    Reap,
    /// There is none, nor a worker.
    End,
    /// Without `StartsAreKept`: said to be starting, and nobody does it.
    Forgotten,
    /// Without `IdleInSection`, `ClearBeforeLook`: the step that comes too late.
    Late,
    /// Without `TableWithQueue`: popped, in no table.
    Popped,
}

/// A driver's own things, and those of its worker that the dispatcher holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Driver {
    pub(crate) at: DriverAt,
    /// Its eventfd.
    pub(crate) event: bool,
    /// On the idle list.
    pub(crate) idle: bool,
    /// It polls for room: something was left to write when it went to sleep.
    pub(crate) for_room: bool,
    /// The slot to use next, so the one with the older frame.
    pub(crate) next: u8,
    /// `table[slot][index]`: in flight; empty = resolved or recalled.
    pub(crate) table: [Batch; SLOTS],
    /// The first part of a large reply.
    pub(crate) partial: Reply,
    /// Out of the table, its outcome not yet published.
    pub(crate) collected: Task,
    /// What of it lies in a result slot is not freed yet.
    pub(crate) apart: Apart,
    /// To be killed.
    pub(crate) kill: Set,
    /// The signal was sent.
    pub(crate) kill_sent: bool,
    /// Results of this worker, for `max_tasks_per_child`.
    pub(crate) given: u8,
    /// Seen begun: their clocks run.
    pub(crate) clocked: Set,
    /// What some broken rules remember between two sections that should be one.
    pub(crate) stale: [Batch; SLOTS],
}

/// What is left to do in the parent with a result slot: it copies and it frees.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Apart {
    /// The reply whose values lie there.
    pub(crate) reply: Reply,
    pub(crate) is_copied: bool,
    pub(crate) is_freed: bool,
}

impl Apart {
    /// Of a reply that was taken.
    pub(crate) fn of(reply: Reply) -> Apart {
        Apart { reply: if reply.apart { reply } else { Reply::default() }, ..Apart::default() }
    }

    pub(crate) fn is_done(self) -> bool {
        self.reply.task == NONE || self.is_copied && self.is_freed
    }
}

/// One driver, its worker, and what is between them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Lane {
    pub(crate) process: Process,
    pub(crate) segment: Segment,
    pub(crate) socket: Socket,
    pub(crate) driver: Driver,
}

impl Lane {
    pub(crate) fn in_flight(&self) -> u8 {
        self.driver.table.iter().flatten().filter(|&&task| task != NONE).count() as u8
    }

    pub(crate) fn unbegun(&self) -> u8 {
        self.segment.claim.iter().map(|claim| claim.unbegun()).sum()
    }

    /// A task has begun and its reply was not collected.
    pub(crate) fn is_busy(&self) -> bool {
        (0..SLOTS).any(|k| {
            (0..self.segment.claim[k].begun as usize & 3).any(|i| self.driver.table[k][i & 1] != NONE)
        })
    }

    pub(crate) fn place_of(&self, task: Task) -> Option<(usize, usize)> {
        let places = [(0, 0), (0, 1), (1, 0), (1, 1)];
        places.into_iter().find(|&(slot, index)| self.driver.table[slot][index] == task)
    }

    /// The process is no more. What it wrote can still be read; what it has not read is gone.
    pub(crate) fn die(&mut self) {
        self.process = Process::default();
        self.socket.frames = Default::default();
        self.socket.down = 0;
        self.socket.out = 0;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Outcome {
    #[default]
    Open,
    Done,
    Died,
    Cancelled,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Shutdown {
    #[default]
    No,
    Drain,
    Cancel,
}

/// What a user's thread has left to do; all but the first only where a rule is broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Call {
    #[default]
    None,
    /// It has shipped to an idle worker, and is to send the frame.
    Flush { lane: u8 },
    /// Without `DriverSignals`.
    Signal { lane: u8, task: Task },
    /// Without `CancelByCas`.
    Store { lane: u8, slot: u8, index: u8 },
    /// Without `StealFromLimit`: the thief, which holds the dispatcher, and how many of how many unbegun tasks it takes.
    Steal { lane: u8, slot: u8, take: u8, of: u8 },
}

/// Where a thread is that direct_waits from outside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) enum WaiterAt {
    /// Nowhere; or it waits as others do, which is no step.
    #[default]
    Away,
    /// It has task and segment; `doorbell` is to be swapped.
    Found,
    /// It looks at `tail`.
    Spin,
    /// That has moved: the critical section.
    Take,
    /// Without `HeadWithEntry`: the reply is out of the ring, its entry is full.
    Late,
    /// Back to the driver: set `doorbell`, look at `tail`, wake it.
    Enable,
    Look,
    Wake,
    /// The ring is the driver's again: it decodes, which is the user's code.
    Decode,
    /// Its worker was reaped: what it took it has.
    CutOff,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Waiter {
    pub(crate) at: WaiterAt,
    pub(crate) lane: u8,
    /// What it waits for.
    pub(crate) task: Task,
    /// It took the reply.
    pub(crate) has: bool,
    /// It decided that the driver is to be woken.
    pub(crate) wakes: bool,
    pub(crate) apart: Apart,
}

/// Everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct State {
    pub(crate) lanes: [Lane; LANES],
    pub(crate) queue: [Task; TASKS],
    pub(crate) shutdown: Shutdown,
    /// `shutdown(cancel)` has returned.
    pub(crate) closed: bool,
    /// The last task submitted.
    pub(crate) submitted: Task,
    pub(crate) call: Call,
    pub(crate) waiters: [Waiter; WAITERS],
    // What may still happen.
    pub(crate) sigkills: u8,
    pub(crate) cancels: u8,
    pub(crate) kills: u8,
    pub(crate) asks: u8,
    pub(crate) direct_waits: u8,
    // What the checks need to know. By task; the first place is unused.
    pub(crate) outcome: [Outcome; TASKS + 1],
    pub(crate) begins: [u8; TASKS + 1],
    /// The last byte of their reply was written.
    pub(crate) replied: Set,
    pub(crate) retried: Set,
    /// Their argument was given back.
    pub(crate) freed: Set,
    /// `kill()` was called, or the time was up.
    pub(crate) killed: Set,
    /// They had begun when they were asked to stop.
    pub(crate) asked: Set,
    /// Idle drivers that this step wakes; none are left over between steps.
    pub(crate) wakes: u8,
    /// ... and can't start one if none is idle.
    pub(crate) only_idle: bool,
    pub(crate) broken: Option<super::checks::Property>,
}

impl State {
    pub(crate) fn queued(&self) -> u8 {
        self.queue.iter().filter(|&&task| task != NONE).count() as u8
    }
}
