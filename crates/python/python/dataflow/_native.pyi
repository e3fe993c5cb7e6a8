"""What the extension module offers; import it from `dataflow`."""

import builtins
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypeAlias

from typing_extensions import Buffer

MetadataValue: TypeAlias = (
    None
    | bool
    | int
    | float
    | str
    | bytes
    | Sequence["MetadataValue"]
    | Mapping[str, "MetadataValue"]
)

__version__: str

class DataflowError(Exception):
    """Something that the dataflow refuses, with the remedy in its text."""

class ConnectError(DataflowError):
    """This program cannot connect: most often, it was not started by a dataflow."""

class Stopped(DataflowError):
    """The dataflow is stopping and the message was refused. Leaving `with Node() as node` by it is a good end."""

class OutputError(DataflowError):
    """The node has no such output."""

class MemoryLimitError(DataflowError):
    """The message is larger than the outputs' memory, or that memory is used up; the text names who holds it."""

class MetadataError(DataflowError, ValueError):
    """Metadata is too long, too deep, or has a value that cannot travel."""

class RuntimeGone(DataflowError):
    """The runtime of the dataflow has ended."""

class Node:
    """This program's place in its dataflow. Use it as a context manager and iterate over its events."""

    def __init__(self) -> None:
        """Connects through the socket that the runtime has left for this process.

        Raises ConnectError outside a dataflow, with what to do.
        """

    @property
    def id(self) -> str:
        """The node's `id` in the description."""

    @property
    def dataflow(self) -> str:
        """The dataflow's name."""

    @property
    def epoch(self) -> int:
        """This incarnation: 1 at first, one more after each restart."""

    @property
    def outputs(self) -> list[str]:
        """The outputs that the description declares."""

    def ready(self) -> None:
        """Says that this node is ready. The first receive or send says so too."""

    def recv(self, timeout: float | None = None) -> Event | None:
        """Waits for the next event; None when the last one has been given. Threads receive one after the other.

        Raises TimeoutError when `timeout` seconds have passed first.
        """

    def send(
        self,
        output: str,
        data: Buffer | Any = b"",
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> None:
        """Sends a copy of `data`: anything with a buffer (bytes, memoryview, …), or a numpy array, which
        arrives with its dtype and shape, as does an event that is sent on. With anything else, the reserved keys
        `_dtype` and `_shape` are left out of `metadata`.

        Raises Stopped, OutputError, MemoryLimitError, MetadataError; TypeError for data without a buffer.
        """

    def loan(
        self,
        output: str,
        shape: int | Sequence[int],
        dtype: Any = "uint8",
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> Loan:
        """Lends memory for a message; see Loan."""

    def close(self) -> None:
        """Receives and sends no more. Messages that are held stay valid.

        A receive that waits in another thread ends with DataflowError; a send that waits is carried out.
        """

    def __enter__(self) -> Node: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Closes the node. True if the block ended by Stopped: that is a good end."""

    def __iter__(self) -> Iterator[Event]: ...
    def __next__(self) -> Event: ...

class Event:
    """What a node receives. `memoryview(event)` is a read-only view of its payload."""

    @property
    def type(self) -> Literal["input", "input_closed", "all_inputs_closed", "stop"]:
        """What it is. For all but "input" the payload is empty."""

    @property
    def id(self) -> str | None:
        """The input, of an "input" or "input_closed" event."""

    @property
    def source(self) -> str | None:
        """Where an input comes from: "camera/image", or "timer"."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What the sender wrote beside the payload; a new dict each time. A timer's tick has `missed` here
        when ticks were missed."""

    @property
    def sent_at(self) -> int | None:
        """When it was sent, in nanoseconds of `time.monotonic_ns()`."""

    @property
    def sequence(self) -> int | None:
        """Its number on its edge, from 1; for a timer the number of periods."""

    @property
    def held(self) -> bool:
        """Whether the payload lies in the sender's memory until the last view of it goes."""

    def numpy(self) -> Any:
        """The payload as a read-only numpy array that copies nothing: with the dtype and shape it was sent
        with, else as bytes (uint8).

        Raises ValueError when the metadata describes another array than the payload can be.
        """

    def arrow(self) -> Any:
        """The payload as a `pyarrow.Buffer` that copies nothing, for example for `pyarrow.ipc.open_stream`."""

    def bytes(self) -> builtins.bytes:
        """A copy of the payload."""

    def __len__(self) -> int:
        """The payload's length in bytes."""

    def __buffer__(self, flags: int, /) -> memoryview: ...

class Loan:
    """Memory for one message, lent by `Node.loan`.

        loan = node.loan("image", (1080, 1920, 3))
        with loan as frame:
            loan.metadata["frame"] = 7
            camera.read_into(frame)

    The block gets a writable numpy array (without numpy: a writable memoryview of bytes). At its end the message
    is sent, unless an exception was raised. The array then becomes read-only and keeps showing what was sent, and
    the memory is used again when the array has gone. Views that were made of it inside the block cannot be made
    read-only: do not write into them after the block, receivers are reading.
    """

    metadata: dict[str, Any]
    """What is sent beside the payload; `_dtype` and `_shape` are added."""

    def __enter__(self) -> Any: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool: ...
