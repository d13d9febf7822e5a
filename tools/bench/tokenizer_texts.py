#!/usr/bin/env python3
"""The texts of tokenizer_bench.py, made of Debian packages: markup taken off, lines of 20 bytes and more, each once.

usage: tokenizer_texts.py PACKAGES OUT
       tokenizer_texts.py --documents OUT/en.txt [...] --megabytes M --to FILE.jsonl

PACKAGES has the files that these commands download, of whatever release of Debian:
  apt-get download libreoffice-help-en-us libreoffice-help-de libreoffice-help-ru libreoffice-help-ja \\
      libreoffice-help-zh-cn libreoffice-help-hi gimp-help-en debian-handbook linux-doc-6.1
OUT gets en.txt, de.txt and so on; code.txt, with its indents, is what linux-doc has of device trees. A line that was
there before is left out: repeated text would be found in every cache; so is, of Russian, Japanese, Chinese and Hindi,
a line that is ASCII for the most part: pages that nobody has translated yet (of Hindi little remains). --documents
writes documents of about 4 KB, a JSON text a line; several files that are too short are read again from the start."""
import argparse
import gzip
import html
import itertools
import json
import pathlib
import re
import subprocess
import sys
import tarfile

DOCUMENT = 4096
SHORTEST = 20
OTHER_SCRIPTS = {"ru", "ja", "zh", "hi"}
HTML = r"\.x?html$"
GUIDES = r"/Documentation/(?!translations/|devicetree/bindings/).*\.(rst|txt)(\.gz)?$"
CODE = r"/Documentation/devicetree/bindings/.*\.(yaml|txt)(\.gz)?$"
HANDBOOK = "/html/{}/.*" + HTML
SOURCES = {
    "en": [("libreoffice-help-en-us", HTML), ("gimp-help-en", HTML), ("debian-handbook", HANDBOOK.format("en-US")),
           ("linux-doc-[0-9]*", GUIDES)],
    "de": [("libreoffice-help-de", HTML), ("debian-handbook", HANDBOOK.format("de-DE"))],
    "ru": [("libreoffice-help-ru", HTML), ("debian-handbook", HANDBOOK.format("ru-RU"))],
    "ja": [("libreoffice-help-ja", HTML), ("debian-handbook", HANDBOOK.format("ja-JP"))],
    "zh": [("libreoffice-help-zh-cn", HTML), ("debian-handbook", HANDBOOK.format("zh-CN"))],
    "hi": [("libreoffice-help-hi", HTML)],
    "code": [("linux-doc-[0-9]*", CODE)],
}
MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.S)


def package_file(folder, name):
    found = sorted(folder.glob(name + "_*.deb"))
    if len(found) != 1:
        raise SystemExit(f"{folder} has {len(found)} files {name}_*.deb, one is needed; --help says how to get it")
    return found[0]


def files_of(package, pattern):
    """Texts of the files in a package whose path fits."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                if member.isfile() and re.search(pattern, member.name):
                    data = archive.extractfile(member).read()
                    data = gzip.decompress(data) if member.name.endswith(".gz") else data
                    yield member.name, data.decode("utf-8", "ignore")
        process.stdout.read()
    if process.returncode:
        raise SystemExit(f"dpkg-deb cannot read {package}")


def fits(line, language):
    if language in OTHER_SCRIPTS and 4 * len(line.encode("ascii", "ignore")) > 3 * len(line):
        return False
    return len(line.encode()) >= SHORTEST


def lines_of(language, folder):
    seen = set()
    for package, pattern in SOURCES[language]:
        for name, text in files_of(package_file(folder, package), pattern):
            if re.search(HTML, name):
                text = html.unescape(MARKUP.sub(" ", text))
            for line in text.splitlines():
                line = line.replace("\0", "")
                line = line.rstrip() if pattern == CODE else " ".join(line.split())
                if line not in seen and fits(line, language):
                    seen.add(line)
                    yield line


def build(packages, out):
    out.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        target = out / f"{name}.txt"
        if target.exists():
            continue
        part = target.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="\n") as file:
            size = sum(file.write(line + "\n") for line in lines_of(name, packages))
        if size < 1e5:
            raise SystemExit(f"{name}.txt would have {size} characters only; its packages are laid out otherwise now")
        part.rename(target)
        print(f"{name}.txt: {target.stat().st_size / 1e6:.1f} MB", file=sys.stderr, flush=True)


def lines_in(paths):
    for path in paths:
        with path.open(encoding="utf-8", newline="\n") as lines:
            yield from lines


def documents(lines, most_bytes):
    current, size, total = [], 0, 0
    for line in lines:
        current.append(line)
        size += len(line.encode())
        if size < DOCUMENT and total + size < most_bytes:
            continue
        yield "".join(current)
        total, current, size = total + size, [], 0
        if total >= most_bytes:
            return
    if current:
        yield "".join(current)


def write_documents(paths, most_bytes, target):
    """Gives the bytes of text that were written."""
    lines = lines_in(paths)
    if len(paths) > 1:
        lines = itertools.chain.from_iterable(lines_in(paths) for _ in itertools.count())
    size = 0
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for text in documents(lines, most_bytes):
            file.write(json.dumps(text, ensure_ascii=False) + "\n")
            size += len(text.encode())
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=pathlib.Path, nargs="?")
    parser.add_argument("out", type=pathlib.Path, nargs="?")
    parser.add_argument("--documents", type=pathlib.Path, nargs="+")
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--to", type=pathlib.Path)
    args = parser.parse_args()
    if args.documents and args.to:
        print(write_documents(args.documents, args.megabytes * 1e6, args.to))
    elif args.packages and args.out:
        build(args.packages, args.out)
    else:
        parser.error("give PACKAGES and OUT, or --documents and --to")


if __name__ == "__main__":
    main()
