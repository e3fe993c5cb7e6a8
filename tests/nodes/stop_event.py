"""A source with a timer: counts its ticks, and writes down the stop."""

from dataflow import Node
from test_node import record

with Node() as node:
    for event in node:
        if event.type == "input":
            record("tick", event.id)
        else:
            record("event", event.type)
    record("end")
