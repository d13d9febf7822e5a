"""bench/initializers.py skipgram with a peer and a program that stand in: a ratio, and an error for worse vectors."""

import os
import random
import sys
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "bench" / "initializers.py"
# Words of one topic begin with the same letter: a good vector says which.
PEER = """
import numpy
class Model:
    def __init__(self, path):
        self.words = sorted(set(open(path, encoding="utf-8").read().split())) + ["</s>"]
    def get_words(self):
        return self.words
    def get_word_vector(self, word):
        vector = numpy.zeros(26)
        vector[ord(word[0]) % 26] = 1
        return vector
def train_unsupervised(path, model, dim, **settings):
    assert model == "skipgram" and dim == 26 and settings["thread"] == 1 and settings["maxn"] == {max_n}, settings
    return Model(path)
"""
PROGRAM = """#!{python}
import json, pathlib, sys
import numpy
assert sys.argv[1:5] == ["-q", "--results", sys.argv[3], "run"] and sys.argv[6] == "--seed", sys.argv
assert "max_n = {max_n} " in pathlib.Path(sys.argv[5]).read_text(encoding="utf-8")
words = sorted(set(pathlib.Path("text.txt").read_text(encoding="utf-8").split()))
vectors = numpy.random.default_rng(int(sys.argv[7])).standard_normal((len(words), 26), dtype=numpy.float32)
if {good}:
    vectors = 0.01 * vectors + numpy.eye(26, dtype=numpy.float32)[[ord(word[0]) % 26 for word in words]]
folder = pathlib.Path(sys.argv[3]) / "cache" / "digest" / "vectors"
folder.mkdir(parents=True)
(folder / "state.json").write_text(json.dumps({{"strings": {{"words": words}}}}), encoding="utf-8")
header = json.dumps({{"vectors": {{"dtype": "F32", "shape": vectors.shape, "data_offsets": [0, vectors.nbytes]}}}}).encode()
(folder / "state.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + vectors.astype("<f4").tobytes())
"""
try:
    import numpy
except ImportError:
    numpy = None


@unittest.skipIf(numpy is None, "the peers' package numpy is not there")
class BenchSkipgram(ScratchTest):
    def bench(self, good, *more, documents=60):
        grams = {"max_n": 0 if "--words-only" in more else 6}
        peer = self.scratch / "peer" / "fasttext" / "__init__.py"
        peer.parent.mkdir(parents=True, exist_ok=True)
        peer.write_text(PEER.format(**grams), encoding="utf-8")
        program = self.scratch / "train"
        program.write_text(PROGRAM.format(python=sys.executable, good=good, **grams), encoding="utf-8")
        program.chmod(0o755)
        draw = random.Random(1)
        lines = []
        for number in range(documents):
            topic = chr(ord("a") + number % 26)
            lines.append(" ".join(topic + "".join(draw.choices("xyz", k=4)) for _ in range(120)) + ", 12.")
        text = self.write("text", "\n".join(lines))
        environment = {**os.environ, "PYTHONPATH": str(peer.parent.parent)}
        return self.run_tool(sys.executable, "-B", SCRIPT, "skipgram", "--program", program, "--peer-python",
                             sys.executable, "--text", text, "--held", "20", "--dim", "26", "--rounds", "3", *more,
                             env=environment)

    def test_as_good(self):
        status, out, err = self.bench(True, "--words", "2400", "--epochs", "3")
        self.assertEqual(status, 0, err)
        self.assertIn("7200 words, dimension 26", out)
        self.assertIn("times as fast", out)
        self.assertIn(": not worse", out)

    def test_words_only(self):
        status, out, err = self.bench(True, "--words-only")
        self.assertEqual(status, 0, err)

    def test_worse(self):
        status, out, _ = self.bench(False)
        self.assertEqual(status, 1)
        self.assertIn(": worse", out)

    def test_little_text(self):
        status, _, err = self.bench(True, documents=30)
        self.assertEqual(status, 1)
        self.assertIn("give --text at least 40", err)


if __name__ == "__main__":
    unittest.main()
