"""The part `skipgram` of initializers.py: training of word vectors beside fastText, speed and quality in one run.

Both train on the same words of --text (letters alone, lower case, in documents of 120 words or more) with one thread and
equal settings: dimension, window 5, 5 negatives, n-grams of 3 to 6 letters in 200000 buckets (--words-only: none),
sampling 1e-4, rate 0.05. Counted are CPU seconds: of the whole program here, with its start, reading and writing, and of
`train_unsupervised` alone there. Quality is retrieval: of each of --held documents kept apart, both halves are means of
their words' vectors, weighted by rarity, without the words that stand in both; a half must find the other one. Shown is
the mean of one over its rank. Each round has its own order of the documents, for fastText's Python binding takes no seed,
and its own seed here. The check fails where the mean over rounds is lower than the peer's by more than twice the standard
error of the differences and by more than a fiftieth."""
import collections
import json
import pathlib
import random
import re
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time

DOCUMENT = 120
RECIPE = """recipe = 1
name = "skipgram"
summary = "Word vectors"
seeds = {rounds}
threads = 1
[dataset.text]
type = "text"
files = ["text.txt"]
[stage.vectors]
type = "train_static_vectors"
method = {{ type = "skipgram", dim = {dim}, epochs = {epochs}, min_count = 5, min_n = {min_n}, max_n = {max_n} }}
corpus = ["text"]
"""


def write_text(args, folder):
    """Documents of --text: some kept apart, the others up to --words words in the form that each side reads."""
    documents, words = [], []
    with open(args.text, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words += re.findall(r"[^\W\d_]+", line.lower())
            if len(words) >= DOCUMENT:
                documents.append(" ".join(words))
                words = []
    random.Random(0).shuffle(documents)
    if len(documents) < 2 * args.held:
        raise SystemExit(f"{args.text} has {len(documents)} documents of {DOCUMENT} words; give --text at least {2 * args.held}")
    held, rest, total = documents[:args.held], [], 0
    for document in documents[args.held:]:
        rest.append(document)
        total += document.count(" ") + 1
        if total >= args.words:
            break
    (folder / "held.txt").write_text("\n".join(held), encoding="utf-8")
    (folder / "xp.toml").write_text("", encoding="utf-8")
    grams = {"min_n": 0, "max_n": 0} if args.words_only else {"min_n": 3, "max_n": 6}
    recipe = RECIPE.format(rounds=args.rounds, dim=args.dim, epochs=args.epochs, **grams)
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    return rest, total


def write_order(folder, documents, seed):
    """The documents in an order of their own in the form that each side reads."""
    order = random.Random(seed).sample(documents, len(documents))
    for name, end in (("text.txt", "\n\n"), ("peer.txt", "\n")):
        (folder / name).write_text("".join(document + end for document in order), encoding="utf-8")


def train_by_peer(args, folder):
    """Leaves words and vectors; prints CPU seconds."""
    import fasttext
    import numpy
    settings = {"minn": 0, "maxn": 0} if args.words_only else {"minn": 3, "maxn": 6}
    begin = time.process_time()
    model = fasttext.train_unsupervised(str(folder / "peer.txt"), "skipgram", dim=args.dim, epoch=args.epochs, minCount=5,
                                        ws=5, neg=5, t=1e-4, lr=0.05, bucket=200000, thread=1, verbose=0, **settings)
    used = time.process_time() - begin
    words = [word for word in model.get_words() if word != "</s>"]
    numpy.stack([model.get_word_vector(word) for word in words]).astype(numpy.float32).tofile(folder / "peer.f32")
    (folder / "peer.json").write_text(json.dumps(words), encoding="utf-8")
    print(json.dumps({"cpu": used}))


def train_here(args, folder, seed):
    """CPU seconds of the program; words and vectors lie in `folder` as the peer leaves them."""
    def used():
        of = resource.getrusage(resource.RUSAGE_CHILDREN)
        return of.ru_utime + of.ru_stime

    before = used()
    results = folder / f"results-{seed}"
    subprocess.run([args.program, "-q", "--results", results, "run", "recipe.toml", "--seed", str(seed)], cwd=folder,
                   stdout=subprocess.DEVNULL, check=True)
    seconds = used() - before
    (state,) = results.glob("cache/*/vectors")
    data = (state / "state.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    begin, end = json.loads(data[8:8 + size])["vectors"]["data_offsets"]
    (folder / "ours.f32").write_bytes(data[8 + size + begin:8 + size + end])
    words = json.loads((state / "state.json").read_text(encoding="utf-8"))["strings"]["words"]
    (folder / "ours.json").write_text(json.dumps(words), encoding="utf-8")
    return seconds


def reciprocal_ranks(numpy, documents, words, vectors):
    """How well halves of documents find each other by cosine: one over the rank of the true one, in the mean."""
    place = {word: number for number, word in enumerate(words)}
    seen = collections.Counter(word for document in documents for word in set(document))
    unit = vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    halves = numpy.zeros((2, len(documents), vectors.shape[1]))
    for number, document in enumerate(documents):
        middle = len(document) // 2
        sides = set(document[:middle]), set(document[middle:])
        for side, other, rows in ((sides[0], sides[1], halves[0]), (sides[1], sides[0], halves[1])):
            for word in sorted(side - other):
                if word in place:
                    rows[number] += numpy.log(len(documents) / seen[word]) * unit[place[word]]
    halves /= numpy.maximum(numpy.linalg.norm(halves, axis=2, keepdims=True), 1e-9)
    halves -= halves.mean(axis=(0, 1))
    halves /= numpy.maximum(numpy.linalg.norm(halves, axis=2, keepdims=True), 1e-9)
    cosines = halves[0] @ halves[1].T
    return float((1 / (cosines >= numpy.diag(cosines)[:, None]).sum(axis=1)).mean())


def judge(args, folder):
    import numpy
    documents = [line.split() for line in (folder / "held.txt").read_text(encoding="utf-8").splitlines()]
    found = {}
    for side in ("ours", "peer"):
        words = json.loads((folder / f"{side}.json").read_text(encoding="utf-8"))
        vectors = numpy.fromfile(folder / f"{side}.f32", numpy.float32).reshape(len(words), args.dim)
        found[side] = reciprocal_ranks(numpy, documents, words, vectors)
    print(json.dumps(found))


def worse(ours, theirs):
    """Whether the first are lower by more than noise and a fiftieth."""
    apart = [mine - other for mine, other in zip(ours, theirs)]
    mean = statistics.mean(apart)
    noise = statistics.stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else 0.0
    return mean < -2 * noise and mean < -0.02 * statistics.mean(theirs)


def skipgram(args, call):
    """`call` runs a command on one thread and gives what it printed as JSON."""
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as name:
        folder = pathlib.Path(name)
        documents, total = write_text(args, folder)
        total *= args.epochs

        def peer(part):
            script = pathlib.Path(__file__).with_name("initializers.py").resolve()
            shown = [args.peer_python, script, "skipgram", "--be", part, "--folder", folder, "--dim", args.dim, "--epochs",
                     args.epochs]
            return call(shown + (["--words-only"] if args.words_only else []), 1)

        rounds = []
        for seed in range(args.rounds):
            write_order(folder, documents, seed)
            ours, theirs, found = train_here(args, folder, seed), peer("trainer")["cpu"], peer("words-judge")
            rounds.append((ours, theirs, found["ours"], found["peer"]))
            print(f"round {seed}: xp {ours:.2f} CPU s, retrieval {found['ours']:.4f}; fastText {theirs:.2f} CPU s, "
                  f"retrieval {found['peer']:.4f}", file=sys.stderr, flush=True)
        cpu_ours, cpu_theirs, quality, wanted = zip(*rounds)
        ratios = sorted(theirs / ours for ours, theirs in zip(cpu_ours, cpu_theirs))
        rate = [statistics.median(total / used / 1000 for used in side) for side in (cpu_ours, cpu_theirs)]
        print(f"{total} words, dimension {args.dim}: xp {rate[0]:.0f}, fastText {rate[1]:.0f} thousand words a CPU second: "
              f"{statistics.median(ratios):.1f} times as fast ({ratios[0]:.1f} to {ratios[-1]:.1f}), {len(rounds)} rounds")
        bad = worse(quality, wanted)
        print(f"retrieval: xp {statistics.mean(quality):.4f} ({min(quality):.4f} to {max(quality):.4f}), fastText "
              f"{statistics.mean(wanted):.4f} ({min(wanted):.4f} to {max(wanted):.4f}): {'worse' if bad else 'not worse'}")
        return 1 if bad else 0
