"""Waits at gate=PATH before it has said anything to the runtime, as an import that takes long does."""

from test_node import options, record, wait_at

settings, _ = options()
record("importing")
wait_at(settings["gate"])

from dataflow import Node  # noqa: E402

with Node() as node:
    record("connected")
    for event in node:
        record("event", event.type)
