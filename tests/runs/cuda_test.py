#!/usr/bin/env python3
"""A GPU beside the CPU: the same weights and scores, repeatable bits, resumption. Skipped (77) where there is none."""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
RECIPE = """
recipe  = 1
name    = "both"
threads = 1

[dataset.english]
type  = "text"
files = ["en.txt"]

[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 200 }
corpus = "english"

[stage.pretrain]
type      = "train"
model     = { type = "transformer", layers = 2, width = 32, heads = 2, max_time = 32, dropout = 0.1 }
tokenizer = "tokens"
data      = "english"
objective = { type = "mlm", mask_rate = 0.3 }
optimizer = { type = "adamw", lr = 1e-3, epsilon = 1e-4 }
batch     = { tokens = 512 }
stop      = "30 steps"
evaluate  = { every = "10 steps", with = ["likelihood"] }

[evaluator.likelihood]
type = "pseudo_likelihood"
data = "english:test"
most = 8
"""


class Cuda(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-cuda-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        words = "the model learns what stands between words of a text that is long enough to be cut into parts".split()
        text = "\n\n".join(" ".join(words[(i * k + k) % len(words)] for k in range(1, 24)) for i in range(1, 60))
        (self.folder / "en.txt").write_text(text)
        (self.folder / "both.toml").write_text(RECIPE)

    def run_xp(self, results, *settings, code=0):
        done = subprocess.run([XP, "run", "both.toml", "--results", results, "--quiet", *settings], cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def numbers(self, results):
        columns = ["pretrain.loss.final", "pretrain.likelihood.bits.final"]
        out = subprocess.run([XP, "table", "both", "--results", results, "--json", "--columns", *columns],
                             cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return [cell["mean"] for cell in json.loads(out.stdout)["rows"][0]["cells"]]

    def weights(self, results):
        files = sorted((self.folder / results / "cache").glob("[0-9a-f]*/*/model.safetensors"))
        self.assertEqual(len(files), 1)
        data = files[0].read_bytes()
        return data, struct.unpack(f"<{len(data) // 4 - 2048}f", data[-(len(data) // 4 - 2048) * 4:])

    def test_same_weights_as_on_the_cpu(self):
        self.run_xp("cpu", "--set", "device=cpu")
        self.run_xp("gpu", "--set", "device=cuda")
        (_, cpu), (_, gpu) = self.weights("cpu"), self.weights("gpu")
        self.assertEqual(len(cpu), len(gpu))
        apart = max(abs(a - b) for a, b in zip(cpu, gpu))
        print("largest difference of a weight:", apart)
        self.assertLess(apart, 1e-5)
        for on_cpu, on_gpu in zip(self.numbers("cpu"), self.numbers("gpu"), strict=True):
            self.assertAlmostEqual(on_cpu, on_gpu, places=4)

    def test_bitwise_runs_are_equal_and_resume(self):
        settings = ["--set", "device=cuda", "--set", "determinism=bitwise"]
        self.run_xp("one", *settings)
        self.run_xp("two", *settings, "--max-time", "0.01 s", code=75)
        self.run_xp("two", *settings)
        self.assertEqual(self.weights("one")[0], self.weights("two")[0])

    def test_two_processes_share_the_gpu(self):
        self.run_xp("one", "--set", "device=cuda")
        done = subprocess.run([XP, "run", "both.toml", "--results", "two", "--quiet", "--set", "device=cuda", "--nproc",
                               "2"], cwd=self.folder, capture_output=True, text=True)
        if "LibTorch's Gloo needs" in done.stderr:
            self.skipTest("built without Gloo")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (_, one), (_, two) = self.weights("one"), self.weights("two")
        apart = max(abs(a - b) for a, b in zip(one, two))
        print("largest difference by a second process:", apart)
        self.assertLess(apart, 1e-5)

    def test_bfloat16(self):
        self.run_xp("high", "--set", "device=cuda")
        self.run_xp("low", "--set", "device=cuda", "--set", "precision=bfloat16")
        for high, low in zip(self.numbers("high"), self.numbers("low"), strict=True):
            self.assertAlmostEqual(high, low, delta=0.02)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "en.txt").write_text("one two\n\nthree four")
        (pathlib.Path(folder) / "both.toml").write_text(RECIPE)
        tried = subprocess.run([XP, "run", "both.toml", "--quiet", "--set", "device=cuda"],
                               cwd=folder, capture_output=True, text=True)
    if tried.returncode == 2 and "device `cuda` is not there" in tried.stdout + tried.stderr:
        print("skipped: this LibTorch finds no GPU")
        sys.exit(77)
    unittest.main()
