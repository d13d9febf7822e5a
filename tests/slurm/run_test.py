#!/usr/bin/env python3
"""`xp run` as a Slurm job that is told to end, pushed aside and cancelled, with the script that README.md shows."""
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "runs"))

import one_node
from training import RECIPE, weights, write_project

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
EVALUATED = RECIPE + """
evaluate  = { every = "20 steps", with = ["likelihood"] }

[evaluator.likelihood]
type = "pseudo_likelihood"
data = "english:test"
most = 8
"""
COLUMNS = ["pretrain.loss.final", "pretrain.loss.area(over=steps)", "pretrain.likelihood.bits.final",
           "pretrain.likelihood.bits.area(over=steps)"]


class RunOnSlurm(one_node.SlurmTest):
    def setUp(self):
        super().setUp()
        script = (HERE / "README.md").read_text().split("```bash\n")[1].split("```")[0]
        (self.folder / "xp.sbatch").write_text(script)
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "xp").symlink_to(XP)
        self.path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        self.slurm.environment["PATH"] = self.path
        # As many steps as take about twenty seconds here, now.
        write_project(self.folder, EVALUATED.replace("30 steps", "100 steps"))
        begin = time.monotonic()
        self.xp("run", "shared.toml", "--results", "short")
        steps = max(200, int(100 * 20 / (time.monotonic() - begin)))
        write_project(self.folder, EVALUATED.replace("30 steps", f"{steps} steps"))

    def xp(self, *arguments):
        done = subprocess.run([XP, *arguments], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def numbers(self, results):
        out = json.loads(self.xp("table", "shared", "--results", results, "--json", "--columns", *COLUMNS))
        return [cell["values"] for cell in out["rows"][0]["cells"]]

    def begin(self):
        """Submits the run to the partition that gives way; returns once it trains."""
        job = self.submit("--partition=low", "--output=log", "xp.sbatch", "shared.toml", "--results", "broken")
        self.wait_for_training(job, 1)
        return job

    def log(self):
        file = self.folder / "log"
        return file.read_text() if file.exists() else ""

    def wait_for_training(self, job, starts):
        """The line before the training's first step was printed this often, and some steps were made."""
        self.slurm.until(lambda: self.log().count("writes to broken") == starts and "tokens: done" in self.log(),
                         f"no training in start {starts} of job {job}: {self.log()}")
        time.sleep(2)
        self.assertEqual(self.job(job)["JobState"], "RUNNING", self.log())

    def test_told_to_end_and_pushed_aside_it_ends_with_the_same_weights_and_numbers(self):
        alone = subprocess.Popen([XP, "run", "shared.toml", "--results", "alone"], cwd=self.folder,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        job = self.begin()
        self.slurm.ask("scancel", "--signal=TERM", "--batch", job)  # what Slurm does when the time is nearly over
        self.wait_for(job, Restarts="1", JobState="RUNNING")
        self.wait_for_training(job, 2)
        other = self.submit("--exclusive", "--output=/dev/null", "--wrap", "sleep 1")
        self.wait_for(other, JobState="COMPLETED")
        self.wait_for(job, Restarts="2", JobState="COMPLETED")
        self.assertEqual(alone.wait(), 0)
        told = self.log()
        self.assertEqual(told.count("pretrain: stopped with a good checkpoint"), 2, told)
        self.assertIn("DUE TO PREEMPTION", told)
        self.assertEqual(told.count("pretrain: done"), 1, told)
        self.assertEqual(weights(self.folder / "broken"), weights(self.folder / "alone"))
        self.assertEqual(self.numbers("broken"), self.numbers("alone"))

    def test_cancelled_it_leaves_a_checkpoint_and_stays_away(self):
        job = self.begin()
        self.slurm.ask("scancel", job)
        self.wait_for(job, JobState="CANCELLED")
        self.slurm.until(lambda: not self.slurm.ask("squeue", "--noheader"), "the job is still there")
        self.assertIn("pretrain: stopped with a good checkpoint", self.log())
        self.assertEqual(self.job(job)["Restarts"], "0")


if __name__ == "__main__":
    one_node.main()
