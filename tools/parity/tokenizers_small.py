#!/usr/bin/env python3
"""Writes the ids that the Hugging Face library gives for the golden tokenizers' texts.

Needs the Python package `tokenizers`; the C++ tests read what is written and need no Python. For each
tests/golden/tokenizers/NAME.json it writes NAME.ids.json, a list of [text, ids]; the texts are those of texts.json.
With --check it writes nothing and compares. Exit: 0 written or equal, 1 different.
"""

import argparse
import json
import pathlib
import sys

import tokenizers


def rows_of(path, texts):
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    rows = [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizers"
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=default)
    args = parser.parse_args()
    texts = json.loads((args.folder / "texts.json").read_text(encoding="utf-8"))
    different = 0
    for path in sorted(args.folder.glob("*.json")):
        if path.name == "texts.json" or path.name.endswith(".ids.json"):
            continue
        target = path.with_suffix(".ids.json")
        rows = rows_of(path, texts)
        if not args.check:
            target.write_text(rows, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != rows:
            print(f"{target}: the library gives other ids", file=sys.stderr)
            different = 1
    return different


if __name__ == "__main__":
    sys.exit(main())
