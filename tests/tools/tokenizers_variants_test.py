"""parity/tokenizers_variants.py on a changed golden file; where the package `tokenizers` is not there, it says so."""

import importlib.util
import shutil
import sys
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "parity" / "tokenizers_variants.py"
GOLDEN = TOOLS.parent / "tests" / "golden" / "tokenizer_files" / "variants.json"


class TokenizersVariants(ScratchTest):
    def test_changed_ids_are_found(self):
        golden = self.scratch / "variants.json"
        check = (sys.executable, "-B", SCRIPT, "--golden", golden, "--check")
        shutil.copyfile(GOLDEN, golden)
        if importlib.util.find_spec("tokenizers") is None:
            status, _, err = self.run_tool(*check)
            self.assertNotEqual(status, 0)
            self.assertIn("tokenizers", err)
            return
        self.assertEqual(self.run_tool(*check)[0], 0)
        golden.write_text(golden.read_text(encoding="utf-8").replace('"rows":[[[', '"rows":[[[9', 1), encoding="utf-8")
        status, _, err = self.run_tool(*check)
        self.assertEqual(status, 1)
        self.assertIn("variants.json", err)


if __name__ == "__main__":
    unittest.main()
