"""parity/tokenizers_small.py on a copy of the golden files; where the package `tokenizers` is not there, it says so."""

import importlib.util
import shutil
import sys
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "parity" / "tokenizers_small.py"
GOLDEN = TOOLS.parent / "tests" / "golden" / "tokenizers"


class TokenizersSmall(ScratchTest):
    def check(self):
        return self.run_tool(sys.executable, SCRIPT, "--check", "--folder", self.scratch / "golden")

    def test_changed_ids_are_found(self):
        shutil.copytree(GOLDEN, self.scratch / "golden")
        if importlib.util.find_spec("tokenizers") is None:
            status, _, err = self.check()
            self.assertNotEqual(status, 0)
            self.assertIn("tokenizers", err)
            return
        self.assertEqual(self.check()[0], 0)
        ids = self.scratch / "golden" / "bytes.ids.json"
        ids.write_text(ids.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
        status, _, err = self.check()
        self.assertEqual(status, 1)
        self.assertIn("bytes.ids.json", err)


if __name__ == "__main__":
    unittest.main()
