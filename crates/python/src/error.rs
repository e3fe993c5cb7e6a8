//! The exceptions, and which error becomes which.

use dataflow_node::{ConnectError as Connect, MetadataError as BadMetadata, RecvError, SendError};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use pyo3::{create_exception, intern};

create_exception!(
    dataflow,
    DataflowError,
    PyException,
    "Something that the dataflow refuses, with the remedy in its text."
);
create_exception!(
    dataflow,
    ConnectError,
    DataflowError,
    "This program cannot connect: most often, it was not started by a dataflow."
);
create_exception!(
    dataflow,
    Stopped,
    DataflowError,
    "The dataflow is stopping and the message was refused. Leaving `with Node() as node` by it is a good end."
);
create_exception!(
    dataflow,
    OutputError,
    DataflowError,
    "The node has no such output."
);
create_exception!(
    dataflow,
    MemoryLimitError,
    DataflowError,
    "The message is larger than the outputs' memory, or that memory is used up; the text names who holds it."
);
create_exception!(
    dataflow,
    RuntimeGone,
    DataflowError,
    "The runtime of the dataflow has ended."
);

/// `MetadataError` has two parents, which `create_exception!` cannot say.
static METADATA_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn metadata_error_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    METADATA_ERROR
        .get_or_try_init(py, || {
            let parents = PyTuple::new(
                py,
                [
                    py.get_type::<DataflowError>(),
                    py.get_type::<PyValueError>(),
                ],
            )?;
            let members = pyo3::types::PyDict::new(py);
            members.set_item("__module__", "dataflow")?;
            members.set_item(
                "__doc__",
                "Metadata is too long, too deep, or has a value that cannot travel.",
            )?;
            let made = py
                .get_type::<PyType>()
                .call1(("MetadataError", parents, members))?;
            Ok(made.cast_into::<PyType>()?.unbind())
        })
        .map(|made| made.bind(py))
}

/// Adds the exceptions to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("DataflowError", py.get_type::<DataflowError>())?;
    module.add("ConnectError", py.get_type::<ConnectError>())?;
    module.add("Stopped", py.get_type::<Stopped>())?;
    module.add("OutputError", py.get_type::<OutputError>())?;
    module.add("MemoryLimitError", py.get_type::<MemoryLimitError>())?;
    module.add("RuntimeGone", py.get_type::<RuntimeGone>())?;
    module.add(intern!(py, "MetadataError"), metadata_error_type(py)?)
}

/// The node was closed.
pub(crate) fn closed() -> PyErr {
    DataflowError::new_err("the node is closed: use it inside its `with` block")
}

/// This is a process that was forked from the node's.
pub(crate) fn forked() -> PyErr {
    DataflowError::new_err(RecvError::Forked.to_string())
}

/// As Python raises it. `raised`: what a signal's handler has raised while the call waited.
pub(crate) fn connect(error: Connect, raised: Option<PyErr>) -> PyErr {
    match (error, raised) {
        (Connect::Interrupted, Some(raised)) => raised,
        (error, _) => ConnectError::new_err(error.to_string()),
    }
}

/// As Python raises it. `raised`: what a signal's handler has raised while the call waited.
pub(crate) fn recv(error: RecvError, raised: Option<PyErr>) -> PyErr {
    match (error, raised) {
        (RecvError::Interrupted, Some(raised)) => raised,
        (error @ RecvError::RuntimeGone, _) => RuntimeGone::new_err(error.to_string()),
        (error, _) => DataflowError::new_err(error.to_string()),
    }
}

/// As Python raises it. `raised`: what a signal's handler has raised while the call waited.
pub(crate) fn send(py: Python<'_>, error: SendError, raised: Option<PyErr>) -> PyErr {
    let text = error.to_string();
    match (error, raised) {
        (SendError::Interrupted, Some(raised)) => raised,
        (SendError::UnknownOutput { .. }, _) => OutputError::new_err(text),
        (SendError::Stopped { .. }, _) => Stopped::new_err(text),
        (
            SendError::TooLarge { .. } | SendError::MemoryFull { .. } | SendError::NoMemory { .. },
            _,
        ) => MemoryLimitError::new_err(text),
        (SendError::Metadata(error), _) => metadata(py, &error),
        (SendError::RuntimeGone, _) => RuntimeGone::new_err(text),
        _ => DataflowError::new_err(text),
    }
}

/// As Python raises it.
pub(crate) fn metadata(py: Python<'_>, error: &BadMetadata) -> PyErr {
    match metadata_error_type(py) {
        Ok(kind) => PyErr::from_type(kind.clone(), error.to_string()),
        Err(error) => error,
    }
}
