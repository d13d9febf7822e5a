#!/usr/bin/env python3
"""Searches LibreOffice's help with MiniLM through a recipe and compares the measures with transformers' on the same data.

usage: PYTHON tools/parity/real_retrieval.py PACKAGES BUILD HELP     (PYTHON has transformers==5.23.0, torch==2.13.0)

PACKAGES is a folder that tools/parity/packages.py filled, BUILD a build folder with the program and its plugins done, HELP the
unpacked folder usr/share/libreoffice/help of the Debian package libreoffice-help-en-us 4:7.4.7.
Queries: the distinct texts of en-US/bookmarks.js in the order of their characters, of which random.Random(0) draws 500.
Documents: the 1,521 pages that the index points to; their headings and paragraphs (elements with an id) joined by
blanks. Both are cut to 128 tokens, averaged over tokens and compared by cosine.
Exit: 0 MRR@10 is 0.544 to 0.005 and the same as transformers' to 0.001, 1 it is not."""
import html
import json
import os
import pathlib
import random
import re
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from real_outputs import Verdicts, place, program

QUERIES, TIME, EXPECTED, NEAR = 500, 128, 0.544, 0.005  # the sources page says neither which queries nor what of a page is read
RECIPE = """recipe = 1
name = "help_search"

[dataset.help]
type = "labelled_text"
files = ["pairs.jsonl"]
text_b = "page"
label = "relevant"
split_column = "split"
language = "en"

[stage.search]
type = "evaluate"
model = "hf:%s"
with = [{ type = "retrieval", data = "help:test", score = "label", max_time = %d }]
"""
COLUMNS = ["search.retrieval.mrr@10", "search.retrieval.recall@10"]


def text_of(markup):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", markup))).strip()


def page_text(file):
    page = file.read_text(encoding="utf-8")
    page = page[page.index('id="DisplayArea"') :]
    parts = re.findall(r'<(?:p|h\d|td)[^>]* id="[^"]*"[^>]*>(.*?)</(?:p|h\d|td)>', page, re.S)
    return " ".join(filter(None, map(text_of, parts)))


def collection(folder):
    """Query -> places of pages, and the texts of the pages."""
    index = (folder / "en-US" / "bookmarks.js").read_text(encoding="utf-8")
    pages = {}
    for url, text in re.findall(r'\{url:"([^"?#]*)[^"]*", app:"[^"]*", text:"((?:[^"\\]|\\.)*)"\}', index):
        pages.setdefault(html.unescape(json.loads(f'"{text}"')), set()).add(url)
    urls = sorted({url for found in pages.values() for url in found})
    documents, at = [], {}
    for url in urls:
        documents.append(page_text(folder / url))
        at[url] = documents.index(documents[-1])  # pages of one text are one document
    drawn = random.Random(0).sample(sorted(pages), QUERIES)
    print(f"{len(pages)} queries, {sum(map(len, pages.values()))} judgements, {len(urls)} pages of {len(set(documents))} texts")
    return {query: {at[url] for url in pages[query]} for query in drawn}, documents


def write_pairs(file, queries, documents):
    lines = [{"text": query, "page": documents[i], "relevant": "1", "split": "test"} for query, found in queries.items() for i in sorted(found)]
    known = {line["page"] for line in lines}
    first = next(iter(queries))
    for text in dict.fromkeys(documents):
        if text not in known:
            lines.append({"text": first, "page": text, "relevant": "0", "split": "test"})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def measured_here(build, model, queries, documents):
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "xp.toml").write_text("")
        (folder / "help_search.toml").write_text(RECIPE % (model, TIME))
        write_pairs(folder / "pairs.jsonl", queries, documents)
        program(build, "run", folder / "help_search.toml", "--results", folder / "results")
        said = program(build, "table", "help_search", "--results", folder / "results", "--json", "--columns", *COLUMNS)
        (row,) = json.loads(said)["rows"]
        return [cell["mean"] for cell in row["cells"]]


def vectors(folder, texts):
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    out, order = {}, sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for begin in range(0, len(order), 32):
        some = order[begin : begin + 32]
        x = tokenizer([texts[i] for i in some], padding=True, truncation=True, max_length=TIME, return_tensors="pt")
        mask = x["attention_mask"].unsqueeze(-1)
        pooled = (model(**x).last_hidden_state * mask).sum(1) / mask.sum(1)
        out |= dict(zip(some, torch.nn.functional.normalize(pooled, dim=1)))
    return torch.stack([out[i] for i in range(len(texts))])


def measured_there(model, queries, documents):
    distinct = list(dict.fromkeys(documents))
    place_of = {text: i for i, text in enumerate(distinct)}
    index, asked = vectors(model, distinct), vectors(model, list(queries))
    ranks, recall = [], 0.0
    for found, scores in zip(queries.values(), asked @ index.T):
        right = {place_of[documents[i]] for i in found}
        best = scores.topk(10).indices.tolist()
        recall += len(right.intersection(best)) / len(right)
        ranks.append(next((n + 1 for n, i in enumerate(best) if i in right), 0))
    return sum(1 / rank for rank in ranks if rank) / len(ranks), recall / len(ranks)


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    packages, build, folder = (pathlib.Path(one).resolve() for one in sys.argv[1:])
    torch.set_grad_enabled(False)
    verdicts = Verdicts()
    model = place(packages, "minilm")
    queries, documents = collection(folder)
    here, there = measured_here(build, model, queries, documents), measured_there(model, queries, documents)
    for what, a, b in zip(("MRR@10", "share of right pages in the first ten"), here, there):
        print(f"{what}, {QUERIES} queries: {a:.4f} here, {b:.4f} in transformers")
        verdicts.below(f"{what}, difference", abs(a - b), 0.001)
    verdicts.below(f"MRR@10, difference from {EXPECTED}", abs(here[0] - EXPECTED), NEAR)
    sys.exit(bool(verdicts.wrong))


if __name__ == "__main__":
    main()
