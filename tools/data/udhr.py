"""Reads the Universal Declaration of Human Rights into paragraphs with the same keys in every language."""

import re
import statistics
from html.parser import HTMLParser

import textclean

FOLDER = "package/declaration"
# BCP 47 tag (the file's stem) -> document of the package and ISO 15924 script.
LANGUAGES = {
    "af": ("afr", "Latn"), "am": ("amh", "Ethi"), "ar": ("arb", "Arab"), "be": ("bel", "Cyrl"), "bg": ("bul", "Cyrl"),
    "bn": ("ben", "Beng"), "bo": ("bod", "Tibt"), "ca": ("cat", "Latn"), "cs": ("ces", "Latn"), "da": ("dan", "Latn"),
    "de": ("deu_1996", "Latn"), "dv": ("div", "Thaa"), "el": ("ell_monotonic", "Grek"), "en": ("eng", "Latn"),
    "eo": ("epo", "Latn"), "es": ("spa", "Latn"), "et": ("est", "Latn"), "eu": ("eus", "Latn"), "fa": ("pes_1", "Arab"),
    "fi": ("fin", "Latn"), "fr": ("fra", "Latn"), "gu": ("guj", "Gujr"), "he": ("heb", "Hebr"), "hi": ("hin", "Deva"),
    "hr": ("hrv", "Latn"), "hu": ("hun", "Latn"), "hy": ("hye", "Armn"), "id": ("ind", "Latn"), "it": ("ita", "Latn"),
    "ja": ("jpn", "Jpan"), "ka": ("kat", "Geor"), "kk": ("kaz", "Cyrl"), "km": ("khm", "Khmr"), "kn": ("kan", "Knda"),
    "ko": ("kor", "Kore"), "lo": ("lao", "Laoo"), "lt": ("lit", "Latn"), "mk": ("mkd", "Cyrl"),
    "mr": ("mar", "Deva"), "my": ("mya", "Mymr"), "nb": ("nob", "Latn"), "nl": ("nld", "Latn"),
    "pa": ("pan", "Guru"), "pl": ("pol", "Latn"), "pt-BR": ("por_BR", "Latn"), "ro": ("ron_2006", "Latn"),
    "ru": ("rus", "Cyrl"), "si": ("sin", "Sinh"), "sk": ("slk", "Latn"), "sv": ("swe", "Latn"), "sw": ("swh", "Latn"),
    "ta": ("tam", "Taml"), "te": ("tel", "Telu"), "th": ("tha", "Thai"), "tr": ("tur", "Latn"), "uk": ("ukr", "Cyrl"),
    "ur": ("urd", "Arab"), "vi": ("vie", "Latn"), "yi": ("ydd", "Hebr"), "zh-CN": ("cmn_hans", "Hans"),
    "zh-TW": ("cmn_hant", "Hant"), "zu": ("zul", "Latn"),
}
# What editors added: numbers before a paragraph, corrections in brackets behind a misprint.
_EDITORIAL = re.compile(r"^\(\d\) |\[[^\]]*\]")
# A passage this many times longer or shorter than its language leads to expect stands for other content.
_MAX_LENGTH_RATIO = 3
# A preamble with fewer paragraphs is an excerpt (English has ten).
_MIN_PREAMBLE = 7


class _Declaration(HTMLParser):
    """Collects the paragraphs of the preamble (number 0) and of each article."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts = {}
        self._part = None
        self._text = None

    def handle_starttag(self, tag, attrs):
        if tag == "header":
            self._part = self.parts.setdefault(0, [])
        elif tag == "article":
            number = int(dict(attrs)["data-number"])
            if number in self.parts or not 1 <= number <= 30:
                raise ValueError(f"line {self.getpos()[0]}: article {number} is there twice or does not exist")
            self._part = self.parts[number] = []
        elif tag == "p" and self._part is not None:
            self._text = []

    def handle_endtag(self, tag):
        if tag == "p" and self._text is not None:
            text = textclean.clean(_EDITORIAL.sub("", "".join(self._text).strip()))
            self._text = None
            if text:
                self._part.append(text)
        elif tag in ("header", "article"):
            self._part = None

    def handle_data(self, data):
        if self._text is not None:
            self._text.append(data)


def parse(data):
    """Returns {0: preamble, 1..30: article}, each a list of paragraphs."""
    document = _Declaration()
    document.feed(data.decode("utf-8"))
    document.close()
    return document.parts


def align(parts, english):
    """Returns (key, text) of every passage of `parts` that stands in `english` too.

    Articles go paragraph by paragraph; one whose number or lengths of paragraphs differ is left out. Translations
    divide the preamble differently, so it is one passage everywhere."""
    rows = []
    same = [number for number in range(1, 31) if len(parts.get(number, [])) == len(english[number])]
    ratios = {number: [len(mine) / len(theirs) for mine, theirs in zip(parts[number], english[number])] for number in same}
    usual = statistics.median(ratio for article in ratios.values() for ratio in article)
    if len(parts.get(0, [])) >= _MIN_PREAMBLE:
        rows.append(("preamble", " ".join(parts[0])))
    for number in same:
        if all(usual / _MAX_LENGTH_RATIO < ratio < usual * _MAX_LENGTH_RATIO for ratio in ratios[number]):
            rows += [(f"article-{number:02}/{index}", text) for index, text in enumerate(parts[number], 1)]
    return rows


def render(rows):
    """Returns rows in the format of `aligned_text` files."""
    return "".join(f"{key}\t{text}\n" for key, text in rows)
