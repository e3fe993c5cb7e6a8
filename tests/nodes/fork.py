"""Forks while it holds a message, as `multiprocessing` does; the child leaves by an ordinary exit."""

import os
import sys

from dataflow import Node
from test_node import options, record, record_input, state_of, wait_at

settings, _ = options()

with Node() as node:
    for event in node:
        if event.type != "input":
            record("event", event.type)
            continue
        array = event.numpy()
        record_input(event, array)
        child = os.fork()
        if child == 0:
            # Its copies of the views go with it; the message is still the parent's.
            del array, event
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        record("child", os.waitstatus_to_exitcode(status))
        wait_at(settings["gate"])
        record("still", state_of(array))
        del array, event
    record("end")
