"""bench/whole_initialisation.py without the packages: what is compared, what is printed, when it fails."""

import argparse
import contextlib
import io
import sys
import unittest

from scratch import TOOLS, ScratchTest

sys.path.insert(0, str(TOOLS / "bench"))
import whole_initialisation as bench

ARGS = argparse.Namespace(sources=40, targets=50, rounds=3)


class Row:
    def __init__(self, *numbers):
        self.numbers, self.shape = numbers, (len(numbers),)

    def tobytes(self):
        return bytes(self.numbers)


class WholeInitialisation(ScratchTest):
    def compared(self, differ):
        ours = iter([{"cpu": cpu, "wall": 1, "mib": 100} for cpu in (1, 2, 4)])
        verdict = {"rows": 9, "of": 9, "differ": differ, "median": 1e-9, "worst": 1e-3}

        def peer(args, folder, part, method):
            return verdict if part == "judge" else {"cpu": 8, "wall": 3, "mib": 250}

        kept = bench.adapted, bench.peer
        bench.adapted, bench.peer = (lambda *_: next(ours)), peer
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                failed = bench.compare(ARGS, self.scratch, "ofa")
        finally:
            bench.adapted, bench.peer = kept
        return failed, out.getvalue()

    def test_ratios_are_medians_of_rounds_with_their_range(self):
        failed, text = self.compared(0)
        self.assertEqual(failed, 0)
        self.assertIn("ofa: 4.0 times less CPU time (2.0 to 8.0), 3.0 times less time (3.0 to 3.0), 2.5 times less memory", text)
        self.assertIn("0 of 9 rows differ", text)

    def test_rows_that_differ_are_counted(self):
        failed, text = self.compared(2)
        self.assertEqual(failed, 2)
        self.assertIn("2 of 9 rows differ by more than 1e-4", text)

    def test_a_tenth_of_the_new_tokens_are_old_ones(self):
        old, new = bench.names(ARGS)
        self.assertEqual((len(old), len(new), len(set(old) & set(new))), (40, 50, 5))

    def test_vectors_are_a_word2vec_file(self):
        class Rows(list):
            shape = (2, 3)
        file = self.scratch / "v.bin"
        bench.write_word2vec(file, ["a", "bc"], Rows([Row(1, 2, 3), Row(4, 5, 6)]))
        self.assertEqual(file.read_bytes(), b"2 3\na \x01\x02\x03\nbc \x04\x05\x06\n")


if __name__ == "__main__":
    unittest.main()
