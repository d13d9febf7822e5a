#!/usr/bin/env python3
"""Changes copies of the shipped data, one fault each, and expects check_datasets.py to refuse every one of them."""

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import unittest

import check_datasets

_SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "datasets")
_TEXT, _ALIGNED = "handbook/tr.txt.zst", "udhr/el.txt.zst"


def _zstd(option, data):
    return subprocess.run(["zstd", option, "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


class ChangedData(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = os.path.join(scratch.name, "datasets")
        shutil.copytree(_SHIPPED, self.folder)
        self.opened = [_TEXT, _ALIGNED]

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def rewrite(self, name, change):
        """Replaces the text of a file by `change(text)` and makes the manifest's sizes and digests fit."""
        old = self.read(name)
        before = _zstd("-d", old)
        after = change(before.decode()).encode()
        self.assertNotEqual(before, after, "the change changes nothing")
        new = _zstd("-19", after)
        self.write(name, new)
        head, _, tail = self.read("MANIFEST.toml").decode().partition(f'path = "{name}"')
        table, mark, rest = tail.partition("[[file]]")
        pairs = [(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest()),
                 (hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest()),
                 (f"raw_bytes = {len(before)}\n", f"raw_bytes = {len(after)}\n"),
                 (f"\nbytes = {len(old)}\n", f"\nbytes = {len(new)}\n")]
        for was, now in pairs:
            self.assertEqual(table.count(was), 1)
            table = table.replace(was, now)
        self.write("MANIFEST.toml", f'{head}path = "{name}"{table}{mark}{rest}'.encode())

    def run_check(self):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = check_datasets.main([self.folder, *self.opened])
        return code, errors.getvalue()

    def refuse(self, *parts):
        code, errors = self.run_check()
        self.assertEqual(code, 1)
        for part in parts:
            self.assertIn(part, errors)

    def test_unchanged_data_is_accepted(self):
        self.assertEqual(self.run_check(), (0, ""))

    def test_flipped_byte(self):
        data = bytearray(self.read(_TEXT))
        data[len(data) // 2] ^= 1
        self.write(_TEXT, bytes(data))
        self.refuse(_TEXT, "SHA-256", "zstd cannot unpack it")

    def test_missing_and_extra_file(self):
        shutil.move(self.path(_TEXT), self.path("handbook/xx.txt.zst"))
        self.refuse(f"{_TEXT}: is in the manifest but is no file", "files without a table: ['handbook/xx.txt.zst']")

    def test_another_text_with_fitting_digests(self):
        self.rewrite(_TEXT, lambda text: text.split("\n\n", 1)[1])
        self.refuse("105 documents, the manifest says 106")

    def test_paragraphs_left_in_english(self):
        def change(text):
            english = _zstd("-d", self.read("handbook/en.txt.zst")).decode().split("\n")
            added = [line for line in english if len(line) > 200][:3]
            return text.replace("\n\n", "\n" + "\n".join(added) + "\n\n", 1)
        self.rewrite(_TEXT, change)
        self.refuse("paragraphs are English", "403 paragraphs, not 400")

    def test_other_script(self):
        self.rewrite(_ALIGNED, lambda text: "".join(
            line.split("\t")[0] + f"\tpassage {number}\n" for number, line in enumerate(text.splitlines())))
        self.refuse("0% of the letters are Grek")

    def test_unknown_and_repeated_key(self):
        self.rewrite(_ALIGNED, lambda text: text.replace("article-01/1\t", "article-99/1\t"))
        self.refuse("keys that English does not have: ['article-99/1']")
        self.rewrite(_ALIGNED, lambda text: text.replace("article-99/1\t", "article-03/1\t"))
        self.refuse("a key stands there twice")

    def test_markup_control_and_normalisation(self):
        self.rewrite(_ALIGNED, lambda text: text.replace("\tΌ", "\tΟ\u0301").replace(" ", " <b>\x07", 1))
        self.refuse("not in NFC", "markup", "control character")

    def test_unknown_directive(self):
        self.rewrite(_TEXT, lambda text: text.replace("::title ", "::subject ", 1))
        self.refuse("unknown directive `::subject")

    def test_version_differs_from_sources(self):
        self.write("sources.toml", self.read("sources.toml").replace(b'"6.0.0"', b'"6.0.1"'))
        self.refuse("package or version differ from sources.toml: udhr")


if __name__ == "__main__":
    unittest.main()
