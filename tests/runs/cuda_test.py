#!/usr/bin/env python3
"""A GPU beside the CPU: the same weights and scores, repeatable bits, resumption. Skipped (77) where there is none."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from training import RECIPE, difference, weights, write_project

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
EVALUATED = RECIPE + """
evaluate  = { every = "10 steps", with = ["likelihood"] }

[evaluator.likelihood]
type = "pseudo_likelihood"
data = "english:test"
most = 8
"""


def gpu(*settings):
    return [word for one in ("device=cuda", *settings) for word in ("--set", one)]


class Cuda(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-cuda-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        write_project(self.folder, EVALUATED)

    def run_xp(self, results, *arguments, code=0):
        done = subprocess.run([XP, "run", "shared.toml", "--results", results, "--quiet", *arguments], cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return weights(self.folder / results) if code == 0 else None

    def numbers(self, results):
        columns = ["pretrain.loss.final", "pretrain.likelihood.bits.final"]
        out = subprocess.run([XP, "table", "shared", "--results", results, "--json", "--columns", *columns],
                             cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return [cell["mean"] for cell in json.loads(out.stdout)["rows"][0]["cells"]]

    def test_same_weights_as_on_the_cpu(self):
        apart = difference(self.run_xp("cpu"), self.run_xp("gpu", *gpu()))
        print("largest difference of a weight:", apart)
        self.assertLess(apart, 1e-5)
        for on_cpu, on_gpu in zip(self.numbers("cpu"), self.numbers("gpu"), strict=True):
            self.assertAlmostEqual(on_cpu, on_gpu, places=4)

    def test_bitwise_runs_are_equal_and_resume(self):
        settings = gpu("determinism=bitwise")
        one = self.run_xp("one", *settings)
        self.run_xp("two", *settings, "--max-time", "0.01 s", code=75)
        self.assertEqual(one, self.run_xp("two", *settings))

    def test_two_processes_share_the_gpu(self):
        one = self.run_xp("one", *gpu())
        done = subprocess.run([XP, "run", "shared.toml", "--results", "two", "--quiet", *gpu(), "--nproc", "2"],
                              cwd=self.folder, capture_output=True, text=True)
        if "LibTorch's Gloo needs" in done.stderr:
            self.skipTest("built without Gloo")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLess(difference(one, weights(self.folder / "two")), 1e-5)

    def start_two(self, results, *settings):
        """NCCL refuses two processes on one GPU of a host, so that each gets a host's name of its own."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]),
                     "NCCL_SOCKET_IFNAME": "lo"}
        return [subprocess.Popen([XP, "run", "shared.toml", "--results", results, *gpu(*settings)], cwd=self.folder,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env={**os.environ, **place, "RANK": str(rank), "NCCL_HOSTID": f"host{rank}"})
                for rank in range(2)]

    def test_nccl_gives_the_weights_of_one_process(self):
        one = self.run_xp("one", *gpu())
        ended = [(run, run.communicate(timeout=240)[1]) for run in self.start_two("two")]
        if any("LibTorch's Gloo needs" in err for _, err in ended):
            self.skipTest("built without Gloo")
        self.assertEqual([run.returncode for run, _ in ended], [0, 0], "".join(err for _, err in ended))
        if "summed by NCCL" not in ended[0][1]:
            self.skipTest("built without NCCL")
        self.assertLess(difference(one, weights(self.folder / "two")), 1e-5)

    def test_a_dead_process_ends_a_run_with_nccl_and_leaves_a_checkpoint(self):
        first, second = self.start_two("dying", "stage.pretrain.stop=100000 steps")
        time.sleep(20)
        second.kill()
        err = first.communicate(timeout=120)[1]
        if "summed by NCCL" not in err:
            self.skipTest("built without NCCL")
        second.communicate()
        self.assertEqual(first.returncode, 75, err)
        self.assertIn("lost the others", err)
        self.assertTrue(list((self.folder / "dying" / "cache" / ".work").glob("*/.training/training.*")), err)

    def test_bfloat16(self):
        self.run_xp("high", *gpu())
        self.run_xp("low", *gpu("precision=bfloat16"))
        for high, low in zip(self.numbers("high"), self.numbers("low"), strict=True):
            self.assertAlmostEqual(high, low, delta=0.02)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_project(pathlib.Path(folder))
        tried = subprocess.run([XP, "run", "shared.toml", *gpu("stage.pretrain.stop=1 steps")], cwd=folder,
                               capture_output=True, text=True)
    if tried.returncode == 2 and "device `cuda` is not there" in tried.stdout + tried.stderr:
        print("skipped: this LibTorch finds no GPU")
        sys.exit(77)
    unittest.main()
