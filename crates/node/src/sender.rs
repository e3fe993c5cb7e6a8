//! The sending half of a node: one message to all edges of an output, waiting only where that is the policy.

pub(crate) mod memory;
pub(crate) mod output;
mod patience;
mod write;

use std::borrow::Borrow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use dataflow_ids::{DataflowName, Epoch, NodeId, OutputId};
use dataflow_shm::descriptors_were_closed;
use dataflow_wire::metadata::Metadata;
use dataflow_wire::node::Welcome;

use crate::clock;
use crate::error::SendError;
use crate::handle::Handle;
use crate::loan::Loan;
use crate::shared::Shared;
use crate::wait::{OnSignal, SignalHook};
use dataflow_shm::edge::{ChunkKey, INLINE_BYTES_MAX};
use memory::{Memory, Returns};
use output::{Output, OutputEdge};
use write::Writer;

pub(crate) use write::metadata_behind;

/// The sending half of a node. Clones are the same half: any thread may send, one at a time; a thread that
/// waits for room keeps the others waiting, so messages of a node have one order.
#[derive(Debug, Clone)]
pub struct Sender {
    inner: Arc<SenderInner>,
}

#[derive(Debug)]
pub(crate) struct SenderInner {
    shared: Arc<Shared>,
    /// The names of the outputs, in the order of their places in the writer.
    names: Vec<OutputId>,
    writer: Mutex<Writer>,
    returns: Arc<Returns>,
}

impl Sender {
    pub(crate) fn new(
        shared: Arc<Shared>,
        welcome: &Welcome,
        edges: Vec<(OutputId, OutputEdge)>,
    ) -> Sender {
        let mut outputs: Vec<Output> = welcome
            .outputs
            .iter()
            .map(|id| Output {
                id: id.clone(),
                edges: Vec::new(),
                begun: false,
                metadata_behind_max: 0,
            })
            .collect();
        for (id, edge) in edges {
            match outputs.iter_mut().find(|output| output.id == id) {
                Some(output) => output.edges.push(edge),
                None => outputs.push(Output {
                    id,
                    edges: vec![edge],
                    begun: false,
                    metadata_behind_max: 0,
                }),
            }
        }
        let names = outputs.iter().map(|output| output.id.clone()).collect();
        let returns = Arc::new(Returns::default());
        let memory = Memory::new(welcome);
        let writer = Writer::new(shared.clone(), outputs, memory, returns.clone());
        Sender {
            inner: Arc::new(SenderInner {
                shared,
                names,
                writer: Mutex::new(writer),
                returns,
            }),
        }
    }

    /// This node's name.
    pub fn node(&self) -> &NodeId {
        &self.inner.shared.node
    }

    /// The dataflow's name.
    pub fn dataflow(&self) -> &DataflowName {
        &self.inner.shared.dataflow
    }

    /// This incarnation of the node.
    pub fn epoch(&self) -> Epoch {
        self.inner.shared.epoch
    }

    /// What may be asked from any thread while others wait in the halves.
    pub fn handle(&self) -> Handle {
        Handle::new(self.inner.shared.clone())
    }

    /// The outputs that the description declares.
    pub fn outputs(&self) -> &[OutputId] {
        &self.inner.names
    }

    /// Tells the runtime that this node is ready; the first receive or send does so too.
    pub fn ready(&self) {
        self.inner.shared.say_ready();
    }

    /// Sends a copy of `payload` to every input that is connected to `output`.
    ///
    /// Waits until every one of them is ready (the first time), and until there is room on those that block.
    ///
    /// # Errors
    ///
    /// [`SendError`], never [`SendError::Interrupted`].
    pub fn send(
        &self,
        output: &str,
        payload: impl AsRef<[u8]>,
        metadata: impl Borrow<Metadata>,
    ) -> Result<(), SendError> {
        self.send_with(output, payload.as_ref(), metadata.borrow(), &mut || {
            OnSignal::GoOn
        })
    }

    /// As [`Sender::send`], and asks `on_signal` whenever a signal has interrupted a wait.
    ///
    /// # Errors
    ///
    /// [`SendError`]; [`SendError::Interrupted`] when `on_signal` gives up.
    pub fn send_with(
        &self,
        output: &str,
        payload: &[u8],
        metadata: &Metadata,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        let place = self.inner.place(output)?;
        let metadata = metadata.encode()?;
        let mut writer = self.inner.writer()?;
        writer.begin(place)?;
        writer.send(place, payload, &metadata, on_signal)
    }

    /// Lends `length` bytes of memory, aligned to 64, for a message on `output`: fill them in place, then
    /// [`Loan::send`]. Their content is whatever an earlier message has left there.
    ///
    /// # Errors
    ///
    /// [`SendError`], never [`SendError::Interrupted`].
    pub fn loan(&self, output: &str, length: usize) -> Result<Loan, SendError> {
        self.loan_with(output, length, &mut || OnSignal::GoOn)
    }

    /// As [`Sender::loan`], and asks `on_signal` whenever a signal has interrupted a wait.
    ///
    /// # Errors
    ///
    /// [`SendError`]; [`SendError::Interrupted`] when `on_signal` gives up.
    pub fn loan_with(
        &self,
        output: &str,
        length: usize,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<Loan, SendError> {
        let place = self.inner.place(output)?;
        let mut writer = self.inner.writer()?;
        writer.begin(place)?;
        if length <= INLINE_BYTES_MAX {
            drop(writer);
            return Ok(Loan::small(self.inner.clone(), place, length));
        }
        let room = writer.metadata_room(place, length);
        let chunk = writer.obtain(place, length, room, on_signal)?;
        drop(writer);
        Ok(Loan::chunk(self.inner.clone(), place, length, chunk))
    }
}

impl SenderInner {
    fn place(&self, output: &str) -> Result<usize, SendError> {
        self.names
            .iter()
            .position(|name| name.as_str() == output)
            .ok_or_else(|| SendError::UnknownOutput {
                node: self.shared.node.clone(),
                output: output.to_owned(),
                declared: self.names.clone(),
            })
    }

    /// The part that one thread at a time sends with. In a process forked from the node's it is refused and not
    /// waited for: a thread that had it at the fork is not there to give it back.
    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>, SendError> {
        if !self.shared.fork_guard.holds() {
            return Err(SendError::Forked);
        }
        if descriptors_were_closed() {
            return Err(SendError::DescriptorsClosed);
        }
        let (mut writer, waited_since_ns) = match self.writer.try_lock() {
            Ok(writer) => (writer, None),
            Err(TryLockError::Poisoned(poisoned)) => (poisoned.into_inner(), None),
            // Another thread sends, and perhaps waits for room.
            Err(TryLockError::WouldBlock) => {
                let since_ns = clock::monotonic_now_ns();
                let writer = self.writer.lock();
                (
                    writer.unwrap_or_else(PoisonError::into_inner),
                    Some(since_ns),
                )
            }
        };
        writer.call_begins(waited_since_ns);
        Ok(writer)
    }

    /// Counts a loan.
    pub(crate) fn loan_begins(&self) {
        self.returns.loan_begins();
    }

    /// A loan is over; gives back the hold on a chunk that its view still had. Never waits.
    pub(crate) fn loan_ends(&self, key: Option<ChunkKey>) {
        // The loan of a forked child is its parent's, and so is the lock.
        if !self.shared.fork_guard.holds() {
            return;
        }
        self.returns.loan_ends(key);
        // Somebody may wait for exactly this memory.
        self.shared.send_wake.notify();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use dataflow_ids::NodeIndex;
    use dataflow_shm::ForkGuard;
    use dataflow_wire::node::NODE_PROTOCOL;

    use super::*;
    use crate::error::RecvError;
    use crate::receiver::Receiver;
    use crate::shared::tests::parts;

    pub(crate) fn welcome() -> Welcome {
        Welcome {
            protocol: NODE_PROTOCOL,
            dataflow: DataflowName::new("test").unwrap(),
            run: "unit-test".to_owned(),
            node: NodeId::new("node").unwrap(),
            index: NodeIndex(0),
            epoch: Epoch(1),
            outputs: vec![OutputId::new("out").unwrap()],
            timers: Vec::new(),
            edges: 0,
            output_memory_bytes: 64 << 20,
        }
    }

    #[test]
    fn in_a_forked_child_every_call_says_so_and_waits_for_no_lock() {
        let (parts, _runtime) = parts(ForkGuard::elsewhere().unwrap());
        let shared = Arc::new(Shared::new(parts));
        let sender = Sender::new(shared.clone(), &welcome(), Vec::new());
        let mut receiver = Receiver::new(shared, Vec::new(), &[]);
        let loan = Loan::small(sender.inner.clone(), 0, 8);
        // A thread of the parent had it at the fork.
        let _writer = sender.inner.writer.lock().unwrap();
        let sent = sender.send("out", b"", Metadata::new());
        assert_eq!(sent, Err(SendError::Forked));
        assert!(matches!(sender.loan("out", 8), Err(SendError::Forked)));
        assert_eq!(loan.send(Metadata::new()), Err(SendError::Forked));
        sender.ready();
        receiver.ready();
        assert!(matches!(receiver.recv(), Err(RecvError::Forked)));
        assert!(matches!(receiver.try_recv(), Err(RecvError::Forked)));
    }
}
