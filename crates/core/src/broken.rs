//! Rules that are broken on purpose, to see that the simulation finds it. Without the feature `broken-rules`, which no
//! build for use has, nothing here does anything.

#[cfg(feature = "broken-rules")]
use std::cell::Cell;

/// A rule of the design, and what breaking it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// An acknowledgement of an earlier incarnation counts.
    AckOfAnEarlierEpoch,
    /// An acknowledgement settles an edge although messages are held.
    HeldMessagesAreIgnored,
    /// An edge is drained after a number of requests, whatever the answers.
    TimeDrains,
    /// A node in backoff is restarted although the stop has begun.
    RestartInTheStop,
    /// The outputs of a node are closed although a restart follows.
    OutputsCloseAtACrash,
    /// The inputs of a node are closed, and its queue is dropped, although a restart follows.
    InputsCloseAtACrash,
    /// What a process that was reaped had in hand is not repaired.
    NoRepair,
    /// A restart has the epoch of the incarnation before.
    EpochStays,
    /// A stop is told to every node at once.
    EverybodyIsTold,
    /// The members of a cycle are told to stop before what was sent to them.
    CycleStopsAtOnce,
    /// The sender to a node that has ended for good is not told so.
    SenderIsNotReleased,
    /// The message that an actor panics over is lost.
    MessageInHandIsLost,
    /// An actor that has panicked is not built again.
    ActorIsNotRebuilt,
    /// A node's change of state is not taken off the old state's sum.
    StatisticsKeepTheOldState,
    /// Statistics count a change of state that the life cycle does not allow.
    AnyTransitionIsAllowed,
    /// A change of a node's state that has been counted counts once more when it comes late.
    LateChangeCounts,
    /// That changes of a node's state are missing before the one that was told is not seen.
    GapIsNotSeen,
    /// That a delta of statistics is missing before the one that was told is not seen.
    MissedDeltaIsNotSeen,
    /// A row of a delta is taken whatever it is older than.
    AnyRowBelongs,
    /// What has gone at another keeper counts again with each word of it.
    GoneCountsAgain,
    /// A keeper that has ended counts once more.
    EndedKeeperCounts,
    /// Nodes whose names came too late are in no group.
    LateNamesAreLost,
    /// An edge does not know what its nodes have counted on it.
    EdgesForgetWhatTheyCount,
    /// What a member has counted is not kept when it goes.
    CountersGoWithTheirMember,
    /// A moment that is earlier than the last is believed.
    MomentsGoBack,
    /// A node counts as ready when its process runs.
    ReadyWhenStarted,
    /// Nobody is named while a stop waits.
    WaitingNamesNobody,
    /// The outputs of a node that is parked are closed.
    ParkedOutputsClose,
    /// A restart by hand counts for the restart policy.
    RestartByHandCounts,
    /// A node is restarted more often than its policy allows.
    RestartsHaveNoEnd,
    /// A node is restarted although its policy says never.
    NeverIsIgnored,
    /// A node that crashes is not restarted.
    CrashIsTheEnd,
    /// The segments of a node that has ended are kept.
    SegmentsAreKept,
    /// A cycle in which somebody works counts as being at rest.
    BusyCycleIsAtRest,
    /// What a fetch says that was given up counts for the one after it.
    LateFetchIsBelieved,
    /// A node starts when one of its models is there.
    OneModelIsEnough,
    /// What an agent misses while it does not run counts against its peers.
    OwnStallIsIgnored,
    /// A probe without an answer is no miss.
    MissedProbesDoNotCount,
    /// A dial that fails is no miss.
    FailedDialsDoNotCount,
    /// Who was dialled in vain some times is not dialled any more.
    DialsHaveAnEnd,
    /// Of two connections each side keeps the one that it has dialled itself.
    EachKeepsItsOwn,
    /// A second agent with a peer's id takes the place of the first.
    SecondAgentWins,
    /// An answer that tells of a slow control loop is a miss.
    SlowControlIsAMiss,
    /// That a control loop is slow is not looked at.
    SlowControlIsIgnored,
    /// How a peer stands is told although it has not changed.
    ChangeIsSaidAgain,
    /// A peer whose entry has not changed is dialled anew by a reload.
    ReloadTouchesAll,
    /// Who is told that another connection is kept waits for that one for ever.
    SuccessorIsWaitedForForEver,
}

impl Rule {
    /// Those of peers.
    pub const PEERS: [Rule; 11] = [
        Rule::OwnStallIsIgnored,
        Rule::MissedProbesDoNotCount,
        Rule::FailedDialsDoNotCount,
        Rule::DialsHaveAnEnd,
        Rule::EachKeepsItsOwn,
        Rule::SecondAgentWins,
        Rule::SlowControlIsAMiss,
        Rule::SlowControlIsIgnored,
        Rule::ChangeIsSaidAgain,
        Rule::ReloadTouchesAll,
        Rule::SuccessorIsWaitedForForEver,
    ];

    /// Those of a run.
    pub const RUNS: [Rule; 25] = [
        Rule::AckOfAnEarlierEpoch,
        Rule::HeldMessagesAreIgnored,
        Rule::TimeDrains,
        Rule::RestartInTheStop,
        Rule::OutputsCloseAtACrash,
        Rule::InputsCloseAtACrash,
        Rule::NoRepair,
        Rule::EpochStays,
        Rule::EverybodyIsTold,
        Rule::CycleStopsAtOnce,
        Rule::SenderIsNotReleased,
        Rule::MessageInHandIsLost,
        Rule::ActorIsNotRebuilt,
        Rule::StatisticsKeepTheOldState,
        Rule::ReadyWhenStarted,
        Rule::WaitingNamesNobody,
        Rule::ParkedOutputsClose,
        Rule::RestartByHandCounts,
        Rule::RestartsHaveNoEnd,
        Rule::NeverIsIgnored,
        Rule::CrashIsTheEnd,
        Rule::SegmentsAreKept,
        Rule::BusyCycleIsAtRest,
        Rule::LateFetchIsBelieved,
        Rule::OneModelIsEnough,
    ];
}

#[cfg(feature = "broken-rules")]
thread_local! {
    static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// From now on this rule is broken on this thread, and no other is.
#[cfg(feature = "broken-rules")]
pub fn break_rule(rule: Option<Rule>) {
    BROKEN.set(rule);
}

/// Whether a rule is broken on this thread.
#[cfg(feature = "broken-rules")]
#[must_use]
pub fn is_broken(rule: Rule) -> bool {
    BROKEN.get() == Some(rule)
}

/// Whether a rule is broken: none is.
#[cfg(not(feature = "broken-rules"))]
#[inline]
#[must_use]
pub const fn is_broken(_: Rule) -> bool {
    false
}
