//! What each rule is for: taken away, something goes wrong, and this is what.

use super::checks::Property;
use super::rules::Rule;

pub(crate) struct Mutation {
    pub(crate) rule: Rule,
    /// What is seen first, by a shortest way. None: nothing in any scope; the rule is kept for another reason.
    pub(crate) fails: Option<Property>,
    /// The scope in which it is seen.
    pub(crate) scope: &'static str,
}

pub(crate) const MUTATIONS: &[Mutation] = {
    use Property as P;
    use Rule as R;
    &[
        breaks(R::SlotWaitsForOver, P::BeginsResolved, "kill"),
        breaks(R::SlotWaitsForResults, P::WrongFuture, "submit 3"),
        breaks(R::LimitBeforeBytes, P::Sleeps, "4 queued"),
        breaks(R::BeginByCas, P::BeginsResolved, "cancel, SIGKILL"),
        breaks(R::CancelByCas, P::Sleeps, "cancel, SIGKILL"),
        breaks(R::LookBeforeReply, P::NeverEnds, "cancel, SIGKILL"),
        breaks(R::OverRings, P::Sleeps, "cancel, SIGKILL"),
        breaks(R::OverOnlyAtLimit, P::BeginsResolved, "submit 3"),
        breaks(R::ThroughIsFinal, P::BeginsResolved, "submit 3"),
        breaks(R::ReplyRings, P::Sleeps, "ring, submit"),
        breaks(R::SlotBeforeTail, P::WrongValues, "result slot, ring"),
        breaks(R::NoWaitForSlot, P::Sleeps, "result slot, ring"),
        breaks(R::SlotFreedAfterCopy, P::WrongValues, "result slot, ring"),
        breaks(R::LimitedRings, P::ClockStands, "time limits"),
        breaks(R::TableWithQueue, P::CancelRefused, "cancel, SIGKILL"),
        breaks(R::RecallEmpties, P::BeginsTwice, "SIGKILL"),
        breaks(R::DeathRecalls, P::BeginsTwice, "SIGKILL"),
        breaks(R::AskRises, P::AskUnseen, "2 asks"),
        breaks(R::AskIsOfItsBatch, P::AskMistaken, "one worker, ask"),
        breaks(R::AskedIsNotRetried, P::AskUnseen, "ask, SIGKILL, retry"),
        breaks(R::DrainBeforeReap, P::WrongLoss, "SIGKILL"),
        breaks(R::DrainBeforeReap, P::WrongLoss, "ring, SIGKILL"),
        breaks(R::HalfIsVoid, P::WrongLoss, "large replies, SIGKILL"),
        breaks(R::RespawnWhileQueued, P::Sleeps, "SIGKILL"),
        breaks(R::RecallBeforeKill, P::WrongVictim, "kill"),
        breaks(R::DrainBeforeKill, P::WrongVictim, "kill"),
        breaks(R::DrainBeforeKill, P::WrongVictim, "ring, kill"),
        breaks(R::ResultEndsKill, P::WrongVictim, "kill"),
        breaks(R::NoShipAfterSignal, P::WrongVictim, "kill"),
        breaks(R::DriverSignals, P::WrongVictim, "kill"),
        breaks(R::KillRecalls, P::KillIgnored, "kill"),
        breaks(R::KillsAreASet, P::KillIgnored, "2 kills"),
        breaks(R::PassOn, P::Sleeps, "submit, SIGKILL"),
        breaks(R::DeadIsNotIdle, P::Sleeps, "submit, SIGKILL"),
        breaks(R::StartsAreKept, P::Sleeps, "cancel, SIGKILL"),
        breaks(R::SecondLook, P::Sleeps, "ring, submit"),
        breaks(R::HeadWithEntry, P::WrongLoss, "ring, SIGKILL"),
        breaks(R::TakerDecides, P::Sleeps, "ring, submit"),
        breaks(R::StealableWakes, P::Sleeps, "two rings, 3 queued"),
        breaks(R::EnableLooks, P::Sleeps, "ring, submit"),
        breaks(R::ClearBeforeLook, P::Sleeps, "submit 3"),
        breaks(R::IdleInSection, P::Sleeps, "submit 3"),
        breaks(R::SubmitWakesIdle, P::Sleeps, "submit 3"),
        breaks(R::LoneTaskStays, P::Livelock, "1 queued"),
        breaks(R::StealFromLimit, P::Sleeps, "4 queued"),
        breaks(R::ArgumentKept, P::ArgumentGone, "SIGKILL"),
        breaks(R::BufferOwns, P::ArgumentGone, "cancel, SIGKILL"),
        breaks(R::FrameWhole, P::Sleeps, "cancel"),
        breaks(R::PollForRoom, P::Sleeps, "frames larger than the buffer"),
        breaks(R::RestWakes, P::Sleeps, "larger frames, submit"),
        breaks(R::ShutdownWakes, P::NeverEnds, "submit 3"),
        breaks(R::CancelRecalls, P::BeginsAfterShutdown, "shutdown(cancel)"),
        breaks(R::CancelsReturned, P::BeginsAfterShutdown, "shutdown(cancel), kill"),
        survives(R::OneDirectWait),
        survives(R::RequeueWakes),
        survives(R::CloseWhenEmpty),
        survives(R::NewestFirst),
    ]
};

const fn breaks(rule: Rule, property: Property, scope: &'static str) -> Mutation {
    Mutation { rule, fails: Some(property), scope }
}

const fn survives(rule: Rule) -> Mutation {
    Mutation { rule, fails: None, scope: "" }
}
