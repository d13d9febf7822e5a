#!/usr/bin/env python3
"""Files of other tools that lie, through the program: exit 4, one sentence that names the file, little memory, nothing written."""
import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
MODEL = ROOT / "tests" / "golden" / "models" / "bert"
MOST_MEMORY = 1 << 20  # KiB of any child; LibTorch alone takes a third of it


def small(**changes):
    """A small tokenizer.json with some keys replaced."""
    file = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "u": 3}, "merges": ["a b"]}}
    return {**file, **changes}


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


class Hostile(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="xp-hostile-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name) / "here"
        self.folder.mkdir()
        self.env = {**os.environ, "HOME": scratch.name, "XDG_CACHE_HOME": scratch.name + "/cache", "OMP_NUM_THREADS": "1"}
        self.good = self.folder / "good.json"
        self.good.write_text(json.dumps(small()))

    def xp(self, *arguments, given=b""):
        return subprocess.run([XP, *map(str, arguments)], cwd=self.folder, env=self.env, capture_output=True, timeout=120, input=given)

    def refused(self, words, *arguments, given=b""):
        before = sorted(self.folder.rglob("*"))
        done = self.xp(*arguments, given=given)
        lines = done.stderr.decode().splitlines(keepends=True)  # which must be UTF-8
        said = "".join(line for line in lines if not line.startswith("adapting "))  # how far it is
        self.assertEqual((done.returncode, done.stdout), (4, b""), said)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertTrue(said.startswith("error: "), said)
        for word in words:
            self.assertIn(word, said)
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def model(self, name, **files):
        """A model directory with files replaced: content, or None for a file that goes."""
        folder = self.folder / name
        shutil.copytree(MODEL, folder)
        for file, content in files.items():
            path = folder / file.replace("__", ".")
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    def refused_model(self, words, folder):
        with self.subTest(folder.name):
            self.refused(words, "inspect", folder)
            self.refused(words, "export", folder, "--out", self.folder / "out")
            self.refused(words, "adapt", "--model", folder, "--tokenizer", self.good, "--initializer", "mean", "--out", self.folder / "out")

    def test_configurations(self):
        config = json.loads((MODEL / "config.json").read_text())
        self.refused_model(["config.json", "not JSON"], self.model("cut", config__json=json.dumps(config)[:-5]))
        self.refused_model(["config.json", "not JSON"], self.model("nan", config__json='{"model_type": "bert", "layer_norm_eps": NaN}'))
        self.refused_model(["config.json", "nests deeper"], self.model("deep", config__json="[" * 10_000 + "]" * 10_000))
        config["num_hidden_layers"] = 1 << 31
        self.refused_model(["config.json", "2147483648 layers"], self.model("layers", config__json=json.dumps(config)))

    def test_safetensors(self):
        name = "model.safetensors"
        lies = {
            "cut": ((MODEL / name).read_bytes()[:-10], "bytes"),
            "huge": (struct.pack("<Q", 1 << 63) + b"{}", "header claims 9223372036854775808"),
            "overlap": (safetensors({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, b"abc"), "overlap"),
            "dtype": (safetensors({"a": tensor("F32", [1], 0, 2)}, b"ab"), "needs 4 bytes"),
            "deep": (safetensors(b"[" * 10_000 + b"]" * 10_000), "deeper than"),
        }
        for case, (content, words) in lies.items():
            self.refused_model([name, words], self.model(case, model__safetensors=content))

    def test_shards(self):
        index = "model.safetensors.index.json"
        (self.folder / "secret.safetensors").write_bytes((MODEL / "model.safetensors").read_bytes())
        for case, shard in {"up": "../secret.safetensors", "root": str(self.folder / "secret.safetensors")}.items():
            folder = self.model(case, model__safetensors=None)
            (folder / index).write_text(json.dumps({"weight_map": {"a": shard}}))
            self.refused_model([index, "a shard is the name of a .safetensors file beside the index"], folder)

    def test_tokenizers(self):
        def refused(name, words, content, text=b"aaaa\n"):
            file = self.folder / (name + ".json")
            file.write_text(content if isinstance(content, str) else json.dumps(content))
            with self.subTest(name):
                self.refused([file.name, *words], "tokenize", "--tokenizer", file, "--json", given=text)

        def model(**changes):
            return small(model={**small()["model"], **changes})

        refused("cut", ["no JSON"], json.dumps(small())[:-3])
        refused("deep", ["64 deep"], '{"normalizer":' * 10_000 + "1" + "}" * 10_000)
        refused("same_ids", ["model.vocab: tokens `a` and `b` both have id 0"], model(vocab={"a": 0, "b": 0}, merges=[]))
        refused("no_id", ["model.vocab: token `a`"], model(vocab={"a": None}, merges=[]))
        refused("far_id", ["model.vocab: the largest id is 2000000000"], model(vocab={"a": 2_000_000_000}, merges=[]))
        refused("twice", ["the key `a` is there twice"], '{"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}}')
        refused("merge", ["model.merges[0] needs the token `c`"], model(merges=["a c"]))
        replace = {"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"}
        refused("growing", ["normalizer.normalizers[", "grow to more than"], small(normalizer={"type": "Sequence", "normalizers": [replace] * 100}))

    def test_old_vocabularies(self):
        for name, vocabulary, words in (("twice", "[UNK]\na\nb\na\n", "vocab.txt:4: the token `a` is also in line 2"), ("broken", "", "vocab.txt")):
            folder = self.folder / name
            folder.mkdir()
            (folder / "vocab.txt").write_text(vocabulary)
            with self.subTest(name):
                self.refused([words], "tokenize", "--tokenizer", folder, "--json", given=b"a\n")

    def test_invalid_utf8_is_reported_where_it_is(self):
        text = self.folder / "text.txt"
        text.write_bytes(b"ab\n\na\xffb\xed\xa0\x80\n\xe2\x82")
        warnings = f"warning: {text}:3: invalid UTF-8 at byte 1 and 3 more places\nwarning: {text}:4: invalid UTF-8 at byte 0\n"
        for more in (["--json"], [], ["--ids"]):
            done = self.xp("tokenize", "--tokenizer", self.good, "--input", text, *more)
            self.assertEqual((done.returncode, done.stderr.decode()), (0, warnings), more)
        objects = [json.loads(line) for line in self.xp("tokenize", "--tokenizer", self.good, "--input", text, "--json").stdout.splitlines()]
        self.assertEqual([one.get("invalid_utf8") for one in objects], [None, None, [[1, 2], [3, 4], [4, 5], [5, 6]], [[0, 2]]])
        self.refused(["standard input:1: invalid UTF-8 at byte 10"], "tokenize", "--tokenizer", self.good, "--json", "--input-format", "jsonl", given=b'{"text": "\xff"}\n')

    def tearDown(self):
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, MOST_MEMORY)


if __name__ == "__main__":
    unittest.main()
