#!/usr/bin/env python3
"""A wall clock that is set forward and back by days while a recipe and a sweep run changes nothing but dates."""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "runs"))
import training

XP, CLOCK = (str(pathlib.Path(sys.argv.pop(1)).resolve()) for _ in range(2))
DAY = 86400

SWEEP = """
[sweep]
method = { type = "grid" }
goal   = { metric = "pretrain.loss.final", better = "lower" }
budget = "30 min"

[[sweep.axis]]
key    = "stage.pretrain.optimizer.lr"
values = [1e-3, 1e-2, 1e-4]
"""


class Clocks(training.Project):
    program = XP

    def jumping(self, days):
        return os.environ | {"LD_PRELOAD": CLOCK, "XP_CLOCK_JUMP": str(days * DAY)}

    def test_the_clock_does_jump(self):
        years = {subprocess.run(["date", "+%Y"], capture_output=True, text=True, check=True,
                                env=self.jumping(days)).stdout for days in (-9000, 0, 9000)}
        self.assertGreater(len(years), 1)

    def test_a_sweep_of_two_workers(self):
        training.write_project(self.folder, training.RECIPE + SWEEP)
        self.xp("sweep", "shared.toml", "-q")
        for days in (-3, 40):
            results = f"jump{days}"
            told = self.xp("sweep", "shared.toml", "--workers", "2", "--results", results, env=self.jumping(days))
            self.assertNotIn("taking over", told.stderr)
            self.assertEqual(self.weights(results), self.weights())
            trials = json.loads(self.xp("sweep", "shared.toml", "--json", "-q", "--results", results).stdout)["trials"]
            self.assertEqual([t["state"] for t in trials], ["done"] * 3)

    def test_a_run_that_stops_and_goes_on_at_another_time(self):
        training.write_project(self.folder, training.RECIPE)
        self.xp("run", "shared.toml", "-q")
        for days in (-3, 40):
            results = f"jump{days}"
            self.xp("run", "shared.toml", "-q", "--results", results, "--max-time", "0.1 s", code=75,
                    env=self.jumping(days))
            self.xp("run", "shared.toml", "-q", "--results", results, env=self.jumping(-days))
            self.assertEqual(self.weights(results), self.weights())

    def test_a_run_at_work_is_not_called_dead(self):
        training.write_project(self.folder, training.RECIPE.replace("30 steps", "5000 steps"))
        run = subprocess.Popen([XP, "run", "shared.toml", "-q"], cwd=self.folder, stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, env=self.jumping(-3))
        try:
            for _ in range(100):
                if list((self.folder / "results" / "shared").glob("*.journal")):
                    break
                time.sleep(0.1)
            for days in (0, 40):
                self.assertIn("running", self.xp("ls", env=self.jumping(days)).stdout)
            self.assertIsNone(run.poll())
        finally:
            run.kill()
            run.wait()
        self.assertNotIn("running", self.xp("ls").stdout)


if __name__ == "__main__":
    unittest.main()
