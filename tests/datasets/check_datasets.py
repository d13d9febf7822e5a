#!/usr/bin/env python3
"""Checks the shipped data: datasets/MANIFEST.toml against the files, the file formats, languages and sizes.

usage: check_datasets.py [DATASETS_FOLDER [PATH...]]

With PATHs (as in the manifest) only these files and their English counterparts are opened.
Exit: 0 all holds, 1 the faults are on stderr."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import unicodedata
from collections import Counter

_MIN_LANGUAGES, _MIN_SCRIPTS = 12, 5
_MIN_RAW_BYTES, _MAX_PACKED_BYTES = 6_000_000, 10_000_000
_MIN_ENGLISH_BYTES, _MIN_DOCUMENTS, _MIN_SPLIT_DOCUMENTS = 800_000, 100, 2
_MIN_ALIGNED_LANGUAGES, _MIN_ALIGNED_SCRIPTS, _MIN_ALIGNED_PASSAGES = 30, 12, 48
_MAX_ENGLISH_SHARE = 0.002
_MIN_SCRIPT_SHARE = 0.6

_FIELDS = {"path": str, "language": str, "script": str, "type": str, "licence": str, "paragraphs": int, "raw_bytes": int,
           "bytes": int, "source": str, "package": str, "version": str, "members": str, "raw_sha256": str, "sha256": str}
# ISO 15924 code -> how Unicode's character names of its letters begin.
_SCRIPT_NAMES = {
    "Latn": "LATIN", "Cyrl": "CYRILLIC", "Arab": "ARABIC", "Jpan": "CJK|HIRAGANA|KATAKANA", "Hans": "CJK", "Hant": "CJK",
    "Grek": "GREEK", "Deva": "DEVANAGARI", "Taml": "TAMIL", "Geor": "GEORGIAN", "Thai": "THAI", "Kore": "HANGUL|CJK",
    "Hebr": "HEBREW", "Beng": "BENGALI", "Ethi": "ETHIOPIC", "Khmr": "KHMER", "Armn": "ARMENIAN", "Mymr": "MYANMAR",
    "Telu": "TELUGU", "Knda": "KANNADA", "Gujr": "GUJARATI", "Guru": "GURMUKHI", "Sinh": "SINHALA", "Laoo": "LAO",
    "Tibt": "TIBETAN", "Thaa": "THAANA",
}
# Frequent English words that the other languages of the handbook do not use.
_ENGLISH = frozenset("the and which with that this from your been should would they these their when where while".split())
_KEY = re.compile(r"[a-z0-9-]+(/[0-9]+)?")
_MARKUP = re.compile(r"</?[a-z][a-z0-9]*( [a-z-]+=[^>]*)?/?>|&(amp|lt|gt|nbsp|quot|#\d+);")
_DIRECTIVE = re.compile(r"::(id|title|group) (\S.*)")


class Checker:
    """Collects faults, each with the file and line it stands in."""

    def __init__(self, folder):
        self.folder = folder
        self.faults = []

    def fault(self, place, message):
        self.faults.append(f"{place}: {message}")

    def require(self, holds, place, message):
        if not holds:
            self.fault(place, message)
        return holds

    def unpack(self, table):
        """Returns the text of a file, or None when it is not what the manifest says."""
        path = table["path"]
        full = os.path.join(self.folder, path)
        if not self.require(os.path.isfile(full) and not os.path.islink(full), path, "is in the manifest but is no file"):
            return None
        with open(full, "rb") as file:
            packed = file.read()
        digest = hashlib.sha256(packed).hexdigest()
        self.require(digest == table["sha256"], path, f"SHA-256 {digest}, the manifest says {table['sha256']}")
        self.require(len(packed) == table["bytes"], path, f"{len(packed)} bytes, the manifest says {table['bytes']}")
        done = subprocess.run(["zstd", "-d", "-q", "-c"], input=packed, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not self.require(done.returncode == 0, path, f"zstd cannot unpack it: {done.stderr.decode().strip()}"):
            return None
        raw = done.stdout
        self.require(len(raw) == table["raw_bytes"], path, f"{len(raw)} bytes of text, not {table['raw_bytes']}")
        self.require(hashlib.sha256(raw).hexdigest() == table["raw_sha256"], path, "raw_sha256 is not that of the text")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fault(path, f"not UTF-8: {error}")
            return None

    def characters(self, path, text):
        self.require(text.endswith("\n"), path, "the last line has no end")
        self.require(unicodedata.is_normalized("NFC", text), path, "not in NFC")
        for number, line in enumerate(text.split("\n"), 1):
            bad = [char for char in line if unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char != "\t"]
            self.require(not bad, f"{path}:{number}", f"control character {bad[:1]!r}")
            self.require(line == line.strip(), f"{path}:{number}", "blanks at an end of the line")
            self.require(not _MARKUP.search(line), f"{path}:{number}", f"markup: {line[:80]}")

    def script(self, table, texts):
        begins = re.compile(_SCRIPT_NAMES.get(table["script"], "(?!)"))
        letters = Counter(char for text in texts for char in text if char.isalpha())
        mine = sum(count for char, count in letters.items() if begins.match(unicodedata.name(char, "")))
        share = mine / max(1, letters.total())
        self.require(share >= _MIN_SCRIPT_SHARE, table["path"], f"{share:.0%} of the letters are {table['script']}")


def parse_text(checker, path, text):
    """Returns the documents of a `text` file: lists of paragraphs, with their directives."""
    documents, directives, paragraphs = [], {}, []
    for number, line in enumerate(text.split("\n"), 1):
        place = f"{path}:{number}"
        checker.require("\t" not in line, place, "a tab")
        if line.startswith("::"):
            match = _DIRECTIVE.fullmatch(line)
            if checker.require(match, place, f"unknown directive `{line[:40]}`; known are ::id, ::title, ::group"):
                checker.require(match[1] not in directives, place, f"::{match[1]} twice")
                directives[match[1]] = match[2]
            checker.require(not paragraphs, place, "a directive below a paragraph")
        elif line:
            paragraphs.append(line)
        elif paragraphs or directives:
            checker.require(paragraphs, place, "a document without a paragraph")
            documents.append((directives, paragraphs))
            directives, paragraphs = {}, []
    checker.require(not paragraphs and not directives, path, "no empty line behind the last document")
    return documents


def reads_as_english(paragraph):
    """Says whether a paragraph holds three different English words that make a tenth of its words."""
    words = re.findall(r"[^\W\d_]+", paragraph.lower())
    hits = [word for word in words if word in _ENGLISH]
    return len(set(hits)) >= 3 and len(hits) * 10 >= len(words)


def check_text(checker, table, text, english):
    """Checks a `text` file; returns its paragraphs."""
    path = table["path"]
    documents = parse_text(checker, path, text)
    paragraphs = [paragraph for _, members in documents for paragraph in members]
    checker.require(len(documents) == table.get("documents"), path,
                    f"{len(documents)} documents, the manifest says {table.get('documents')}")
    checker.require(len(documents) >= _MIN_DOCUMENTS, path, f"{len(documents)} documents, at least {_MIN_DOCUMENTS} wanted")
    checker.require(len(paragraphs) == table["paragraphs"], path, f"{len(paragraphs)} paragraphs, not {table['paragraphs']}")
    ids = Counter(directives.get("id") for directives, _ in documents)
    checker.require(None not in ids and ids.most_common(1)[0][1] == 1, path, f"ids missing or twice: {ids.most_common(2)}")
    groups = {directives.get("group", "") for directives, _ in documents}
    parts = Counter(int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % 20 for group in groups)
    checker.require(min(parts[0], parts[1]) >= _MIN_SPLIT_DOCUMENTS, path, "a split of 90/5/5 by group has an empty part")
    twice = [text for text, count in Counter(map(str.casefold, paragraphs)).items() if count > 1]
    checker.require(not twice, path, f"{len(twice)} paragraphs stand there twice: {twice[:1]}")
    checker.script(table, paragraphs)
    if table["language"] != "en":
        left = [text for text in paragraphs if reads_as_english(text) or text in english]
        checker.require(len(left) <= _MAX_ENGLISH_SHARE * len(paragraphs), path,
                        f"{len(left)} of {len(paragraphs)} paragraphs are English: {left[:1]}")
    return paragraphs


def check_aligned(checker, table, text, english_keys):
    """Checks an `aligned_text` file; returns its keys in order."""
    path, keys, passages = table["path"], [], []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        fields = line.split("\t")
        if checker.require(len(fields) == 2 and fields[1], f"{path}:{number}", "not `key<TAB>text`"):
            checker.require(_KEY.fullmatch(fields[0]), f"{path}:{number}", f"bad key `{fields[0]}`")
            keys.append(fields[0])
            passages.append(fields[1])
    checker.require(len(set(keys)) == len(keys), path, "a key stands there twice")
    checker.require(len(set(passages)) == len(passages), path, "a passage stands there twice")
    checker.require(len(keys) == table["paragraphs"], path, f"{len(keys)} passages, the manifest says {table['paragraphs']}")
    checker.require(len(keys) >= _MIN_ALIGNED_PASSAGES, path, f"{len(keys)} passages, at least {_MIN_ALIGNED_PASSAGES} wanted")
    if english_keys is not None:
        unknown = [key for key in keys if key not in english_keys]
        checker.require(not unknown, path, f"keys that English does not have: {unknown[:3]}")
        checker.require(keys == [key for key in english_keys if key in set(keys)], path, "keys are in another order")
    checker.script(table, passages)
    return keys


def check_tables(checker, tables):
    """Checks fields, names and totals of the manifest; returns the tables that are whole."""
    whole = []
    for table in tables:
        place = table.get("path", "MANIFEST.toml")
        wrong = [name for name, kind in _FIELDS.items() if not isinstance(table.get(name), kind) or table[name] == ""]
        wrong += [name for name in table if name not in _FIELDS and name != "documents"]
        if checker.require(not wrong, place, f"fields missing, unknown or of a wrong type: {wrong}"):
            checker.require(place.endswith(f"/{table['language']}.txt.zst"), place, f"language is {table['language']}")
            whole.append(table)
    paths = Counter(table["path"] for table in whole)
    checker.require(not paths or paths.most_common(1)[0][1] == 1, "MANIFEST.toml", "a path stands there twice")
    found = {os.path.relpath(os.path.join(root, name), checker.folder).replace(os.sep, "/")
             for root, _, names in os.walk(checker.folder) for name in names if name.endswith(".zst")}
    checker.require(found == set(paths), "MANIFEST.toml", f"files without a table: {sorted(found - set(paths))}")
    text = [table for table in whole if table["type"] == "text"]
    aligned = [table for table in whole if table["type"] == "aligned_text"]
    limits = [(len({table["language"] for table in text}), _MIN_LANGUAGES, "languages of text"),
              (len({table["script"] for table in text}), _MIN_SCRIPTS, "scripts of text"),
              (len({table["language"] for table in aligned}), _MIN_ALIGNED_LANGUAGES, "aligned languages"),
              (len({table["script"] for table in aligned}), _MIN_ALIGNED_SCRIPTS, "aligned scripts"),
              (sum(table["raw_bytes"] for table in whole), _MIN_RAW_BYTES, "bytes of text"),
              (sum(table["raw_bytes"] for table in text if table["language"] == "en"), _MIN_ENGLISH_BYTES, "bytes of English")]
    for value, least, name in limits:
        checker.require(value >= least, "MANIFEST.toml", f"{value} {name}, at least {least} wanted")
    packed = sum(table["bytes"] for table in whole)
    checker.require(packed <= _MAX_PACKED_BYTES, "MANIFEST.toml", f"{packed} bytes packed, at most {_MAX_PACKED_BYTES} allowed")
    return whole


def check_sources(checker, tables):
    """Checks sources.toml: fields, digests, and that the manifest's packages stand there with the same version."""
    with open(os.path.join(checker.folder, "sources.toml"), "rb") as file:
        sources = tomllib.load(file)["source"]
    fields = {"registry": str, "package": str, "version": str, "sha256": str, "size_bytes": int, "licence": str,
              "summary": str, "root": str, "members": list}
    for name, source in sources.items():
        wrong = [key for key, kind in fields.items() if not isinstance(source.get(key), kind) or not source[key]]
        wrong += [key for key in source if key not in fields]
        if checker.require(not wrong, f"sources.toml:{name}", f"fields missing, unknown or of a wrong type: {wrong}"):
            checker.require(source["registry"] in ("deb", "npm", "pypi"), f"sources.toml:{name}", source["registry"])
            checker.require(re.fullmatch("[0-9a-f]{64}", source["sha256"]), f"sources.toml:{name}", "sha256 is none")
            checker.require(not any(".." in glob or glob.startswith("/") for glob in source["members"]),
                            f"sources.toml:{name}", "a member outside the archive")
    for table in tables:
        source = sources.get(table["source"], {})
        checker.require((source.get("package"), source.get("version")) == (table["package"], table["version"]),
                        table["path"], f"package or version differ from sources.toml: {table['source']}")


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    folder = arguments[0] if arguments else os.path.join(here, "..", "..", "datasets")
    checker = Checker(folder)
    with open(os.path.join(folder, "MANIFEST.toml"), "rb") as file:
        tables = check_tables(checker, tomllib.load(file)["file"])
    check_sources(checker, tables)
    chosen = set(arguments[1:])
    checker.require(chosen <= {table["path"] for table in tables}, "MANIFEST.toml", f"not all of {sorted(chosen)} stand there")
    tables = [table for table in tables if not chosen or table["path"] in chosen or table["language"] == "en"]
    texts = {table["path"]: checker.unpack(table) for table in tables}
    english, english_keys = set(), {}
    for table in sorted(tables, key=lambda table: (table["language"] != "en", table["path"])):
        text, kind = texts[table["path"]], table["type"]
        if text is None or not checker.require(kind in ("text", "aligned_text"), table["path"], f"unknown type {kind}"):
            continue
        checker.characters(table["path"], text)
        if kind == "text":
            paragraphs = check_text(checker, table, text, english)
            english |= set(paragraphs) if table["language"] == "en" else set()
        else:
            folder_name = os.path.dirname(table["path"])
            keys = check_aligned(checker, table, text, english_keys.get(folder_name))
            english_keys.setdefault(folder_name, keys)
    for fault in checker.faults[:20]:
        print(f"error: {fault}", file=sys.stderr)
    if checker.faults:
        print(f"{len(checker.faults)} faults", file=sys.stderr)
        return 1
    raw, packed = (sum(table[name] for table in tables) for name in ("raw_bytes", "bytes"))
    print(f"{len(tables)} files opened, {raw} bytes of text, {packed} bytes packed: all as the manifest says")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
