//! What a node receives, as Python sees it.

use std::ffi::c_int;
use std::sync::Arc;

use dataflow_node::{Event as RustEvent, Input, Metadata, Value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use pyo3::{ffi, intern};

use crate::buffer::{self, ViewAccess};
use crate::payload::{DTYPE, SHAPE};
use crate::{error, metadata};

/// What a node receives. `memoryview(event)` is a read-only view of its payload.
#[pyclass(frozen, module = "dataflow")]
pub(crate) struct Event {
    kind: Kind,
}

enum Kind {
    /// The message is released when the last reference goes: by the drop of `Input`, in Rust alone.
    Input(Arc<Input>),
    InputClosed(String),
    AllInputsClosed,
    Stop,
}

impl From<RustEvent> for Event {
    fn from(event: RustEvent) -> Event {
        let kind = match event {
            RustEvent::Input(input) => Kind::Input(Arc::new(input)),
            RustEvent::InputClosed(id) => Kind::InputClosed(id.to_string()),
            RustEvent::AllInputsClosed => Kind::AllInputsClosed,
            RustEvent::Stop => Kind::Stop,
        };
        Event { kind }
    }
}

impl Event {
    fn input(&self) -> Option<&Input> {
        match &self.kind {
            Kind::Input(input) => Some(input),
            _ => None,
        }
    }

    fn payload(&self) -> &[u8] {
        self.input().map_or(&[], Input::payload)
    }

    /// What the metadata says about the payload as an array.
    fn described(&self, key: &str) -> Option<&Value> {
        self.input()?.metadata().get(key)
    }

    /// Says in `metadata` what this event's own says about its payload as an array.
    pub(crate) fn describe(&self, metadata: &mut Metadata) {
        for key in [DTYPE, SHAPE] {
            if let Some(value) = self.described(key) {
                metadata.insert(key, value.clone());
            }
        }
    }
}

/// The lengths of an array's dimensions.
fn lengths(shape: &Value) -> Option<Vec<usize>> {
    let lengths = shape.as_list()?.iter();
    lengths
        .map(|length| usize::try_from(length.as_i64()?).ok())
        .collect()
}

/// A payload that is not what its metadata says.
fn mismatch(what: String) -> PyErr {
    PyValueError::new_err(format!(
        "this message cannot be read as an array: {what}; its sender is at fault (`{DTYPE}` and `{SHAPE}` are for \
         arrays alone). Its bytes are there as event.bytes() and memoryview(event)"
    ))
}

#[pymethods]
impl Event {
    /// "input", "input_closed", "all_inputs_closed" or "stop".
    #[getter(r#type)]
    fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Input(_) => "input",
            Kind::InputClosed(_) => "input_closed",
            Kind::AllInputsClosed => "all_inputs_closed",
            Kind::Stop => "stop",
        }
    }

    /// The input, of an "input" or "input_closed" event.
    #[getter]
    fn id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Input(input) => Some(input.id().as_str()),
            Kind::InputClosed(id) => Some(id),
            Kind::AllInputsClosed | Kind::Stop => None,
        }
    }

    /// Where an input comes from: "camera/image", or "timer".
    #[getter]
    fn source(&self) -> Option<String> {
        Some(self.input()?.source().to_string())
    }

    /// What the sender wrote beside the payload; a new dict each time.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        match self.input() {
            Some(input) => metadata::to_python(py, input.metadata()),
            None => Ok(PyDict::new(py)),
        }
    }

    /// When it was sent, in nanoseconds of time.monotonic_ns().
    #[getter]
    fn sent_at(&self) -> Option<u64> {
        Some(self.input()?.sent_at_ns())
    }

    /// Its number on its edge, from 1; for a timer the number of periods.
    #[getter]
    fn sequence(&self) -> Option<u64> {
        Some(self.input()?.sequence().0)
    }

    /// Whether the payload lies in the sender's memory until the last view of it goes.
    #[getter]
    fn held(&self) -> bool {
        self.input().is_some_and(Input::is_held)
    }

    /// The payload as a read-only numpy array that copies nothing: with the dtype and shape it was sent with,
    /// else as bytes (uint8).
    fn numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let numpy = py.import(intern!(py, "numpy"))?;
        let event = slf.get();
        let dtype = match event.described(DTYPE) {
            None => "|u1",
            Some(dtype) => dtype
                .as_str()
                .ok_or_else(|| mismatch(format!("`{DTYPE}` in its metadata is no text")))?,
        };
        let dtype = numpy.call_method1(intern!(py, "dtype"), (dtype,))?;
        if dtype.getattr(intern!(py, "hasobject"))?.extract()? {
            return Err(PyTypeError::new_err(
                "the metadata names an array of Python objects, which no payload can be",
            ));
        }
        let item_bytes: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
        let payload_bytes = event.payload().len();
        let shape = match event.described(SHAPE) {
            None => vec![payload_bytes.checked_div(item_bytes).unwrap_or(0)],
            Some(shape) => lengths(shape).ok_or_else(|| {
                mismatch(format!("`{SHAPE}` in its metadata is no list of lengths"))
            })?,
        };
        let described_bytes = shape
            .iter()
            .try_fold(item_bytes, |product, length| product.checked_mul(*length));
        if described_bytes != Some(payload_bytes) {
            let shape = PyTuple::new(py, &shape)?;
            return Err(mismatch(format!(
                "it has {payload_bytes} bytes, and its metadata describes an array of shape {shape} and dtype {dtype}"
            )));
        }
        let arguments = PyDict::new(py);
        arguments.set_item(intern!(py, "shape"), PyTuple::new(py, shape)?)?;
        arguments.set_item(intern!(py, "dtype"), dtype)?;
        // The array keeps the event, and so the message.
        arguments.set_item(intern!(py, "buffer"), slf)?;
        numpy.call_method(intern!(py, "ndarray"), (), Some(&arguments))
    }

    /// The payload as a pyarrow.Buffer that copies nothing, for example for pyarrow.ipc.open_stream.
    fn arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let arrow = py.import(intern!(py, "pyarrow")).map_err(|cause| {
            let error = error::DataflowError::new_err(
                "event.arrow() needs pyarrow: install it into the Python of this node with `pip install pyarrow`",
            );
            error.set_cause(py, Some(cause));
            error
        })?;
        arrow.call_method1(intern!(py, "py_buffer"), (slf,))
    }

    /// A copy of the payload.
    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.payload())
    }

    fn __len__(&self) -> usize {
        self.payload().len()
    }

    /// An event is something, also when its payload is empty.
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(&self) -> String {
        match &self.kind {
            Kind::Input(input) => format!(
                "<Event input {} from {}, message {}, {} bytes>",
                input.id(),
                input.source(),
                input.sequence().0,
                input.payload().len()
            ),
            Kind::InputClosed(id) => format!("<Event input_closed {id}>"),
            Kind::AllInputsClosed | Kind::Stop => format!("<Event {}>", self.kind()),
        }
    }

    #[allow(unsafe_code)] // the buffer protocol: see `buffer`
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let payload = slf.get().payload();
        let (start, length) = (payload.as_ptr(), payload.len());
        let owner = slf.into_any();
        // SAFETY: Python passes a view to be filled. The payload stays in place and unchanged as long as the
        // event lives: the class is frozen, so nothing replaces its `Arc<Input>`, and the lease in that is
        // what keeps the sender from using the memory again (I-1).
        unsafe { buffer::answer(view, flags, owner, start, length, ViewAccess::ReadOnly) }
    }
}
