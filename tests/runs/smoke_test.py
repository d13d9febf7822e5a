#!/usr/bin/env python3
"""Shipped recipes from end to end with --smoke: smoke_test.py XP [all|third]. The third changes from day to day, so
that three days see all. A recipe whose packages are not on this machine is skipped by name. What each took is printed;
no time is asserted."""
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PART = sys.argv.pop(2) if len(sys.argv) > 2 and sys.argv[2] in ("all", "third") else "all"
XP = str(pathlib.Path(sys.argv.pop(1)).resolve())


def recipes():
    every = sorted(path for path in (ROOT / "recipes").rglob("*.toml") if path.parent.name != "base")
    return every if PART == "all" else every[datetime.date.today().toordinal() % 3::3]


class Smoke(unittest.TestCase):
    def test_recipes(self):
        self.assertTrue(recipes())
        with tempfile.TemporaryDirectory(prefix="xp-smoke-") as results:
            for recipe in recipes():
                with self.subTest(recipe.stem):
                    before = os.times()
                    done = subprocess.run([XP, "run", str(recipe), "--smoke", "--results", results, "-q"], cwd=ROOT,
                                          capture_output=True, text=True, timeout=1800)
                    after = os.times()
                    if done.returncode == 2 and "xp data fetch" in done.stderr:
                        print(f"{recipe.stem}: skipped, {done.stderr.splitlines()[0]}", file=sys.stderr)
                        continue
                    cpu = after.children_user + after.children_system - before.children_user - before.children_system
                    print(f"{recipe.stem}: {after.elapsed - before.elapsed:.1f} s, {cpu:.1f} s of CPU", file=sys.stderr)
                    self.assertEqual(done.returncode, 0, done.stderr[-3000:])
                    if "[[claim]]" in recipe.read_text(encoding="utf-8"):
                        self.assertIn("UNDECIDED", done.stdout)  # one seed decides nothing


if __name__ == "__main__":
    unittest.main()
