"""bench/tokenizer_bench.py with a peer and a program that stand in: ids decide; README.md gets whole runs."""

import json
import subprocess
import sys
import unittest

from scratch import TOOLS, ScratchTest

sys.path.insert(0, str(TOOLS / "bench"))
sys.dont_write_bytecode = True

import tokenizer_tables  # noqa: E402
import tokenizer_texts  # noqa: E402

SCRIPT = TOOLS / "bench" / "tokenizer_bench.py"
PEER = """
class Row:
    def __init__(self, text):
        self.ids = [len(text)]
class Tokenizer:
    @staticmethod
    def from_file(path):
        return Tokenizer()
    def encode_batch_fast(self, texts, add_special_tokens):
        sum(range(200000))
        return [Row(text) for text in texts]
"""
PROGRAM = """#!/usr/bin/env python3
import json, struct, sys
texts = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8", newline="\\n")]
open(sys.argv[3], "wb").write(b"".join(struct.pack("<II", 1, len(text) + {more}) for text in texts))
print(json.dumps({"cpu": [0.5, 0.25], "wall": [0.5, 0.25], "mib": 1}))
"""


class BenchTokenizers(ScratchTest):
    def bench(self, more, *words):
        self.write("folder/texts/en.txt", "All are equal before it.\n" * 2000)
        for name in tokenizer_texts.SOURCES:
            self.write(f"folder/texts/{name}.txt", "All are equal before it.\n" * 2000)
        self.write("folder/10-32000/bpe-en.json", "{}")
        self.write("peer/tokenizers/__init__.py", PEER)
        self.write("peer/tokenizers-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tokenizers\nVersion: 1\n")
        program = self.write("rate", PROGRAM.replace("{more}", str(more)))
        program.chmod(0o755)
        return self.run_tool(sys.executable, "-B", SCRIPT, "--packages", self.scratch, "--program", program,
                             "--folder", self.scratch / "folder", "--peer-python", sys.executable, "--only", "encode",
                             "--tokenizers", "bpe-en", "--texts", "en", "--rounds", "3", "--megabytes", "0.02",
                             "--json", self.scratch / "out.jsonl", *words, env={"PYTHONPATH": self.scratch / "peer"})

    def test_ratios(self):
        status, out, err = self.bench(0, "--peers", "tokie")
        self.assertEqual(status, 0, err)
        self.assertIn("| xp |", out)
        self.assertIn("tokie: is not installed", out)
        self.assertNotIn(tokenizer_tables.OTHER + " |", out)

    def test_different_ids(self):
        status, out, _ = self.bench(1)
        self.assertEqual(status, 1)
        self.assertIn("xp, encode bpe-en en: ids differ", out)
        self.assertIn(tokenizer_tables.OTHER + " |", out)
        self.assertIn("| xp by HF encode_batch_fast | – |", out)

    def test_section(self):
        self.bench(0)
        readme = self.write("README.md", f"before\n{tokenizer_tables.BEGIN}\nstale\n{tokenizer_tables.END}\nbehind\n")
        words = (sys.executable, "-B", SCRIPT, "--readme", self.scratch / "out.jsonl", "--into", readme)
        self.assertEqual(self.run_tool(*words)[0], 0)
        text = readme.read_text(encoding="utf-8")
        self.assertTrue(text.startswith("before\n") and text.endswith("\nbehind\n"))
        self.assertNotIn("stale", text)
        self.assertIn("| English |", text)
        self.assertEqual(self.run_tool(*words)[0], 0)
        self.assertEqual(readme.read_text(encoding="utf-8"), text)
        lines = (self.scratch / "out.jsonl").read_text(encoding="utf-8").splitlines()
        machine = json.loads(lines[0]) | {"quick": True}
        self.write("out.jsonl", "\n".join([json.dumps(machine), *lines[1:]]))
        status, _, err = self.run_tool(*words)
        self.assertEqual(status, 1)
        self.assertIn("--quick", err)


class Texts(ScratchTest):
    def test_documents(self):
        lines = ["a" * 1000 + "\n"] * 20
        self.assertEqual([len(one) for one in tokenizer_texts.documents(lines, 9000)], [5005, 4004])
        self.assertEqual("".join(tokenizer_texts.documents(lines, 10**9)), "".join(lines))

    def test_lines_of_a_package(self):
        root = self.scratch / "root"
        page = "<html><p>Обычный текст для проверки &amp; ещё</p>\n<!-- a comment that is long enough -->\n"
        self.write("root/usr/share/a.html", page + "<p>An English line that nobody has translated yet</p>\n" + page)
        self.write("root/DEBIAN/control", "Package: libreoffice-help-ru\nVersion: 1\nArchitecture: all\n"
                                          "Maintainer: a <a@b.c>\nDescription: x\n")
        subprocess.run(["dpkg-deb", "-b", root, self.scratch / "libreoffice-help-ru_1_all.deb"], check=True,
                       capture_output=True)
        tokenizer_texts.SOURCES["ru"] = tokenizer_texts.SOURCES["ru"][:1]
        self.assertEqual(list(tokenizer_texts.lines_of("ru", self.scratch)), ["Обычный текст для проверки & ещё"])
        with self.assertRaises(SystemExit):
            tokenizer_texts.package_file(self.scratch, "libreoffice-help-de")


if __name__ == "__main__":
    unittest.main()
