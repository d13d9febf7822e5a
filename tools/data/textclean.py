"""Text rules that every shipped file obeys: NFC, one line per paragraph, no control or invisible characters."""

import re
import unicodedata

# Joiners decide how Arabic-script and Indic words are written, so they stay; every other format character goes.
_KEPT_FORMAT_CHARACTERS = {"\u200c", "\u200d"}

# Words that are frequent in English prose and are not common words of the other languages shipped here.
_ENGLISH_WORDS = frozenset(
    "the and which with that this from can will your been should would they these those their when where while "
    "what into each both other there then than because such only also have".split())

_WORD = re.compile(r"[^\W\d_]+")


def clean(text):
    """Returns `text` as one line: NFC, blanks collapsed, control and invisible characters removed."""
    kept = []
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if category in ("Cc", "Zl", "Zp", "Zs"):
            kept.append(" ")
        elif category in ("Co", "Cs", "Cn") or (category == "Cf" and char not in _KEPT_FORMAT_CHARACTERS):
            continue
        else:
            kept.append(char)
    return re.sub(" +", " ", "".join(kept)).strip()


def words(text):
    """Returns the lower-cased runs of letters in `text`."""
    return [word.lower() for word in _WORD.findall(text)]


def looks_english(text):
    """Says whether `text` reads as English prose: three different function words that make an eighth of its words."""
    found = words(text)
    hits = [word for word in found if word in _ENGLISH_WORDS]
    return len(set(hits)) >= 3 and len(hits) * 8 >= len(found)


def latin_share(text):
    """Returns the share of the letters of `text` that are basic Latin; 0 without letters."""
    letters = [char for char in text if char.isalpha()]
    return sum(char.isascii() for char in letters) / len(letters) if letters else 0.0
