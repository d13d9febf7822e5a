#!/usr/bin/env python3
"""Several processes that train one model: the weights of one process, launchers, and what happens when one dies."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from training import difference, weights, write_project

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())


class Processes(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-processes-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        write_project(self.folder)

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
        saved = list((self.folder / "dying" / "cache" / ".work").glob("*/.training/training.*"))
        self.assertTrue(saved, err)
        goes_on = self.start("--results", "dying", "--nproc", "2", "--set", 'stage.pretrain.stop="100000 steps"')
        time.sleep(6)
        goes_on.send_signal(signal.SIGTERM)
        _, err = self.end(goes_on, 75)
        self.assertRegex(err, r"pretrain: goes on from step [1-9]\d* \(")
        journal = next((self.folder / "dying" / "cache" / ".work").glob("*/record.journal")).read_bytes()
        self.assertIn(b"resumed at step", journal)

    def test_what_cannot_be_shared_says_so(self):
        _, err = self.end(self.start("--nproc", "2", "--set", 'determinism="bitwise"'), 2)
        self.assertIn("needs one process, not 2", err)
        _, err = self.end(self.start(WORLD_SIZE="2", RANK="5", MASTER_ADDR="127.0.0.1", MASTER_PORT="1"), 2)
        self.assertIn("this is process 5 of 2", err)


if __name__ == "__main__":
    unittest.main()
