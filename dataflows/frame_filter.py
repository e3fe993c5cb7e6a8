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
            if checksum(frame).to_bytes(8, "little") != event.metadata["checksum"]:
                wrong += 1
                print(f"frame {event.metadata['frame']} does not have its checksum", file=sys.stderr)
            with node.loan("image", frame.shape, "uint8") as loan:
                negative = numpy.asarray(loan)
                numpy.subtract(255, frame, out=negative)
                loan.metadata = {
                    "frame": event.metadata["frame"],
                    "checksum": checksum(negative).to_bytes(8, "little"),
                }
    print(f"filtered {filtered + wrong} frames")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
