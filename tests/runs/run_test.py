#!/usr/bin/env python3
"""Runs the program on a small recipe as a user would: again, changed, twice at once, without results."""
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


class Runs(training.Project):
    program = XP

    def setUp(self):
        super().setUp()
        training.write_tiny(self.folder)

    def numbers(self, done):
        return [line for line in done.stdout.splitlines() if line]

    def test_what_failed_is_said_once_and_not_what_follows(self):
        (self.folder / "bad.txt").write_text("a/DT bare\n")
        (self.folder / "bad.toml").write_text("""
recipe = 1
name   = "bad"
[dataset.tagged]
type  = "tagged_text"
files = ["bad.txt"]
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 200 }
corpus = "tagged"
[stage.pretrain]
type      = "train"
model     = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 32 }
tokenizer = "tokens"
data      = "tagged"
objective = { type = "tagging" }
stop      = "2 steps"
""")
        told = self.xp("run", "bad.toml", code=4).stderr
        self.assertIn("tokens: failed: bad.txt:1: `bare` is no word with a tag", told)
        self.assertIn("error: stage tokens: bad.txt:1: `bare` is no word with a tag; expected WORD/TAG\n"
                      "1 stage behind it not run\n", told)
        self.assertNotIn("stage pretrain", told)

    def test_out_of_time_is_75_between_stages_too_and_the_same_command_goes_on(self):
        stopped = self.xp("run", "tiny.toml", "--max-time", "0.01 s", code=75)
        self.assertIn("stopped by --max-time; the same command goes on from here", stopped.stderr)
        whole = self.xp("run", "tiny.toml").stdout
        self.assertEqual(whole, self.xp("run", "tiny.toml", "--results", "unbroken").stdout)

    def test_again_changed_and_without_results(self):
        first = self.xp("run", "tiny.toml")
        again = self.xp("run", "tiny.toml")
        self.assertIn("0 stages to run", again.stderr)
        self.assertEqual(first.stdout, again.stdout)
        changed = self.xp("run", "tiny.toml", "--set", "arm.ofa.stage.transfer.initializer.temperature=0.2")
        self.assertIn("4 stages to run", changed.stderr)  # transfer and adapt of one arm, two seeds
        # A look at one run leaves the others in the index.
        self.xp("table", "tiny", "--all-runs")
        index = (self.folder / "results" / "tiny" / "runs.index").read_bytes()
        runs = [file.stem for file in (self.folder / "results" / "tiny").glob("*.h5")]
        self.assertEqual(len(runs), 2)
        self.xp("table", runs[0], "--all-runs")
        self.assertEqual((self.folder / "results" / "tiny" / "runs.index").read_bytes(), index)
        for file in (self.folder / "results" / "tiny").glob("*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        self.assertEqual(self.xp("run", "tiny.toml").stdout, first.stdout)
        table = json.loads(self.xp("table", "tiny", "--json").stdout)
        self.assertEqual(len(table["rows"]), 2)
        for name in ("text", "md", "csv", "latex"):
            self.assertTrue(self.xp("table", "tiny", "--format", name).stdout)
        self.assertIn("done", self.xp("ls").stdout)
        self.assertTrue(self.xp("inspect", "tiny.toml", code=4).stderr)

    def test_proving_ends_with_the_verdict(self):
        easy = (self.folder / "tiny.toml").read_text().replace('better   = "lower"', 'better   = "lower"\nmargin   = 100\nalpha    = 0.3')
        (self.folder / "easy.toml").write_text(easy)
        proved = self.xp("prove", "easy.toml")  # nothing is worse by 100 bits, and two seeds give p = 0.25
        self.assertTrue(proved.stdout.startswith("PASS  ofa_is_better"), proved.stdout)
        open_still = self.xp("prove", "tiny.toml", code=5)
        self.assertTrue(open_still.stdout.startswith("UNDECIDED"), open_still.stdout)
        self.assertIn("0 stages to run", open_still.stderr)
        self.assertIn("for a decision: xp prove tiny.toml --seeds ", open_still.stderr)
        more = json.loads(self.xp("prove", "easy.toml", "--seeds", "3", "--json").stdout)
        self.assertEqual([(one["outcome"], one["n"]) for one in more["claims"]], [("PASS", 3)])
        self.assertIn("it has `ofa_is_better`", self.xp("prove", "tiny.toml", "--claim", "nope", code=2).stderr)

    def cost(self, *arguments):
        return json.loads(self.xp("check", "tiny.toml", "--json", *arguments).stdout)["cost"]

    def test_cost_is_known_before_and_grows_with_the_budget(self):
        fresh = self.cost("--seed", "5")
        self.assertEqual((fresh["unknown"], fresh["seconds"]), (fresh["to_run"], 0))
        self.assertIn("a run of one seed, or with --smoke, would", self.xp("check", "tiny.toml", "--seed", "5").stdout)
        self.xp("run", "tiny.toml", "--seed", "1")
        self.assertEqual(self.cost("--seed", "1")["to_run"], 0)
        made = [json.loads(file.read_text()) for file in (self.folder / "results" / "cache").glob("*/manifest.json")]
        adapt = [one for one in made if one["about"]["stage_name"] == "adapt"]
        # Another seed draws in `transfer`, `adapt` and `word_vectors`; the source model has a seed of its own.
        other = self.cost("--seed", "2")
        self.assertEqual((other["unknown"], other["guessed"]), (0, 0))
        drawn = [one for one in made if one["about"]["stage_name"] in ("transfer", "adapt", "word_vectors")]
        self.assertAlmostEqual(other["seconds"], sum(one["seconds"] for one in drawn), delta=0.01 + 0.2 * other["seconds"])
        self.assertAlmostEqual(other["tokens"], sum(one["counters"]["input_tokens"] for one in adapt), delta=1)
        longer = self.cost("--seed", "2", "--set", "stage.adapt.stop='360 steps'")
        self.assertAlmostEqual(longer["tokens"], 3 * other["tokens"], delta=3)
        self.assertEqual(longer["guessed"], 2)  # `adapt` in two arms
        trained = sum(one["counters"]["seconds"] for one in adapt)
        self.assertAlmostEqual(longer["seconds"] - other["seconds"], 2 * trained, delta=0.01 + 0.1 * trained)
        self.assertIn("of work", self.xp("check", "tiny.toml", "--seed", "2").stdout)

    def test_two_runs_share_the_work(self):
        runs = [subprocess.Popen([XP, "run", "tiny.toml"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        outs = [run.communicate(timeout=300) for run in runs]
        self.assertEqual([run.returncode for run in runs], [0, 0], outs)
        self.assertEqual(outs[0][0], outs[1][0])
        done = sum(err.count(": done in") for _, err in outs)
        made = [json.loads(file.read_text()) for file in (self.folder / "results" / "cache").glob("*/manifest.json")]
        stages = [one for one in made if one["about"]["stage_type"] != "word_counts"]  # which are made within one
        self.assertEqual(done, len(stages))

    def test_interrupt_leaves_a_checkpoint(self):
        run = subprocess.Popen([XP, "run", "tiny.toml", "--set", 'stage.pretrain.stop="100000 steps"'], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertTrue(any("source_tokenizer: done" in line for line in run.stderr))  # up to that line, whenever it comes
        time.sleep(4)
        run.send_signal(signal.SIGTERM)
        time.sleep(0.01)
        run.send_signal(signal.SIGTERM)  # Slurm tells a job's processes and its script, which passes it on
        _, err = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 75, err)
        self.assertTrue(list((self.folder / "results" / "cache" / ".work").glob("*/.training/training.*")), err)

    def test_checking_maps_no_libtorch(self):
        for verb in (["--help"], ["check", "tiny.toml"], ["plugins"], ["show", "tiny.toml"]):
            done = self.xp(*verb, env={**os.environ, "LD_DEBUG": "files"})
            self.assertNotIn("libtorch", done.stderr, verb)

    def test_stages_of_documents_run_without_libtorch(self):
        tiny = (self.folder / "tiny.toml").read_text()
        tokens = tiny[:tiny.index("[stage.pretrain]")].replace('"tiny"', '"tokens"') + "[arm.all]\n"
        (self.folder / "tokens.toml").write_text(tokens)
        alone = self.xp("run", "tokens.toml", env={**os.environ, "LD_DEBUG": "files"})
        self.assertNotIn("libtorch", alone.stderr)
        self.assertNotIn("libxp_engine", alone.stderr)
        self.assertIn("source_tokenizer: done in", alone.stderr)
        whole = self.xp("run", "tiny.toml", "--seed", "1", env={**os.environ, "LD_DEBUG": "files"})
        self.assertIn("libtorch", whole.stderr)
        self.assertNotIn("source_tokenizer: done in", whole.stderr)  # from the cache
        shutil.rmtree(self.folder / "results")
        beside = self.xp("run", "tiny.toml", "--seed", "1")
        self.assertIn("source_tokenizer: done in", beside.stderr)
        self.assertEqual(whole.stdout, beside.stdout)
        stopped = self.xp("run", "tokens.toml", "--results", "other", "--max-time", "0.001 s", code=75)
        self.assertIn("the same command goes on from here", stopped.stderr)
        bad = self.xp("run", "tokens.toml", "--results", "other", "--set", 'stage.source_tokenizer.corpus="english:nope"', code=2)
        self.assertIn("nope", bad.stderr)

    def test_same_weights_for_any_threads_and_process(self):
        self.xp("run", "tiny.toml", "--results", "a", "--set", 'determinism="bitwise"', "--arm", "random", "--seed", "0")
        self.xp("run", "tiny.toml", "--results", "b", "--set", 'determinism="bitwise"', "--arm", "random", "--seed", "0")
        self.assertEqual(self.weights("a"), self.weights("b"))
        self.assertTrue(self.weights("a"))

    def test_mistakes_start_nothing(self):
        done = self.xp("run", "tiny.toml", "--set", "stage.pretrain.stopp=1", "--arm", "ofaa", code=2)
        self.assertIn("stopp", done.stderr)
        self.assertIn("ofaa", done.stderr)
        self.assertFalse((self.folder / "results").exists())
        self.xp("run", "absent.toml", code=2)
        self.xp("frobnicate", code=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
