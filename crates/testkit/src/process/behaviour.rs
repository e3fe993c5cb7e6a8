//! What a simulated process does: how fast it is, how well it behaves, and how it ends.

use std::time::Duration;

use dataflow_core::lifecycle::Exit;

/// Everything that one incarnation of a simulated node will do of its own accord.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Whether its program uses the node library at all.
    pub library: Library,
    /// From its start to its hello; to its end by itself, for a program without the library.
    pub connects_after: Duration,
    /// From the end of the handshake to its first call.
    pub ready_after: Duration,
    /// How many messages a source sends before it has done its work.
    pub messages: u64,
    /// What a node without inputs does when it has done its work.
    pub afterwards: Afterwards,
    /// The longest that its code works on one message.
    pub think_max: Duration,
    /// Every so many messages it passes on go into shared memory; the others travel in the slot. 0: none.
    pub chunk_one_in: u64,
    /// The longest payload in shared memory, in bytes.
    pub chunk_bytes_max: usize,
    /// Every so many messages that it receives are held. 0: none.
    pub holds_one_in: u64,
    /// The longest that it holds a message.
    pub hold_max: Duration,
    /// Whether it lets go of what it holds at all.
    pub releases: Releases,
    /// A node with inputs returns after so many messages, whatever is still to come.
    pub returns_after: Option<u64>,
    /// From the moment it has seen the stop, or the end of its inputs, to its return.
    pub lingers: Lingers,
    /// How many messages it still sends when it has seen the stop.
    pub last_words: u64,
    /// Where it crashes.
    pub crash: CrashPoint,
    /// How it crashes.
    pub crash_exit: Exit,
    /// What it returns at its proper end.
    pub exit: Exit,
    /// What it does at SIGTERM.
    pub at_terminate: AtTerminate,
    /// Every so many steps it stands still, as after SIGSTOP. 0: never.
    pub stalls_one_in: u64,
    /// The longest that it stands still.
    pub stall_max: Duration,
    /// What becomes of its acknowledgements on their way.
    pub acknowledgements: Acknowledgements,
}

/// Whether a program uses the node library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// It does.
    Used,
    /// It is any program, and never says hello.
    Unused,
}

/// What a node without inputs does when it has done its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It returns.
    Returns,
    /// It receives, until it is told to stop.
    Waits,
}

/// Whether a node lets go of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Releases {
    /// Each message in its time.
    InTime,
    /// What it holds it keeps for as long as it lives, and it lives on while it holds something.
    Never,
    /// It ends with what it holds.
    WithItsEnd,
}

/// How long a node goes on when it should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lingers {
    /// For so long.
    For(Duration),
    /// Until it is killed.
    ForEver,
}

/// Where a process crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Nowhere.
    Never,
    /// Before its hello.
    BeforeHello,
    /// Between its hello and its first call.
    BeforeReady,
    /// After so many steps of its code.
    AtStep(u32),
    /// When it holds a message.
    Holding,
    /// In the middle of a send: some edges of the output are written, nobody was woken.
    Sending,
    /// When it waits for room in a send.
    Blocked,
    /// When it has seen the stop, or the end of its inputs.
    Ending,
}

/// What a process does at SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtTerminate {
    /// It dies of it.
    Dies,
    /// It returns this code.
    Returns(i32),
    /// Nothing.
    Ignores,
}

/// What becomes of a node's acknowledgements on their way. Each number is "one in so many"; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acknowledgements {
    /// Lost.
    pub lost: u64,
    /// Arrive twice.
    pub repeated: u64,
    /// Arrive late, behind others.
    pub late: u64,
    /// Are followed by one of an earlier incarnation, which says that nothing is owed.
    pub stale: u64,
}

impl Default for Behaviour {
    /// A node that does its work at once and without a fault: a source sends ten messages and returns.
    fn default() -> Self {
        Behaviour {
            library: Library::Used,
            connects_after: Duration::ZERO,
            ready_after: Duration::ZERO,
            messages: 10,
            afterwards: Afterwards::Returns,
            think_max: Duration::ZERO,
            chunk_one_in: 2,
            chunk_bytes_max: 1024,
            holds_one_in: 0,
            hold_max: Duration::ZERO,
            releases: Releases::InTime,
            returns_after: None,
            lingers: Lingers::For(Duration::ZERO),
            last_words: 0,
            crash: CrashPoint::Never,
            crash_exit: Exit::Code(1),
            exit: Exit::Code(0),
            at_terminate: AtTerminate::Dies,
            stalls_one_in: 0,
            stall_max: Duration::ZERO,
            acknowledgements: Acknowledgements::default(),
        }
    }
}
