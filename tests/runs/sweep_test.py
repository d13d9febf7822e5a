#!/usr/bin/env python3
"""Sweeps from outside: shared stages, several workers, a results folder that goes away, rungs, a changed recipe,
failures, an optimiser on a pipe."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

import training

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
AWAY_SECONDS = float(os.environ.get("XP_AWAY_SECONDS", "3"))

SWEEP = """
[sweep]
method = { type = "grid" }
goal   = { metric = "pretrain.loss.final", better = "lower" }

[[sweep.axis]]
key    = "stage.pretrain.optimizer.lr"
values = [1e-3, 1e-2]

[[sweep.axis]]
key    = "stage.pretrain.objective.mask_rate"
values = [0.2, 0.4]
"""

VOCABULARIES = """
[sweep]
method = { type = "grid" }
[[sweep.axis]]
key    = "stage.tokens.method.vocab_size"
values = [34, 40, 46]
"""

PRUNED = """
[stage.again]
type      = "train"
model     = "pretrain"
data      = "english"
objective = { type = "mlm" }
batch     = { tokens = 512 }
stop      = "2 steps"

[sweep]
method = { type = "grid" }
prune  = { type = "asha", rungs = ["20%", "50%"], keep = 0.5, metric = "pretrain.loss" }
goal   = { metric = "again.loss.final", better = "lower" }

[[sweep.axis]]
key    = "stage.pretrain.optimizer.lr"
values = [1e-2, 1e-3, 1e-4, 1e-5]
"""


class Sweeps(training.Project):
    program = XP

    def project(self, more=SWEEP, recipe=training.RECIPE):
        training.write_project(self.folder, recipe + more)

    def start(self, *arguments, **more):
        return subprocess.Popen([XP, *arguments], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True, **more)

    def trials(self):
        return json.loads(self.xp("sweep", "shared.toml", "--json", "-q").stdout)["trials"]

    def made(self):
        """The file behind each manifest: another one if an artifact is made again."""
        files = (self.folder / "results" / "cache").glob("[0-9a-f]*/manifest.json")
        return {f.parent.name: f.stat().st_ino for f in files}

    def test_members_share_stages_and_asking_again_runs_nothing(self):
        self.project()
        preview = self.xp("sweep", "shared.toml", "--dry-run").stdout
        self.assertIn("main-0003  mask_rate = 0.4  lr = 0.01", preview)
        self.assertIn("4 trials, of 1 seed each; 5 stages in place of 8", preview)
        self.assertFalse((self.folder / "results").exists())
        first = self.xp("sweep", "shared.toml")
        made = self.made()
        self.assertEqual(len(made), 6)  # the counts of words for the vocabulary among them
        self.assertIn("main: 4 trials (4 done)", first.stdout)
        again = self.xp("sweep", "shared.toml")
        self.assertEqual(first.stdout, again.stdout)
        self.assertEqual(made, self.made())
        goals = [t["goal"] for t in self.trials()]
        self.assertEqual(len(set(goals)), 4)
        self.assertIn("came out the same", self.xp("sweep", "shared.toml", "--replay").stdout)
        # Its runs as rows, from the files and then from the index that lies beside them.
        rows = ["table", "shared", "--all-runs", "--settings", "--columns", "pretrain.loss.final"]
        table = self.xp(*rows).stdout
        self.assertEqual(table.count("main"), 4, table)
        self.assertEqual(len(list((self.folder / "results" / "shared").glob("sweep-*/runs.index"))), 1)
        self.assertEqual(self.xp(*rows).stdout, table)
        # A trial is what the recipe gives with its values.
        self.xp("run", "shared.toml", "--results", "alone", "--set", "stage.pretrain.optimizer.lr=1e-2", "--set",
                "stage.pretrain.objective.mask_rate=0.4")
        self.assertLess(set(self.weights("alone").values()), set(self.weights().values()))
        self.assertIn("a recipe with [sweep]", self.xp("run", "shared.toml", "--results", "alone").stderr)

    def test_vocabularies_of_several_sizes_are_fitted_to_the_same_counts(self):
        self.project(VOCABULARIES, training.RECIPE.split("[stage.pretrain]")[0])
        self.xp("sweep", "shared.toml")
        made = json.loads(self.xp("cache", "ls", "--json").stdout)
        self.assertEqual(sorted(one["type"] for one in made), ["train_tokenizer"] * 3 + ["word_counts"])
        counts = self.folder / "results" / "cache" / next(one["digest"] for one in made if one["type"] == "word_counts")
        (counts / "words.safetensors").write_bytes(b"x" * (counts / "words.safetensors").stat().st_size)
        self.assertEqual(len(self.tokenizers("results")), 3)
        # A vocabulary is the same by itself, and without the counts once they are damaged.
        for size in (40, 43):
            for results in ("results", "alone"):
                self.xp("run", "shared.toml", "--results", results, "--set", f"stage.tokens.method.vocab_size={size}")
        self.assertEqual(len(self.tokenizers("results")), 4)
        self.assertLess(self.tokenizers("alone"), self.tokenizers("results"))

    def tokenizers(self, results):
        return {f.read_text() for f in (self.folder / results / "cache").glob("[0-9a-f]*/tokenizer/tokenizer.json")}

    def test_two_workers_never_run_the_same_trial(self):
        self.project()
        first = self.start("sweep", "shared.toml")
        while not list((self.folder / "results").glob("shared/sweep-*/decisions.journal")):
            time.sleep(0.02)
        second = self.start("worker", "shared")
        told = first.communicate(timeout=300)[1]
        second.communicate(timeout=300)
        self.assertEqual((first.returncode, second.returncode), (0, 0), told)
        self.assertEqual(len(list((self.folder / "results").glob("shared/sweep-*/main-*.h5"))), 4)
        self.assertEqual([t["state"] for t in self.trials()], ["done"] * 4)
        self.xp("sweep", "shared.toml", "--replay")

    def test_local_workers_print_the_same_and_a_stop_is_75(self):
        self.project()
        one = self.xp("sweep", "shared.toml", "--results", "one")
        two = self.xp("sweep", "shared.toml", "--results", "two", "--workers", "2")
        numbers = [[line for line in done.stdout.splitlines() if "took" not in line and " ms" not in line]
                   for done in (one, two)]
        self.assertEqual(self.weights("one"), self.weights("two"))
        self.assertEqual(numbers[0][0], numbers[1][0])
        run = self.start("sweep", "shared.toml", "--workers", "2")
        time.sleep(1.5)
        run.send_signal(signal.SIGTERM)
        told = run.communicate(timeout=120)[1]
        self.assertIn(run.returncode, (0, 75), told)
        self.assertEqual([t["state"] for t in self.trials()], ["done"] * 4)

    def test_a_results_folder_that_goes_away_for_a_while(self):
        self.project(recipe=training.RECIPE.replace('"30 steps"', '"60 steps"'))
        runs = [self.start("sweep", "shared.toml")]
        while not list((self.folder / "results").glob("shared/sweep-*/decisions.journal")):
            time.sleep(0.02)
        runs.append(self.start("worker", "shared"))
        time.sleep(1.2)
        os.rename(self.folder / "results", self.folder / "away")
        time.sleep(AWAY_SECONDS)
        # What was written meanwhile lies beside it and counts as little as on an unmounted folder.
        shutil.rmtree(self.folder / "results", ignore_errors=True)
        os.rename(self.folder / "away", self.folder / "results")
        for run in runs:
            told = run.communicate(timeout=300)[1]
            self.assertEqual(run.returncode, 0, told)
        self.assertEqual([t["state"] for t in self.trials()], ["done"] * 4)

    def test_a_trial_that_began_while_the_folder_was_away_is_made_again(self):
        self.project(recipe=training.RECIPE.replace('"30 steps"', '"60 steps"'))
        run = self.start("sweep", "shared.toml")
        while not list((self.folder / "results").glob("shared/sweep-*/decisions.journal")):
            time.sleep(0.01)
        os.rename(self.folder / "results", self.folder / "away")  # before the first trial has a file of its own
        time.sleep(2.5)
        shutil.rmtree(self.folder / "results", ignore_errors=True)
        os.rename(self.folder / "away", self.folder / "results")
        told = run.communicate(timeout=300)[1]
        self.assertEqual(run.returncode, 0, told)
        self.assertEqual([t["state"] for t in self.trials()], ["done"] * 4)

    def test_trials_rest_at_rungs_and_go_on_from_where_they_stood(self):
        self.project(PRUNED)
        done = self.xp("sweep", "shared.toml")
        trials = {t["values"]["stage.pretrain.optimizer.lr"]: t for t in self.trials()}
        states = [trials[lr]["state"] for lr in (1e-2, 1e-3, 1e-4, 1e-5)]
        self.assertEqual(states.count("done"), 1, done.stderr)
        self.assertEqual(states.count("resting"), 3, done.stderr)
        # Two models for the one that went to its end, none for the others; bit for bit as without rungs.
        self.assertEqual(len(self.weights()), 2)
        lr = next(lr for lr, t in trials.items() if t["state"] == "done")
        self.xp("run", "shared.toml", "--results", "alone", "--set", f"stage.pretrain.optimizer.lr={lr}")
        self.assertEqual(self.weights(), self.weights("alone"))

    def test_a_changed_recipe_is_refused_with_what_changed(self):
        self.project(recipe=training.RECIPE.replace('"30 steps"', '"400 steps"'))
        run = self.start("sweep", "shared.toml", start_new_session=True)
        while not list((self.folder / "results").glob("shared/sweep-*/decisions.journal")):
            time.sleep(0.02)
        time.sleep(0.5)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        self.project(recipe=training.RECIPE.replace('"30 steps"', '"20 steps"'))
        told = self.xp("sweep", "shared.toml", code=2).stderr
        self.assertIn("changed since the sweep", told)
        self.assertIn("-   stop = \"400 steps\"\n", told)
        self.assertIn("+   stop = \"20 steps\"\n", told)
        self.xp("sweep", "shared.toml", "--new", "-q")

    def test_failed_trials_are_told_and_end_with_6(self):
        self.project(SWEEP.replace("1e-2]", "1e30]"))
        done = self.xp("sweep", "shared.toml", code=6)
        self.assertIn("2 done, 2 failed", done.stdout)
        self.assertIn("non_finite: ", done.stdout)
        self.xp("sweep", "shared.toml", code=6)

    def test_an_optimiser_drives_over_a_pipe(self):
        self.project(SWEEP.replace('"grid"', '"ask_tell"').replace("values = [1e-3, 1e-2]", "log_uniform = [1e-4, 1e-1]"))
        run = subprocess.Popen([XP, "sweep", "shared.toml", "-q"], cwd=self.folder, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        asked, told = 0, []
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stdin.close)
        self.addCleanup(run.stderr.close)
        for line in run.stdout:
            message = json.loads(line) if line.startswith("{") else {}
            if "ask" in message:
                asked += 1
                values = {"stage.pretrain.optimizer.lr": 1e-3 * asked, "stage.pretrain.objective.mask_rate": 0.2}
                run.stdin.write(json.dumps({"values": values} if asked < 3 else {"none": True}) + "\n")
                run.stdin.flush()
            if "tell" in message:
                told.append(message["tell"]["goal"])
        errors = run.stderr.read()
        self.assertEqual(run.wait(timeout=60), 0, errors)
        self.assertEqual((asked, len(told)), (3, 2))


if __name__ == "__main__":
    unittest.main(verbosity=2)
