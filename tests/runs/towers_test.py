#!/usr/bin/env python3
"""Stages with several models: which weights move, what follows them, what the next stage gets."""
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
RECIPE = """
recipe  = 1
name    = "towers"
threads = 1

[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0.1, test = 0.2 }

[tower.first]
model = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 32 }
%s
[tower.second]
model = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 32 }
%s
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 200 }
corpus = "english"

[stage.pretrain]
type      = "train"
towers    = ["first", "second"]
tokenizer = "tokens"
data      = "english"
objective = { type = "mlm" }
batch     = { tokens = 256 }
stop      = "8 steps"

[stage.go_on]
type      = "train"
model     = "pretrain"
data      = "english"
objective = { type = "mlm" }
batch     = { tokens = 256 }
stop      = "2 steps"

[stage.score]
type  = "evaluate"
model = "go_on"
with  = [{ type = "pseudo_likelihood", data = "english:test" }]

[[table]]
id      = "main"
columns = ["score.pseudo_likelihood.bits", "pretrain.parameters"]
"""


def tensors(file):
    raw = file.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    head = json.loads(raw[8:8 + size])
    return {name: raw[8 + size + one["data_offsets"][0]:8 + size + one["data_offsets"][1]] for name, one in head.items() if name != "__metadata__"}


class Towers(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-towers-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        (self.folder / "xp.toml").write_text("")
        draw, words = random.Random(1), "ship wave sail port cow field barn milk".split()
        (self.folder / "en.txt").write_text("\n\n".join(" ".join(draw.choice(words) for _ in range(25)) + "." for _ in range(120)) + "\n")

    def xp(self, *arguments, code=0):
        done = subprocess.run([XP, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done

    def run_with(self, first, second):
        """Weights and roles of both towers after `pretrain`."""
        (self.folder / "r.toml").write_text(RECIPE % (first, second))
        shutil.rmtree(self.folder / "results", True)
        self.xp("run", "r.toml", "-q")
        made = {one["stage"]: self.folder / "results" / "cache" / one["digest"] / "checkpoint" for one in json.loads(self.xp("cache", "ls", "--json").stdout)}
        for stage in ("pretrain", "go_on"):
            about = json.loads((made[stage] / "xp.json").read_text())
            self.assertEqual((about["role"], about["towers"]), ("first", ["second"]))
        entry = made["pretrain"]
        roles = {one["name"]: one["role"] for one in json.loads((entry / "xp.json").read_text())["parameters"]}
        return tensors(entry / "model.safetensors"), tensors(entry / "towers" / "second" / "model.safetensors"), roles

    def changed(self, first, second):
        self.assertEqual(first.keys(), second.keys())
        return {name for name in first if first[name] != second[name]}

    def test_an_average_without_memory_is_its_model(self):
        first, second, _ = self.run_with("", 'ema_of = "first"\nema_decay = 0.0')
        self.assertEqual(self.changed(first, second), set())

    def test_all_moves_but_what_keeps_everything(self):
        first, second, _ = self.run_with("", 'ema_of = "first"\nema_decay = 1.0')
        self.assertEqual(self.changed(first, second), set(first))

    def test_roles_choose_what_moves(self):
        first, second, roles = self.run_with('train = ["norm"]', 'ema_of = "first"\nema_decay = 1.0')
        self.assertEqual({roles[name] for name in self.changed(first, second)}, {"norm"})
        first, second, _ = self.run_with('lr_mult = 0.0', 'ema_of = "first"\nema_decay = 1.0')
        self.assertEqual(self.changed(first, second), set())

    def test_mistakes(self):
        for first, second, words in (
                ('train = "adapter"', "", "`train` of tower `first` cannot be `adapter`"),
                ("", 'ema_of = "frist"', "did you mean `first`?"),
                ("", 'ema_of = "second"', "`ema_of` of tower `second` wants another tower"),
                ("lr_mul = 2", "", "did you mean `lr_mult`?")):
            (self.folder / "r.toml").write_text(RECIPE % (first, second))
            self.assertIn(words, self.xp("check", "r.toml", code=2).stderr)
        (self.folder / "r.toml").write_text(RECIPE.replace('towers    = ["first", "second"]\n', "") % ("", ""))
        self.assertIn("`model` of stage `train` is missing", self.xp("check", "r.toml", code=2).stderr)
        (self.folder / "r.toml").write_text(RECIPE % ('train = ["nrom"]', ""))
        self.assertIn("no parameter of model `first` fits `role:nrom`; there is `role:", self.xp("run", "r.toml", "-q", code=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
