//! What may be sent: bytes, anything with a buffer, numpy arrays.

use dataflow_node::{Metadata, Value};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use crate::buffer;
use crate::event::Event;

/// The reserved key for an array's element type, as numpy writes it.
pub(crate) const DTYPE: &str = "_dtype";
/// The reserved key for an array's shape.
pub(crate) const SHAPE: &str = "_shape";

/// The bytes of a payload, kept alive and in place for as long as this lives.
pub(crate) enum Payload<'py> {
    Empty,
    Bytes(Bound<'py, PyBytes>),
    Buffer(PyUntypedBuffer),
}

impl<'py> Payload<'py> {
    /// Takes what `data` is; says in `metadata` what kind of array it was, and nothing of the kind if it was none:
    /// metadata of a received message is often sent on with other data.
    pub(crate) fn new(
        data: Option<&Bound<'py, PyAny>>,
        metadata: &mut Metadata,
    ) -> PyResult<Payload<'py>> {
        metadata.remove(DTYPE);
        metadata.remove(SHAPE);
        let Some(data) = data.filter(|data| !data.is_none()) else {
            return Ok(Payload::Empty);
        };
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(Payload::Bytes(bytes.clone()));
        }
        if data.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "text is sent as bytes: write data.encode(), and decode it at the other end",
            ));
        }
        let plain = data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>();
        if !plain && is_array(data)? {
            return Payload::array(data, metadata);
        }
        if let Ok(event) = data.cast::<Event>() {
            // Sent on as it came: an array stays one.
            event.get().describe(metadata);
        }
        let buffer = PyUntypedBuffer::get(data).map_err(|_| {
            let kind = data.get_type();
            let name = kind.name().map(|name| name.to_string());
            PyTypeError::new_err(format!(
                "a {} has no bytes to send: send bytes, a bytearray, a memoryview, or a numpy array (for \
                 structured values use json.dumps(value).encode(), or metadata)",
                name.as_deref().unwrap_or("value of this type")
            ))
        })?;
        Payload::buffer(data, buffer)
    }

    fn buffer(data: &Bound<'py, PyAny>, buffer: PyUntypedBuffer) -> PyResult<Payload<'py>> {
        if buffer.is_c_contiguous() {
            return Ok(Payload::Buffer(buffer));
        }
        // Python puts the pieces in order.
        let copy = PyMemoryView::from(data)?.call_method0(intern!(data.py(), "tobytes"))?;
        Ok(Payload::Bytes(copy.cast_into()?))
    }

    fn array(data: &Bound<'py, PyAny>, metadata: &mut Metadata) -> PyResult<Payload<'py>> {
        let py = data.py();
        let dtype = data.getattr(intern!(py, "dtype"))?;
        let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
        refuse_kind(&dtype, &kind)?;
        let shape: Vec<i64> = data.getattr(intern!(py, "shape"))?.extract()?;
        metadata.insert(
            DTYPE,
            dtype.getattr(intern!(py, "str"))?.extract::<String>()?,
        );
        metadata.insert(SHAPE, shape.into_iter().map(Value::I64).collect::<Vec<_>>());
        let numpy = py.import(intern!(py, "numpy"))?;
        let mut array = numpy.call_method1(intern!(py, "ascontiguousarray"), (data,))?;
        if matches!(kind.as_str(), "M" | "m") {
            // Times have no buffer of their own; their bytes have.
            array = array.call_method1(intern!(py, "view"), (intern!(py, "uint8"),))?;
        }
        let buffer = PyUntypedBuffer::get(&array)?;
        Payload::buffer(&array, buffer)
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Payload::Empty => &[],
            Payload::Bytes(bytes) => bytes.as_bytes(),
            Payload::Buffer(buffer) => buffer::bytes_of(buffer),
        }
    }
}

/// Whether `data` is a numpy array. Without numpy in the process nothing is, and numpy is not imported for it.
fn is_array(data: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = data.py();
    let modules = py
        .import(intern!(py, "sys"))?
        .getattr(intern!(py, "modules"))?;
    match modules.get_item(intern!(py, "numpy")) {
        Ok(numpy) => data.is_instance(&numpy.getattr(intern!(py, "ndarray"))?),
        Err(_) => Ok(false),
    }
}

/// Refuses element types whose bytes mean nothing in another process, or whose name does not say what they are.
pub(crate) fn refuse_kind(dtype: &Bound<'_, PyAny>, kind: &str) -> PyResult<()> {
    match kind {
        "O" => Err(PyTypeError::new_err(
            "an array of Python objects cannot be sent: give it a dtype of plain numbers",
        )),
        "V" => Err(PyTypeError::new_err(format!(
            "an array of dtype {dtype} cannot be described to the receiver: send array.view('uint8') and say in \
             metadata how to read it"
        ))),
        _ => Ok(()),
    }
}
