"""Receives until its inputs end, and writes down what it saw.

gate=PATH, gate_at=N: waits there after message N (1 when not given).
until=stop: breaks out of the loop at the first word of an end instead of letting the iteration end by itself.
hold=N: keeps the arrays of the last N messages.
"""

from collections import deque

from dataflow import Node
from test_node import options, record, record_input, wait_at

settings, _ = options()
gate_at = int(settings.get("gate_at", 1))
held = deque(maxlen=int(settings.get("hold", 0)))

seen = 0
with Node() as node:
    record("connected")
    for event in node:
        if event.type == "input":
            array = event.numpy()
            seen += 1
            record_input(event, array)
            held.append(array)
            del array
            if "gate" in settings and seen == gate_at:
                wait_at(settings["gate"])
                record("through")
        else:
            record("event", event.type, *([event.id] if event.type == "input_closed" else []))
            if settings.get("until") == "stop" and event.type in ("stop", "all_inputs_closed"):
                break
        del event
    record("end")
