//! A node, as Python sees it.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dataflow_node::{Node as RustNode, OnSignal, Polled, Receiver, RecvError, Sender, SignalHook};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::event::Event;
use crate::loan::{Layout, Loan};
use crate::payload::Payload;
use crate::{error, metadata};

/// This program's place in its dataflow. Use it as a context manager and iterate over its events.
#[pyclass(frozen, module = "dataflow")]
pub(crate) struct Node {
    id: String,
    dataflow: String,
    epoch: u32,
    outputs: Vec<String>,
    /// Locked without the GIL only: who waits for an event has it for long.
    receiver: Mutex<Option<Receiver>>,
    sender: Mutex<Option<Sender>>,
}

/// Which half of a node a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Receiving = 1,
    Sending = 2,
}

thread_local! {
    /// The halves that this thread uses at this moment, as bits.
    static IN_USE: Cell<u8> = const { Cell::new(0) };
}

/// Runs `wait` without the GIL. When a signal interrupts it, Python's handlers run; what they raise ends it and
/// is given beside the result.
///
/// A handler runs in the middle of the call that it has interrupted, so it cannot use the same half: that is
/// an error and not a dead lock.
pub(crate) fn with_signals<T: Send>(
    py: Python<'_>,
    half: Half,
    wait: impl FnOnce(&mut SignalHook<'_>) -> T + Send,
) -> PyResult<(T, Option<PyErr>)> {
    let before = IN_USE.get();
    if before & half as u8 != 0 {
        return Err(PyRuntimeError::new_err(
            "a signal handler has interrupted the same call of this node and cannot make it again: let the \
             handler set a flag or raise, and act on it afterwards",
        ));
    }
    IN_USE.set(before | half as u8);
    let mut raised = None;
    let result = py.detach(|| {
        wait(&mut || {
            Python::attach(|py| match py.check_signals() {
                Ok(()) => OnSignal::GoOn,
                Err(error) => {
                    raised = Some(error);
                    OnSignal::GiveUp
                }
            })
        })
    });
    IN_USE.set(before);
    Ok((result, raised))
}

impl Node {
    fn sender(&self) -> PyResult<Sender> {
        self.sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(error::closed)
    }

    fn receive(
        &self,
        py: Python<'_>,
        wait: impl FnOnce(&mut Receiver, &mut SignalHook<'_>) -> Result<Polled, RecvError> + Send,
    ) -> PyResult<Polled> {
        let (result, raised) = with_signals(py, Half::Receiving, |on_signal| {
            let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.as_mut().map(|receiver| wait(receiver, on_signal))
        })?;
        match result {
            None => Err(error::closed()),
            Some(Ok(polled)) => Ok(polled),
            Some(Err(error)) => Err(error::recv(error, raised)),
        }
    }

    fn next(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        let polled = self.receive(py, |receiver, on_signal| {
            Ok(match receiver.recv_with(on_signal)? {
                Some(event) => Polled::Event(event),
                None => Polled::Ended,
            })
        })?;
        Ok(match polled {
            Polled::Event(event) => Some(event.into()),
            Polled::Ended | Polled::Nothing => None,
        })
    }
}

#[pymethods]
impl Node {
    /// Connects through the socket that the runtime has left for this process.
    #[new]
    fn new(py: Python<'_>) -> PyResult<Node> {
        let node = py.detach(RustNode::connect).map_err(error::connect)?;
        let (id, dataflow) = (node.id().to_string(), node.dataflow().to_string());
        let epoch = node.epoch().0;
        let outputs = node.outputs().iter().map(ToString::to_string).collect();
        let (sender, receiver) = node.split();
        Ok(Node {
            id,
            dataflow,
            epoch,
            outputs,
            receiver: Mutex::new(Some(receiver)),
            sender: Mutex::new(Some(sender)),
        })
    }

    /// The node's `id` in the description.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// The dataflow's name.
    #[getter]
    fn dataflow(&self) -> &str {
        &self.dataflow
    }

    /// This incarnation: 1 at first, one more after each restart.
    #[getter]
    fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The outputs that the description declares.
    #[getter]
    fn outputs(&self) -> Vec<String> {
        self.outputs.clone()
    }

    /// Says that this node is ready. The first receive or send says so too.
    fn ready(&self, py: Python<'_>) -> PyResult<()> {
        let sender = self.sender()?;
        py.detach(|| sender.ready());
        Ok(())
    }

    /// Waits for the next event; None when the last one has been given. Raises TimeoutError when `timeout`
    /// seconds have passed first.
    #[pyo3(signature = (timeout=None))]
    fn recv(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Event>> {
        let Some(seconds) = timeout else {
            return self.next(py);
        };
        if seconds.is_nan() {
            return Err(PyValueError::new_err("a timeout is a number of seconds"));
        }
        // A time beyond what a clock can count is for ever; one in the past is over.
        let timeout = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        let polled = self.receive(py, |receiver, on_signal| {
            receiver.recv_timeout_with(timeout, on_signal)
        })?;
        match polled {
            Polled::Event(event) => Ok(Some(event.into())),
            Polled::Ended => Ok(None),
            Polled::Nothing => Err(PyTimeoutError::new_err(format!(
                "no event came within {seconds} s"
            ))),
        }
    }

    /// Sends a copy of `data`: anything with a buffer, or a numpy array, which arrives with its dtype and shape.
    #[pyo3(signature = (output, data=None, metadata=None))]
    fn send(
        &self,
        py: Python<'_>,
        output: &str,
        data: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let sender = self.sender()?;
        let mut metadata = metadata::from_python(metadata)?;
        let payload = Payload::new(data, &mut metadata)?;
        let bytes = payload.bytes();
        let (result, raised) = with_signals(py, Half::Sending, |on_signal| {
            sender.send_with(output, bytes, &metadata, on_signal)
        })?;
        result.map_err(|error| error::send(py, error, raised))
    }

    /// Lends memory for a message: `with node.loan("image", (1080, 1920, 3)) as frame: …` gives a writable
    /// array, which is sent at the end of the block.
    #[pyo3(signature = (output, shape, dtype=None, metadata=None))]
    fn loan(
        &self,
        py: Python<'_>,
        output: &str,
        shape: &Bound<'_, PyAny>,
        dtype: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Loan> {
        let sender = self.sender()?;
        let layout = Layout::new(shape, dtype)?;
        let length = layout.length_bytes;
        let (result, raised) = with_signals(py, Half::Sending, |on_signal| {
            sender.loan_with(output, length, on_signal)
        })?;
        let loan = result.map_err(|error| error::send(py, error, raised))?;
        Loan::new(py, loan, layout, metadata)
    }

    /// Receives and sends no more. Messages that are held stay valid.
    fn close(&self) {
        let sender = self
            .sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(sender);
        // A thread that receives at this moment keeps its half until it is done.
        if let Ok(mut receiver) = self.receiver.try_lock() {
            receiver.take();
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the node. True if the block ended by Stopped: that is a good end.
    #[pyo3(signature = (kind=None, _value=None, _traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyType>>,
        _value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.close();
        match kind {
            Some(kind) => kind.is_subclass(&py.get_type::<error::Stopped>()),
            None => Ok(false),
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        self.next(py)
    }

    fn __repr__(&self) -> String {
        format!("<Node {} of {}>", self.id, self.dataflow)
    }
}
