#!/usr/bin/env python3
"""Several processes that train one model: the weights of one process, launchers, and what happens when one dies."""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
RECIPE = """
recipe  = 1
name    = "shared"
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
"""


def weights(folder):
    """Numbers by name of the one trained model in a results folder."""
    files = sorted((folder / "cache").glob("[0-9a-f]*/*/model.safetensors"))
    assert len(files) == 1, files
    data = files[0].read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    out = {}
    for name, entry in head.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            out[name] = struct.unpack(f"<{(end - begin) // 4}f", data[8 + size + begin:8 + size + end])
    return out


def difference(a, b):
    assert a.keys() == b.keys()
    return max(abs(x - y) for name in a for x, y in zip(a[name], b[name], strict=True))


class Processes(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-processes-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        (self.folder / "xp.toml").write_text("")
        draw = random.Random(1)
        words = "ship wave sail port cow field barn milk".split()
        lines = [f"::id {n}\n" + " ".join(draw.choice(words) for _ in range(draw.randrange(5, 60))) + ".\n" for n in range(200)]
        (self.folder / "en.txt").write_text("\n".join(lines) + "\n")
        (self.folder / "shared.toml").write_text(RECIPE)

    def start(self, *arguments, **environment):
        return subprocess.Popen([XP, "run", "shared.toml", *arguments], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})

    def end(self, run, code=0):
        out, err = run.communicate(timeout=240)
        self.assertEqual(run.returncode, code, err + out)
        return out, err

    def test_two_processes_give_the_weights_of_one(self):
        self.end(self.start("--results", "one"))
        self.end(self.start("--results", "two", "--nproc", "2"))
        one, two = weights(self.folder / "one"), weights(self.folder / "two")
        self.assertLess(difference(one, two), 1e-6)
        self.assertFalse(list((self.folder / "two" / ".work").glob("processes-*")))
        again = self.end(self.start("--results", "two", "--nproc", "2"))
        self.assertIn("0 stages to run", again[1])

    def test_the_environment_of_torchrun_is_understood(self):
        self.end(self.start("--results", "two", "--nproc", "2"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        runs = [self.start("--results", "torchrun", RANK=str(rank), **place) for rank in range(2)]
        for run in runs:
            self.end(run)
        self.assertEqual(weights(self.folder / "two"), weights(self.folder / "torchrun"))

    def test_one_dying_stops_all_with_a_checkpoint(self):
        run = self.start("--results", "dying", "--nproc", "2", "--set", 'stage.pretrain.stop="100000 steps"')
        time.sleep(6)
        children = [int(pid) for pid in pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
        self.assertEqual(len(children), 1)
        os.kill(children[0], signal.SIGKILL)
        _, err = self.end(run, 75)
        self.assertIn("lost the others", err)
        saved = list((self.folder / "dying" / "cache" / ".work").glob("*/training/training.*"))
        self.assertTrue(saved, err)
        goes_on = self.start("--results", "dying", "--nproc", "2", "--set", 'stage.pretrain.stop="100000 steps"')
        time.sleep(6)
        goes_on.send_signal(signal.SIGTERM)
        self.end(goes_on, 75)
        journal = next((self.folder / "dying" / "cache" / ".work").glob("*/record.journal")).read_bytes()
        self.assertIn(b"resumed at step", journal)

    def test_what_cannot_be_shared_says_so(self):
        _, err = self.end(self.start("--nproc", "2", "--set", 'determinism="bitwise"'), 2)
        self.assertIn("needs one process, not 2", err)
        _, err = self.end(self.start(WORLD_SIZE="2", RANK="5", MASTER_ADDR="127.0.0.1", MASTER_PORT="1"), 2)
        self.assertIn("this is process 5 of 2", err)


if __name__ == "__main__":
    unittest.main()
