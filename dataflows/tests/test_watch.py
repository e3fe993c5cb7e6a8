"""What the quickstart's watcher calls unusual."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from watch import WINDOW_MIN, Window  # noqa: E402


class WhatIsUnusual(unittest.TestCase):
    def usual(self):
        """A window that has seen 10 ± 1."""
        window = Window(deviation_min=0.5)
        for number in range(WINDOW_MIN):
            self.assertIsNone(window.take(10 + (number % 3 - 1)))
        return window

    def test_a_value_far_from_the_median_is_flagged_once_until_it_was_usual_again(self):
        window = self.usual()
        middle, score = window.take(30)
        self.assertEqual(middle, 10)
        self.assertGreater(score, 6)
        self.assertIsNone(window.take(30))
        self.assertIsNone(window.take(10))
        self.assertLess(window.take(-30)[1], -6)

    def test_nothing_is_unusual_before_the_window_knows_enough(self):
        window = Window(deviation_min=0.5)
        self.assertIsNone(window.take(10))
        self.assertIsNone(window.take(1000))

    def test_a_figure_that_never_moved_has_a_least_deviation(self):
        window = Window(deviation_min=1)
        for _ in range(WINDOW_MIN):
            window.take(5)
        self.assertIsNone(window.take(10))
        self.assertIsNotNone(window.take(12))


if __name__ == "__main__":
    unittest.main()
