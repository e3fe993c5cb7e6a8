"""Turns each frame into its negative, written straight into shared memory, after checking what came in."""

import sys

import numpy
from dataflow import Node

from frame_source import checksum


def main():
    filtered = wrong = 0
    with Node() as node:
        for event in node:
            if event.type != "input":
                continue
            frame = event.numpy()
            number = event.metadata["frame"]
            if checksum(frame) != event.metadata["checksum"]:
                wrong += 1
                print(f"frame {number} does not have its checksum", file=sys.stderr)
            loan = node.loan("image", frame.shape, frame.dtype)
            with loan as negative:
                numpy.subtract(255, frame, out=negative)
                loan.metadata.update(frame=number, checksum=checksum(negative))
            filtered += 1
    print(f"filtered {filtered} frames")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
