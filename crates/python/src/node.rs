//! A node, as Python sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use dataflow_node::{Handle, Node as RustNode, Polled, Receiver, RecvError, Sender, SignalHook};
use pyo3::exceptions::{PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::event::Event;
use crate::loan::{Layout, Loan};
use crate::payload::Payload;
use crate::turn::{Half, Turns, without_gil};
use crate::{error, metadata};

/// This program's place in its dataflow. Use it as a context manager and iterate over its events.
#[pyclass(frozen, module = "dataflow")]
pub(crate) struct Node {
    id: String,
    dataflow: String,
    epoch: u32,
    outputs: Vec<String>,
    handle: Handle,
    closed: AtomicBool,
    /// Locked by who has the turn, for as long as an event is waited for; all others only try to.
    receiver: Mutex<Option<Receiver>>,
    receiving: Turns,
    /// Locked with the GIL and for a moment only, so it is free in every forked child.
    sender: Mutex<Option<Sender>>,
    sending: Arc<Turns>,
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
        timeout: Option<Duration>,
        wait: impl FnOnce(&mut Receiver, &mut SignalHook<'_>) -> Result<Polled, RecvError> + Send,
    ) -> PyResult<Polled> {
        let turn = match timeout {
            None => self.receiving.take(py)?,
            Some(timeout) => match self.receiving.take_within(py, timeout)? {
                Some(turn) => turn,
                None => return Ok(Polled::Nothing),
            },
        };
        let (result, raised) = turn.without_gil(|on_signal| {
            let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.as_mut().map(|receiver| wait(receiver, on_signal))
        });
        drop(turn);
        if self.closed.load(Ordering::Acquire) {
            // Whoever has closed the node could not: this thread had it.
            self.drop_receiver();
        }
        match result {
            None | Some(Err(RecvError::Closed)) => Err(error::closed()),
            Some(Ok(polled)) => Ok(polled),
            Some(Err(error)) => Err(error::recv(error, raised)),
        }
    }

    /// Lets the receiving half go, unless a thread has it at this moment.
    fn drop_receiver(&self) {
        let receiver = match self.receiver.try_lock() {
            Ok(mut receiver) => receiver.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        drop(receiver);
    }

    fn next(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        let polled = self.receive(py, None, |receiver, on_signal| {
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
        let (connected, raised) = without_gil(py, |on_signal| RustNode::connect_with(on_signal));
        let node = connected.map_err(|error| error::connect(error, raised))?;
        let handle = node.handle();
        let (id, dataflow) = (node.id().to_string(), node.dataflow().to_string());
        let epoch = node.epoch().0;
        let outputs = node.outputs().iter().map(ToString::to_string).collect();
        let (sender, receiver) = node.split();
        Ok(Node {
            id,
            dataflow,
            epoch,
            outputs,
            closed: AtomicBool::new(false),
            receiver: Mutex::new(Some(receiver)),
            receiving: Turns::new(py, Half::Receiving, handle.clone())?,
            sender: Mutex::new(Some(sender)),
            sending: Arc::new(Turns::new(py, Half::Sending, handle.clone())?),
            handle,
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
        if self.handle.is_forked() {
            return Err(error::forked());
        }
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
        // A time beyond what the clock can count is for ever too.
        let until = Instant::now().checked_add(timeout);
        let polled = self.receive(py, Some(timeout), |receiver, on_signal| {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            receiver.recv_timeout_with(left.unwrap_or(Duration::MAX), on_signal)
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
        let turn = self.sending.take(py)?;
        let (result, raised) =
            turn.without_gil(|on_signal| sender.send_with(output, bytes, &metadata, on_signal));
        drop(turn);
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
        let turn = self.sending.take(py)?;
        let (result, raised) =
            turn.without_gil(|on_signal| sender.loan_with(output, length, on_signal));
        drop(turn);
        let loan = result.map_err(|error| error::send(py, error, raised))?;
        Loan::new(py, loan, layout, metadata, self.sending.clone())
    }

    /// Receives and sends no more. Messages that are held stay valid.
    /// A receive that waits in another thread ends with an error; a send that waits is carried out.
    fn close(&self) {
        if self.handle.is_forked() {
            // All of it is the parent's.
            return;
        }
        let sender = self
            .sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(sender);
        self.closed.store(true, Ordering::Release);
        self.handle.close_receiver();
        self.drop_receiver();
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
