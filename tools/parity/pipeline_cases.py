"""Settings and strings for pipeline_steps.py."""

import base64
import random
import struct

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)"
          r"|\s+")
DEEPSEEK = r"[!-/:-~!-/:-~‘-‟　-。]+|\s?\p{Sc}?[A-Za-z\u00B5À-ÖØ-öø-ƺ]+|\s+$|[一-龥ࠀ-一가-퟿]+"
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def charsmap(entries):
    """A precompiled character map of {key bytes: replacement}: a double array as Darts lays it out."""
    trie = {}
    for key in entries:
        node = trie
        for byte in key:
            node = node.setdefault(byte, {})
        node[-1] = key
    blob, places = b"", {}
    for key, text in entries.items():
        places[key] = len(blob)
        blob += text.encode() + b"\0"
    units, used = [0] * 256, [True] + [False] * 255

    def grow(size):
        while len(units) < size:
            units.extend([0] * 256)
            used.extend([False] * 256)

    offsets = set()

    def place(node, at):
        labels = sorted(0 if label == -1 else label for label in node)
        offset = 1
        while True:
            base = at ^ offset
            grow((base | 255) + 1)
            if offset not in offsets and all(not used[base ^ label] for label in labels):
                break
            offset += 1
            if offset >= 1 << 21:
                raise RuntimeError("no room in the array")
        offsets.add(offset)
        for label in labels:
            used[base ^ label] = True
        units[at] |= offset << 10 | (1 << 8 if -1 in node else 0)
        for label, child in node.items():
            if label == -1:
                units[base] = 1 << 31 | places[child]
            else:
                units[base ^ label] = label
        for label, child in sorted(node.items(), key=lambda item: item[0]):
            if label != -1:
                place(child, base ^ label)

    place(trie, 0)
    return base64.b64encode(struct.pack(f"<{len(units) + 1}I", 4 * len(units), *units) + blob).decode()


def sample_charsmap():
    entries = {chr(0xFF01 + i): chr(0x21 + i) for i in range(94)}
    entries.update({"\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\r": "", "\u200b": "", "\ufb01": "fi",
                    "\u2026": "...",
                    "\u00bd": "1/2", "\u0041\u030a": "\u00c5", "e\u0301": "\u00e9",
                    "\ufdfa": "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647",
                    "\u00ad": "", "\u1100\u1161": "\uac00", "\u0915\u093c": "\u0958", "\u00c5": "a", "\u0300": "",
                    "x": "",
                    "\U0001d400": "A", "\u2122": "TM", "\u0344": "\u0308\u0301", "\r\n": "\n"})
    return charsmap({key.encode(): text for key, text in entries.items()})


def all_settings():
    """Pairs of a normalizer and a pre-tokenizer, or nothing."""
    n, p = [], []
    sequence = lambda *steps: {"type": "Sequence", "normalizers": list(steps)}
    replace = lambda pattern, content, kind="Regex": {"type": "Replace", "pattern": {kind: pattern},
                                                      "content": content}
    n += [{"type": t} for t in "NFC NFD NFKC NFKD Nmt StripAccents Lowercase ByteLevel".split()]
    n += [{"type": "BertNormalizer", "clean_text": c, "handle_chinese_chars": h, "strip_accents": s, "lowercase": w}
          for c, h, s, w in [(True, True, None, True), (True, True, None, False), (True, False, True, False),
                             (False, True, False, True), (False, False, True, True), (True, True, False, False)]]
    n += [{"type": "Strip", "strip_left": a, "strip_right": b} for a, b in [(True, True), (True, False), (False,
                                                                                                          True)]]
    n += [{"type": "Prepend", "prepend": t} for t in ["\u2581", "", "ab "]]
    n += [replace(" ", "\u2581", "String"), replace("\u00e9", "", "String"), replace("e", "xyz", "String"),
          replace(r"\s+", " "),
          replace(r"^\s+|\s+$", ""), replace("^", "\u2581"), replace("[\\p{L}\\p{M}]{2}", "<\u00e9>"), replace("a*",
                                                                                                               "-"),
          replace(" {2,}", "\u2581"), replace("``|''", '"'), replace("", "|", "String")]
    n += [{"type": "Precompiled", "precompiled_charsmap": sample_charsmap()}]
    nfd = {"type": "NFD"}
    n += [sequence(nfd, {"type": "StripAccents"}), sequence(nfd, {"type": "Lowercase"}, {"type": "NFC"}), sequence(),
          sequence({"type": "NFKC"}, nfd), sequence(nfd, {"type": "NFKC"}), sequence({"type": "NFKD"},
                                                                                     {"type": "NFC"}),
          sequence({"type": "Prepend", "prepend": "\u2581"}, replace(" ", "\u2581", "String")),
          sequence({"type": "Precompiled", "precompiled_charsmap": sample_charsmap()}, replace(" {2,}", " ")),
          sequence({"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True},
                   {"type": "NFKC"},
                   {"type": "Nmt"}),
          sequence(nfd, replace("[\u0300-\u036f]", ""), {"type": "Prepend", "prepend": "__"}, {"type": "ByteLevel"})]
    p += [{"type": t} for t in "BertPreTokenizer Whitespace WhitespaceSplit UnicodeScripts".split()]
    p += [{"type": "ByteLevel", "add_prefix_space": a, "trim_offsets": True, "use_regex": r}
          for a in (True, False) for r in (True, False)]
    p += [{"type": "CharDelimiterSplit", "delimiter": d} for d in ["-", "\u00e9"]]
    p += [{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": s, "split": t}
          for s in ("always", "first", "never") for t in (True, False)]
    p += [{"type": "Metaspace", "replacement": "_", "add_prefix_space": True, "str_rep": "_"}]
    p += [{"type": "Punctuation", "behavior": b} for b in BEHAVIORS] + [{"type": "Punctuation"}]
    p += [{"type": "Digits", "individual_digits": d} for d in (True, False)]
    p += [{"type": "FixedLength", "length": k} for k in (1, 3)] + [{"type": "FixedLength"}]
    split = lambda pattern, behavior, invert=False, kind="Regex": {
        "type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}
    p += [split(r"\s+|\p{P}", b, i) for b in BEHAVIORS for i in (True, False)]
    p += [split(" ", b, False, "String") for b in BEHAVIORS] + [split("ab", "Isolated", True, "String")]
    p += [split(r, "Isolated") for r in [GPT2, LLAMA3, QWEN2, O200K, DEEPSEEK, r"\p{N}{1,3}", r"[0-9][0-9][0-9]",
                                         "a*",
                                         r"(?=\p{Lu})", r"\b", r"^.|.$", r"(?<=\p{L})(?=\p{M})", r"\G[a-z]",
                                         r"(.)\1", "(?x) a | # or\n b", r"a{2}?|b{1,2}+|c{,2}",
                                         r"\A\s|\s\z", r"\R", r"[^\s]+(?m:.)", r".(?i)É|è"]]
    p += [split(CL100K, "Removed", True), split(r"\d", "Contiguous"), split(r"(?i:к|É)", "MergedWithNext")]
    steps = lambda *s: {"type": "Sequence", "pretokenizers": list(s)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    space, one = {"type": "WhitespaceSplit"}, {"type": "FixedLength", "length": 1}
    mark = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}
    p += [steps(split(LLAMA3, "Isolated"), level), steps(space, mark), steps(space, {"type": "Punctuation"}, mark),
          steps({"type": "Digits", "individual_digits": True}, {**level, "use_regex": True,
                                                                "add_prefix_space": True}),
          steps({"type": "UnicodeScripts"}, {"type": "Whitespace"}), steps(mark, level, one),
          steps({**mark, "split": False}, {**mark, "prepend_scheme": "always"}), steps(), steps(level, one),
          steps({**level, "add_prefix_space": True}, mark), steps({"type": "BertPreTokenizer"}, one)]
    out = [(step, one) for step in n] + [(None, step) for step in p]
    # Both together: what was moved by one is cut by the other.
    out += [(n[i % len(n)], p[(7 * i + 3) % len(p)]) for i in range(60)]
    return out


SAMPLES = ["Hello, World! It's 2024-05-06, isn't it?  (A  test)\n\n\tdone\u2026",
           "na\u00efve caf\u00e9 \u00c5ngstr\u00f6m \ufb01ne e\u0301\u0323 \u1e69 s\u0323\u0307",
           "stra\u00dfe STRASSE \u0130stanbul \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u1f00\u03c1\u03c7\u03ae",
           "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0419\u043e\u0433",
           "\u0561\u0575\u0562\u0578\u0582\u0562\u0565\u0576 \u057f\u0561\u057c",
           "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd",
            "\u0645\u0631\u062d\u0628\u0627 "
            "\u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u0663\u0664\u066b\u0665 \u0644\u064e\u0627",
            "\u0721\u0720\u072c\u0710 \u0710\u0712\u0713",
            "\u078b\u07a8\u0788\u07ac\u0780\u07a8",
            "\u0928\u092e\u0938\u094d\u0924\u0947 "
            "\u0926\u0941\u0928\u093f\u092f\u093e \u0915\u094d\u0937 \u0967\u0968",
            "\u09a8\u09ae\u09b8\u09cd\u0995\u09be\u09b0 \u09a1\u09bc",
            "\u0a28\u0a2e\u0a38\u0a24\u0a47",
            "\u0a95\u0ac7\u0aae \u0a9b\u0acb",
            "\u0b93\u0bae\u0bcd \u0ba4\u0bae\u0bbf\u0bb4\u0bcd",
           "\u0c28\u0c2e\u0c38\u0c4d\u0c24\u0c47", "\u0ca8\u0cae\u0cb8\u0ccd\u0ca4\u0cc6",
           "\u0d28\u0d2e\u0d38\u0d4d\u0d15\u0d3e\u0d30\u0d02", "\u0d86\u0dba\u0dd4\u0db6\u0ddd\u0dc0\u0db1\u0dca",
           "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
           "\u0eaa\u0eb0\u0e9a\u0eb2\u0e8d\u0e94\u0eb5",
           "\u0f56\u0f7c\u0f51\u0f0b\u0f66\u0f90\u0f51\u0f0b \u0f73\u0f71",
           "\u1019\u103c\u1014\u103a\u1019\u102c\u1018\u102c\u101e\u102c",
           "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0 \u1c92\u10d0",
           "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab\uae00 \u3131\u314f", "\u12a0\u121b\u122d\u129b \u1230\u120b\u121d",
           "\u13e3\u13b3\u13a9 \uab70\u13a0", "\u1403\u14c4\u1483\u144e\u1450\u1466",
           "\u168f\u1690 \u16a0\u16a2\u16a6", "\u1781\u17d2\u1798\u17c2\u179a", "\u1828\u1822\u1820\u182f",
           "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c\u30ab\u3099 \uff76\uff9e \u30fc",
           "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u6c49\u5b57 \uf900 \U00020000\U0002f800",
           "\ua188\ua320 \ua4d0\ua4d1", "\u2d30\u2d63\u2d53\u2d4d", "\U00010330\U00010331 \U00010400\U00010428",
           "\U0001e900\U0001e922 \U00011103",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 "
            "\U0001f1e9\U0001f1ea\U0001f1eb \u2764\ufe0f \u00a9\u200d\u00a9",
            "\u00bd \u2460 \u2075 \u2167 \u00b2\u00b3 x\u00b2 \u3220",
            "def f(x):\n    return x  # ok\r\n\r\n\n",
           "don't DON'T they'LL I'\u017f we've''s 's", "\ufdfa \ufdfb \u0149 \u1e9e \u01c4 \u0132",
           "a\u0000b \x7f\x85\u00ad\u200b\u2028\u2060\ufeff\ufffd", ""]


def interesting():
    rng = random.Random(7)
    marks = list(range(0x300, 0x370)) + [0x334, 0x345, 0x591, 0x5B0, 0x64B, 0x651, 0x670, 0x93C, 0x94D, 0xE38, 0xF71,
                                         0xF72, 0xF73,
                                         0xF74, 0xF75, 0xF80, 0xF81, 0x1DC0, 0x20D0, 0x302A, 0x3099, 0x309A, 0xFE0F,
                                         0xFE20]
    pools = [list(range(0x20, 0x7F)), list(range(0x61, 0x7B)), [0x20] * 3 + [9, 0xA, 0xD, 0xA0, 0x3000, 0x2003, 0x85,
                                                                             0x2028, 0x180E],
             marks, marks, list(range(0xC0, 0x180)), list(range(0x1E00, 0x2000)), list(range(0x370, 0x530)),
             list(range(0x1100, 0x1200)), [0xAC00, 0xAC01, 0xD7A3, 0xD788, 0xAC1C, 0x11A7, 0x11A8, 0x1161, 0x1175,
                                           0xA960, 0xD7B0],
             [0x200D, 0x200C, 0x200B, 0x200E, 0x200F, 0x202E, 0x2066, 0x2069, 0xFEFF, 0x61C, 0xAD, 0x34F],
             [0, 1, 0x1F, 0x7F, 0x80, 0x8F, 0x9F, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x10FFFF, 0xF0000,
              0xFDD0],
             list(range(0x900, 0xE00)), list(range(0x600, 0x700)), list(range(0x590, 0x600)), list(range(0xE00,
                                                                                                         0x1000)),
             list(range(0x1000, 0x10A0)), list(range(0x3040, 0x3100)), list(range(0x4E00, 0x4E80)),
             list(range(0xF900, 0xFB50)),
             list(range(0xFB50, 0xFE00, 7)), list(range(0xFF00, 0xFFF0)), list(range(0x1F1E6, 0x1F200)),
             list(range(0x1F300, 0x1F700, 5)),
             [0x1F3FB, 0x1F9D1, 0x2764, 0xA9, 0xAE, 0x231A, 0x200D], list(range(0x1D100, 0x1D200)),
             list(range(0x1D400, 0x1D800, 3)),
             list(range(0x2000, 0x2070)), list(range(0x2070, 0x2200)), list(range(0x2460, 0x2500)),
             list(range(0x3200, 0x3400)),
             list(range(0x2F800, 0x2FA20)), [0x600, 0x6DD, 0x70F, 0x8E2, 0xD4E, 0x110BD, 0x111C2, 0x113D1, 0x11A3A],
             list(range(0x1380, 0x1400)), list(range(0x13A0, 0x13F8)) + list(range(0xAB70, 0xABC0)),
             list(range(0x11000, 0x11D00)),
             [0x897, 0x1ACF, 0x1C89, 0x1C8A, 0xA7CB, 0xA7DC, 0x10D4A, 0x10D69, 0x105C0, 0x11380, 0x113B8, 0x1611E,
              0x16D40, 0x1E5D0, 0x1E6E3],
             list(range(0x30, 0x3A)), [0x27, 0x2019, 0x73, 0x53, 0x17F, 0x54, 0x74, 0x6C, 0x4C, 0x76, 0x65], [0x2581,
                                                                                                              0x5F,
                                                                                                              0x20,
                                                                                                              0x2D,
                                                                                                              0x61],
             [rng.randrange(0x110000) for _ in range(4000)], list(range(0x0, 0x3000)), list(range(0x3000, 0x20000,
                                                                                                  11))]
    return [[c for c in pool if not 0xD800 <= c < 0xE000] for pool in pools]


def nasty(count, seed):
    """Strings of characters that break naive code, the same ones for the same seed."""
    rng, pools, out = random.Random(seed), interesting(), []
    for _ in range(count):
        kind = rng.random()
        chosen = [rng.choice(pools) for _ in range(rng.choice((1, 2, 2, 3, 5)))]
        size = rng.choice((1, 2, 3, 5, 8, 12, 20, 30))
        text = "".join(chr(rng.choice(rng.choice(chosen))) for _ in range(size))
        if kind < 0.04:
            text = text[:3] * rng.randrange(10, 60)
        elif kind < 0.25:
            sample = rng.choice(SAMPLES)
            at = rng.randrange(len(sample) + 1)
            text = sample[max(0, at - 12):at] + text + sample[at:at + 12]
        out.append(text)
    return out
