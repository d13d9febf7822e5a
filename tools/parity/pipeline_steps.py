#!/usr/bin/env python3
"""Compares the normalizers and pre-tokenizers of framework/kit/pipeline with the Hugging Face library's.

Needs the Python package `tokenizers`. Without options it writes the golden files tests/golden/pipeline/steps.json,
texts.json and classes.json, which the C++ tests read; with --check it writes nothing and compares. With
--program FILE --strings N it runs the test program on N generated strings, each under several settings, compares all
results with the library's and prints the first differences; --seed makes other strings, --every-character takes all
code points instead. Exit: 0 written or equal, 1 different.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import tokenizers
from pipeline_cases import GPT2, O200K, SAMPLES, all_settings, nasty
from tokenizers import normalizers, pre_tokenizers

GROUP = 64  # texts that share a digest
# Patterns, and what becomes of a character by itself; every code point goes through them.
CLASSES = [rf"\p{{{name}}}" for name in
           "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cn Co "
           "Alpha Alnum Upper Lower Word Graph Print Blank Punct Han Hiragana Katakana Hangul Latin Greek Cyrillic "
           "Arabic Thai Devanagari Common Inherited Emoji Extended_Pictographic Ideographic Assigned ^L".split()]
CLASSES += [r"\s", r"\S", r"\w", r"\W", r"\d", r"\h", r"\R", ".", r"(?m:.)", r"[^\s\p{L}\p{N}]",
            r"[\p{L}&&[^\p{Han}]]",
            r"[^\p{L}&&\p{Lu}]", "[[:punct:]]", "[[:word:]]", "[[:^alpha:]]", "[[:graph:]]", r"[a\-z\]\n-\r]",
            r"(?i:[a-z])", r"(?i:k)", r"(?i:[^s])", r"(?i:[\p{Lu}])", r"(?i:\p{Lu})", r"(?i:[[:upper:]])", r"(?i:σ)",
            r"(?i:[à-þ])", r"(?i:[\p{Cyrillic}&&\p{Lu}])", r"[^\r\n\p{L}\p{N}]", r"\b.", r"[\x{10000}-\x{10FFFF}]"]


def peer(setting):
    """The library's words for a text: [text, begin, end] with places in bytes of the original."""
    parts = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": setting[0],
             "pre_tokenizer": setting[1], "post_processor": None, "decoder": None,
             "model": {"type": "WordLevel", "vocab": {"x": 0}, "unk_token": "x"}}
    whole = tokenizers.Tokenizer.from_str(json.dumps(parts))
    normalizer, pre_tokenizer = whole.normalizer, whole.pre_tokenizer
    # What no step has cut says that it stands for all of the input; cutting nothing off makes it say what it does.
    cut = pre_tokenizers.FixedLength(1 << 40)

    def run(text):
        words = tokenizers.PreTokenizedString(text)
        if normalizer is not None:
            words.normalize(normalizer.normalize)
        if pre_tokenizer is not None:
            pre_tokenizer.pre_tokenize(words)
        cut.pre_tokenize(words)
        return [[w, b, e] for w, (b, e), _ in words.get_splits(offset_referential="original", offset_type="byte")]

    return run


def shown(setting):
    text = json.dumps(setting, ensure_ascii=True)
    return text if len(text) < 300 else text[:300] + " ..."


def digest(results):
    """Of the words of several texts: each as text, NUL, places and a line end."""
    out = hashlib.sha256()
    for words in results:
        for word, begin, end in words:
            out.update(word.encode() + b"\0%d %d\n" % (begin, end))
        out.update(b"\n")
    return out.hexdigest()[:12]


def class_digest(pattern):
    """Of the code points that the library leaves when it removes matches from each by itself."""
    everything = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    regex = normalizers.Replace(tokenizers.Regex(pattern), "")
    return hashlib.sha256(regex.normalize_str("".join(map(chr, everything))).encode()).hexdigest()[:16]


def golden_texts():
    return SAMPLES + nasty(2400, 1)


def golden_steps():
    texts, rows = golden_texts(), []
    for setting in all_settings():
        run = peer(setting)
        results = [run(text) for text in texts]
        groups = [digest(results[i:i + GROUP]) for i in range(0, len(texts), GROUP)]
        rows.append({"normalizer": setting[0], "pre_tokenizer": setting[1], "words": results[1:len(SAMPLES):9],
                     "digests": " ".join(groups)})
    return rows


GOLDEN = {"texts.json": golden_texts, "steps.json": golden_steps,
          "classes.json": lambda: [[pattern, class_digest(pattern)] for pattern in CLASSES]}


def every_character():
    """All code points, some in a row, under every normalizer and every step that looks at classes of characters."""
    settings = [s for s in all_settings() if s[0] is None or s[1] == {"type": "FixedLength", "length": 1}]
    settings = [s for s in settings if s[0] or s[1]["type"] in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit",
                                                                "Digits",
                                                                "UnicodeScripts", "Punctuation")
                or s[1].get("pattern", {}).get("Regex") in (GPT2, O200K)]
    characters = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and not 0xF1000 <= c < 0x10F000]
    texts = ["a" + "".join(map(chr, characters[i:i + 40])) for i in range(0, len(characters), 40)]
    return settings, [(which, text) for text in texts for which in range(len(settings))]


def some_strings(count, seed, per_text):
    settings, texts, rng = all_settings(), nasty(count, seed), random.Random(seed + 1)
    return settings, [(rng.randrange(len(settings)), text) for text in texts for _ in range(per_text)]


def differences(program, settings, cases):
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "cases.jsonl"), pathlib.Path(folder, "words.jsonl")
        with source.open("w", encoding="utf-8") as out:
            out.write(json.dumps([{"normalizer": n, "pre_tokenizer": p} for n, p in settings]) + "\n")
            out.writelines(json.dumps(case) + "\n" for case in cases)
        subprocess.run([program, "[.differential]"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "XP_PIPELINE_CASES": str(source), "XP_PIPELINE_WORDS": str(target)})
        ours = target.open(encoding="utf-8")
        runs = [peer(setting) for setting in settings]
        different, failed = 0, 0
        for which, text in cases:
            mine = json.loads(ours.readline())
            try:
                theirs = runs[which](text)
            except BaseException as error:  # a panic of the library is no Exception
                failed += 1
                if failed <= 5:
                    print(f"the library fails: {shown(settings[which])} {ascii(text)}: {str(error)[:200]}")
                continue
            if mine != theirs:
                different += 1
                if different <= 20:
                    print(f"{shown(settings[which])}\n  text {ascii(text)}")
                    print(f"  ours {ascii(mine)}\n  peer {ascii(theirs)}")
    strings = len({text for _, text in cases})
    print(f"{len(cases)} cases of {strings} strings and {len(settings)} settings: {different} different, {failed} in "
          "which the library fails")
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/pipeline"
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=default)
    parser.add_argument("--only", action="append", choices=GOLDEN, help="of the golden files; all by default")
    parser.add_argument("--program")
    parser.add_argument("--every-character", action="store_true")
    parser.add_argument("--strings", type=int, default=100000)
    parser.add_argument("--per-text", type=int, default=4)
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    if args.program:
        chosen = every_character() if args.every_character else some_strings(args.strings, args.seed, args.per_text)
        return 1 if differences(args.program, *chosen) else 0
    different = 0
    for name in args.only or GOLDEN:
        text = "[\n" + ",\n".join(json.dumps(row) for row in GOLDEN[name]()) + "\n]\n"
        if not args.check:
            (args.folder / name).write_text(text, encoding="utf-8")
        elif (args.folder / name).read_text(encoding="utf-8") != text:
            print(f"{args.folder / name}: the library gives other results", file=sys.stderr)
            different = 1
    return different


if __name__ == "__main__":
    sys.exit(main())
