"""Sends 1920×1080 colour frames, drawn in place in shared memory, with a checksum in their metadata.

With a `tick` input it sends one frame a tick; without, as fast as the receivers let it.
"""

import argparse
import itertools
import os
import time

import numpy
from dataflow import Node

SHAPE = (1080, 1920, 3)


def checksum(frame):
    """The wrapping sum of the frame as little-endian words of 8 bytes, as the 8 bytes of such a word.

    `checksum` of the Rust package dataflow_examples gives the same.
    """
    return int(frame.reshape(-1).view("<u8").sum(dtype="u8")).to_bytes(8, "little")


def background():
    """A picture in which no two rows or columns are the same."""
    rows = numpy.arange(SHAPE[0], dtype="uint16")[:, None]
    columns = numpy.arange(SHAPE[1], dtype="uint16")[None, :]
    red, green, blue = (rows + columns), (rows * 3 + columns), (rows + columns * 5)
    return numpy.stack([red, green, blue], axis=2).astype("uint8")


def draw(picture, number, frame):
    """The picture, brighter with each number, and a white square that falls."""
    numpy.add(picture, number % 256, out=frame, casting="unsafe")
    top = number * 8 % (SHAPE[0] - 100)
    frame[top : top + 100, 200:400] = 255


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, help="end after this time; without it, run until stopped")
    parser.add_argument("--paced", action="store_true", help="one frame for each message on the input `tick`")
    arguments = parser.parse_args()
    seconds = os.environ.get("DATAFLOW_EXAMPLE_SECONDS", arguments.seconds)
    ends_at = float("inf") if seconds is None else time.monotonic() + float(seconds)

    picture = background()
    sent = 0
    with Node() as node:
        # With a timer the events set the pace; without one, nothing but the receivers does.
        for event in node if arguments.paced else itertools.repeat(None):
            if time.monotonic() >= ends_at or (event is not None and event.type == "stop"):
                break
            loan = node.loan("image", SHAPE, "uint8")
            with loan as frame:
                draw(picture, sent, frame)
                loan.metadata.update(frame=sent, checksum=checksum(frame))
            sent += 1
    print(f"sent {sent} frames")


if __name__ == "__main__":
    main()
