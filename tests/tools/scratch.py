"""What the tests of tools/ share: a scratch tree, and running one of our programs in it."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"


class ScratchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="xp-tools-")
        self.addCleanup(folder.cleanup)
        self.scratch = pathlib.Path(folder.name).resolve()

    def write(self, name, text):
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run_tool(self, *command, env=None, cwd=None):
        """Runs a program; gives (exit status, stdout, stderr). A None in env takes the variable away."""
        environment = dict(os.environ)
        for name, value in (env or {}).items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = str(value)
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=cwd or self.scratch)
        return done.returncode, done.stdout, done.stderr
