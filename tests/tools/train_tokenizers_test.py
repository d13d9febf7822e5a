"""bench/train_tokenizers.py: the texts and numbers that it compares, and its whole run where the package is there."""

import importlib.util
import json
import os
import sys
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "bench" / "train_tokenizers.py"
XP = TOOLS.parent / "build" / "release" / "bin" / "xp"
SPEC = importlib.util.spec_from_file_location("train_tokenizers", SCRIPT)
BENCH = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BENCH)


class TrainTokenizers(ScratchTest):
    def test_part_ends_in_time_and_has_documents(self):
        text = self.write("text.txt", "".join(f"line {i} of the text\n\n" for i in range(5000)))
        part = BENCH.part_of(text, 0.02)
        self.assertLess(abs(len(part) - 20000), 300)
        documents = part.split("\n\n")
        self.assertGreater(len(documents), 3)
        self.assertLess(max(map(len, documents)), BENCH.DOCUMENT_BYTES + 300)

    def test_text_without_lines_is_refused(self):
        text = self.write("empty.txt", "\n \n")
        status, _, err = self.run_tool(sys.executable, SCRIPT, "--xp", "xp", "--peer-python", "python", "--text", text)
        self.assertNotEqual(status, 0)
        self.assertIn("has no text", err)

    def test_a_failing_program_ends_it(self):
        text = self.write("text.txt", "some text\n")
        failing = self.write("xp", "#!/bin/sh\necho broken >&2\nexit 3\n")
        os.chmod(failing, 0o755)
        status, _, err = self.run_tool(sys.executable, SCRIPT, "--xp", failing, "--peer-python", sys.executable,
                                       "--text", text, "--rounds", "1")
        self.assertNotEqual(status, 0)
        self.assertIn("broken", err)

    @unittest.skipUnless(importlib.util.find_spec("tokenizers"), "needs the package tokenizers")
    def test_bits_per_byte_of_a_known_model(self):
        from tokenizers import Tokenizer, models
        half = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -3.0), ("b", -3.0)], 0, False))
        half.add_special_tokens(["<unk>"])
        path = self.scratch / "half.json"
        half.save(str(path))
        seen = BENCH.bits_per_byte(path, "abba\nab\n")
        self.assertAlmostEqual(seen["bits_per_byte"], 1)  # two pieces of equal probability, whatever their scale
        self.assertEqual(seen["unknown"], 0)

    @unittest.skipUnless(importlib.util.find_spec("tokenizers") and XP.exists(), "needs the package tokenizers and a build")
    def test_small_run(self):
        words = ["low", "lower", "newest", "widest", "new", "wide"]
        text = self.write("text.txt", "".join(" ".join(words[(i * j) % 6] for j in range(9)) + "\n" for i in range(400)))
        status, out, err = self.run_tool(sys.executable, SCRIPT, "--xp", XP, "--peer-python", sys.executable, "--text",
                                         text, "--rounds", "1", "--vocab", "270", "--threads", "1", "--kinds", "bpe")
        self.assertEqual(status, 0, err)
        self.assertIn("CPU time", out)
        self.assertIn("the first 9 of 9 and 14 merges are equal", out)


if __name__ == "__main__":
    unittest.main()
