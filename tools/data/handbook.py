"""Reads the Debian Administrator's Handbook (DocBook pages as XHTML) into documents aligned across languages."""

import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import textclean

FOLDER = "usr/share/doc/debian-handbook/html"
MAX_BYTES = 640_000  # of each language but English, whose text is kept whole
# Folder of the package -> BCP 47 tag used as the file's stem. Left out: da el hr ko ro, of which under 3 % is translated.
LANGUAGES = {
    "en-US": "en", "de-DE": "de", "es-ES": "es", "fr-FR": "fr", "it-IT": "it", "id-ID": "id", "pt-BR": "pt-BR",
    "nb-NO": "nb", "ca-ES": "ca", "sv-SE": "sv", "nl-NL": "nl", "pl-PL": "pl", "ru-RU": "ru", "ar-MA": "ar", "fa-IR": "fa",
    "ja-JP": "ja", "zh-CN": "zh-CN", "zh-TW": "zh-TW", "cs-CZ": "cs", "tr-TR": "tr", "vi-VN": "vi",
}
SCRIPTS = {"ru": "Cyrl", "ar": "Arab", "fa": "Arab", "ja": "Jpan", "zh-CN": "Hans", "zh-TW": "Hant"}  # others: Latn
# The book's own front matter is names, addresses and licence notices, not prose.
SKIPPED_PAGES = {"index.html", "sect.acknowledgments.html"}

_VOID = {"meta", "link", "img", "br", "hr", "input"}
_BLOCKS = {"div", "p", "li", "dt", "dd", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "tr"}
_SKIPPED_CLASSES = {"docnav", "toc", "url", "indexterm", "programlisting", "screen", "keywords"}
_UNIT_CLASSES = {"section", "sidebar", "chapter", "preface", "appendix", "highlights", "admonition"}
_CODE_CLASSES = {"command", "filename", "literal", "computeroutput", "userinput", "option", "replaceable"}


class Block:
    """A paragraph or heading as it stands in the page, with the share of its letters that are code."""

    def __init__(self, text, heading, code_letters):
        self.text = textclean.clean(text)
        self.heading = heading
        letters = sum(char.isalpha() for char in text)
        self.code_share = code_letters / letters if letters else 1.0


class _Page(HTMLParser):
    """Splits a page into units (sections, sidebars), each a list of blocks in reading order."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.units = []
        self._stack = []  # (tag, classes, skipped)
        self._open_units = []
        self._text = []
        self._code_letters = 0
        self._category_seen = False

    def handle_starttag(self, tag, attrs):
        if tag in _VOID:
            if tag == "br":
                self._text.append(" ")
            return
        if tag == "sup":
            self._text.append("^")
        attributes = dict(attrs)
        classes = set((attributes.get("class") or "").split())
        if tag in _BLOCKS or tag in ("pre", "body"):
            self._flush()
        skipped = bool(self._stack and self._stack[-1][2]) or tag in ("head", "pre") or bool(classes & _SKIPPED_CLASSES)
        skipped = skipped or attributes.get("id") in ("banner", "title")
        # A sidebar's title begins with its category ("TIP"), which says nothing about its content.
        category = tag == "em" and self._inside_title() and "emphasis" in self._stack[-1][1]
        if category and not self._category_seen:
            skipped = self._category_seen = True
        unit = tag == "body" or (tag == "div" and bool(classes & _UNIT_CLASSES))
        if unit:
            self.units.append([])
            self._open_units.append(len(self.units) - 1)
        self._stack.append((tag, classes, skipped, unit))

    def handle_startendtag(self, tag, attrs):
        if tag == "br":
            self._text.append(" ")

    def handle_endtag(self, tag):
        if tag in _VOID:
            return
        if not self._stack or self._stack[-1][0] != tag:
            raise ValueError(f"line {self.getpos()[0]}: </{tag}> closes nothing that is open")
        if tag in _BLOCKS or tag in ("pre", "body"):
            self._flush()
        if self._stack.pop()[3]:
            self._open_units.pop()

    def handle_data(self, data):
        if not self._stack or self._stack[-1][2]:
            return
        self._text.append(data)
        if any(entry[0] == "code" or entry[1] & _CODE_CLASSES for entry in self._stack):
            self._code_letters += sum(char.isalpha() for char in data)

    def _inside_title(self):
        return any("title" in entry[1] for entry in self._stack)

    def _flush(self):
        text, self._text = "".join(self._text), []
        code_letters, self._code_letters = self._code_letters, 0
        self._category_seen = False
        inside = {entry[0] for entry in self._stack}
        if not self._open_units or not text.strip() or inside & {"td", "th"} and "div" not in inside:
            return
        self.units[self._open_units[-1]].append(Block(text, self._inside_title(), code_letters))


def parse_page(data):
    """Returns the units of a page: lists of Block."""
    page = _Page()
    page.feed(data.decode("utf-8"))
    page.close()
    return page.units


_MIN_DOCUMENT, _MAX_DOCUMENT = 900, 3600


def segment(units):
    """Cuts the units of an English page into documents; returns lists of (unit, first block, past-the-end block)."""
    pieces = []
    for index, blocks in enumerate(units):
        length = sum(len(block.text) for block in blocks)
        parts = max(1, -(-length // _MAX_DOCUMENT))
        begin, seen, part = 0, 0, 1
        for position, block in enumerate(blocks):
            seen += len(block.text)
            if seen * parts >= length * part and not block.heading:
                pieces.append(((index, begin, position + 1), seen))
                begin, part = position + 1, part + 1
        if begin < len(blocks):
            pieces.append(((index, begin, len(blocks)), seen))
    documents, length, previous = [], 0, 0
    for piece, seen in pieces:
        unit, begin, end = piece
        size = sum(len(block.text) for block in units[unit][begin:end])
        if documents and (length < _MIN_DOCUMENT or size < _MIN_DOCUMENT // 3) and length + size <= _MAX_DOCUMENT:
            documents[-1].append(piece)
            length += size
        else:
            documents.append([piece])
            length = size
    return documents


_NUMBERING = re.compile(r"^(?:[^\d]{0,14}\d+(?:\.\d+)*\.? ?[^\d .]{0,2}[. ] ?|[^\W\d]{2,14} [A-Z]\. )(?=\S)")


def heading_text(block):
    """Returns a heading without its number (`6.2.1. Initialization`, `Chapter 6. ...`)."""
    return _NUMBERING.sub("", block.text).strip()


def _untranslated(text, english):
    if text == english or textclean.looks_english(text):
        return True
    mine, theirs = textclean.words(text), textclean.words(english)
    if len(mine) < 5:
        return False
    pairs = Counter(zip(mine, mine[1:]))
    common = sum((pairs & Counter(zip(theirs, theirs[1:]))).values())
    return common * 2 > sum(pairs.values())


# What remains of tables of variables and of sentences around a code block.
_FRAGMENT_BEGINS = tuple("$%<>=^{}.,;:،؛、。：；")


def _usable(block, english, latin_script):
    text = block.text
    letters = sum(char.isalpha() for char in text)
    if letters * (1 if latin_script else 2) < 16 or block.code_share > 0.5 or text.startswith(_FRAGMENT_BEGINS) or ("://" in text and len(text) < 120):
        return False
    if english is not None and _untranslated(text, english.text):
        return False
    return latin_script or textclean.latin_share(text) <= 0.6


def build(pages, english_pages, latin_script):
    """Returns the documents of one language as (id, title, paragraphs); `pages` is {page name: units}.

    Documents are cut by the English pages, so that one id is one passage in every language."""
    documents, seen = [], set()
    translated = pages is not english_pages
    for name in sorted(english_pages):
        original, units = english_pages[name], pages.get(name)
        if units is None or [len(unit) for unit in units] != [len(unit) for unit in original]:
            continue
        for number, pieces in enumerate(segment(original), 1):
            title, paragraphs = "", []
            for unit, begin, end in pieces:
                for position in range(begin, end):
                    block, english = units[unit][position], original[unit][position] if translated else None
                    if not _usable(block, english, latin_script):
                        continue
                    text = heading_text(block) if block.heading else block.text
                    if not title and not paragraphs and block.heading:
                        title = text
                    elif text.casefold() not in seen:
                        seen.add(text.casefold())
                        paragraphs.append((text, block.heading))
            while paragraphs and paragraphs[-1][1]:
                paragraphs.pop()
            if sum(len(text.encode()) for text, _ in paragraphs) >= 200:
                identifier = f"{name.removesuffix('.html').removeprefix('sect.')}/{number:02}"
                documents.append((identifier, title, [text for text, _ in paragraphs]))
    return documents


def render(document):
    """Returns a document in the format of `text` files, with its closing empty line."""
    identifier, title, paragraphs = document
    lines = [f"::id {identifier}", f"::group {identifier}"] + ([f"::title {title}"] if title else []) + paragraphs
    return "\n".join(lines) + "\n\n"


def limit(documents, most_bytes):
    """Keeps whole documents up to `most_bytes`, chosen by a hash of their ids so that languages keep the same ones."""
    def order(document):
        return hashlib.sha256(document[0].encode()).digest()

    kept, total = set(), 0
    for document in sorted(documents, key=order):
        size = len(render(document).encode())
        if total + size > most_bytes:
            break
        total += size
        kept.add(document[0])
    return [document for document in documents if document[0] in kept]
