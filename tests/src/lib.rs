//! The harness of the end-to-end tests: real binaries, real nodes, real signals.
//!
//! A test makes a [`Project`] (a folder, a runtime folder and a mark of its own), writes a dataflow into it, and
//! runs the binary `dataflow` there. It waits for facts: a line, a state that `ps` shows, a line in a node's
//! record, a node that has reached a [`Gate`]. [`PATIENCE`] is there only to fail a test that hangs. At its end a
//! test has left nothing behind: processes, memory and sockets are asserted to be gone.

mod accounts;
mod baseline;
mod beside;
mod bundle;
mod command;
mod gate;
mod hollow;
mod hosts;
mod lateness;
mod ledger;
mod machine;
mod message;
mod places;
mod project;
mod random;
mod record;
mod report;
mod talk;
mod terminal;

pub use accounts::{Accounts, check_accounts, check_ledgers};
pub use baseline::{Process, open_descriptors};
pub use beside::{Asked, CommandsBeside, longest_beside};
pub use bundle::{bundles_into, replayed_with};
pub use command::{Command, Finished, Line, Running, Stream};
pub use gate::Gate;
pub use hollow::send_hollow_message;
pub use hosts::{Host, Network};
pub use lateness::Lateness;
pub use ledger::{Consumed, Fact, Ledger, Point, ledger_path, read_ledger};
pub use machine::{Agent, Machine, PeerEntry, PeersFile};
pub use message::{MESSAGE_BYTES_MIN, Stamp, tag};
pub use places::{
    PATIENCE, bare_python, dataflow_binary, ledger_node, nodes_folder, pulse_node, python,
    repository, scribbling_node, test_node, wait_until,
};
pub use project::Project;
pub use random::Random;
pub use record::Record;
pub use report::{edge, node, node_report};
pub use talk::Talk;
pub use terminal::Terminal;
