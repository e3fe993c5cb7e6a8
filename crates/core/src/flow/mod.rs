//! The order in which a dataflow starts and stops (section 6 of the design).

mod events;
mod graph;
mod machine;

pub use events::{Because, FlowCommand, FlowEvent, Phase};
pub use graph::{Cycle, CycleIndex, CycleMember, FlowEdge, Graph, Role, UnknownNode};
pub use machine::FlowMachine;
