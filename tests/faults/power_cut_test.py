#!/usr/bin/env python3
"""The power goes while a recipe runs and while a sweep runs. Whatever the disk kept by then: every file can be read,
nothing that was finished a second before is lost or made again, and the same command ends with the same numbers.

A recorder (recorder.cpp) writes down every operation on the results folder; disk.py says what may be left of them at
any moment. XP_CUTS: moments tried for each kind of loss; XP_CUT_SEED."""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "runs"))
import disk
import training

XP, RECORDER = (str(pathlib.Path(sys.argv.pop(1)).resolve()) for _ in range(2))
CUTS = int(os.environ.get("XP_CUTS", "3"))
SEED = int(os.environ.get("XP_CUT_SEED", "5"))
KINDS = [("synced", "synced"), ("all", "synced"), ("synced", "all"), ("some", "some")]  # names and bytes that survive
SETTLED = 1.0  # seconds after which nothing may be lost

SWEEP = """
[sweep]
method = { type = "grid" }
goal   = { metric = "pretrain.loss.final", better = "lower" }

[[sweep.axis]]
key    = "stage.pretrain.optimizer.lr"
values = [1e-3, 1e-2, 1e-4]
"""


class PowerCuts(training.Project):
    program = XP

    def setUp(self):
        super().setUp()
        self.results = self.folder / "results"

    def recorded(self, *command):
        """What a command does to the results folder; it ends in order."""
        log = self.folder / "operations"
        self.xp(*command, env=os.environ | {"LD_PRELOAD": RECORDER, "XP_POWER_CUT_ROOT": str(self.results),
                                            "XP_POWER_CUT_LOG": str(log)})
        operations = disk.read_log(log)
        whole = disk.Disk(operations)
        replayed = self.folder / "replayed"
        whole.after(len(operations), random.Random(0), "all", "all").write_to(replayed)
        missed = [name for name, data in disk.content(self.results).items()
                  if disk.content(replayed).get(name) != data and not name.endswith(".log")]
        self.assertEqual(missed, [], "the recorder missed something")
        return whole

    def moments(self, whole, draw):
        """Half of them right behind a rename, where most goes wrong."""
        renames = [i + 1 for i, step in enumerate(whole.steps) if step.operation.op == "rename"]
        for n in range(CUTS):
            yield draw.choice(renames) if n % 2 else draw.randrange(1, len(whole.steps))

    def settled(self, whole, cut):
        """Entries of the cache and results that stood there a second before."""
        done = [step.operation for step in whole.steps[:cut]]
        names = [one.to for one in done if one.op == "rename" and one.at <= done[-1].at - SETTLED]
        entries = {n.split("/")[1] for n in names if n.startswith("cache/") and n.count("/") == 1 and "." not in n}
        return entries, {n for n in names if n.endswith(".h5")}

    def look(self, whole, cut, expected, *command):
        entries, files = self.settled(whole, cut)
        there = {f.parent.name for f in (self.results / "cache").glob("[0-9a-f]*/manifest.json")}
        self.assertLessEqual(entries, there, "a finished stage is lost")
        for file in files:
            self.assertTrue((self.results / file).exists(), f"{file} is lost")
        self.check_hashes()
        made = {e: (self.results / "cache" / e / "manifest.json").read_bytes() for e in there}
        listed = self.xp("ls")
        self.assertEqual(listed.stderr.count("cannot"), 0, listed.stderr)
        again = self.xp(*command)
        self.assertNotIn("damaged", again.stderr)
        for entry, manifest in made.items():
            self.assertEqual((self.results / "cache" / entry / "manifest.json").read_bytes(), manifest,
                             "a finished stage was made again")
        self.assertEqual(self.weights(), expected[0])
        self.assertEqual(self.numbers(again.stdout), expected[1])

    def check_hashes(self):
        """Whatever has a manifest is what the manifest says, byte by byte."""
        for manifest in (self.results / "cache").glob("[0-9a-f]*/manifest.json"):
            for file in json.loads(manifest.read_text())["files"]:
                data = (manifest.parent / file["path"]).read_bytes()
                self.assertEqual(hashlib.sha256(data).hexdigest(), file["sha256"], manifest)

    def numbers(self, text):
        """Lines with results; a sweep's end with how long a trial took."""
        lines = [line for line in text.splitlines() if "pretrain.loss" in line or "main" in line]
        return [re.sub(r"\s+[0-9.]+ s$", "", line) for line in lines]

    def cut_everywhere(self, *command):
        whole = self.recorded(*command)
        again = self.xp(*command)
        expected = self.weights(), self.numbers(again.stdout)
        self.assertTrue(expected[0] and expected[1])
        draw = random.Random(SEED)
        for names, data in KINDS:
            for cut in self.moments(whole, draw):
                with self.subTest(names=names, data=data, cut=cut, of=len(whole.steps)):
                    shutil.rmtree(self.results)
                    whole.after(cut, draw, names, data).write_to(self.results)
                    self.look(whole, cut, expected, *command)

    def test_while_a_recipe_runs(self):
        training.write_project(self.folder, training.RECIPE + """
[[table]]
id      = "main"
columns = ["pretrain.loss.final"]
""")
        self.cut_everywhere("run", "shared.toml")

    def test_while_a_sweep_runs(self):
        training.write_project(self.folder, training.RECIPE + SWEEP)
        self.cut_everywhere("sweep", "shared.toml", "--workers", "2")

    def test_it_would_notice_a_missing_sync(self):
        training.write_project(self.folder)
        whole = self.recorded("run", "shared.toml")
        manifest = next(step for step in whole.steps
                        if step.operation.op == "create" and step.operation.path.endswith("manifest.json"))
        number = manifest.number
        forgetful = disk.Disk([step.operation for step in whole.steps
                               if step.operation.op != "sync" or step.number != number])
        end, draw = len(whole.steps), random.Random(1)
        self.assertTrue(whole.after(end, draw).bytes[number])
        self.assertFalse(any(b'"files"' in data for name, data in forgetful.after(end, draw).bytes.items()
                             if whole.tree.bytes[number] == data))


if __name__ == "__main__":
    unittest.main()
