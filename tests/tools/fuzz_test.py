"""tools/fuzz: which targets there are, what they start from, and what it says without a compiler or of wrong names."""

import json
import shutil
import unittest

from scratch import ROOT, TOOLS, ScratchTest

FUZZ = TOOLS / "fuzz"


class Fuzz(ScratchTest):
    def test_every_target_has_something_to_start_from(self):
        status, listed, _ = self.run_tool(FUZZ, "--list")
        self.assertEqual(status, 0)
        names = listed.split()
        sources = {path.stem for path in (ROOT / "tests/fuzz/targets").glob("*.cpp")}
        self.assertEqual(set(names), sources | {"recipe"})
        self.assertEqual(self.run_tool(FUZZ, "--seeds", self.scratch / "seeds")[0], 0)
        for name in names:
            seeds = list((self.scratch / "seeds" / name).iterdir())
            self.assertTrue(seeds, name)
            self.assertTrue(all(seed.stat().st_size > 0 for seed in seeds), name)
        for seed in (self.scratch / "seeds/tokenizer_json").iterdir():
            self.assertIn("model", json.loads(seed.read_bytes()))

    def test_mistakes(self):
        status, _, said = self.run_tool(FUZZ, "no_such_reader", "5")
        self.assertEqual(status, 2)
        self.assertIn("no target no_such_reader; there are config_json,", said)
        self.assertEqual(self.run_tool(FUZZ, "gguf", "0")[0], 2)

    def test_without_clang(self):
        # A folder with Python alone is all that there is to be found.
        (self.scratch / "bin").mkdir()
        (self.scratch / "bin/python3").symlink_to(shutil.which("python3"))
        status, _, said = self.run_tool(shutil.which("python3"), FUZZ, "gguf", "1", env={"PATH": self.scratch / "bin", "CXX": None})
        self.assertEqual(status, 3)
        self.assertIn("no clang++ with libFuzzer is here; install it (Debian: clang-16 libclang-rt-16-dev)", said)


if __name__ == "__main__":
    unittest.main()
