"""The API a dataflow node is written with.

    from dataflow import Node

    with Node() as node:
        for event in node:
            if event.type == "input":
                image = event.numpy()              # a read-only view of shared memory
                node.send("boxes", find(image), {"frame": event.metadata["frame"]})

and in a node that makes large messages:

    with Node() as node:
        while True:                                                  # until Stopped, which the block takes
            with node.loan("image", (1080, 1920, 3)) as frame:       # a writable array in shared memory
                camera.read_into(frame)                              # sent at its end, nothing is copied

A message stays in its sender's memory until the last view of it goes: drop arrays that you do not need any
more. Everything here may be used from any thread; waiting releases the GIL, and Ctrl-C ends it. A process that
was forked from the node's (multiprocessing's start method `fork`) is refused: use `spawn` there.
"""

from ._native import (
    ConnectError,
    DataflowError,
    Event,
    Loan,
    MemoryLimitError,
    MetadataError,
    Node,
    OutputError,
    RuntimeGone,
    Stopped,
    __version__,
)

__all__ = [
    "ConnectError",
    "DataflowError",
    "Event",
    "Loan",
    "MemoryLimitError",
    "MetadataError",
    "Node",
    "OutputError",
    "RuntimeGone",
    "Stopped",
    "__version__",
]
