//! YAML text to a checked description, or every diagnostic with line and column.

mod code;
mod dataflow;
mod diagnostic;
mod environment;
pub mod limits;

pub use code::Code;
pub use dataflow::{
    Dataflow, Edge, Input, InputPlace, InputSource, Node, OutputPlace, Program, Requirement,
};
pub use diagnostic::{Diagnostic, Place, Related, Severity};
pub use environment::Environment;

/// What a check gives: the description, when it has no errors, and every diagnostic.
#[derive(Debug, Clone)]
pub struct Checked {
    /// `Some` exactly when no diagnostic is an error.
    pub dataflow: Option<Dataflow>,
    /// In the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}
