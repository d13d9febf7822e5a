#!/usr/bin/env python3
"""Models of other tools through the program: inspect, adapt, export. The models are tests/golden/models, which transformers wrote."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from tokenizer_files import SPECIAL, byte_level_tokenizer, clip_tokenizer, tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
MODELS = ROOT / "tests" / "golden" / "models"


def tensors(file):
    """name -> (dtype, shape, bytes) of a safetensors file."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + size])
    head.pop("__metadata__", None)
    return {
        name: (one["dtype"], one["shape"], data[8 + size + one["data_offsets"][0] : 8 + size + one["data_offsets"][1]])
        for name, one in head.items()
    }


def row(tensor, i):
    width = len(tensor[2]) // tensor[1][0]
    return tensor[2][i * width : (i + 1) * width]


LEARN = """
recipe = 1
name   = "learn"
[dataset.text]
type     = "text"
files    = ["words.txt"]
language = "und"
split    = { dev = 0.0, test = 0.0 }
[stage.words]
type   = "fit"
method = { type = "marked_words" }
corpus = "text"
[tower.host]
model = "hf:gpt2"
train = "none"
[stage.network]
type      = "train"
towers    = ["host"]
data      = "text"
objective = { type = "hypernetwork", task = "causal_lm", words = "words", pieces = 40, draws = 100, row_steps = 1, row_tokens = 8, network = { layers = 1, heads = 2 } }
batch     = { tokens = 64 }
stop      = "2 steps"
[stage.further]
type      = "train"
model     = "hf:gpt2"
data      = "text"
objective = { type = "causal_lm" }
batch     = { tokens = 64 }
stop      = "2 steps"
"""

WORDS = [f"w{i}" for i in range(35)]
OTHER = [f"w{i}" for i in range(30, 20, -1)] + ["w1w2", "new"]


class Models(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="xp-models-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.env = {**os.environ, "HOME": scratch.name, "XDG_CACHE_HOME": scratch.name + "/cache", "OMP_NUM_THREADS": "1"}

    def model(self, name, words=WORDS):
        folder = self.folder / name
        shutil.copytree(MODELS / name, folder)
        (folder / "expected.safetensors").unlink()
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer(words)))
        return folder

    def new_tokenizer(self, words=OTHER, special=SPECIAL[::-1]):
        file = self.folder / "new.json"
        file.write_text(json.dumps(tokenizer(words, special)))
        return file

    def xp(self, *arguments):
        return subprocess.run([XP, *map(str, arguments)], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120)

    def fine(self, *arguments):
        done = self.xp(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def adapt(self, model, new, initializer="mean_of_pieces", *more):
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        said = self.fine("adapt", "--model", model, "--tokenizer", new, "--initializer", initializer, "--out", out, "--json", *more)
        return out, json.loads(said)

    def test_the_same_tokenizer_changes_no_bit(self):
        for name in ("bert", "gpt2", "llama", "llama_tied", "t5", "roberta"):
            with self.subTest(name):
                model = self.model(name)
                out, said = self.adapt(model, model / "tokenizer.json")
                self.assertEqual(tensors(out / "model.safetensors"), tensors(model / "model.safetensors"))
                self.assertEqual(said["rules"], {"copy": 40})
                configs = [json.loads((folder / "config.json").read_text()) for folder in (model, out)]
                self.assertEqual(configs[0], configs[1])
                self.assertEqual([path.name for path in self.folder.iterdir() if ".tables-" in path.name], [])

    def test_the_same_tokenizer_changes_no_bit_of_a_text_tower(self):
        for name in ("clip_text", "clip_text_projection", "clip_text_old", "clip"):
            with self.subTest(name):
                model = self.model(name)
                (model / "tokenizer.json").write_text(json.dumps(clip_tokenizer()))
                out, said = self.adapt(model, model / "tokenizer.json")
                self.assertEqual(tensors(out / "model.safetensors"), tensors(model / "model.safetensors"))
                self.assertEqual(said["rules"], {"copy": 40})
                configs = [json.loads((folder / "config.json").read_text()) for folder in (out, model)]
                self.assertEqual(*configs)
                said = json.loads(self.fine("tokenize", "--tokenizer", out, "--input", self.text("AB cd\n"), "--input-format",
                                            "lines", "--json"))
                self.assertEqual(said["ids"], [3, 38, 39, 4])
                if name == "clip":
                    about = "preprocessor_config.json"
                    self.assertEqual((out / about).read_bytes(), (model / about).read_bytes())

    def text(self, words):
        file = self.folder / "words.txt"
        file.write_text(words)
        return file

    def test_a_new_tokenizer_keeps_shared_rows_and_specials_by_meaning(self):
        tables = {
            "bert": ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias"],
            "llama": ["model.embed_tokens.weight", "lm_head.weight"],
            "llama_tied": ["model.embed_tokens.weight"],
            "t5": ["shared.weight"],
        }
        for name, names in tables.items():
            with self.subTest(name):
                model = self.model(name)
                out, said = self.adapt(model, self.new_tokenizer())
                old, new = tensors(model / "model.safetensors"), tensors(out / "model.safetensors")
                self.assertEqual(set(old), set(new))
                old_ids = {t: i for i, t in enumerate([*SPECIAL, *WORDS])}
                for table in names:
                    self.assertEqual(new[table][1][0], 17)
                    self.assertEqual(new[table][0], old[table][0])
                    for i, token in enumerate([*SPECIAL[::-1], *OTHER[:10]]):
                        self.assertEqual(row(new[table], i), row(old[table], old_ids[token]), (table, token))
                for other in set(old) - set(names) - {"cls.predictions.decoder.bias"}:
                    if old[other][1] and old[other][1][0] != 40:
                        self.assertEqual(old[other], new[other], other)
                ledger = [json.loads(line) for line in (out / "vocabulary.jsonl").read_text().splitlines()]
                self.assertEqual(len(ledger), 17)
                self.assertEqual([one["kept"] for one in ledger], [True] * 15 + [False] * 2)
                self.assertTrue(all(one["note"] or one["sources"] for one in ledger))
                config = json.loads((out / "config.json").read_text())
                self.assertEqual(config["vocab_size"], 17)
                if config.get("pad_token_id") is not None:
                    self.assertEqual(config["pad_token_id"], 4)
                self.assertEqual(said["target_tokens"], 17)

    def test_settings_of_an_initializer_may_hold_commas_and_mistakes_inside_are_found(self):
        model, new = self.model("llama"), self.new_tokenizer()
        _, said = self.adapt(model, new, "interpolate:of=[{type = 'mean'}, {type = 'mean'}],weights=[1, 2]")
        self.assertEqual(said["rules"], {"copy": 15, "mean+mean": 2})
        for initializer, code, words in (("first_of:of=[{type = 'meen'}]", 3, "did you mean `mean`?"),
                                         ("first_of:of=[{type = 'focus', weights = 1}]", 2, "is not a parameter of initializer `focus`"),
                                         ("first_of", 2, "initializer `first_of` needs `of`"), ("clp", 2, "initializer `clp` needs `donor`")):
            with self.subTest(initializer):
                refused = self.xp("adapt", "--model", model, "--tokenizer", new, "--initializer", initializer, "--out", self.folder / "none")
                self.assertEqual(refused.returncode, code, refused.stderr)
                self.assertIn(words, refused.stderr)

    def test_initializers_take_files_and_models_by_path(self):
        model, donor = self.model("llama"), self.model("llama_tied", [*OTHER, *WORDS[:21], "x", "y"])
        vectors = self.folder / "tokens.vec"
        vectors.write_text("4 2\nnew 1 0.5\nw30 1 0\nw29 0 1\nw28 -1 0\n")
        shared = [*SPECIAL[::-1], *OTHER[:10]]
        for initializer in (f"focus:target_vectors={vectors},fallback=mean", f"omp:donor={donor},atoms=2", f"clp:donor={donor}",
                            f"salt:donor={donor},target_vectors={vectors},fallback=mean"):
            with self.subTest(initializer):
                out, said = self.adapt(model, self.new_tokenizer(), initializer)
                self.assertEqual(said["rules"]["copy"], len(shared))
                ledger = [json.loads(line) for line in (out / "vocabulary.jsonl").read_text().splitlines()]
                self.assertNotEqual(ledger[16]["rule"], "mean")  # "new"
        chain = f"first_of:of=[{{type = 'focus', target_vectors = '{vectors}', fallback = 'open'}}, {{type = 'omp', donor = '{donor}'}}]"
        _, said = self.adapt(model, self.new_tokenizer(), chain)
        self.assertEqual(said["rules"], {"combination": 1, "copy": 15, "similarity": 1})
        focus, _ = self.adapt(model, self.new_tokenizer(), f"focus:target_vectors={vectors},fallback=mean")
        summary = json.loads(self.fine("inspect", focus / "vocabulary.jsonl", "--json"))
        self.assertEqual(summary["rules"], {"copy": 15, "mean": 1, "similarity": 1})
        self.assertEqual(summary["fallbacks"], {"the token has no vector, or no shared token has one": 1})
        self.assertEqual({one["token"] for one in summary["most_used"]}, {"w30", "w29"})
        said = self.fine("inspect", focus / "vocabulary.jsonl", "--token", "new")
        self.assertRegex(said, r"16 new: similarity\n  w30  0\.7\d*\n  w29  0\.2\d*\n")
        refused = self.xp("inspect", focus / "vocabulary.jsonl", "--token", "neww")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("did you mean `new`?", refused.stderr)
        (focus / "vocabulary.jsonl").write_text('{"id": 0}\n')
        refused = self.xp("inspect", focus / "vocabulary.jsonl")
        self.assertEqual(refused.returncode, 4)
        self.assertIn("line 1 cannot be read", refused.stderr)
        refused = self.xp("adapt", "--model", model, "--tokenizer", self.folder / "new.json", "--initializer",
                          f"clp:donor={self.folder / 'new.json'}", "--out", self.folder / "none")
        self.assertEqual(refused.returncode, 4)
        self.assertIn("holds no model", refused.stderr)

    def test_a_trained_hypernetwork_and_a_stages_model_are_named_by_their_stages(self):
        model, new = self.model("gpt2"), self.folder / "new.json"
        (model / "tokenizer.json").write_text(json.dumps(byte_level_tokenizer([f"\u0120 {c}" for c in "abcdefghijkl"])))
        new.write_text(json.dumps(byte_level_tokenizer(["\u0120 b", "\u0120 c", "a b", "\u0120 ab"])))
        (self.folder / "xp.toml").write_text("")
        (self.folder / "words.txt").write_text("\n\n".join(f"abba cab {c}{d} dab babe" for c in "abcde" for d in "fghij"))
        (self.folder / "learn.toml").write_text(LEARN)
        self.fine("run", "learn.toml", "--quiet")
        out, said = self.adapt(model, new, "zett:hypernetwork=learn:network")
        self.assertEqual(said["rules"], {"copy": 30, "hypernetwork": 2})
        name = "transformer.wte.weight"
        old, rows = (tensors(folder / "model.safetensors")[name] for folder in (model, out))
        self.assertEqual(row(rows, 28), row(old, 29))  # a space and b
        again, _ = self.adapt("learn:further", new, "zett:hypernetwork=learn:network", "--report", "--text", self.folder / "words.txt")
        self.assertNotEqual(row(tensors(again / "model.safetensors")[name], 28), row(old, 29))
        refused = self.xp("adapt", "--model", model, "--tokenizer", new, "--initializer", "zett:hypernetwork=learn:words", "--out",
                          self.folder / "none")
        self.assertEqual(refused.returncode, 4)
        self.assertIn("stage `words` made nothing with `xp.json`", refused.stderr)

    def test_files_of_pinned_packages_are_named_as_in_recipes(self):
        project, cache = self.folder / "project", self.folder / "cache"
        (project / "datasets").mkdir(parents=True)
        (project / "xp.toml").write_text("")
        (project / "datasets" / "sources.toml").write_text(
            f'[source.models]\nregistry = "pypi"\nversion = "1.0"\nsha256 = "{"a" * 64}"\n')

        def xp(*arguments):
            return subprocess.run([XP, *map(str, arguments)], capture_output=True, text=True, cwd=project,
                                  env={**os.environ, "XDG_CACHE_HOME": str(cache)})

        missing = xp("inspect", "package:models/bert")
        self.assertEqual(missing.returncode, 4, missing.stderr)
        self.assertIn("xp data fetch models", missing.stderr)
        package = cache / "xp" / "packages" / "models-1.0"
        model, new = self.model("bert"), self.new_tokenizer()
        shutil.copytree(model, package / "bert"), shutil.copy(new, package / "new.json")
        package.with_name("models-1.0.sha256").write_text("a" * 64 + "\n")
        seen = xp("inspect", "package:models/bert")
        self.assertEqual(seen.returncode, 0, seen.stderr)
        self.assertIn("embedding.token", seen.stdout)
        done = xp("adapt", "--model", "package:models/bert", "--tokenizer", "package:models/new.json", "--initializer",
                  "mean_of_pieces", "--out", "out")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tensors(project / "out" / "model.safetensors"),
                         tensors(self.adapt(model, new)[0] / "model.safetensors"))
        wrong = xp("tokenize", "--tokenizer", "package:models/none", "text.txt")
        self.assertEqual(wrong.returncode, 2, wrong.stderr)
        self.assertIn("has no `none`", wrong.stderr)

    def mixing(self, weights):
        """The mixing artifact of a plan: one token copied, one of two parts, one the mean."""
        folder = self.folder / "mixing"
        folder.mkdir(exist_ok=True)
        (folder / "state.json").write_text(json.dumps({"strings": {
            "rule": ["copy", "pieces", "mean"], "note": ["exact", "", "no pieces"], "target_token": ["a", "b", "c"], "source_token": ["a", "x"]}}))
        parts = {"row_start": ("I64", struct.pack("<4q", 0, 1, 3, 3)), "source": ("I64", struct.pack("<3q", 0, 0, 1)),
                 "weight": ("F32", struct.pack(f"<{len(weights)}f", *weights)), "uniform": ("F32", struct.pack("<3f", 0, 0, 1))}
        head, data = {}, b""
        for name, (dtype, raw) in parts.items():
            head[name] = {"dtype": dtype, "shape": [8 * len(raw) // int(dtype[1:])], "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 8)
        (folder / "state.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
        return folder

    def test_a_mixing_artifact_is_summed_up(self):
        said = json.loads(self.fine("inspect", self.mixing([1, 0.25, 0.75]), "--json"))
        self.assertEqual(said["rules"], {"copy": 1, "mean": 1, "pieces": 1})
        self.assertEqual(said["fallbacks"], {"no pieces": 1})
        self.assertAlmostEqual(said["entropy"], 0.5623, 3)
        self.assertEqual([(one["token"], one["mass"]) for one in said["most_used"]], [("x", 0.75), ("a", 0.25)])
        self.assertRegex(self.fine("inspect", self.folder / "mixing", "--token", "b"), r"1 b: pieces\n  x  0.75\n  a  0.25\n")
        refused = self.xp("inspect", self.mixing([1, 0.25]))
        self.assertEqual(refused.returncode, 4)
        self.assertIn("rows and weights do not fit each other", refused.stderr)

    def test_a_rank_is_folded_into_the_tables_and_the_figure_shows_every_rule(self):
        model, figure = self.model("bert"), self.folder / "rows.svg"
        vectors = self.folder / "words.vec"
        vectors.write_text("3 2\nnew 1 0.5\nw30 1 0\nw29 0 1\n")
        out, said = self.adapt(model, self.new_tokenizer(), "ofa:rank=2,fallback=mean", "--vectors", vectors, "--figure", figure)
        self.assertEqual(said["rules"], {"copy": 15, "mean": 1, "similarity": 1})
        _, shape, numbers = tensors(out / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
        rows = [struct.unpack(f"<{shape[1]}f", row((None, shape, numbers), i)) for i in range(3)]
        # Any three rows of a table of rank 2 depend on each other: the determinant of their products is 0.
        dot = [[sum(x * y for x, y in zip(a, b)) for b in rows] for a in rows]
        (a, b, c), (d, e, f), (g, h, i) = dot
        self.assertLess(abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)), 1e-5 * abs(a * e * i))
        drawn = figure.read_text()
        self.assertEqual(drawn.count("<circle"), 40 + 1 + 1 + 3)  # dots of old and new rows, and the key
        for words in ("old rows", "similarity", "component 2"):
            self.assertIn(words, drawn)

    def test_report_measures_both_models_on_text(self):
        text = self.folder / "text.txt"
        text.write_text("w21 w22 w23 w24\nw25 new w26 w27 w28 w29 w30\n" * 5)
        for name in ("bert", "llama"):
            with self.subTest(name):
                _, said = self.adapt(self.model(name), self.new_tokenizer(), "mean", "--report", "--text", text)
                self.assertEqual(said["tokens_per_word"]["before"], 1)
                self.assertGreater(said["unknown"]["before"], said["unknown"]["after"])
                self.assertGreater(said["bits_per_byte"]["before"], 0)
                self.assertNotEqual(said["bits_per_byte"]["before"], said["bits_per_byte"]["after"])

    def test_mistakes_leave_nothing(self):
        model, new, out = self.model("bert"), self.new_tokenizer(), self.folder / "out"

        def refused(code, words, *arguments):
            done = self.xp(*arguments)
            self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
            self.assertIn(words, done.stderr)
            self.assertFalse(out.exists())
            self.assertEqual([p for p in self.folder.iterdir() if "partial" in p.name], [])

        def adapt(*more, m=model, t=new, i="mean"):
            return ["adapt", "--model", m, "--tokenizer", t, "--initializer", i, "--out", out, *more]

        refused(3, "did you mean `mean`?", *adapt(i="meen"))
        refused(2, "is not a parameter of initializer `mean`", *adapt(i="mean:depth=3"))
        refused(2, "no key=value", *adapt(i="mean:depth"))
        refused(2, "not `fuzzy`", *adapt("--copy", "fuzzy"))
        refused(4, "there is no file or folder", *adapt(m=self.folder / "nothing"))
        refused(4, "holds no model and no tokenizer", *adapt(m=self.folder / "cache", t=new) if (self.folder / "cache").is_dir() else adapt(m=self.folder))
        refused(2, "give it `vectors`", *adapt(i="ofa"))
        (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-10])
        refused(4, "model.safetensors", *adapt())

    def test_export_and_inspect(self):
        model = self.model("qwen3")
        self.fine("export", model, "--out", self.folder / "copy")
        self.assertEqual(tensors(self.folder / "copy" / "model.safetensors"), tensors(model / "model.safetensors"))
        about = json.loads(self.fine("inspect", self.folder / "copy", "--json"))
        self.assertEqual(about["family"], "qwen3")
        self.assertEqual(about["tokens"], 40)
        self.assertEqual(about["special"]["mask"], "[MASK]")
        self.assertEqual(about["lost"], [])
        self.assertIn("vocab.input, here embedding.token", self.fine("inspect", model))
        self.assertEqual(self.xp("export", model, "--out", self.folder / "copy").returncode, 2)


if __name__ == "__main__":
    unittest.main()
