//! The order in which a dataflow starts and stops (section 6 of the design).

mod graph;
mod machine;

pub use graph::{Cycle, CycleIndex, CycleMember, FlowEdge, Graph, Role, UnknownNode};
pub use machine::{Because, FlowCommand, FlowEvent, FlowMachine, Phase};
