"""Keeps the array of its first message and the interpreter's lock for some seconds, then checks and releases it.

kind=loop: a loop in pure Python. kind=call: a call into C that does not release the lock.
"""

import ctypes
import time

from dataflow import Node
from test_node import now_ns, options, record, record_input, state_of

settings, _ = options()
seconds = int(settings["seconds"])

with Node() as node:
    for event in node:
        if event.type != "input":
            record("event", event.type)
            continue
        kept = event.numpy()
        record_input(event, kept)
        del event
        record("holding")
        if settings["kind"] == "loop":
            end = time.monotonic() + seconds
            count = 0
            while time.monotonic() < end:
                count += 1
        else:
            # PyDLL, unlike CDLL, keeps the lock during the call.
            ctypes.PyDLL(None).sleep(seconds)
        record("still", state_of(kept))
        record("releasing", now_ns())
        del kept
    record("end")
