#!/usr/bin/env python3
"""Bad input to every verb: the exit code of the design's section 8 and one sentence that says what is wrong and what would
be right; never a crash, never a traceback, nothing on stdout."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
VERBS = "run check show plugins inspect docs new schema table plot report ls repair tokenize adapt export data cache env".split()
SMALL = """recipe = 1
[dataset.texts]
type  = "text"
files = ["en.txt"]
[stage.tokens]
type   = "train_tokenizer"
method = { type = "bytes" }
corpus = "texts"
"""


class BadInput(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="xp-verbs-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name) / "project"
        self.folder.mkdir()
        self.env = {**os.environ, "HOME": scratch.name, "XDG_CACHE_HOME": scratch.name + "/cache"}
        for name in ("XP_RESULTS", "XP_PLUGIN_PATH"):
            self.env.pop(name, None)
        self.put("xp.toml", b"")
        self.put("small.toml", SMALL.encode())
        self.put("en.txt", b"One.\n\nTwo.\n")
        self.put("empty.toml", b"")
        self.put("binary.toml", bytes(range(256)) * 8)
        self.put("folder/inside.txt", b"")
        with open(self.folder / "large.toml", "wb") as large:
            large.truncate(100_000_000)

    def put(self, name, content):
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)

    def xp(self, *arguments, folder=None):
        return subprocess.run([XP, *arguments], cwd=folder or self.folder, env=self.env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def refused(self, code, words, *arguments):
        with self.subTest(" ".join(arguments)):
            done = self.xp(*arguments)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertTrue(done.stderr.startswith(("error: ", "error[")), done.stderr)
            for word in words if isinstance(words, tuple) else (words,):
                self.assertIn(word, done.stderr)

    def test_help_of_every_verb(self):
        for verb in [[], *[[verb] for verb in VERBS], ["data", "show"], ["data", "fetch"], ["cache", "ls"], ["cache", "gc"]]:
            done = self.xp(*verb, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""), verb)
            self.assertIn("Usage: xp", done.stdout)

    def test_version(self):
        for flag in ("--version", "-V"):
            done = self.xp(flag)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^xp \d+\.\d+\.\d+\nbuild \S.*\n$")

    def test_command_line(self):
        self.refused(2, ("one of `run`, `check`", "must follow", "`xp --help` says"))
        self.refused(2, "`--frob` is no option", "--frob")
        self.refused(2, "there is no verb `chekc`; did you mean `check`?", "chekc")
        for verb in ("run", "check", "show"):
            self.refused(2, (f"xp {verb}: wants recipe", f"`xp {verb} --help` says what it takes"), verb)
        self.refused(2, "xp inspect: wants what", "inspect")
        self.refused(2, "xp tokenize: wants tokenizer", "tokenize")
        self.refused(2, "xp new: wants kind", "new")
        self.refused(2, "xp data: one of `show` and `fetch` must follow", "data")
        self.refused(2, "xp cache: one of `ls` and `gc` must follow", "cache")
        self.refused(2, "xp data fetch: wants NAME", "data", "fetch")
        for verb in ("plugins", "repair", "env"):
            self.refused(2, f"xp {verb}: unexpected extra", verb, "extra")
        self.refused(2, "unexpected extra", "check", "small.toml", "extra")
        self.refused(2, "--seed = one", "check", "small.toml", "--seed", "one")
        self.refused(2, "`--seed` cannot be -1", "check", "small.toml", "--seed", "-1")
        self.refused(2, "--max-time wants a time like", "run", "small.toml", "--max-time", "soon")
        self.refused(2, "--dot prints a graph", "show", "small.toml", "--dot", "--json")

    def test_recipes(self):
        for verb in ("run", "check", "show"):
            self.refused(2, "cannot read `missing.toml`", verb, "missing.toml")
            self.refused(2, ("cannot read `folder`", "it is a folder"), verb, "folder")
            self.refused(2, "write `recipe = 1`", verb, "empty.toml")
            self.refused(2, "binary.toml is not UTF-8 text", verb, "binary.toml")
            self.refused(2, ("cannot read `large.toml`", "limit of 16777216 bytes"), verb, "large.toml")
            self.refused(2, ("`foo` is not an override", "--set number 1", 'such as stage.adapt.stop="20k tokens"'), verb, "small.toml", "--set", "foo")
            self.refused(2, ("`seeds` is overridden twice", "--set number 2"), verb, "small.toml", "--set", "seeds=1", "--set", "seeds=2")
            self.refused(2, "there is no arm `one`", verb, "small.toml", "--arm", "one")
        self.assertFalse((self.folder / "results").exists())

    def test_names(self):
        self.refused(3, "did you mean `unigram`?", "inspect", "unigran")
        self.refused(3, "there is no tokenizer `unigran`; did you mean `unigram`?", "inspect", "tokenizer", "unigran")
        self.refused(3, "no plugin offers a `frob`", "inspect", "frob", "unigram")
        self.refused(2, "there is no kind `objectiv`; did you mean `objective`?", "docs", "objectiv")
        self.refused(2, "there is no kind `objectiv`; did you mean `objective`?", "schema", "objectiv")
        self.refused(3, "there is no objective `mlmm`; did you mean `mlm`?", "schema", "objective", "mlmm")
        self.refused(2, ("no kind of plugin is called `frob`; there is `callback`",), "new", "frob", "x")
        self.refused(2, "`BAD-NAME` is no name for a plugin", "new", "schedule", "BAD-NAME")
        self.refused(4, ("`nothing`", "`xp run RECIPE` makes some"), "table", "nothing")
        self.refused(4, ("`nothing`", "`xp run RECIPE` makes some"), "plot", "nothing")
        self.refused(4, ("`nothing`", "`xp run RECIPE` makes some"), "report", "nothing")
        self.refused(4, ("`nothing`", "`xp run RECIPE` makes some"), "diff", "nothing", "other")
        self.refused(4, ("`nothing`", "`xp run RECIPE` makes some"), "ls", "nothing")
        self.refused(2, "`missing` is no folder with a tokenizer", "tokenize", "missing")
        self.refused(4, "folder holds no tokenizer", "tokenize", "folder")
        self.refused(4, "folder holds no model and no tokenizer that is known", "inspect", "folder")
        self.refused(4, ("binary.toml holds no model", "`gguf`"), "inspect", "binary.toml")
        self.refused(2, ("sources.toml", "--sources"), "data", "show")
        self.refused(2, "sources.toml", "data", "fetch", "udhr")
        self.refused(2, "--max-size wants a size like", "cache", "gc", "--max-size", "frob")
        self.refused(2, "--plugin-path `absent` is not a folder", "--plugin-path", "absent", "plugins")

    def test_broken_files(self):
        for name in ("a.safetensors", "a.h5", "a.journal"):
            for content in (b"", b"\xff" * 4096, b"\x89HDF\r\n\x1a\n" + b"\0" * 100):
                self.put(name, content)
                self.refused(4, name, "inspect", name)
                if not name.endswith("safetensors"):
                    self.refused(4, name, "table", name)
                    self.refused(4, name, "diff", name, name)
        self.put("t/tokenizer.json", b"{")
        self.put("t/xp_tokenizer.json", b"{}")
        self.refused(4, "t/", "tokenize", "t")
        self.put("results/small/20260101-000000-aaaaaa.h5", b"not HDF5")
        self.assertIn("unreadable", self.xp("ls").stdout)
        self.refused(4, "aaaaaa.h5", "table")

    def test_a_full_standard_output(self):
        self.xp("run", "small.toml")
        for verb in (["ls"], ["table", "--columns", "tokens.size"], ["plugins"], ["--version"], ["docs", "evaluator"]):
            with self.subTest(verb), open("/dev/full", "w") as full:
                done = subprocess.run([XP, *verb], cwd=self.folder, env=self.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (1, "error: cannot write to the standard output\n"))

    def test_results_that_are_no_folder(self):
        for verb in (["run", "small.toml"], ["ls"], ["table", "--columns", "tokens.size"], ["cache", "ls"], ["repair"]):
            self.refused(2, "results cannot be in `en.txt`: it is no folder", "--results", "en.txt", *verb)
        if os.getuid() != 0:
            (self.folder / "closed").mkdir(mode=0o500)
            self.refused(1, "closed", "--results", "closed", "run", "small.toml")

    def test_json_of_every_reading_verb(self):
        for verb in (["check", "small.toml"], ["show", "small.toml"], ["show", "small.toml", "--origin"], ["plugins"], ["docs"], ["schema"],
                     ["inspect", "objective", "mlm"], ["ls"], ["cache", "ls"], ["env"]):
            done = self.xp("--json", *verb)
            self.assertEqual((done.returncode, done.stderr), (0, ""), verb)
            json.loads(done.stdout)
        done = self.xp("--json", "data", "show", folder=ROOT)
        self.assertIn("handbook", [one["name"] for one in json.loads(done.stdout)])

    def test_origins_name_file_and_line_of_every_value(self):
        self.put("arms.toml", b'recipe = 1\nextends = "small.toml"\n[arm.one]\n[arm.two.stage.tokens]\nmethod = { type = "bpe", vocab_size = 300 }\n')
        done = self.xp("show", "arms.toml", "--origin", "--set", "arm.two.stage.tokens.method.vocab_size=400", "--seed", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertIn("seeds = [3]  # --seed", lines)
        self.assertIn("arm.two.stage.tokens.method.vocab_size = 400  # --set number 1", lines)
        for line in lines:
            self.assertRegex(line, r"  # (\S+:\d+|--set number \d+|--seed)$")
        two = self.xp("show", "arms.toml", "--origin", "--arm", "two").stdout.splitlines()
        self.assertIn("arm two: stage.tokens.method.vocab_size = 300  # arms.toml:5", two)
        self.assertIn('arm two: stage.tokens.corpus = "texts"  # small.toml:8', two)


if __name__ == "__main__":
    unittest.main(verbosity=2)
