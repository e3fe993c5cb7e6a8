//! The life of one node: its process, its restarts, its stop (section 7 of the design).

mod events;
mod exit;
mod machine;
mod transitions;

pub use events::{Kill, Needs, NodeCommand, NodeEvent, NodeSettings, Program, Refusal, Wish};
pub use exit::Exit;
pub use machine::NodeMachine;
pub use transitions::transition_allowed;
