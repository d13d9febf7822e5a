#!/usr/bin/env python3
"""Writes where the Hugging Face library's Unicode data differ from ICU's.

The library mixes tables of several Unicode versions. This program asks it about every code point, compares with ICU
and writes framework/kit/pipeline/unicode_tables.inc, which the C++ sources lay over ICU's data. Needs the Python
package `tokenizers` and ICU's shared library of the version given (the oldest that is supported). With --check it
writes nothing and compares. Exit: 0 written or equal, 1 different.
"""

import argparse
import ctypes
import itertools
import pathlib
import struct
import sys

from tokenizers import Regex
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
EVERYTHING = "".join(map(chr, CODE_POINTS))
CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Me Mc Nd Nl No Zs Zl Zp Cc Cf Co Cs Pd Ps Pe Pc Po Sm Sc Sk So Pi Pf".split()
BASE_AGE = (15, 0)  # of ICU's data that are used: newer ones are masked out
PROPERTIES = {"Alphabetic": 0, "Lowercase": 22, "Uppercase": 30, "Ideographic": 17, "Emoji": 57,
              "Extended_Pictographic": 64}  # name and ICU's number


class Icu:
    def __init__(self, version):
        self.version = version
        self.library = ctypes.CDLL(f"libicuuc.so.{version}")

    def __call__(self, name, *args):
        return getattr(self.library, f"{name}_{self.version}")(*args)

    def has(self, c, binary_property):
        return self("u_hasBinaryProperty", c, binary_property) & 0xFF != 0  # one byte of what ctypes takes for four

    def age(self, c):
        out = (ctypes.c_uint8 * 4)()
        self("u_charAge", c, out)
        return out[0], out[1]

    def script(self, c):
        status = ctypes.c_int(0)
        return self("uscript_getScript", c, ctypes.byref(status))

    def script_name(self, number):
        name = getattr(self.library, f"uscript_getName_{self.version}")
        name.restype = ctypes.c_char_p
        return name(number).decode()


def matched(pattern):
    """Code points that the library's regular expressions match by themselves."""
    rest = set(norm.Replace(Regex(pattern), "").normalize_str(EVERYTHING))
    return {c for c in CODE_POINTS if chr(c) not in rest}


def ranges(values):
    """{code point: value} -> [first, last, value]"""
    out = []
    for c, value in sorted(values.items()):
        if out and out[-1][1] == c - 1 and out[-1][2] == value:
            out[-1][1] = c
        else:
            out.append([c, c, value])
    return out


def table(kind, name, values, comment):
    rows = [f"{{0x{a:04X}, 0x{b:04X}, {v}}}" for a, b, v in ranges(values)]
    lines, line = [], "   "
    for row in rows:
        if len(line) + len(row) + 2 > 118:
            lines.append(line)
            line = "   "
        line += " " + row + ","
    if rows:
        lines.append(line)
    return f"// {comment}\nconstexpr {kind} {name}[] = {{\n" + "\n".join(lines) + "\n};\n"


def all_clusters():
    """A charsmap under which every cluster of less than six bytes becomes one `y`, and others one per character."""
    units = [0] * 1024
    units[0] = 256 << 10
    for byte in range(1, 256):
        units[256 ^ byte] = ((256 ^ byte ^ 512) << 10) | (1 << 8) | byte
    units[512] = 1 << 31
    blob = struct.pack("<1025I", 4 * len(units), *units) + b"y\0"
    normalizer = norm.Precompiled(blob)
    return lambda text: len(normalizer.normalize_str(text))


def cluster_tables(icu):
    count = all_clusters()
    number = {"Control": 1, "CR": 2, "Extend": 3, "LF": 5, "Prepend": 11, "SpacingMark": 10, "ZWJ": 17}
    gcb = {c: icu("u_getIntPropertyValue", c, 0x1012) if icu.age(c) <= BASE_AGE else 0 for c in CODE_POINTS}
    changes = {}
    for c in CODE_POINTS[1:]:
        after = count("x" + chr(c)) == 1
        if after != (gcb[c] in (number["Extend"], number["SpacingMark"], number["ZWJ"])):
            changes[c] = 3 if after else 0
        before = count(chr(c) + "x") == 1
        if before != (gcb[c] == number["Prepend"]):
            changes[c] = 11 if before else 0
        if c < 0x10000 and (count(chr(c) + "\u0301") == 2) != (gcb[c] in (1, 2, 5)):
            sys.exit(f"U+{c:04X} is no control as ICU sees it")
    ka, virama, acute = "\u0915", "\u094D", "\u0301"
    conjunct = {}
    for c in range(0x800, 0xD800):
        if count(ka + virama + chr(c) + acute) == 4 and count(chr(c) + acute) == 1 and c not in changes:
            conjunct[c] = 1
        if count(ka + chr(c) + ka + acute) == 4:
            conjunct[c] = 2
    return changes, conjunct


def script_tables(icu, age):
    """Scripts of the regular expressions: differences from ICU, by ICU's numbers."""
    ours = {c: icu.script(c) if age[c] <= BASE_AGE else 103 for c in CODE_POINTS}
    changes = {}
    for number in sorted(set(ours.values())):
        if number == 103:  # "unknown" is no script of theirs
            continue
        theirs = matched("\\p{%s}" % icu.script_name(number))
        for c in theirs:
            if ours[c] != number:
                changes[c] = number
    return changes


def general_categories(icu, age):
    """Code points whose category in the regular expressions differs."""
    ours = {c: CATEGORIES[icu("u_charType", c)] if age[c] <= BASE_AGE else "Cn" for c in CODE_POINTS}
    changes = {}
    for name in CATEGORIES:
        if name != "Cs":
            changes.update({c: CATEGORIES.index(name) for c in matched("\\p{%s}" % name) if ours[c] != name})
    return changes


def sentencepiece_scripts(icu, age):
    """Starts of runs of one script for UnicodeScripts; numbers mean nothing but equal or not, 0 joins all."""
    split = pre.UnicodeScripts()
    pieces = lambda text: len(split.pre_tokenize_str(text))
    joker = {c for c in CODE_POINTS if pieces(chr(c)) == 0}
    known, out = [], {}
    last = None
    for c in CODE_POINTS:
        if c in joker:
            out[c] = 0
            continue
        if last is not None and pieces(chr(last) + chr(c)) == 1:
            out[c] = out[last]
        else:
            found = next((i for i, one in enumerate(known) if pieces(one + chr(c)) == 1), None)
            if found is None:
                found = len(known)
                known.append(chr(c))
            out[c] = found + 1
        last = c
    return {c: v for c, v in out.items() if v}


def property_table(icu, name, old):
    theirs = matched("\\p{%s}" % name)
    ours = {c for c in CODE_POINTS if old(c, BASE_AGE) and icu.has(c, PROPERTIES[name])}
    return table("Change", "k" + name.replace("_", ""), {c: int(c in theirs) for c in theirs ^ ours},
                 f"{name} of regular expressions.")


def written(icu):
    age = {c: icu.age(c) for c in CODE_POINTS}
    old = lambda c, most: (0, 0) < age[c] <= most
    parts = ["// Written by tools/parity/pipeline_unicode.py: what the tokenizers library knows and ICU with Unicode "
             "15.0 does not.\n"]
    parts.append(table("Change", "kCategories", general_categories(icu, age),
                       "General categories of regular expressions, by UCharCategory."))
    for name in PROPERTIES:
        parts.append(property_table(icu, name, old))
    parts.append(table("Change", "kScripts", script_tables(icu, age),
                       "Scripts of regular expressions, by UScriptCode."))
    digits = pre.Digits(individual_digits=True)
    numeric = {c for c in CODE_POINTS if len(digits.pre_tokenize_str(chr(c) + "x")) == 2}
    ours = {c for c in CODE_POINTS if age[c] <= BASE_AGE and CATEGORIES[icu("u_charType", c)][0] == "N"}
    parts.append(table("Change", "kNumbers", {c: int(c in numeric) for c in numeric ^ ours}, "Numbers of Digits."))
    lower = {}
    for c in CODE_POINTS:
        theirs = norm.Lowercase().normalize_str(chr(c))
        if c != 0x130 and theirs != chr(icu("u_tolower", c)):
            lower[c] = ord(theirs) - c
    parts.append(table("Change", "kLower", lower, "Distances to the lower case."))
    strip = norm.StripAccents()
    marks = {c for c in CODE_POINTS if strip.normalize_str("a" + chr(c)) == "a"}
    ours = {c for c in CODE_POINTS if old(c, (9, 0)) and CATEGORIES[icu("u_charType", c)][0] == "M"}
    parts.append(table("Change", "kMarks", {c: int(c in marks) for c in marks ^ ours},
                       "Marks of StripAccents, over those of Unicode 9.0."))
    clusters, conjunct = cluster_tables(icu)
    parts.append(table("Change", "kClusterBreaks", clusters, "Grapheme_Cluster_Break, by UGraphemeClusterBreak."))
    parts.append(table("Change", "kConjuncts", conjunct, "Indic_Conjunct_Break: 1 consonant, 2 linker."))
    parts.append(table("Change", "kSentencePieceScripts", sentencepiece_scripts(icu, age),
                       "Scripts of UnicodeScripts, numbered as they come; those that are missing join any script."))
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "framework/kit/pipeline/unicode_tables.inc"
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--icu", type=int, default=72)
    parser.add_argument("--output", type=pathlib.Path, default=default)
    args = parser.parse_args()
    text = written(Icu(args.icu))
    if not args.check:
        args.output.write_text(text, encoding="utf-8")
        return 0
    if args.output.exists() and args.output.read_text(encoding="utf-8") == text:
        return 0
    print(f"{args.output}: the library's data differ", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
