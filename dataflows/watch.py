"""Flags unusual values: keeps a window of every figure of the samples, and says when one leaves it.

A value is unusual when it is far from the window's median, measured in robust standard deviations (the median
distance from the median × 1.4826): one outlier does not widen what counts as usual, as it would with a mean.
"""

from collections import deque
from statistics import median

from dataflow import Node

WINDOW = 200  # values a figure: 10 s at 20 Hz
WINDOW_MIN = 60  # nothing is unusual before this many
SCORE_MIN = 6.0  # robust standard deviations
SCORE_USUAL = 3.0  # back below this, the next unusual value is flagged again

# The least deviation that counts as one, for figures that hardly move.
DEVIATION_MIN = {
    "cpu_percent": 4.0,
    "memory_percent": 0.25,
    "load_1m": 0.25,
    "tasks_runnable": 1.0,
    "context_switches_per_s": 200.0,
    "net_in_kb_per_s": 20.0,
    "net_out_kb_per_s": 20.0,
}


class Window:
    """The last values of one figure."""

    def __init__(self, deviation_min):
        self.values = deque(maxlen=WINDOW)
        self.deviation_min = deviation_min
        self.flagged = False

    def take(self, value):
        """Takes a value in; gives (median, score) when it is unusual and the one before was not."""
        unusual = None
        if len(self.values) >= WINDOW_MIN:
            middle = median(self.values)
            deviation = 1.4826 * median(abs(other - middle) for other in self.values)
            score = (value - middle) / max(deviation, self.deviation_min)
            if abs(score) >= SCORE_MIN and not self.flagged:
                self.flagged = True
                unusual = (middle, score)
            elif abs(score) < SCORE_USUAL:
                self.flagged = False
        self.values.append(value)
        return unusual


def main():
    windows = {figure: Window(least) for figure, least in DEVIATION_MIN.items()}
    samples = flags = 0
    with Node() as node:
        for event in node:
            if event.type != "input":
                continue
            samples += 1
            for figure, window in windows.items():
                value = event.metadata[figure]
                unusual = window.take(value)
                if unusual is not None:
                    flags += 1
                    middle, score = unusual
                    node.send(
                        "flags",
                        b"",
                        {"figure": figure, "value": value, "median": middle, "score": score},
                    )
    print(f"watched {samples} samples, flagged {flags} unusual values")


if __name__ == "__main__":
    main()
