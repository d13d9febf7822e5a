#!/usr/bin/env python3
"""Encoding with and training of tokenizers beside the fastest peers, from texts to tables in one command.

usage: tokenizer_bench.py --packages DIR --folder DIR --program build/release/bin/xp-tokenizer-rate
                          --xp build/release/bin/xp --peer-python ENV/bin/python [--json FILE] [--quick]
       tokenizer_bench.py --readme FILE
       tokenizer_bench.py --show FILE

DIR of --packages has the Debian packages that `tokenizer_texts.py --help` names; texts and tokenizers are made in
--folder, once. ENV has tokenizers, and of tiktoken, sentencepiece, gigatoken, nanotoken, tokie and iree-tokenizer
what is to be compared; what is not there, fails or has no such model is named. `ninja xp-tokenizer-rate` builds the
program.

Tokenizers have 32 000 entries and are trained by `tokenizers` on 10 MB of English, or of Japanese and Chinese:
byte-level BPE with GPT-2's words; WordPiece as of BERT uncased, which has more to do than cased; Unigram with
Metaspace. sentencepiece has models of its own, of the same text. Texts are documents of about 4 KB.

encode   each tokenizer and text: the first pass of a process that just read the tokenizer (cold), the second (warm)
threads  English on one core and on two
sizes    time per byte and memory over 1, 10 and 100 MB of all texts (--gigabyte: 1 GB too), first pass
word     one text, a letter a million times
train    `xp run` of a stage that trains, beside tokenizers, gigatoken and sentencepiece (train_tokenizers.py)

A measurement is a process of its own, pinned to as many cores as it has threads; rounds are interleaved, all peers in
each. Seconds are of the processor where nothing else is said. Ids are compared with Hugging Face's before any number
is shown. --json gets each measurement in a line; --readme makes the section of README.md of such a file alone, --show
all tables, of a run that was cut off too.
Exit: 1 if ids of ours differ, or if what we train depends on the number of threads."""
import argparse
import contextlib
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import tokenizer_tables
import tokenizer_texts
import train_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ["encode", "threads", "sizes", "word", "train"]
OURS, PEER = tokenizer_tables.OURS, tokenizer_tables.PEER
PEERS = [PEER, "HF encode_batch", "tiktoken", "sentencepiece", "gigatoken", "gigatoken, files", "nanotoken",
         "nanotoken, files", "tokie", "iree"]
MODELS = {"tiktoken": ["bpe"], "sentencepiece": ["bpe", "unigram"], "gigatoken": ["bpe"], "gigatoken, files": ["bpe"],
          "nanotoken": ["wordpiece"], "nanotoken, files": ["wordpiece"]}
FAST = [PEER, "gigatoken", "gigatoken, files", "nanotoken", "nanotoken, files", "tokie"]
TRAINERS = {"bpe": ["gigatoken", "sentencepiece bpe"], "wordpiece": [], "unigram": ["sentencepiece unigram"]}
TOKENIZERS = {f"{kind}-{name}": (kind, texts) for name, texts in (("en", ["en"]), ("jazh", ["ja", "zh"]))
              for kind in ("bpe", "wordpiece", "unigram")}
ENGLISH = [name for name in TOKENIZERS if name.endswith("-en")]
TEXTS = list(tokenizer_texts.SOURCES)
LETTERS = 1_000_000


class Failed(Exception):
    pass


def call(command, threads, limit):
    """What a command that is pinned to so many cores printed as JSON."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "true"}
    for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[name] = str(threads)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=said,
                                   env=environment, preexec_fn=lambda: os.sched_setaffinity(0, cores))
        late = threading.Event()
        timer = threading.Timer(limit, lambda: (late.set(), process.kill()))
        timer.start()
        out = process.communicate()[0]
        timer.cancel()
        if late.is_set():
            raise Failed(f"not done after {limit} s")
        if process.returncode:
            said.seek(0)
            lines = said.read().strip().splitlines() or [f"ended with {process.returncode}"]
            raise Failed(lines[-1][:200])
    return json.loads(out.splitlines()[-1])  # some packages print as they go


class Bench:
    def __init__(self, args):
        self.args, self.records, self.sound = args, [], True
        self.file = open(args.json, "w", encoding="utf-8") if args.json else None
        self.made = args.folder / f"{args.training_megabytes:g}-{args.entries}"
        self.made.mkdir(parents=True, exist_ok=True)
        versions = self.peer("versions")
        self.missing = {name for name, package in self.packages().items() if versions.get(package) is None}
        self.record(part="machine", cpu=tokenizer_tables.processor(), cores=len(os.sched_getaffinity(0)),
                    quick=args.quick, entries=args.entries, versions=versions)
        for name in sorted(self.missing & set(args.peers)):
            self.remark(name, "", "is not installed")
        for name, kinds in MODELS.items():
            if name in args.peers and name not in self.missing:
                self.remark(name, "", f"has {' and '.join(kinds)} only")

    @staticmethod
    def packages():
        other = {"HF": "tokenizers", "iree": "iree-tokenizer"}
        return {name: other.get(name.split()[0], name.split(",")[0]) for name in PEERS}

    def record(self, **fields):
        self.records.append(fields)
        if self.file:
            self.file.write(json.dumps(fields) + "\n")
            self.file.flush()

    def remark(self, who, where, what):
        self.record(part="remark", peer=who, where=where, text=what)
        print(f"{who}{', ' + where if where else ''}: {what}", file=sys.stderr, flush=True)

    def peer(self, *words, threads=1, limit=None):
        return call([self.args.peer_python, HERE / "tokenizer_peers.py", *words], threads, limit or 3600)

    def ours(self, tokenizer, texts, passes, threads):
        target = self.args.folder / "ours.ids"
        limit = self.args.limit
        out = call([self.args.program, tokenizer, texts, target, "ids", passes, threads], threads, limit)
        digest = hashlib.sha256()
        with target.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        target.unlink()
        return out | {"ids": digest.hexdigest()[:16]}

    def tokenizer(self, name):
        """Path of the file; made if it is not there."""
        kind, languages = TOKENIZERS[name]
        path = self.made / f"{name}.json"
        text = self.made / f"{'-'.join(languages)}.txt"
        if not text.exists():
            most = self.args.training_megabytes * 1e6 / len(languages)
            with text.open("w", encoding="utf-8", newline="\n") as file:
                for language in languages:
                    file.writelines(tokenizer_texts.documents(tokenizer_texts.lines_in([self.text(language)]), most))
        wanted = [(path, kind)]
        if kind in MODELS["sentencepiece"] and "sentencepiece" not in self.missing:
            wanted.append((path.with_suffix(".model"), "sentencepiece " + kind))
        for target, maker in wanted:
            if not target.exists():
                print(f"makes {target.name}", file=sys.stderr, flush=True)
                try:
                    self.peer("make", maker, text, target, self.args.entries)
                except Failed as failure:
                    if maker == kind:
                        raise
                    self.remark("sentencepiece", f"model of {name}", str(failure))
        return path

    def text(self, language):
        return self.args.folder / "texts" / f"{language}.txt"

    def documents(self, languages, megabytes):
        """Path of the documents and their size in megabytes."""
        target = self.args.folder / "documents.jsonl"
        size = tokenizer_texts.write_documents([self.text(one) for one in languages], megabytes * 1e6, target)
        return target, size / 1e6

    def suited(self, among, kind):
        return [name for name in among if name in self.args.peers and name not in self.missing
                and kind in MODELS.get(name, [kind])]

    def measure(self, peers, passes, threads, rounds, texts, size, **where):
        """Rounds of us and the peers, with each number of `threads`. Peers that fail are left out from there on."""
        path = self.tokenizer(where["tokenizer"])
        shown = " ".join(str(one) for one in where.values())
        everyone = [OURS, *peers]
        for number in range(rounds):
            for name, count in [(name, count) for name in everyone for count in threads]:
                if name not in everyone or (name == PEER and number and size > 50):
                    continue
                try:
                    result = self.ours(path, texts, passes, count) if name == OURS else \
                        self.peer("encode", name, path, texts, passes, count, threads=count, limit=self.args.limit)
                except Failed as failure:
                    if name == OURS:
                        self.sound = False
                    self.remark(name, shown, str(failure))
                    everyone.remove(name)
                    continue
                self.record(**where, peer=name, round=number, threads=count, megabytes=size, **result)
                rates = " ".join(f"{size / one:.1f}" for one in result["cpu"])
                print(f"{shown} {name} {count} threads, round {number}: {rates} MB/s", file=sys.stderr, flush=True)
        self.compare(shown, where)

    def compare(self, shown, where):
        rows = tokenizer_tables.select(self.records, **where)
        right = {row["ids"] for row in rows if row["peer"] == PEER}
        if not right:
            return self.remark(OURS, shown, "ids were not compared, there are none of " + PEER)
        for name in dict.fromkeys(row["peer"] for row in rows):
            if {row["ids"] for row in rows if row["peer"] == name} != right and name != "sentencepiece":
                self.remark(name, shown, "ids differ from Hugging Face's")
                self.sound &= name != OURS

    def encode(self):
        for name, (kind, languages) in TOKENIZERS.items():
            suited = TEXTS if name in ENGLISH else languages
            for language in self.args.texts:
                if name in self.args.tokenizers and language in suited:
                    texts, size = self.documents([language], self.args.megabytes)
                    self.measure(self.suited(PEERS, kind), 2, [1], self.args.rounds, texts, size, part="encode",
                                 tokenizer=name, text=language)

    def threads(self):
        if len(os.sched_getaffinity(0)) < 2:
            return self.remark(OURS, "threads", "there is one core only")
        for name in self.english():
            texts, size = self.documents(["en"], 4 * self.args.megabytes)
            self.measure(self.suited(FAST, TOKENIZERS[name][0]), 2, [1, 2], self.args.rounds, texts, size,
                         part="threads", tokenizer=name)

    def sizes(self):
        for name in self.english():
            for megabytes in self.args.sizes:
                texts, size = self.documents(TEXTS, megabytes)
                peers = [one for one in self.suited(FAST, TOKENIZERS[name][0]) if one != PEER or megabytes <= 100]
                self.measure(peers, 1, [1], min(3, self.args.rounds), texts, size, part="sizes", tokenizer=name,
                             asked=megabytes)

    def word(self):
        texts = self.args.folder / "word.txt"
        texts.write_text("a" * LETTERS, encoding="ascii")
        for name in self.english():
            self.measure(self.suited(PEERS, TOKENIZERS[name][0]), 1, [1], min(3, self.args.rounds), texts,
                         LETTERS / 1e6, part="word", tokenizer=name)

    def english(self):
        return [name for name in ENGLISH if name in self.args.tokenizers]

    def train(self):
        kinds = [name.split("-")[0] for name in self.english()]
        threads = [count for count in (1, 2) if count <= len(os.sched_getaffinity(0))]
        with tempfile.TemporaryDirectory(dir=self.args.folder) as name:
            folder = pathlib.Path(name)
            (folder / "xp.toml").write_text("")
            words = train_tokenizers.part_of(self.text("en"), 2 * self.args.training_megabytes)
            (folder / "words.txt").write_text(words, encoding="utf-8")
            size = len(words.encode()) / 1e6
            del words
            for kind in kinds:
                outputs = set()
                for number in range(min(3, self.args.rounds)):
                    for count in threads:
                        outputs |= self.train_once(kind, count, number, size, folder)
                if len(outputs) > 1:
                    self.sound = False
                    self.remark(OURS, f"train {kind}", "the file depends on the number of threads")

    def train_once(self, kind, threads, number, size, folder):
        """All trainers once; gives the hash of our file."""
        where = {"part": "train", "kind": kind, "threads": threads, "round": number, "megabytes": size}
        begin = f"train {kind} {threads} threads, round {number}:"
        show = lambda name, one: print(begin, f"{name} {one['cpu']:.2f} CPU s", file=sys.stderr, flush=True)
        entries = self.args.entries
        used, ours = train_tokenizers.train_ours(self.args.xp, kind, entries, threads, folder, number)
        output = hashlib.sha256(ours.read_bytes()).hexdigest()[:16]
        self.record(**where, peer=OURS, ids=output, **used)
        show(OURS, used)
        used, theirs = train_tokenizers.train_peer(self.args.peer_python, kind, entries, threads, folder)
        self.record(**where, peer="HF", **used)
        show("HF", used)
        for name in TRAINERS[kind]:
            if name.split()[0] in self.missing:
                continue
            try:
                used = self.peer("train", name, folder / "words.txt", folder / "peer.json", entries, threads,
                                 threads=threads)
            except Failed as failure:
                self.remark(name, f"train {kind}", str(failure))
                continue
            self.record(**where, peer=name, **used)
            show(name, used)
        if number == 0 and threads == 1:
            self.compare_trained(kind, ours, theirs, folder)
        return {output}

    def compare_trained(self, kind, ours, theirs, folder):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            if kind == "bpe":
                train_tokenizers.compare_merges(ours, theirs)
            if kind == "unigram":
                sample = folder / "sample.txt"
                sample.write_text(train_tokenizers.part_of(folder / "words.txt", 1), encoding="utf-8")
                train_tokenizers.compare_likelihood(self.args.peer_python, {"xp": ours, "tokenizers": theirs}, sample)
        for line in said.getvalue().splitlines():
            self.remark("train", kind, line)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole = lambda path: pathlib.Path(path).resolve()
    parser.add_argument("--packages", type=whole)
    parser.add_argument("--folder", type=whole)
    parser.add_argument("--program", type=whole, help="xp-tokenizer-rate")
    parser.add_argument("--xp", type=whole, help="for train")
    parser.add_argument("--peer-python")
    parser.add_argument("--json", type=whole, help="gets the measurements")
    parser.add_argument("--readme", type=whole, metavar="FILE", help="writes the section of README.md")
    parser.add_argument("--show", type=whole, metavar="FILE", help="prints the tables")
    parser.add_argument("--into", type=whole, default=HERE.parents[1] / "README.md", help="instead of README.md")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--tokenizers", nargs="+", choices=list(TOKENIZERS), default=list(TOKENIZERS))
    parser.add_argument("--texts", nargs="+", choices=TEXTS, default=TEXTS)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, help=f"with {PEER} always")
    parser.add_argument("--rounds", type=int, default=5, help="of sizes, word and train at most 3")
    parser.add_argument("--megabytes", type=float, default=5, help="of a text; threads takes four times that")
    parser.add_argument("--training-megabytes", type=float, default=10, help="train takes twice that")
    parser.add_argument("--entries", type=int, default=32000)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 10, 100])
    parser.add_argument("--gigabyte", action="store_true", help="one more size, without Hugging Face")
    parser.add_argument("--limit", type=float, default=600, help="seconds for one measurement")
    parser.add_argument("--quick", action="store_true", help="to see that all works: small texts, 2 rounds")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.megabytes, args.training_megabytes, args.entries, args.sizes = 2, 0.3, 1, 8000, [1, 2]
        args.limit = min(args.limit, 60)
    if args.gigabyte:
        args.sizes.append(1000)
    if not args.readme and not args.show:
        needed = ["packages", "folder", "program", "peer_python"] + (["xp"] if "train" in args.only else [])
        for name in needed:
            if not getattr(args, name):
                parser.error(f"--{name.replace('_', '-')} is needed")
    args.peers = list(dict.fromkeys([PEER, *args.peers]))
    return args


def main():
    args = arguments()
    if args.readme:
        return tokenizer_tables.write_section(args.readme, args.into)
    if args.show:
        return print(tokenizer_tables.everything(tokenizer_tables.load(args.show)))
    subprocess.run([sys.executable, "-B", HERE / "tokenizer_texts.py", args.packages, args.folder / "texts"],
                   check=True)
    try:
        bench = Bench(args)
        for part in PARTS:
            if part in args.only:
                getattr(bench, part)()
    except Failed as failure:
        raise SystemExit(str(failure)) from failure
    print(tokenizer_tables.everything(bench.records))
    return 0 if bench.sound else 1


if __name__ == "__main__":
    sys.exit(main())
