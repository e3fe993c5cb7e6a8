//! The codes of the diagnostics: one for each kind of thing that can be wrong.
//!
//! A code keeps its number for ever. Each has a case in `tests/data`.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The kind of a diagnostic, written `DF0010`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum Code {
            $($(#[$doc])* $name = $number,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$name,)*];
        }
    };
}

codes! {
    /// There is no such file, or it may not be read.
    FileNotReadable = 1,
    /// The path is a directory or another thing that is no regular file.
    FileNotRegular = 2,
    /// The file is not UTF-8 text.
    FileNotText = 3,
    /// The file is larger than [`FILE_BYTES_MAX`](crate::limits::FILE_BYTES_MAX).
    FileTooLarge = 4,
    /// The file has no content.
    FileEmpty = 5,
    /// The text is not YAML.
    Syntax = 6,
    /// A mapping has the same key twice.
    DuplicateKey = 7,
    /// The file has more than one document.
    SeveralDocuments = 8,
    /// Nesting or aliases go beyond what a description needs.
    TooComplex = 9,
    /// A key that means nothing here.
    UnknownKey = 10,
    /// A key that must be there is missing.
    MissingKey = 11,
    /// A value of another type than expected.
    WrongType = 12,
    /// A text that is no name.
    BadName = 13,
    /// A word that is none of those a key takes.
    UnknownWord = 14,
    /// A number outside its range.
    NumberOutOfRange = 15,
    /// A text that is no duration.
    BadDuration = 16,
    /// A duration outside its range.
    DurationOutOfRange = 17,
    /// A key whose room is not in this build.
    NotInThisBuild = 18,
    /// A dataflow without nodes.
    NoNodes = 19,
    /// More nodes, edges or other parts than a file may have.
    TooManyParts = 20,
    /// Two nodes of one id.
    DuplicateNode = 21,
    /// A node names an output twice.
    DuplicateOutput = 22,
    /// A node names an input twice.
    DuplicateInput = 23,
    /// A source that is neither `node/output` nor a timer.
    MalformedSource = 24,
    /// A source names a node that is not there.
    UnknownNode = 25,
    /// A source names an output that its node does not declare.
    UnknownOutput = 26,
    /// A timer that cannot be read.
    BadTimer = 27,
    /// A timer that is too fast or too slow.
    TimerOutOfRange = 28,
    /// `latest` with a queue that is not 1.
    LatestQueueSize = 29,
    /// `block` edges form a cycle, which can wait for itself.
    BlockCycle = 30,
    /// A node's program is not there.
    PathNotFound = 31,
    /// A node's program is a directory or another thing that cannot be run.
    PathNotFile = 32,
    /// A node's program may not be executed.
    NotExecutable = 33,
    /// The Python that would run a node is not there.
    PythonNotFound = 34,
    /// A backoff whose least is above its most.
    ContradictoryBackoff = 35,
    /// An environment variable that cannot be set.
    BadEnvironment = 36,
    /// Requirements that nothing can satisfy at once.
    ContradictoryRequirements = 37,
    /// A text that no program can be given: empty where something is needed, or with a NUL.
    BadText = 38,
    /// Warning: a node's program is not there yet, and its `build` is expected to make it.
    NotBuiltYet = 39,
    /// Warning: a key that changes nothing where it stands.
    NoEffect = 40,
    /// A text that is no repository of the Hub.
    BadRepository = 41,
    /// A text that is no branch, tag or commit.
    BadRevision = 42,
    /// A text that is no pattern of a repository's files.
    BadPattern = 43,
    /// A node wants a model that the dataflow does not have.
    UnknownModel = 44,
    /// A node wants a model twice.
    DuplicateModel = 45,
    /// Two models whose nodes would find them in the same environment variable.
    SameVariable = 46,
    /// Warning: a model that no node wants.
    UnusedModel = 47,
    /// A file of peers without peers.
    NoPeers = 50,
    /// Two peers of one id.
    DuplicatePeer = 51,
    /// A text that is no address of a peer, IP:PORT.
    BadAddress = 52,
    /// An address whose port is missing, or cannot be one.
    BadPort = 53,
    /// An address where no peer can be reached.
    UnusableAddress = 54,
    /// Two peers of one address.
    DuplicateAddress = 55,
    /// A text that is no fingerprint of a key.
    BadFingerprint = 56,
    /// A fingerprint that stands in the file twice.
    DuplicateFingerprint = 57,
    /// More fingerprints than a peer may have.
    TooManyFingerprints = 58,
    /// Warning: a peer off loopback without a fingerprint, which nobody will take.
    NoFingerprint = 59,
    /// Warning: two peers at one IP address.
    SharedHost = 60,
    /// An answer that may take longer than the time between two questions.
    ContradictoryHealthCheck = 61,
    /// The machine that the check is about is not in the file.
    ThisNotListed = 62,
    /// Warning: this machine declares more than it has.
    DeclaredBeyondFound = 63,
    /// Another peer's address leads to this machine's agent.
    LeadsHere = 64,
    /// Warning: this machine does not have the address at which the others look for it.
    AddressElsewhere = 65,
    /// A node is pinned to a peer that the file of peers does not have.
    UnknownPeer = 66,
    /// No peer has what a node requires.
    NoPeerCanTake = 67,
}

impl Code {
    /// The number after `DF`.
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DF{:04}", self.number())
    }
}
