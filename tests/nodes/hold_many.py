"""Keeps the array of every message until its inputs end, then checks them all."""

from dataflow import Node
from test_node import record, record_input, state_of

kept = []
with Node() as node:
    for event in node:
        if event.type == "input":
            array = event.numpy()
            record_input(event, array)
            kept.append(array)
        else:
            record("event", event.type)
    record("still", *sorted({state_of(array) for array in kept}))
    record("kept", len(kept))
