"""Hands each message to worker processes of `multiprocessing`, started as `method` says (fork or spawn)."""

import multiprocessing

import numpy
from dataflow import Node
from test_node import number_of, options, record, state_of


def look_at(content):
    """Runs in a worker."""
    array = numpy.frombuffer(content, dtype=numpy.uint8)
    return number_of(array), len(array), state_of(array)


def main():
    settings, _ = options()
    context = multiprocessing.get_context(settings["method"])
    with Node() as node, context.Pool(2) as pool:
        record("workers", *sorted(worker.pid for worker in pool._pool))
        for event in node:
            if event.type != "input":
                record("event", event.type)
                continue
            number, size, state = pool.apply(look_at, (event.numpy().tobytes(),))
            record("input", event.id, number, size, state)
        record("end")


if __name__ == "__main__":
    main()
