#!/usr/bin/env python3
"""`xp sweep` whose workers are an array of Slurm jobs, one of which is pushed aside on its way."""
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "runs"))

import one_node
from training import RECIPE, write_project

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
SWEEP = RECIPE.replace("30 steps", "300 steps") + """
[sweep]
method   = { type = "grid" }
goal     = { metric = "pretrain.loss.final", better = "lower" }
launcher = { type = "slurm", workers = 2, partition = "low" }

[[sweep.axis]]
key    = "stage.pretrain.optimizer.lr"
values = [1e-3, 3e-3, 1e-2, 3e-2]
"""


class SweepOnSlurm(one_node.SlurmTest):
    def test_workers_of_an_array_end_with_the_goals_of_one_process(self):
        write_project(self.folder, SWEEP)
        run = subprocess.Popen([XP, "sweep", "shared.toml", "--json"], cwd=self.folder, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=self.slurm.environment)
        logs = lambda: list((self.folder / "results" / "shared").glob("sweep-*/logs/worker-*.log"))
        self.slurm.until(lambda: any("new" in log.read_text() for log in logs()), "no worker began")
        queue = self.slurm.ask("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i").split()
        self.slurm.ask("scancel", "--signal=TERM", "--batch", queue[0])  # what Slurm does when the time is nearly over
        out, told = run.communicate(timeout=600)
        self.assertEqual(run.returncode, 0, told)
        trials = json.loads(out)["trials"]
        self.assertEqual([t["state"] for t in trials], ["done"] * 4)
        self.assertIn("stopped by request", "".join(log.read_text() for log in logs()))
        (self.folder / "shared.toml").write_text(re.sub(r"launcher = .*\n", "", SWEEP))
        alone = subprocess.run([XP, "sweep", "shared.toml", "--json", "--results", "alone"], cwd=self.folder,
                               capture_output=True, text=True, check=True)
        self.assertEqual([t["goal"] for t in trials], [t["goal"] for t in json.loads(alone.stdout)["trials"]])


if __name__ == "__main__":
    one_node.main()
