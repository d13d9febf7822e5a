#!/usr/bin/env python3
"""Runs a small recipe, changes it, and compares the runs as a user would: `xp diff`, and `xp table` in other shapes."""
import csv
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from training import write_tiny

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
BITS = "adapt.bits_per_byte.bits.final"


class Compare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-compare-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        write_tiny(cls.folder)
        cls.runs = []
        for changes in ([], ["--set", "arm.ofa.stage.transfer.initializer.temperature=0.2", "--set", "threads=2"]):
            cls.xp("run", "tiny.toml", *changes)
            known = {file.stem for file in (cls.folder / "results" / "tiny").glob("*.h5")}
            cls.runs += sorted(known - set(cls.runs))

    @classmethod
    def xp(cls, *arguments, code=0):
        done = subprocess.run([XP, *arguments], cwd=cls.folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, (done.returncode, done.stderr, done.stdout)
        return done

    def diff(self, *arguments, code=0):
        return json.loads(self.xp("diff", *arguments, "--json", code=code).stdout)

    def test_a_changed_setting_is_where_the_difference_begins(self):
        before, after = self.runs
        found = self.diff(before, after)
        self.assertFalse(found["same"])
        self.assertEqual([(one["key"], one["before"], one["after"], one["arms"]) for one in found["can_change"]],
                         [("stage.transfer.initializer.temperature", "0.1", "0.2", ["ofa"])])
        self.assertEqual([(one["stage"], one["first"], one["own"], one["inputs"]) for one in found["stages"]],
                         [("transfer", True, ["initializer.temperature"], []), ("adapt", False, [], ["transfer"])])
        harmless = {one["key"] for one in found["cannot_change"]}
        self.assertIn("command", harmless)
        self.assertIn("threads_per_stage", harmless)
        equal = {(one["arm"], one["metric"]) for one in found["numbers"] if one["equal"]}
        self.assertIn(("random", BITS), equal)
        self.assertIn(("ofa", "pretrain.loss.final"), equal)
        moved = [one for one in found["numbers"] if (one["arm"], one["metric"]) == ("ofa", BITS)]
        self.assertEqual(len(moved), 1)
        self.assertGreaterEqual(moved[0]["p"], 0.5)  # two seeds cannot say more
        shown = self.xp("diff", before, after).stdout
        self.assertIn("stage.transfer.initializer.temperature  0.1 → 0.2  (ofa)", shown)

    def test_exit_codes_and_names(self):
        before, after = self.runs
        self.xp("diff", before, after, "--exit-code", code=5)
        self.xp("diff", before, f"results/tiny/{before}.h5", "--exit-code")
        self.assertTrue(self.diff("tiny", after)["same"])  # the newest
        self.assertIn("is called `nope`", self.xp("diff", before, "nope", code=4).stderr)

    def test_a_listing_has_the_setting_that_differs(self):
        rows = list(csv.DictReader(io.StringIO(
            self.xp("table", "tiny", "--all-runs", "--settings", "--columns", BITS, "--format", "csv").stdout.rstrip("\n"))))
        self.assertEqual(len(rows), 8)  # two runs of two arms with two seeds
        self.assertEqual({row["run"] for row in rows}, set(self.runs))
        ofa = {(row["run"], row["stage.transfer.initializer.temperature"]) for row in rows if row["arm"] == "ofa"}
        self.assertEqual(ofa, set(zip(self.runs, ["0.1", "0.2"])))
        self.assertNotIn("stage.pretrain.stop", rows[0])
        everything = self.xp("table", "tiny", "--settings", "--all", "--columns", BITS, "--format", "csv").stdout
        self.assertIn("stage.pretrain.stop", everything.split("\n")[0])

    def test_pivots_order_and_files(self):
        table = json.loads(self.xp("table", "tiny", "--cols", "seed", "--cell", BITS, "--json").stdout)
        self.assertEqual([one["name"] for one in table["columns"]], ["seed 0", "seed 1"])
        self.assertEqual([one["name"] for one in table["rows"]], ["ofa", "random"])
        down = json.loads(self.xp("table", "tiny", "--columns", BITS, "--sort-by", BITS + ":desc", "--json").stdout)
        means = [row["cells"][0]["mean"] for row in down["rows"]]
        self.assertEqual(means, sorted(means, reverse=True))
        self.xp("table", "tiny", "--columns", BITS, "--baseline", "random", "-o", "t.tex")
        tex = (self.folder / "t.tex").read_text()
        self.assertIn("\\newcommand{\\xpTableOfaAdaptBitsPerByteBitsFinal}{", tex)
        self.assertIn("so few seeds give no p below 0.5", tex)

    def test_strict_tells_of_missing_cells(self):
        self.xp("table", "tiny", "--columns", BITS, "--strict")
        done = self.xp("table", "tiny", "--columns", BITS, "adapt.nothing", "--strict", code=5)
        self.assertIn("2 cells without all of their runs", done.stderr)
        self.assertIn("recorded no `nothing`", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
