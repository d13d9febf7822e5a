#!/usr/bin/env python3
"""Training of tokenizers: `xp run` of one train_tokenizer stage beside the package `tokenizers`, as ratios.

usage: train_tokenizers.py --xp build/release/bin/xp --peer-python ENV/bin/python --text FILE [--kinds bpe wordpiece unigram]
                           [--megabytes 20] [--vocab 32000] [--threads 1 2] [--rounds 5]

ENV has tokenizers. FILE is UTF-8 text, a paragraph a line; the same part of it is given to both. Runs are interleaved
and pinned to as many processors as threads; a round's ratio is of its own runs. Of xp everything counts: its start,
reading, and encoding the whole text once more for the metric bytes_per_token, which the peer does not do; of the peer
training alone counts for time. At the end both vocabularies are compared: merges of bpe, bits per byte of unigram."""
import argparse
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

KINDS = ["bpe", "wordpiece", "unigram"]
DOCUMENT_BYTES = 4000
SETTINGS = {"bpe": "", "wordpiece": ", lowercase = true",
            "unigram": ", split_kinds = false, character_coverage = 1.0"}  # the peer's rules
RECIPE = """
recipe  = 1
name    = "{kind}"
threads = {threads}
seeds   = 1
[dataset.words]
type  = "text"
files = ["words.txt"]
split = {{ dev = 0.0, test = 0.0 }}
[stage.tokens]
type   = "train_tokenizer"
method = {{ type = "{kind}", vocab_size = {vocab}, threads = {threads}{more} }}
corpus = "words"
[arm.one]
[[table]]
id = "main"
columns = ["tokens.bytes_per_token"]
"""


def part_of(text, megabytes):
    """Lines up to so many megabytes; an empty line ends a document."""
    out, size, document = [], 0, 0
    with open(text, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            line = line.strip()
            if not line or line.startswith("::"):
                continue
            out.append(line)
            size += len(line.encode()) + 1
            document += len(line)
            if document >= DOCUMENT_BYTES:
                out.append("")
                document = 0
            if size >= megabytes * 1e6:
                break
    if not out:
        raise SystemExit(f"{text} has no text; give --text a file with a paragraph a line")
    return "\n".join(out) + "\n"


def finish(process):
    """CPU seconds and peak memory of a child; ends the program if it failed."""
    out, err = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{process.args[0]} ended with {process.returncode}\n{err[-2000:]}")
    return out, {"cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024}


def start(command, threads, folder):
    processors = sorted(os.sched_getaffinity(0))[:threads]
    return subprocess.Popen([str(part) for part in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, preexec_fn=lambda: os.sched_setaffinity(0, processors),
                            env={**os.environ, "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"})


def train_ours(xp, kind, vocab, threads, folder, number):
    results = folder / f"results-{kind}-{threads}-{number}"
    (folder / "train.toml").write_text(RECIPE.format(kind=kind, vocab=vocab, threads=threads, more=SETTINGS[kind]))
    before = time.perf_counter()
    _, used = finish(start([xp, "run", "train.toml", "--results", results, "-q"], threads, folder))
    used["wall"] = time.perf_counter() - before
    return used, next(results.glob("cache/*/tokenizer/tokenizer.json"))


def train_peer(python, kind, vocab, threads, folder):
    out, used = finish(start([python, os.path.abspath(__file__), "--be-peer", kind, "--vocab", vocab, "--text", "words.txt"],
                             threads, folder))
    return {**used, **json.loads(out)}, folder / f"peer-{kind}.json"


def be_peer(kind, text, vocab):
    """Trains with the package; prints times without imports and writing."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=vocab, min_frequency=2, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    elif kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=vocab, min_frequency=2, show_progress=False,
                                            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    else:
        tokenizer = Tokenizer(models.Unigram())
        spaces = normalizers.Replace(" +", " ")
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), spaces])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=vocab, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    cpu, wall = time.process_time(), time.perf_counter()
    tokenizer.train([text], trainer)
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))
    tokenizer.save(f"peer-{kind}.json")


def compare_merges(ours, peer):
    ours, peer = ([tuple(one) for one in json.loads(path.read_text())["model"]["merges"]] for path in (ours, peer))
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ours, peer)))
    print(f"bpe: the first {same} of {len(ours)} and {len(peer)} merges are equal, {len(set(ours) & set(peer))} are common")


def bits_per_byte(path, text):
    """Best cuts by the model's own probabilities, scaled to a sum of 1; an unknown character costs 10 nats more than
    the rarest piece, as in the package."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(path))
    model = json.loads(path.read_text())["model"]
    scores = [score for _, score in model["vocab"]]
    reserved = {one["id"] for one in json.loads(path.read_text())["added_tokens"]}
    pieces = [score for i, score in enumerate(scores) if i not in reserved]
    scale = math.log(sum(math.exp(score) for score in pieces))
    nats = tokens = unknown = size = 0
    for line in text.splitlines():
        size += len(line.encode())
        ids = tokenizer.encode(line, add_special_tokens=False).ids
        tokens += len(ids)
        unknown += sum(i == model["unk_id"] for i in ids)
        nats -= sum(min(pieces) - 10 if i == model["unk_id"] else scores[i] - scale for i in ids)
    return {"bits_per_byte": nats / math.log(2) / size, "bytes_per_token": size / tokens, "unknown": unknown}


def compare_likelihood(python, paths, text):
    for name, path in paths.items():
        done = subprocess.run([python, os.path.abspath(__file__), "--be-judge", path, "--text", text], check=True,
                              capture_output=True, text=True)
        print(f"unigram, {name}:", ", ".join(f"{key} {value:.4g}" for key, value in json.loads(done.stdout).items()))


def measure(args, kind, threads, folder):
    rounds = []
    for number in range(args.rounds):
        ours, path = train_ours(args.xp, kind, args.vocab, threads, folder, number)
        peer, peer_path = train_peer(args.peer_python, kind, args.vocab, threads, folder)
        rounds.append((ours, peer))
        print(f"{kind}, {threads} threads, round {number}:",
              *(f"{name} {one['cpu']:.2f} CPU s, {one['wall']:.2f} s, {one['mib']:.0f} MiB;"
                for name, one in (("xp", ours), ("tokenizers", peer))), file=sys.stderr, flush=True)
    shown = []
    for what, name in (("cpu", "CPU time"), ("wall", "time"), ("mib", "peak memory")):
        ratios = sorted(ours[what] / peer[what] for ours, peer in rounds)
        shown.append(f"{name} {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"{kind}, {threads} threads: xp takes of tokenizers' " + ", ".join(shown) + f", {len(rounds)} rounds", flush=True)
    return path, peer_path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xp", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--peer-python")
    parser.add_argument("--text", required=True)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--vocab", type=int, default=32000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--be-peer", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--be-judge", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.be_peer:
        return be_peer(args.be_peer, args.text, args.vocab)
    if args.be_judge:
        return print(json.dumps(bits_per_byte(args.be_judge, pathlib.Path(args.text).read_text(encoding="utf-8"))))
    if not args.xp or not args.peer_python:
        parser.error("--xp and --peer-python are needed")
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "xp.toml").write_text("")
        (folder / "words.txt").write_text(part_of(args.text, args.megabytes), encoding="utf-8")
        for kind in args.kinds:
            for threads in args.threads:
                ours, peer = measure(args, kind, threads, folder)
            if kind == "bpe":
                compare_merges(ours, peer)
            if kind == "unigram":
                (folder / "sample.txt").write_text(part_of(folder / "words.txt", 1), encoding="utf-8")
                compare_likelihood(args.peer_python, {"xp": ours, "tokenizers": peer}, folder / "sample.txt")


if __name__ == "__main__":
    main()
