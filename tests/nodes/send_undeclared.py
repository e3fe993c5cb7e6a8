"""Sends on an output that its description does not declare."""

from dataflow import Node

with Node() as node:
    node.send("secret", b"hello", {})
