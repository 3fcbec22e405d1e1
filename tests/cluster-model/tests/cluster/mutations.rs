//! What each rule is for: taken away, something goes wrong, and this is what.

use super::properties::Property;
use super::rules::{Rule, Scope};

pub(crate) struct Mutation {
    pub(crate) rule: Rule,
    /// What is seen first, by a shortest way.
    pub(crate) fails: Property,
    /// The scope in which it is seen.
    pub(crate) scope: Scope,
}

pub(crate) const MUTATIONS: &[Mutation] = {
    use Property as P;
    use Rule as R;
    const NO: Scope = Scope::new();
    const ONE: Scope = Scope { tasks: 1, ..Scope::new() };
    const ONCE: [u8; 2] = [1, 0];
    const BREAK: Scope = Scope { breaks: 1, ..Scope::new() };
    const DEATH: Scope = Scope { deaths: 1, ..Scope::new() };
    const LAPSE: Scope = Scope { lapses: 1, ..Scope::new() };
    const RESTART: Scope = Scope { restarts: 1, ..Scope::new() };
    const RESTARTS: Scope = Scope { restarts: 2, ..ONE };
    const LATE: Scope = Scope { restarts: 1, late_node: true, ..Scope::new() };
    const FORGET: Scope = Scope { forgets: 1, ..Scope::new() };
    const CLIENT: Scope = Scope { client_deaths: 1, ..Scope::new() };
    &[
        breaks(R::SubmitFenced, P::BegunTwice, BREAK),
        breaks(R::CancelFenced, P::Stuck, Scope { cancels: true, ..BREAK }),
        breaks(R::ScanBeforeRead, P::BegunTwice, BREAK),
        breaks(R::HeldIsThere, P::BegunTwice, Scope { restarts: 1, breaks: 1, ..ONE }),
        breaks(R::HistoryRead, P::Stuck, BREAK),
        breaks(R::OldConnectionEnds, P::BegunTwice, Scope { breaks: 1, deaths: 1, ..Scope::new() }),
        breaks(R::LimitStated, P::BegunTwice, DEATH),
        breaks(R::CreditBeforeUse, P::BegunTwice, DEATH),
        breaks(R::BuryHonoursLimit, P::BegunTwice, DEATH),
        breaks(R::BuryKeepsLimit, P::BegunTwice, Scope { breaks: 1, lapses: 1, ..Scope::new() }),
        breaks(R::BuryAwaitsClient, P::BegunTwice, Scope { restarts: 1, deaths: 1, ..ONE }),
        breaks(R::GrantNeedsLease, P::BegunTwice, LAPSE),
        breaks(R::LapsedIsFinal, P::BegunTwice, LAPSE),
        breaks(R::CancelOnlyNew, P::CancelledBegun, Scope { cancels: true, ..NO }),
        breaks(R::DoubtAfterLife, P::BegunTwice, RESTART),
        breaks(R::RecentTestified, P::BegunTwice, RESTART),
        breaks(
            R::RecentByAttempt,
            P::WrongLoss,
            Scope { restarts: 1, crashes: 1, retries: ONCE, ..Scope::new() },
        ),
        breaks(R::KilledTestified, P::BegunTwice, Scope { restarts: 1, forgets: 1, ..ONE }),
        breaks(R::WitnessesAwaited, P::BegunTwice, RESTART),
        breaks(R::WitnessBeforeRead, P::BegunTwice, RESTART),
        breaks(R::WitnessIsKnown, P::BegunTwice, RESTARTS),
        breaks(R::DoubtOnlyOnce, P::BegunTwice, RESTARTS),
        breaks(
            R::HeldByAttempt,
            P::Stuck,
            Scope { restarts: 1, lapses: 1, crashes: 1, one_node: true, retries: ONCE, ..ONE },
        ),
        breaks(R::JoinWaits, P::BegunTwice, LATE),
        breaks(R::ForgetAfterRead, P::BegunTwice, Scope { restarts: 1, deaths: 1, ..ONE }),
        breaks(R::CreditLapses, P::BegunTwice, Scope { restarts: 1, lapses: 1, late_node: true, ..ONE }),
        breaks(R::OldAnswerNamesNone, P::Stuck, RESTART),
        breaks(R::NewNameDropsReady, P::BegunTwice, RESTART),
        breaks(R::VerdictByAttempt, P::WrongLoss, Scope { restarts: 1, lapses: 2, retries: ONCE, ..ONE }),
        breaks(R::LateDropped, P::ResolvedTwice, Scope { lapses: 1, ..LAPSE }),
        breaks(R::ForgottenIsLost, P::BegunTwice, FORGET),
        breaks(R::GrantNeedsClient, P::DeadClientBegun, CLIENT),
        breaks(R::CreditNeedsClient, P::DeadClientBegun, CLIENT),
        breaks(
            R::CreditSkipsNone,
            P::BegunTwice,
            Scope { late_node: true, forgets: 1, deaths: 1, ..Scope::new() },
        ),
        breaks(R::DeadAreDropped, P::Stuck, CLIENT),
        breaks(R::KillOnlySeen, P::KilledAlive, Scope { restarts: 1, ..CLIENT }),
        breaks(R::ArgumentFirst, P::ArgumentGone, Scope { beside: true, ..NO }),
        breaks(R::ArgumentByAttempt, P::ArgumentGone, Scope { beside: true, retries: ONCE, ..LAPSE }),
        breaks(R::BlobFirst, P::BlobGone, Scope { shared: true, ..NO }),
        breaks(R::BlobByPlace, P::BlobGone, Scope { shared: true, ..RESTART }),
        breaks(R::BlobWhileOut, P::BlobGone, Scope { shared: true, ..NO }),
        breaks(R::BlobEndsWithClient, P::BlobLeft, Scope { shared: true, ..CLIENT }),
        breaks(R::BlobNeedsClient, P::BlobLeft, Scope { shared: true, ..CLIENT }),
        breaks(R::WaitingNotHeld, P::BlobGone, Scope { shared: true, ..RESTART }),
        breaks(R::BackOnceCertain, P::BegunTwice, Scope { pooled: true, ..NO }),
    ]
};

const fn breaks(rule: Rule, property: Property, scope: Scope) -> Mutation {
    Mutation { rule, fails: property, scope }
}
