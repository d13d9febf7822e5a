#!/usr/bin/env python3
"""SIGKILL at random moments, over runs and over sweeps of two workers, until XP_KILLS of them met a process at work.

A round kills one command again and again until it once comes to its end; the next round begins with an empty results
folder. After each kill every file can be read, no finished stage was made again, and a training stage goes on from no
earlier step. At a round's end weights and decisions are those of a command that nobody killed. While a sweep runs, no
trial's journal is held open by two processes."""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "runs"))
import training

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
KILLS = int(os.environ.get("XP_KILLS", "10"))
SEED = int(os.environ.get("XP_KILL_SEED", "5"))

RECIPE = training.RECIPE.replace('"30 steps"', '"60 steps"') + 'checkpoint_every = "5 steps"\n'
AGAIN = """
[stage.again]
type      = "train"
model     = "pretrain"
data      = "english"
objective = { type = "mlm" }
batch     = { tokens = 512 }
stop      = "40 steps"
checkpoint_every = "5 steps"

[[table]]
id      = "main"
columns = ["pretrain.loss.final", "again.loss.final"]
"""
SWEEP = """
[sweep]
method = { type = "grid" }
goal   = { metric = "pretrain.loss.final", better = "lower" }

[[sweep.axis]]
key    = "stage.pretrain.optimizer.lr"
values = [1e-3, 1e-2, 1e-4, 1e-5]
"""


def held_journals(folder):
    """Processes that hold a trial's journal open, by the trial; one that is removed is of a run that ended."""
    out = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            files = [os.readlink(f"/proc/{process}/fd/{number}") for number in os.listdir(f"/proc/{process}/fd")]
        except OSError:  # a file was closed, or the process ended
            continue
        for file in files:
            named = re.fullmatch(r"(main-\d+)-.*\.journal", os.path.basename(file))
            if named and file.startswith(str(folder)):
                out.setdefault(named.group(1), set()).add(process)
    return out


class Watch(threading.Thread):
    """Looks at who works on which trial, as often as it can, until told to stop."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.stop, self.looks, self.shared = folder, threading.Event(), 0, []

    def run(self):
        while not self.stop.wait(0.01):
            held = held_journals(self.folder)
            self.looks += bool(held)
            self.shared += [(trial, who) for trial, who in held.items() if len(who) > 1]


class Kills(training.Project):
    program = XP

    def setUp(self):
        super().setUp()
        self.draw = random.Random(SEED)
        self.results = self.folder / "results"

    def entries(self, results):
        return list((results / "cache").glob("[0-9a-f]*/manifest.json"))

    def reached(self):
        """The newest training state of each stage that is not finished."""
        steps = {}
        for state in (self.results / "cache" / ".work").glob("*/.training/training.*"):
            stage = state.parent.parent.name
            steps[stage] = max(steps.get(stage, 0), int(state.name.rpartition(".")[2]))
        return steps

    def look(self, before):
        """After a kill; returns what must still be there after the next one."""
        made = {file.parent.name: file.stat().st_ino for file in self.entries(self.results)}
        for entry, file in before["made"].items():
            self.assertEqual(made.get(entry), file, "a finished stage was made again")
        for manifest in self.entries(self.results):
            for file in json.loads(manifest.read_text())["files"]:
                self.assertTrue((manifest.parent / file["path"]).exists(), manifest)
        reached = self.reached()
        for stage, step in before["reached"].items():
            self.assertTrue(stage in made or reached.get(stage, 0) >= step, f"{stage} lost its state of step {step}")
        if self.results.exists():
            listed = self.xp("ls")
            self.assertNotRegex(listed.stdout + listed.stderr, "unreadable|cannot|damaged")
        return {"made": made, "reached": reached}

    def strike(self, run, single):
        """Kills the command with all its processes, or one of them and a little later the others."""
        children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children")
        if single and (pids := children.read_text().split()):
            os.kill(int(self.draw.choice(pids)), signal.SIGKILL)
            time.sleep(self.draw.uniform(0, 0.7))
        working = run.poll() is None
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.killpg(run.pid, signal.SIGKILL)
        return working

    def round(self, longest, single, *command):
        """Kills until the command ends before its moment comes; how many kills met it at work."""
        killed, before = 0, {"made": {}, "reached": {}}
        while True:
            run = subprocess.Popen([XP, *command, "-q"], cwd=self.folder, start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                told = run.communicate(timeout=self.draw.uniform(0.01, longest))[1]
                self.assertEqual(run.returncode, 0, told)
                return killed
            except subprocess.TimeoutExpired:
                killed += self.strike(run, single and self.draw.random() < 0.5)
                run.communicate()
            before = self.look(before)

    def kill_until_enough(self, recipe, single, *command):
        training.write_project(self.folder, recipe)
        start = time.monotonic()
        self.xp(*command, "--results", "unbroken", "-q")
        longest = 0.5 * (time.monotonic() - start)
        expected = self.weights("unbroken")
        killed = rounds = 0
        while killed < KILLS:
            shutil.rmtree(self.results, True)
            killed += self.round(longest, single, *command)
            rounds += 1
            self.assertEqual(self.weights(), expected)
            self.xp("repair")
            self.look({"made": {}, "reached": {}})
            yield
        print(f"{killed} kills in {rounds} rounds", file=sys.stderr)

    def test_of_a_run(self):
        tables = set()
        for _ in self.kill_until_enough(RECIPE + AGAIN, False, "run", "shared.toml", "--checkpoint-every", "0.1 s"):
            tables.add(self.xp("run", "shared.toml").stdout)
        self.assertEqual(len(tables), 1)

    def test_of_a_sweep(self):
        watch = Watch(self.results)
        watch.start()
        for _ in self.kill_until_enough(RECIPE + SWEEP, True, "sweep", "shared.toml", "--workers", "2"):
            done = json.loads(self.xp("sweep", "shared.toml", "--json", "-q").stdout)["trials"]
            self.assertEqual([trial["state"] for trial in done], ["done"] * 4)
            self.xp("sweep", "shared.toml", "--replay")
        watch.stop.set()
        watch.join()
        self.assertGreater(watch.looks, 0)
        self.assertEqual(watch.shared, [], "two processes worked on one trial at once")


if __name__ == "__main__":
    unittest.main(verbosity=2)
