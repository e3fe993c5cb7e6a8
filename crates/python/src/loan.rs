//! Memory lent for a message, as a writable array inside a `with` block.

use std::ffi::c_int;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow_node::{Loan as RustLoan, Metadata, SentLoan, Value};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView, PyTuple, PyType};
use pyo3::{ffi, intern};

use crate::buffer::{self, ViewAccess};
use crate::payload::{DTYPE, SHAPE, refuse_kind};
use crate::turn::Turns;
use crate::{error, metadata};

/// What an array of the loan looks like.
pub(crate) struct Layout {
    /// numpy's dtype; `None` without numpy, then it is bytes.
    dtype: Option<Py<PyAny>>,
    dtype_text: String,
    shape: Vec<usize>,
    pub(crate) length_bytes: usize,
}

impl Layout {
    /// From what the caller has given; imports numpy if it is there.
    pub(crate) fn new(
        shape: &Bound<'_, PyAny>,
        dtype: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Layout> {
        let py = shape.py();
        let shape: Vec<usize> = match shape.extract::<usize>() {
            Ok(length) => vec![length],
            Err(_) => shape.extract().map_err(|_| {
                PyTypeError::new_err(format!(
                    "a shape is a length or a tuple of lengths, not {shape}"
                ))
            })?,
        };
        let (dtype, dtype_text, item_bytes) = match py.import(intern!(py, "numpy")) {
            Ok(numpy) => {
                let default = intern!(py, "uint8").as_any();
                let dtype =
                    numpy.call_method1(intern!(py, "dtype"), (dtype.unwrap_or(default),))?;
                let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
                refuse_kind(&dtype, &kind)?;
                let text = dtype.getattr(intern!(py, "str"))?.extract()?;
                let item_bytes: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
                (Some(dtype.unbind()), text, item_bytes)
            }
            Err(_) => {
                let bytes = match dtype {
                    None => true,
                    Some(dtype) => dtype
                        .extract::<String>()
                        .is_ok_and(|name| matches!(name.as_str(), "uint8" | "|u1" | "u1" | "B")),
                };
                if !bytes {
                    return Err(PyTypeError::new_err(
                        "numpy is not installed, so only bytes can be lent (dtype \"uint8\"): install it into \
                         the Python of this node with `pip install numpy`",
                    ));
                }
                (None, "|u1".to_owned(), 1)
            }
        };
        let length_bytes = shape
            .iter()
            .try_fold(item_bytes, |product, length| product.checked_mul(*length))
            .filter(|length| isize::try_from(*length).is_ok())
            .ok_or_else(|| {
                PyValueError::new_err(format!("a shape of {shape:?} has too many bytes"))
            })?;
        Ok(Layout {
            dtype,
            dtype_text,
            shape,
            length_bytes,
        })
    }

    /// Says in `metadata` what the array was.
    fn describe(&self, metadata: &mut Metadata) {
        let shape = self.shape.iter().map(|length| Value::I64(*length as i64));
        metadata.insert(DTYPE, self.dtype_text.as_str());
        metadata.insert(SHAPE, shape.collect::<Vec<_>>());
    }
}

/// The memory of a loan, as long as any Python object refers to it. Arrays keep this object and not a view of it,
/// so its memory goes back when it goes, and no sooner: also when the message was sent long before.
#[pyclass(frozen, module = "dataflow")]
struct LoanMemory {
    /// Locked with the GIL and for a moment only, so it is free in every forked child.
    state: Mutex<Memory>,
    /// Where the bytes are. They stay there through all of [`Memory`].
    start: usize,
    length: usize,
}

enum Memory {
    Lent(RustLoan),
    /// Sent, or refused; in either case nobody else gets the memory as long as this is here.
    Kept {
        _memory: Option<SentLoan>,
    },
}

impl LoanMemory {
    /// Gives the state before.
    fn replace(&self, next: Memory) -> Memory {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state, next)
    }
}

#[pymethods]
impl LoanMemory {
    #[allow(unsafe_code)] // the buffer protocol: see `buffer`
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let memory = slf.get();
        let access = match *memory.state.lock().unwrap_or_else(PoisonError::into_inner) {
            Memory::Lent(_) => ViewAccess::Writable,
            Memory::Kept { .. } => ViewAccess::ReadOnly,
        };
        let (start, length) = (memory.start as *const u8, memory.length);
        let owner = slf.into_any();
        // SAFETY: Python passes a view to be filled. `start` is the address of the loan's own bytes, which do
        // not move when the loan does (a chunk of shared memory, or a vector's buffer), and which `state`
        // keeps, lent or sent, until this object goes. Rust has no reference to them while it is lent.
        unsafe { buffer::answer(view, flags, owner, start, length, access) }
    }
}

/// Memory for one message, lent by Node.loan: a `with` block gets a writable numpy array (without numpy: a
/// writable memoryview of bytes), and at its end the message is sent, unless an exception was raised.
///
/// The array then becomes read-only and keeps showing what was sent; the memory is used again when the array has
/// gone. Views that were made of it inside the block cannot be made read-only: do not write into them after the
/// block, receivers are reading.
#[pyclass(frozen, module = "dataflow")]
pub(crate) struct Loan {
    layout: Layout,
    sending: Arc<Turns>,
    /// What is taken out of these two is dropped when the lock is free again: that may run any code of Python.
    metadata: Mutex<Py<PyDict>>,
    stage: Mutex<Stage>,
}

enum Stage {
    /// Not entered yet.
    Fresh(Py<LoanMemory>),
    /// Inside the block: the memory, and the array that was given to it.
    Open {
        memory: Py<LoanMemory>,
        array: Py<PyAny>,
    },
    /// The block has ended.
    Over,
}

impl Loan {
    pub(crate) fn new(
        py: Python<'_>,
        mut loan: RustLoan,
        layout: Layout,
        metadata: Option<&Bound<'_, PyAny>>,
        sending: Arc<Turns>,
    ) -> PyResult<Loan> {
        let dict = PyDict::new(py);
        if let Some(given) = metadata.filter(|given| !given.is_none()) {
            dict.call_method1(intern!(py, "update"), (given,))?;
        }
        let memory = LoanMemory {
            // A pointer to bytes that are written through Python only, from here on.
            start: loan.as_mut_ptr() as usize,
            length: loan.len(),
            state: Mutex::new(Memory::Lent(loan)),
        };
        Ok(Loan {
            layout,
            sending,
            metadata: Mutex::new(dict.unbind()),
            stage: Mutex::new(Stage::Fresh(Py::new(py, memory)?)),
        })
    }

    /// Gives the stage before.
    fn replace_stage(&self, next: Stage) -> Stage {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut stage, next)
    }

    fn array<'py>(
        &self,
        py: Python<'py>,
        memory: &Bound<'py, LoanMemory>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(dtype) = &self.layout.dtype else {
            return Ok(PyMemoryView::from(memory)?.into_any());
        };
        let numpy = py.import(intern!(py, "numpy"))?;
        let arguments = PyDict::new(py);
        arguments.set_item(intern!(py, "shape"), PyTuple::new(py, &self.layout.shape)?)?;
        arguments.set_item(intern!(py, "dtype"), dtype)?;
        arguments.set_item(intern!(py, "buffer"), memory)?;
        numpy.call_method(intern!(py, "ndarray"), (), Some(&arguments))
    }

    /// Takes the right to write away from the array that the block had.
    fn seal(&self, py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.layout.dtype.is_some() {
            array
                .getattr(intern!(py, "flags"))?
                .setattr(intern!(py, "writeable"), false)
        } else {
            // Views of the view keep it from being released; then it stays as it is, and its memory with it.
            let _ = array.call_method0(intern!(py, "release"));
            Ok(())
        }
    }
}

#[pymethods]
impl Loan {
    /// What is sent beside the payload; `_dtype` and `_shape` are added.
    #[getter]
    fn metadata(&self, py: Python<'_>) -> Py<PyDict> {
        self.metadata
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_ref(py)
    }

    #[setter]
    fn set_metadata(&self, metadata: Bound<'_, PyDict>) {
        let before = {
            let mut held = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *held, metadata.unbind())
        };
        drop(before);
    }

    /// Gives the writable array.
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Stage::Fresh(memory) = self.replace_stage(Stage::Over) else {
            return Err(PyRuntimeError::new_err(
                "a loan serves one `with` block: ask node.loan() for another one",
            ));
        };
        let array = self.array(py, memory.bind(py))?;
        let before = self.replace_stage(Stage::Open {
            memory,
            array: array.clone().unbind(),
        });
        drop(before);
        Ok(array)
    }

    /// Sends the message, unless an exception was raised.
    #[pyo3(signature = (kind=None, _value=None, _traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyType>>,
        _value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let Stage::Open { memory, array } = self.replace_stage(Stage::Over) else {
            return Ok(false);
        };
        self.seal(py, array.bind(py))?;
        if kind.is_some() {
            return Ok(false);
        }
        let given = self.metadata(py);
        let mut metadata = metadata::from_python(Some(given.bind(py)))?;
        self.layout.describe(&mut metadata);
        let memory = memory.get();
        // Before the loan leaves its place: when the turn does not come, the views of it stay valid.
        let turn = self.sending.take(py)?;
        let Memory::Lent(loan) = memory.replace(Memory::Kept { _memory: None }) else {
            // Only this block, which has ended, could have sent it.
            return Ok(false);
        };
        let ((result, sent), raised) =
            turn.without_gil(|on_signal| loan.send_keeping(&metadata, on_signal));
        drop(turn);
        memory.replace(Memory::Kept {
            _memory: Some(sent),
        });
        match result {
            Ok(()) => Ok(false),
            Err(error) => Err(error::send(py, error, raised)),
        }
    }

    fn __repr__(&self) -> String {
        format!(
            "<Loan of {:?} {}>",
            self.layout.shape, self.layout.dtype_text
        )
    }
}
