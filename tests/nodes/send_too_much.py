"""Sends one message of bytes=B on `out`."""

from dataflow import Node
from test_node import options

settings, _ = options()
with Node() as node:
    node.send("out", bytes(int(settings["bytes"])), {})
