"""python3 -m unittest discover tools"""

import math
import unittest

from fit_tide import fit


class FitTest(unittest.TestCase):
    def test_finds_what_was_put_in(self):
        def level(hours):
            m2 = 148 * math.cos(2 * math.pi * hours / 12.4206 - 1.93)
            s2 = 47 * math.cos(2 * math.pi * hours / 12 - 0.61)
            return 212 + m2 + s2

        fitted = fit([(hour * 3600, level(hour)) for hour in range(24 * 30)])
        self.assertAlmostEqual(fitted["mean"], 212, places=3)
        self.assertAlmostEqual(fitted["constituents"][0]["amplitude"], 148, places=3)
        self.assertAlmostEqual(fitted["constituents"][1]["phase"], 0.61, places=3)

    def test_says_when_the_record_is_too_short(self):
        with self.assertRaises(ValueError):
            fit([(0, 212)])


if __name__ == "__main__":
    unittest.main()
