"""What the Python test nodes share: the record of facts, and the content of a message.

A message's first 8 bytes are its number (little endian); every other byte is that number modulo 251.
The Rust test node writes and checks the same.
"""

import os
import sys
import time

import numpy

_records = os.environ["DATAFLOW_TEST_RECORDS"]
_file = open(os.path.join(_records, os.environ["DATAFLOW_NODE"]), "a", buffering=1)


def record(*words):
    """Writes one fact down."""
    _file.write(" ".join(str(word) for word in words) + "\n")


def options():
    """The arguments `key=value` as a dict, and the others as a list."""
    pairs = [argument.partition("=") for argument in sys.argv[1:]]
    return (
        {key: value for key, sign, value in pairs if sign},
        [key for key, sign, _ in pairs if not sign],
    )


def payload(number, size):
    """The content of message `number`, `size` bytes long."""
    array = numpy.full(size, number % 251, dtype=numpy.uint8)
    array[:8] = numpy.frombuffer(number.to_bytes(8, "little"), dtype=numpy.uint8)
    return array


def number_of(array):
    """The number of a message."""
    return int.from_bytes(array[:8].tobytes(), "little")


def state_of(array):
    """`whole`, or `damaged`."""
    return "whole" if (array[8:] == number_of(array) % 251).all() else "damaged"


def record_input(event, array):
    """Writes down that a message has arrived."""
    record("input", event.id, number_of(array), len(array), state_of(array))


def wait_at(gate):
    """Waits until the test opens this gate (a named pipe)."""
    with open(gate, "rb") as pipe:
        pipe.read()


def now_ns():
    """The wall clock, which the test reads too."""
    return time.time_ns()
