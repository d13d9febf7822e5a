#!/usr/bin/env python3
"""Results that are made again: from their file alone, and by runs that were interrupted."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from training import RECIPE, write_project

XP = pathlib.Path(sys.argv.pop(1)).resolve()
BASE, OWN = RECIPE.split("[stage.pretrain]")
OWN = 'extends = "parts/base.toml"\n[stage.pretrain]' + OWN.replace("30 steps", "60 steps")


class Again(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-again-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        write_project(self.folder, OWN)
        (self.folder / "parts").mkdir()
        (self.folder / "parts" / "base.toml").write_text(BASE)

    def xp(self, *arguments, code=0, program=XP):
        done = subprocess.run([program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done

    def run_once(self, *more):
        self.xp("run", "shared.toml", "--seed", "3", *more)
        return str(next((self.folder / "results" / "shared").glob("*.h5")))

    def test_from_the_file_alone(self):
        file = self.run_once("--set", "stage.pretrain.stop='40 steps'")
        (self.folder / "shared.toml").unlink()
        shutil.rmtree(self.folder / "parts")
        again = self.xp("run", "--from", file, "--results", "again").stderr
        self.assertIn("2 stages to run", again)
        self.assertIn("0 stages to run", self.xp("run", "--from", file).stderr)
        told = json.loads(self.xp("reproduce", file, "--json").stdout)
        self.assertTrue(told["identical"], told)
        self.assertEqual((told["stages"], told["batch_hashes"]), (2, 40))
        self.assertGreater(told["weight_hashes"], 100)
        self.assertFalse(pathlib.Path(told["found"]).exists())  # it worked in a folder of its own
        self.xp("run", code=2)
        self.xp("run", "--from", file, "--set", "seeds=2", code=2)
        self.assertIn("has no seed 7", self.xp("reproduce", file, "--seed", "7", code=2).stderr)

        text = self.folder / "en.txt"
        whole = text.read_bytes()
        text.write_bytes(whole.replace(b"ship", b"shop", 1))
        for verb in (("reproduce", file), ("reproduce", file, "--any-build"), ("run", "--from", file)):
            self.assertIn("dataset `english` holds something else", self.xp(*verb, code=4).stderr)
        self.assertIn("`en.txt` has sha256", self.xp("reproduce", file, code=4).stderr)

    def test_another_plugin_is_refused_unless_told(self):
        file = self.run_once("--set", "stage.pretrain.stop='10 steps'")
        (self.folder / "mine").mkdir(mode=0o755)
        library = pathlib.Path(shutil.copy(XP.parent.parent / "plugins" / "adamw.so", self.folder / "mine"))
        path = ["--plugin-path", str(library.parent)]
        self.assertIn("identical", self.xp("reproduce", file, *path).stdout)  # the same bytes in another place
        with library.open("ab") as out:
            out.write(b"\0")  # behind the end: it works the same
        for verb in (("reproduce", file), ("run", "--from", file, "--results", "other")):
            refused = self.xp(*verb, *path, code=3).stderr
            self.assertIn("made with other binaries: plugin `adamw` (", refused)
        self.assertFalse((self.folder / "other" / "shared").exists())
        self.assertIn("identical", self.xp("reproduce", file, *path, "--any-build").stdout)

    def test_plugin_folders_of_a_file_are_not_trusted(self):
        mine = self.folder / "mine"
        mine.mkdir(mode=0o755)
        shutil.copy(XP.parent.parent / "plugins" / "adamw.so", mine)
        (self.folder / "shared.toml").write_text(OWN + '\n[plugins]\npath = ["mine"]\n')
        file = self.run_once("--set", "stage.pretrain.stop='4 steps'", "--trust-plugins")
        for verb in (("reproduce", file), ("run", "--from", file), ("reproduce", file, "--any-build")):
            self.assertIn("error[untrusted-plugins]", self.xp(*verb, code=2).stderr)
        self.assertIn("identical", self.xp("reproduce", file, "--trust-plugins").stdout)
        with (mine / "adamw.so").open("ab") as out:
            out.write(b"\0")
        self.assertIn("plugin `adamw` (", self.xp("reproduce", file, "--trust-plugins", code=3).stderr)

    def killed_and_gone_on(self, results, change=None):
        """A run that is killed in training, and goes on from a state that `change` may touch; its result."""
        run = subprocess.Popen([XP, "run", "shared.toml", "-q", "--seed", "3", "--results", results, "--checkpoint-every", "0.01 s"],
                               cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        work = self.folder / results / "cache" / ".work"
        while not (states := list(work.glob("*/.training/training.*[0-9]"))):
            self.assertIsNone(run.poll(), "it ended before it was killed")
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
        run.wait()
        states = list(work.glob("*/.training/training.*[0-9]"))
        self.assertTrue(states)
        if change:
            change(max(states, key=lambda path: int(path.suffix[1:])))
        self.xp("run", "shared.toml", "--seed", "3", "--results", results)
        return str(next((self.folder / results / "shared").glob("*.h5")))

    def test_a_change_between_kill_and_resume_is_named(self):
        file = self.run_once()
        self.assertIn("identical", self.xp("reproduce", file, "--with", self.killed_and_gone_on("killed")).stdout)

        def flip(state):
            flip_weight(state)
            self.step = int(state.suffix[1:])

        broken = self.killed_and_gone_on("broken", flip)
        told = json.loads(self.xp("reproduce", file, "--with", broken, "--json", code=5).stdout)["difference"]
        self.assertEqual((told["stage"], told["seed"]), ("pretrain", 3))
        weights = next(one for one in told["where"] if one["kind"] == "weights")
        self.assertGreater(weights["step"], self.step)
        self.assertTrue(weights["name"].startswith("primary.") or "." in weights["name"], weights)
        self.assertNotIn("batch", [one["kind"] for one in told["where"]])
        text = self.xp("reproduce", file, "--with", broken, code=5).stdout
        self.assertIn("differs first in stage pretrain of arm main, seed 3; 1 stage before it the same", text)
        self.assertIn(f"the weights `{weights['name']}` after step {weights['step']}: expected ", text)

    def test_interrupted_runs_end_like_an_unbroken_one(self):
        done = self.xp("verify-resume", "shared.toml", "--seed", "3", "--kills", "3", "--stops", "1", "--results", "scratch",
                       "--json")
        told = json.loads(done.stdout)
        self.assertTrue(told["identical"], done.stderr)
        self.assertEqual([one["kind"] for one in told["interruptions"]].count("kill"), 3)
        self.assertTrue(all(one["seconds"] > 0 for one in told["interruptions"]), told)
        self.assertEqual(told["batch_hashes"], 60)
        self.assertEqual(done.stderr.count("\nkilled after"), 3)
        self.assertFalse(list((self.folder / "scratch").glob("verify-resume-*")))
        self.xp("verify-resume", "shared.toml", "--kills", "0", code=2)

    def test_a_resume_that_goes_wrong_is_seen(self):
        over = threading.Event()
        seen = set()

        def spoil():  # every training state as soon as it is whole: only a resume reads it
            while not over.is_set():
                for state in self.folder.glob("scratch/verify-resume-*/broken-*/cache/.work/*/.training/training.*[0-9]"):
                    if state not in seen:
                        try:
                            flip_weight(state)
                            seen.add(state)
                        except OSError:
                            pass  # the next one took its place
                time.sleep(0.001)

        thread = threading.Thread(target=spoil)
        thread.start()
        try:
            done = subprocess.run([XP, "verify-resume", "shared.toml", "--seed", "3", "--kills", "4", "--results", "scratch", "--set",
                                   "stage.pretrain.stop='300 steps'", "--checkpoint-every", "0.1 s"],
                                  cwd=self.folder, capture_output=True, text=True, timeout=300)
        finally:
            over.set()
            thread.join()
        self.assertTrue(seen)
        self.assertEqual(done.returncode, 5, done.stderr + done.stdout)
        self.assertIn("differs first in stage pretrain of arm main, seed 3", done.stdout)
        self.assertIn("the weights `", done.stdout)
        self.assertTrue(list((self.folder / "scratch").glob("verify-resume-*/unbroken")), "kept for a look")


def flip_weight(state):
    """Changes one weight of a training state a little."""
    file = state / "state.safetensors"
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8:8 + size])
    name = sorted(name for name in head if name.startswith("weights/"))[0]
    data[8 + size + head[name]["data_offsets"][0] + 2] ^= 0x10  # the third byte of the first number
    with file.open("r+b") as out:
        out.write(data)


if __name__ == "__main__":
    unittest.main(verbosity=2)
