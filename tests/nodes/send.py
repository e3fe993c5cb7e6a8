"""Sends count=N messages of bytes=B on its output `out`, filled in place, and ends at once."""

from dataflow import Node
from test_node import options, payload, record

settings, _ = options()
count, size = int(settings.get("count", 1)), int(settings.get("bytes", 24))

with Node() as node:
    for number in range(1, count + 1):
        with node.loan("out", (size,), "uint8") as array:
            array[:] = payload(number, size)
    record("sent", count)
