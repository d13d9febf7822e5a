#!/usr/bin/env python3
"""Sentence embedding and scoring of answers: `xp run` beside plain and tuned `transformers` in the same run, as ratios.

usage: PYTHON tools/bench/inference.py --xp build/release/bin/xp --minilm DIR --text FILE [--threads 1] [--rounds 5]
           [--precision bfloat16]
       (PYTHON has transformers, torch, tokenizers, h5py)

`embed`: lines of FILE through MiniLM-L6 in DIR, means over tokens at unit length, seen as cosines of pairs (evaluator
`similarity`). `score`: log-likelihoods of answers of 2 to 15 tokens after 32 to 127 tokens under a random GPT-2 of 6
layers, width 384 and 50257 words (evaluator `target_loss`); `choose`: the same with four answers to each context.
Numbers must be equal to 1e-5 before anything is timed. With bfloat16, for processors that multiply it, xp and the
expert's setting compute in it and their numbers must be within 0.05; plain stays float32. Tokenization counts on both
sides. Of xp the time is what more
texts cost beside a run of few, so that the start and loading the model do not count; of the peers it is the second
pass over the same texts. With one thread times are CPU seconds, else wall seconds. Runs are interleaved; a round's
ratio is of its own runs."""
import argparse
import copy
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="true")
RECIPE = """
recipe    = 1
name      = "inference"
precision = "{precision}"
threads   = {threads}
seeds     = 1
[dataset.texts]
type  = "labelled_text"
files = ["texts.tsv"]
label = "label"
text_b = "text_b"
id = "id"
group = "id"
split = {{ dev = 0.0, test = 0.0 }}
[stage.measure]
type  = "evaluate"
model = "hf:model"
with  = [{{ type = "{evaluator}", data = "texts:train"{more} }}]
[arm.one]
[[table]]
id = "main"
columns = ["measure.{evaluator}.{metric}"]
"""
TIME = 256  # tokens of a text that are embedded
VOCAB = 50257


class Ours:
    """Evaluations of a model directory over pairs of texts, each in a project of its own."""

    def __init__(self, args, folder, model, evaluator, metric, items, more=""):
        self.args, self.folder, self.items, self.evaluator = args, folder, items, evaluator
        folder.mkdir()
        (folder / "xp.toml").write_text("")
        (folder / "model").symlink_to(model)
        (folder / "inference.toml").write_text(
            RECIPE.format(threads=args.threads, precision=args.precision, evaluator=evaluator, metric=metric, more=more))

    def run(self, pairs):
        """Seconds, and the item of each pair."""
        import h5py  # the result file is read as any user would
        lines = [f"{i}\t{a}\t{b}\t{i % 7}" for i, (a, b) in enumerate(pairs)]
        (self.folder / "texts.tsv").write_text("id\ttext\ttext_b\tlabel\n" + "\n".join(lines) + "\n")
        before, start = os.times(), time.perf_counter()
        done = subprocess.run([self.args.xp, "run", "inference.toml", "-q", "--results", "results"], cwd=self.folder,
                              capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": str(self.args.threads)})
        wall, after = time.perf_counter() - start, os.times()
        if done.returncode:
            raise SystemExit(done.stderr)
        with h5py.File(self.folder / re.search(r"^result (.*)$", done.stderr, re.M).group(1)) as result:
            values = read_items(result, self.items)
        subprocess.run(["rm", "-r", self.folder / "results"], check=True)  # nothing of a round is cached for the next
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return (cpu if self.args.threads == 1 else wall), [values[i] for i in range(len(pairs))]

    def seconds(self, pairs):
        few = pairs[: max(len(pairs) // 16, 1)]
        return (self.run(pairs)[0] - self.run(few)[0]) * len(pairs) / (len(pairs) - len(few))


def read_items(result, name):
    """The item `name` of every pair, by the pair's number."""
    found = []
    def look(path, node):
        if "/items/" in path and path.endswith("/" + name):
            found.append(node.parent)

    result.visititems(look)
    (items,) = found
    return {int(key.decode().rpartition(":")[2]): value for key, value in zip(items["id"][:], items[name][:])}


def clock(args):
    return time.process_time() if args.threads == 1 else time.perf_counter()


def lines_of(file, n):
    lines = [line.strip()[:600].replace("\t", " ") for line in open(file, encoding="utf-8") if len(line) > 40]
    if len(lines) < n:
        raise SystemExit(f"{file} has {len(lines)} lines of more than 40 characters; --texts asks for {n}")
    return lines[:: len(lines) // n][:n]


class Embedding:
    """What people write with `transformers`: batches of 32, as they come or sorted by length."""

    def __init__(self, args, folder):
        import torch
        import transformers
        self.torch = torch
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(args.minilm)
        self.model = transformers.AutoModel.from_pretrained(args.minilm, dtype=torch.float32).eval()
        lines = lines_of(args.text, args.texts)
        self.pairs = list(zip(lines[::2], lines[1::2]))
        self.ours = Ours(args, folder / "embed", args.minilm, "similarity", "spearman", "cosine",
                         f', score = "label", pooling = "mean", max_time = {TIME}')
        self.best = self.model if args.precision == "float32" else copy.deepcopy(self.model).to(torch.bfloat16)
        self.peers = {"plain": lambda pairs: self.run(pairs, False, self.model),
                      f"sorted, {args.precision}": lambda pairs: self.run(pairs, True, self.best)}

    def encode(self, texts, model):
        with self.torch.inference_mode():
            x = self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=TIME)
            mask = x["attention_mask"].unsqueeze(-1).float()
            hidden = model(**x).last_hidden_state.float()
            return self.torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)

    def run(self, pairs, by_length, model):
        texts = [a for a, _ in pairs] + [b for _, b in pairs]
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i])) if by_length else list(range(len(texts)))
        out = self.torch.empty(len(texts), self.model.config.hidden_size)
        for start in range(0, len(texts), 32):
            which = order[start:start + 32]
            out[which] = self.encode([texts[i] for i in which], model)
        return (out[: len(pairs)].double() * out[len(pairs):].double()).sum(1).tolist()


class Scoring:
    """The plain loop over examples, and an expert's: sorted, batched, the head at scored positions only."""

    def __init__(self, args, folder, answers):
        import tokenizers
        import torch
        import transformers
        self.torch = torch
        torch.manual_seed(0)
        config = transformers.GPT2Config(vocab_size=VOCAB, n_layer=6, n_embd=384, n_head=6)
        self.model = transformers.GPT2LMHeadModel(config).eval()
        words = {f"w{i}": i for i in range(VOCAB - 1)} | {"<unk>": VOCAB - 1}
        plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
        plain.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
        self.tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>")
        where = folder / f"gpt2-{answers}"
        self.model.save_pretrained(where), self.tokenizer.save_pretrained(where)
        rng = random.Random(1)
        text = lambda low, high: " ".join(f"w{rng.randrange(VOCAB - 1)}" for _ in range(rng.randrange(low, high)))
        contexts = [text(32, 128) for _ in range(args.items // answers)]
        self.pairs = [(context, text(2, 16)) for context in contexts for _ in range(answers)]
        name = "score" if answers == 1 else "choose"
        self.ours = Ours(args, folder / name, where, "target_loss", "nats_per_token", "nats_per_token")
        self.best = self.model if args.precision == "float32" else copy.deepcopy(self.model).to(torch.bfloat16)
        self.peers = {"plain": self.plain, "batched": lambda pairs: self.batched(pairs, False),
                      f"sorted, head where scored, {args.precision}": lambda pairs: self.batched(pairs, True)}

    def tokens(self, text):
        return self.torch.tensor(self.tokenizer(text)["input_ids"])

    def plain(self, pairs):
        out = []
        with self.torch.inference_mode():
            for context, answer in pairs:
                c, a = self.tokens(context), self.tokens(answer)
                scores = self.model(self.torch.cat([c, a])[None]).logits.log_softmax(-1)[0, len(c) - 1:-1]
                out.append(-scores.gather(1, a[:, None]).mean().item())
        return out

    def batched(self, pairs, expert):
        torch = self.torch
        items = [(self.tokens(c), self.tokens(a)) for c, a in pairs]
        order = sorted(range(len(items)), key=lambda i: -sum(map(len, items[i]))) if expert else range(len(items))
        out = [0.0] * len(items)
        with torch.inference_mode():
            for start in range(0, len(items), 16):
                which = order[start:start + 16]
                rows = [torch.cat(items[i]) for i in which]
                x = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
                mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
                if not expert:
                    scores = self.model(input_ids=x, attention_mask=mask).logits.log_softmax(-1)
                    for row, i in enumerate(which):
                        c, a = items[i]
                        out[i] = -scores[row, len(c) - 1:len(c) + len(a) - 1].gather(1, a[:, None]).mean().item()
                    continue
                hidden = self.best.transformer(input_ids=x, attention_mask=mask).last_hidden_state
                at = [(row, p) for row, i in enumerate(which) for p in range(len(items[i][0]) - 1, len(rows[row]) - 1)]
                at_row, at_time = torch.tensor(at).T
                gold = torch.cat([items[i][1] for i in which])
                scores = self.best.lm_head(hidden[at_row, at_time]).float()
                losses = torch.nn.functional.cross_entropy(scores, gold, reduction="none")
                for row, loss in zip(at_row.tolist(), losses.tolist()):
                    out[which[row]] += loss / len(items[which[row]][1])
        return out


def check(name, task, most):
    """Stops if numbers differ by `most`: a rate of other numbers means nothing."""
    _, got = task.ours.run(task.pairs)
    for peer, run in task.peers.items():
        want = run(task.pairs)
        apart = [abs(a - b) / max(1, abs(b)) for a, b in zip(got, want)]
        print(f"{name}: largest difference from {peer} {max(apart):.1e} over {len(got)} items", flush=True)
        if len(got) != len(want) or not all(one < most for one in apart):  # so that a NaN stops it too
            raise SystemExit(f"{name}: xp and {peer} do not compute the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xp", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--minilm", required=True, type=lambda p: str(pathlib.Path(p).resolve()), help="model directory")
    parser.add_argument("--text", required=True, help="prose, a paragraph per line")
    parser.add_argument("--only", choices=["embed", "score", "choose"])
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    import torch
    torch.set_num_threads(args.threads)
    tasks = {"embed": Embedding, "score": lambda *to: Scoring(*to, answers=1), "choose": lambda *to: Scoring(*to, answers=4)}
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as folder:
        for name in [args.only] if args.only else tasks:
            task = tasks[name](args, pathlib.Path(folder))
            check(name, task, 1e-5 if args.precision == "float32" else 0.05)
            rounds = []
            for number in range(args.rounds):
                seen = {"xp": task.ours.seconds(task.pairs)}
                for peer, run in task.peers.items():
                    start = clock(args)
                    run(task.pairs)
                    seen[peer] = clock(args) - start
                rounds.append(seen)
                print("round", number, {key: f"{1e3 * s:.0f} ms" for key, s in seen.items()}, file=sys.stderr, flush=True)
            for peer in task.peers:
                ratios = sorted(one[peer] / one["xp"] for one in rounds)
                print(f"{name}, {args.precision}, {args.threads} thread(s): xp is {statistics.median(ratios):.2f} x {peer} "
                      f"({ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} rounds)", flush=True)


if __name__ == "__main__":
    main()
