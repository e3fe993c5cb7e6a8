//! The node API in Python: the extension module `dataflow._native`.
//!
//! Rules that every file here keeps (section 15 of the design, and DEPENDENCIES' traps):
//! whatever waits, waits without the GIL; a message is released by the drop of its Rust value, which needs
//! neither the GIL nor Python; nothing in Rust keeps a Python object that keeps a message.

mod buffer;
mod error;
mod event;
mod loan;
mod metadata;
mod node;
mod payload;
mod turn;

#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::event::Event;
    #[pymodule_export]
    use crate::loan::Loan;
    #[pymodule_export]
    use crate::node::Node;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        crate::error::add_to(module)
    }
}
