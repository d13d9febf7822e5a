#!/usr/bin/env python3
"""Compares `xp tokenize` with the Hugging Face library on variants of small tokenizers, and on broken files.

usage: tokenizers_variants.py --program build/release/bin/xp [--count 400] [--broken 400] [--seed 1]
       tokenizers_variants.py --golden tests/golden/tokenizer_files/variants.json [--check]

Needs the package `tokenizers`. The tokenizers are those of tests/golden/tokenizer_files, with other steps, settings,
old spellings and added tokens (tokenizers_variants_cases.py), then with a key that is missing, null, renamed or of
another type. Both programs must take a file or both refuse it; of what both take, ids, offsets, special tokens mask and
decoded texts must be equal, and texts on which one fails must fail in both. --golden writes what the library makes of the listed variants, --check
compares with what is there. Exit: 0 equal, 1 different."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import tokenizers

import tokenizers_real
import tokenizers_real_golden
import tokenizers_real_texts
import tokenizers_variants_cases

FIELDS = tokenizers_real.FIELDS
PANIC = object()
# What we refuse and the library takes, by parts of our messages; framework/kit/pipeline/README.md says why.
MEANT = ("both have id", "a length must be at least 1", "tokens that post-processing adds", "token that post-processing adds",
         "is no text here", "is not in `special_tokens`", "only null or 0 gives")
MEANT_BROKEN = ("it must be a text", "it must be a table", "is not known")


def ours(program, path, texts, special, scratch):
    """(rows, message): the message is empty if all went well."""
    source = scratch / "texts.jsonl"
    source.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    command = [program, "tokenize", "--tokenizer", str(path), "--input", str(source), "--input-format", "jsonl", "--json",
               "--decode"] + ([] if special else ["--no-special-tokens"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        return [], f"ended with {done.returncode}: {done.stderr[-300:]}"
    return [json.loads(line) for line in done.stdout.split("\n") if line], done.stderr if done.returncode else ""


def theirs(file, texts, special):
    """A row for each text, None where the library fails; or a message if it refuses the file."""
    try:
        tokenizer = tokenizers.Tokenizer.from_str(file)
    except BaseException as error:  # a panic of the library is no Exception
        return None, str(error)
    rows = []
    for text in texts:
        try:
            rows.append(tokenizers_real.row_of(tokenizer, text, tokenizer.encode(text, add_special_tokens=special)))
        except Exception:
            rows.append(None)
        except BaseException:  # a panic is a mistake of the library: nothing to compare with
            rows.append(PANIC)
    return rows, ""


def shown(found, wanted):
    """Where two lists or texts begin to differ."""
    same = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    first = max(0, same - 3)
    return f"from {first} on {ascii(found[first:first + 12])} should be {ascii(wanted[first:first + 12])}"


def compare(program, file, texts, special, meant, scratch):
    """What is different, in a line, or nothing."""
    expected, refusal = theirs(file, texts, special)
    path = scratch / "tokenizer.json"
    path.write_text(file, encoding="utf-8")
    if expected is None:
        _, message = ours(program, path, texts[:1], special, scratch)
        return "" if "tokenizer.json" in message else f"only the library refuses it: {refusal[:300]}"
    if PANIC in expected:
        texts, expected = [text for text, row in zip(texts, expected) if row is not PANIC], [row for row in expected if row is not PANIC]
    good = [text for text, row in zip(texts, expected) if row is not None]
    bad = [text for text, row in zip(texts, expected) if row is None]
    rows, message = ours(program, path, good, special, scratch)
    if any(part in message for part in meant):
        return ""
    if message and good:
        text = good[len(rows)] if len(rows) < len(good) else ""
        return f"only we fail, at text {ascii(text)}: {message[-400:].strip()}"
    for text, row, want in zip(good, rows, (row for row in expected if row is not None)):
        for field in FIELDS:
            if row[field] != want[field]:
                return f"{field} of {ascii(text)}: {shown(row[field], want[field])}"
    if bad and not ours(program, path, bad[:1], special, scratch)[1]:
        return f"only the library fails at text {ascii(bad[0])}"
    return ""


def golden():
    """Changes of the base tokenizers, each with what the library makes of a few texts, or `refused`."""
    texts, out = ["Hello  world, it's na\u00efve \u65e5\u672c!", " <mask> x\u2581y</s>ab 12", ""], []
    for base, changes, file in tokenizers_variants_cases.golden_changes():
        rows, refusal = theirs(json.dumps(file), texts, True)
        if rows is None:
            out.append({"base": base, **changes, "refused": True})
        elif all(row not in (None, PANIC) for row in rows):
            out.append({"base": base, **changes, "rows": [[row[key] for key in ("ids", "offsets", "decoded_raw")] for row in rows]})
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in out)
    return '{"texts": ' + json.dumps(texts) + ',\n"variants": [\n' + lines + "\n]}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", help="xp")
    parser.add_argument("--golden", type=pathlib.Path, help="file to write")
    parser.add_argument("--check", action="store_true", help="compare the golden file instead")
    parser.add_argument("--count", type=int, default=400, help="random variants, beside the listed ones")
    parser.add_argument("--broken", type=int, default=400, help="files with a random change")
    parser.add_argument("--no-listed", action="store_true", help="only random ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=1000, help="differences shown")
    args = parser.parse_args()
    if args.golden:
        text = golden()
        if not args.check:
            args.golden.write_text(text, encoding="utf-8")
        elif args.golden.read_text(encoding="utf-8") != text:
            print(f"{args.golden}: the library gives other results", file=sys.stderr)
            return 1
        return 0
    if not args.program:
        parser.error("--program or --golden is needed")
    rng = random.Random(args.seed)
    texts = tokenizers_real_golden.TEXTS + tokenizers_real_texts.nasty_texts(60, args.seed, ["<mask>", "[MASK]"])
    cases = [] if args.no_listed else tokenizers_variants_cases.listed()
    cases += tokenizers_variants_cases.mixed(rng, args.count)
    cases += tokenizers_variants_cases.broken(rng, args.broken)
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, file) in enumerate(cases):
            meant = MEANT + MEANT_BROKEN * name.startswith("broken")
            found = compare(args.program, file, texts, number % 4 != 3, meant, pathlib.Path(folder))
            if not found:
                continue
            different += 1
            if different <= args.show:
                print(f"{name}\n    {found}", flush=True)
    print(f"{len(cases)} files, {len(texts)} texts each: {different} different")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
