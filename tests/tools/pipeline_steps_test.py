"""parity/pipeline_steps.py on a copy of a golden file; where the package `tokenizers` is not there, it says so."""

import importlib.util
import shutil
import sys
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "parity" / "pipeline_steps.py"
GOLDEN = TOOLS.parent / "tests" / "golden" / "pipeline" / "texts.json"


class PipelineSteps(ScratchTest):
    def check(self):
        return self.run_tool(sys.executable, SCRIPT, "--check", "--only", "texts.json", "--folder", self.scratch)

    def test_changed_texts_are_found(self):
        shutil.copy(GOLDEN, self.scratch / "texts.json")
        if importlib.util.find_spec("tokenizers") is None:
            status, _, err = self.check()
            self.assertNotEqual(status, 0)
            self.assertIn("tokenizers", err)
            return
        self.assertEqual(self.check()[0], 0)
        texts = self.scratch / "texts.json"
        texts.write_text(texts.read_text(encoding="utf-8").replace("Hello", "Hallo", 1), encoding="utf-8")
        status, _, err = self.check()
        self.assertEqual(status, 1)
        self.assertIn("texts.json", err)


if __name__ == "__main__":
    unittest.main()
