//! The protocol's rules, each of which can be taken away; and what is in a scope.

use super::state::TASKS;
use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// A rule of the protocol. `concurrent-futures-redis/PROTOCOL.md` says what each is for; without it the model does what a
        /// careless implementation would.
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
    /// SUBMIT is refused unless its session is the client's last.
    SubmitFenced,
    /// CANCEL too.
    CancelFenced,
    /// After a break the client looks at the stream first, then at its replies. Without: the other way round.
    ScanBeforeRead,
    /// ... and what a node has testified to hold counts as being in the stream.
    HeldIsThere,
    /// After a break the node reads again what it was given.
    HistoryRead,
    /// ... and before that ends its old connection at the server. Without: what is still in it is done at any time.
    OldConnectionEnds,
    /// What a node may have begun, it says before it begins. Without: the server knows no limit.
    LimitStated,
    /// Credit is stated before it is used. Without: in the next STEP.
    CreditBeforeUse,
    /// BURY answers `lost` for what may have begun. Without: all goes back into the stream.
    BuryHonoursLimit,
    /// BURY leaves the limit as it is. Without: it deducts what it answered.
    BuryKeepsLimit,
    /// What a dead node held, and whose client has not come to this life yet, stays for a later BURY.
    BuryAwaitsClient,
    /// A STEP grants begins only while the lease lives.
    GrantNeedsLease,
    /// A lease that ran out stays so.
    LapsedIsFinal,
    /// CANCEL removes only what no node was given. Without: also what lies beyond the limit.
    CancelOnlyNew,
    /// What was on its way when a life ended is in doubt. Without: queued again.
    DoubtAfterLife,
    /// A testimony says what the node answered lately.
    RecentTestified,
    /// ... and it is the attempt that it answered, not the task.
    RecentByAttempt,
    /// What was killed for want of its client was answered, to nobody.
    KilledTestified,
    /// In doubt, the client waits for each node that it knew. Without: it asks those that are there.
    WitnessesAwaited,
    /// The client reads the testimonies first, then its replies. Without: the other way round.
    WitnessBeforeRead,
    /// A node that has testified is known.
    WitnessIsKnown,
    /// A task in doubt that sees yet another life is given up unless a node holds it.
    DoubtOnlyOnce,
    /// Held is the attempt, not the task.
    HeldByAttempt,
    /// A node fetches only once the clients may know it.
    JoinWaits,
    /// A client forgets a dead node only with its replies read.
    ForgetAfterRead,
    /// A node uses no credit later than a lease after its last beat. Without: clients forget names that may still begin.
    CreditLapses,
    /// An answer to what began in an earlier life names no entry.
    OldAnswerNamesNone,
    /// A node that takes a new name drops what it has not begun.
    NewNameDropsReady,
    /// `lost` counts only for the attempt that it was said of.
    VerdictByAttempt,
    /// What comes for a resolved task is dropped.
    LateDropped,
    /// A client whose keys ran out gives up what was on its way. Without: it looks for it as after a break.
    ForgottenIsLost,
    /// A STEP grants nothing to a client that is gone.
    GrantNeedsClient,
    /// By credit begins only what belongs to a client that lived at the node's last beat.
    CreditNeedsClient,
    /// What may not begin by credit is not passed over.
    CreditSkipsNone,
    /// What no node may begin any more is removed from the stream.
    DeadAreDropped,
    /// What began in an earlier life is killed only if its client was seen in this one. Without: if it is not there.
    KillOnlySeen,
    /// An argument lies there before its entry.
    ArgumentFirst,
    /// It is removed with its attempt. Without: with any attempt of the task.
    ArgumentByAttempt,
    /// Shared data lies there before the first entry that names it.
    BlobFirst,
    /// In a new life, or under a new name, the client puts it there again.
    BlobByPlace,
    /// The client removes it only when no task that is unsure, shipped or in doubt carries it. Without: at any time.
    BlobWhileOut,
    /// It ends with the client's other keys.
    BlobEndsWithClient,
    /// It is not put there for a client that is gone.
    BlobNeedsClient,
    /// What still waits for it, or for a worker, when a life ends has not begun, and no testimony names it.
    WaitingNotHeld,
    /// What has begun is given back only once no worker can take it.
    BackOnceCertain,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// 1 or 2.
    pub(crate) tasks: usize,
    /// Of each task.
    pub(crate) retries: [u8; TASKS],
    /// The server starts again with nothing.
    pub(crate) restarts: u8,
    /// A node's process dies.
    pub(crate) deaths: u8,
    /// A lease runs out while its node lives.
    pub(crate) lapses: u8,
    /// A connection breaks.
    pub(crate) breaks: u8,
    /// A client's keys run out while it lives.
    pub(crate) forgets: u8,
    /// The client's process dies.
    pub(crate) client_deaths: u8,
    /// A worker dies.
    pub(crate) crashes: u8,
    /// The first task may be cancelled.
    pub(crate) cancels: bool,
    /// The first task's argument lies beside the stream.
    pub(crate) beside: bool,
    /// Both tasks carry the same shared data, which a node fetches before anything of one runs.
    pub(crate) shared: bool,
    /// A node begins one more than it has slots. It waits in the node's own pool, and may be given back.
    pub(crate) pooled: bool,
    /// Both tasks may go in one SUBMIT, or in two that are on their way at once.
    pub(crate) batches: bool,
    /// How many tasks a node runs at once: 1 or 2.
    pub(crate) slots: u8,
    /// A node may give back what it has not begun.
    pub(crate) backs: bool,
    /// The second node comes later.
    pub(crate) late_node: bool,
    /// ... or never, and no other in its place.
    pub(crate) one_node: bool,
    pub(crate) without: Option<Rule>,
}

impl Scope {
    pub(crate) const fn new() -> Scope {
        Scope {
            tasks: TASKS,
            retries: [0; TASKS],
            restarts: 0,
            deaths: 0,
            lapses: 0,
            breaks: 0,
            forgets: 0,
            client_deaths: 0,
            crashes: 0,
            cancels: false,
            beside: false,
            shared: false,
            pooled: false,
            batches: false,
            slots: 1,
            backs: false,
            late_node: false,
            one_node: false,
            without: None,
        }
    }

    pub(crate) fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    pub(crate) fn lacks(&self, rule: Rule) -> bool {
        !self.keeps(rule)
    }

    /// A client may vanish.
    pub(crate) fn loses_clients(&self) -> bool {
        self.forgets + self.client_deaths > 0
    }
}

/// What may happen in it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.restarts, "restart"),
            (self.deaths, "death"),
            (self.lapses, "lapse"),
            (self.breaks, "break"),
            (self.crashes, "crash"),
            (self.forgets, "client forgotten"),
            (self.client_deaths, "client dies"),
            (u8::from(self.cancels), "cancel"),
            (u8::from(self.beside), "payload beside"),
            (u8::from(self.shared), "shared data"),
            (u8::from(self.pooled), "pool"),
            (u8::from(self.batches), "batches"),
            (u8::from(self.backs), "backs"),
            (u8::from(self.slots == 2), "2 slots"),
            (u8::from(self.late_node), "late node"),
            (self.retries[0], "retry"),
            (u8::from(self.tasks == 1), "one task"),
            (u8::from(self.one_node), "one node"),
        ];
        let words = counts.iter().flat_map(|(count, word)| std::iter::repeat_n(*word, usize::from(*count)));
        let words: Vec<&str> = words.collect();
        f.write_str(if words.is_empty() { "nothing" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}
