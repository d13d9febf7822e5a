#!/usr/bin/env python3
"""Training steps of a BERT-like masked language model: `xp run` beside peers in the same run, as ratios.

usage: mlm_step.py --xp build/release/bin/xp --peer-python ENV/bin/python --peers DIR [--size mini|base] [--rounds 5]

ENV has torch and transformers (see the peers' requirements.txt), DIR holds mlm_step/hf_trainer.py and expert.py. One
thread, 16 texts of 128 tokens, vocabulary 30522, 15 % masked, dropout 0.1. Runs are interleaved; a round's ratio is
of its own runs. All times are CPU time per step after warm-up: peers print it, of xp it is what more steps add to a run."""
import argparse
import ctypes.util
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

SIZES = {"mini": dict(layers=4, width=256, heads=4, ffn=1024), "base": dict(layers=12, width=768, heads=12, ffn=3072)}
STEPS = {"mini": (4, 24), "base": (2, 4)}  # warm-up, measured
OWN_STEPS = {"mini": (4, 64), "base": (2, 8)}  # more, for the start of the program is taken off and varies
VOCAB, BATCH, LENGTH = 30522, 16, 128

RECIPE = """
recipe    = 1
name      = "mlm_step"
precision = "{precision}"
threads   = 1
seeds     = 1
[dataset.words]
type  = "text"
files = ["words.txt"]
split = {{ dev = 0.0, test = 0.0 }}
[stage.tokens]
type   = "train_tokenizer"
method = {{ type = "wordpiece", vocab_size = {vocab}, min_count = 1 }}
corpus = "words"
[stage.pretrain]
type      = "train"
model     = {{ type = "transformer", kind = "encoder", layers = {layers}, width = {width}, heads = {heads}, ffn = {ffn}, max_time = {length}, dropout = 0.1, attention_dropout = 0.1 }}
tokenizer = "tokens"
data      = "words"
objective = {{ type = "mlm" }}
optimizer = {{ type = "adamw", lr = 1e-4, weight_decay = 0.01 }}
batch     = {{ items = {batch} }}
stop      = "{steps} steps"
[arm.one]
[[table]]
id = "main"
columns = ["pretrain.loss.final"]
"""


def words_text(documents, seed=0):
    """Texts that fill a row, of words with Zipf's law; each word of the vocabulary occurs at least once."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choice(letters) for _ in range(rng.randint(3, 8))) for _ in range(VOCAB - 200)]
    weights = [1 / (n + 10) for n in range(len(words))]
    out = []
    for start in range(0, len(words), LENGTH):
        out.append(" ".join(words[start:start + LENGTH]))
    for _ in range(documents):
        out.append(" ".join(rng.choices(words, weights, k=LENGTH)))
    return "\n\n".join(out) + "\n"


class Ours:
    def __init__(self, xp, size, precision, folder):
        self.xp, self.folder = xp, pathlib.Path(folder)
        self.warm, self.steps = OWN_STEPS[size]
        (self.folder / "xp.toml").write_text("")
        (self.folder / "words.txt").write_text(words_text(1200))
        (self.folder / "step.toml").write_text(
            RECIPE.format(precision=precision, vocab=VOCAB, batch=BATCH, length=LENGTH, steps=self.warm, **SIZES[size]))

    def run(self, number):
        """CPU time per step: what more steps cost beside a run of the warm-up alone. Another seed each time, so that
        nothing of the training is cached."""
        short, _ = self.cpu_seconds(number, self.warm)
        long, memory = self.cpu_seconds(number, self.warm + self.steps)
        return {"ms": 1e3 * (long - short) / self.steps, "mib": memory / 2**20}

    def cpu_seconds(self, number, steps):
        import h5py  # the result file is read as any user would
        before = os.times()
        done = subprocess.run([self.xp, "run", "step.toml", "--set", f"seeds=[{number}]", "--set",
                               f"stage.pretrain.stop={steps} steps", "--checkpoint-every", "1 h", "-q"],
                              cwd=self.folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        after = os.times()
        if done.returncode:
            raise SystemExit(done.stderr)
        with h5py.File(re.search(r"^result (.*)$", done.stderr, re.M).group(1)) as result:
            memory = result[f"one/{number}/pretrain/curves/loss/memory"][-1]
        return after.children_user + after.children_system - before.children_user - before.children_system, memory


def jemalloc():
    """What an expert's loop is started with: an allocator that keeps its pages. Nothing where it is not installed."""
    library = ctypes.util.find_library("jemalloc")
    if library is None:
        return {}
    return {"LD_PRELOAD": library, "THP_MEM_ALLOC_ENABLE": "1", "MALLOC_CONF":
            "oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1,metadata_thp:auto,thp:always"}


def peer(python, peers, script, size, more, settings):
    warm, steps = STEPS[size]
    folder = pathlib.Path(peers) / "mlm_step"
    done = subprocess.run([python, script, "--size", size, "--steps", str(steps), "--warm", str(warm), "--threads", "1",
                           *more], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1", **settings})
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    seen = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    return {"ms": seen["cpu_ms_median"], "mib": seen["peak_rss_mib"]}


def best_precision():
    """Without instructions for it, bfloat16 is computed by way of float32 and many times slower."""
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xp", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default=best_precision(),
                        help="of xp and the expert; default: bfloat16 where the processor has it (here %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    peers = {"Trainer": ("hf_trainer.py", [], {}),
             "expert": ("expert.py", ["--compile"] + (["--fp32"] if args.precision == "float32" else []), jemalloc())}
    if not jemalloc():
        print("libjemalloc.so.2 is not there, the expert goes without", file=sys.stderr)
    if args.precision == "float32" and best_precision() == "float32":
        print("this processor has no instructions for bfloat16: xp and the expert compute in float32, where the time of the same "
              "matrix products bounds every ratio", file=sys.stderr)
    rounds = []
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as folder:
        ours = Ours(args.xp, args.size, args.precision, folder)
        ours.cpu_seconds(args.rounds, 1)  # makes the tokenizer, which the rounds share
        for number in range(args.rounds):
            seen = {"xp": ours.run(number)}
            for name, (script, more, settings) in peers.items():
                seen[name] = peer(args.peer_python, args.peers, script, args.size, more, settings)
            rounds.append(seen)
            print("round", number, {name: f"{one['ms']:.0f} ms, {one['mib']:.0f} MiB" for name, one in seen.items()},
                  file=sys.stderr, flush=True)
    for name in peers:
        ratios = sorted(one[name]["ms"] / one["xp"]["ms"] for one in rounds)
        memory = statistics.median(one["xp"]["mib"] / one[name]["mib"] for one in rounds)
        print(f"{args.size}, {args.precision}: xp is {statistics.median(ratios):.2f} x {name} ({ratios[0]:.2f} to {ratios[-1]:.2f}, "
              f"{len(ratios)} rounds), peak memory {memory:.2f} of it")


if __name__ == "__main__":
    main()
