"""bench/inference.py times nothing unless the numbers are equal, and says which text it lacks."""

import contextlib
import io
import sys
import types
import unittest

from scratch import TOOLS, ScratchTest

sys.path.insert(0, str(TOOLS / "bench"))
import inference


def task(ours, theirs):
    return types.SimpleNamespace(pairs=["pair"] * len(ours), ours=types.SimpleNamespace(run=lambda pairs: (0.0, ours)),
                                 peers={"plain": lambda pairs: theirs})


class Inference(ScratchTest):
    def check(self, ours, theirs, most=1e-5):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            inference.check("embed", task(ours, theirs), most)
        return out.getvalue()

    def test_equal_numbers_pass(self):
        self.assertIn("over 2 items", self.check([0.5, 8.0], [0.500001, 8.00001]))

    def test_other_numbers_stop_it(self):
        for wrong in (0.6, float("nan")):
            with self.assertRaisesRegex(SystemExit, "do not compute the same"):
                self.check([0.5, wrong], [0.5, 0.5])

    def test_the_limit_is_that_of_the_precision(self):
        self.assertIn("over 1 items", self.check([0.5], [0.52], 0.05))
        with self.assertRaisesRegex(SystemExit, "do not compute the same"):
            self.check([0.5], [0.6], 0.05)

    def test_lines_are_spread_over_the_text_and_counted(self):
        text = self.write("text.txt", "".join(f"{i:<50}x\nshort\n" for i in range(10)))
        self.assertEqual([line.split()[0] for line in inference.lines_of(text, 5)], ["0", "2", "4", "6", "8"])
        with self.assertRaisesRegex(SystemExit, "has 10 lines"):
            inference.lines_of(text, 11)


if __name__ == "__main__":
    unittest.main()
