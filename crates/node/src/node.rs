//! A node: its receiving and its sending half together.

use std::borrow::Borrow;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::time::Duration;

use dataflow_ids::{DataflowName, Epoch, NodeId, OutputId};
use dataflow_wire::metadata::Metadata;

use crate::connect;
use crate::control::RuntimeLost;
use crate::error::{ConnectError, RecvError, SendError};
use crate::event::Event;
use crate::handle::Handle;
use crate::loan::Loan;
use crate::receiver::{Polled, Receiver};
use crate::sender::Sender;
use crate::time::{Time, VirtualTime};
use crate::wait::{OnSignal, SignalHook};

/// This program's place in its dataflow.
#[derive(Debug)]
pub struct Node {
    sender: Sender,
    receiver: Receiver,
}

impl Node {
    /// Connects through the socket that the runtime has left for this process.
    ///
    /// From then on the process lives no longer than the runtime: when that ends, the process group of this
    /// program is killed.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; outside a dataflow it says what to do.
    pub fn connect() -> Result<Node, ConnectError> {
        Node::connect_with(&mut || OnSignal::GoOn)
    }

    /// As [`Node::connect`], and asks `on_signal` whenever a signal has interrupted the wait for the runtime.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; [`ConnectError::Interrupted`] when `on_signal` gives up.
    pub fn connect_with(on_signal: &mut SignalHook<'_>) -> Result<Node, ConnectError> {
        let socket = connect::inherited_socket()?;
        let (sender, receiver) =
            connect::connect(socket, RuntimeLost::default(), Time::Machine, on_signal)?;
        Ok(Node { sender, receiver })
    }

    /// Connects over `socket`: for tests that play the runtime, and for programs that get it in another way.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn connect_to(socket: OwnedFd, runtime_lost: RuntimeLost) -> Result<Node, ConnectError> {
        Node::connect_over(socket, runtime_lost, Time::Machine)
    }

    /// As [`Node::connect_to`], for tests that move the time too: its timers tick, and the timeouts of its receives
    /// are over, when `time` says so.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn connect_in_time(
        socket: OwnedFd,
        runtime_lost: RuntimeLost,
        time: VirtualTime,
    ) -> Result<Node, ConnectError> {
        Node::connect_over(socket, runtime_lost, Time::Virtual(time))
    }

    fn connect_over(
        socket: OwnedFd,
        runtime_lost: RuntimeLost,
        time: Time,
    ) -> Result<Node, ConnectError> {
        let (sender, receiver) =
            connect::connect(socket, runtime_lost, time, &mut || OnSignal::GoOn)?;
        Ok(Node { sender, receiver })
    }

    /// The two halves, for a program that sends from other threads than it receives on.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// What may be asked from any thread while others wait in the halves.
    pub fn handle(&self) -> Handle {
        self.sender.handle()
    }

    /// The node's `id` in the description.
    pub fn id(&self) -> &NodeId {
        self.sender.node()
    }

    /// The dataflow's name.
    pub fn dataflow(&self) -> &DataflowName {
        self.sender.dataflow()
    }

    /// This incarnation: 1 at first, one more after each restart.
    pub fn epoch(&self) -> Epoch {
        self.sender.epoch()
    }

    /// The outputs that the description declares.
    pub fn outputs(&self) -> &[OutputId] {
        self.sender.outputs()
    }

    /// Says that this node is ready. The first receive or send says so too; a program that prepares for long
    /// after its first message is due says it when it is done.
    pub fn ready(&self) {
        self.sender.ready();
    }

    /// Waits for the next event. `None`: the last one has been given.
    ///
    /// # Errors
    ///
    /// [`RecvError`], never [`RecvError::Interrupted`].
    pub fn recv(&mut self) -> Result<Option<Event>, RecvError> {
        self.receiver.recv()
    }

    /// Gives the next event if it is there. Never waits.
    ///
    /// # Errors
    ///
    /// [`RecvError`], never [`RecvError::Interrupted`].
    pub fn try_recv(&mut self) -> Result<Polled, RecvError> {
        self.receiver.try_recv()
    }

    /// Waits for the next event, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`], never [`RecvError::Interrupted`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Polled, RecvError> {
        self.receiver.recv_timeout(timeout)
    }

    /// Waits for the next event without holding a thread, under any executor. `None`: the last one has been
    /// given. Dropping the future loses nothing.
    pub fn recv_async(&mut self) -> impl Future<Output = Result<Option<Event>, RecvError>> + '_ {
        self.receiver.recv_async()
    }

    /// Sends a copy of `payload` to every input that is connected to `output`. Waits until every one of them
    /// is ready (the first time), and until there is room on those that block.
    ///
    /// # Errors
    ///
    /// [`SendError`], never [`SendError::Interrupted`].
    pub fn send(
        &mut self,
        output: &str,
        payload: impl AsRef<[u8]>,
        metadata: impl Borrow<Metadata>,
    ) -> Result<(), SendError> {
        self.sender.send(output, payload, metadata)
    }

    /// Lends `length` bytes of memory, aligned to 64, for a message on `output`: fill them in place, then
    /// [`Loan::send`].
    ///
    /// # Errors
    ///
    /// [`SendError`], never [`SendError::Interrupted`].
    pub fn loan(&mut self, output: &str, length: usize) -> Result<Loan, SendError> {
        self.sender.loan(output, length)
    }
}
