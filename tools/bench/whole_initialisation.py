#!/usr/bin/env python3
"""A whole change of vocabulary by `xp adapt` beside published packages and plain NumPy in one run, as ratios.

usage: whole_initialisation.py METHOD... --xp build/release/bin/xp --peer-python ENV/bin/python
                               [--sources 20000] [--targets 40000] [--dim 300] [--width 384] [--threads 1] [--rounds 5]

METHOD: wechsel and focus beside the packages wechsel and deepfocus; ofa beside NumPy as its authors wrote it (a table of
cosines for 1024 tokens at a time, one row after the other). Both read the model and the vectors, make the rows and
write the table. A tenth of the new tokens are old ones. Vectors lie around 2000 centres, as words do. The peers read
vectors as arrays, xp as a word2vec file. Counted is CPU time and peak memory of each process, of the peers without their
imports. Then the rows that both made are compared.
ENV has wechsel, deepfocus, safetensors, torch and transformers. Exit: 1 if rows differ by more than 1e-4 of the largest number."""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

CENTRES = 2000
NEIGHBOURS, TEMPERATURE = 10, 0.1
METHODS = ("wechsel", "focus", "ofa")


def names(args):
    """Old and new tokens; a tenth of the new ones are old."""
    shared = args.targets // 10
    return [f"s{i}" for i in range(args.sources)], [f"s{i}" for i in range(shared)] + [f"t{i}" for i in range(args.targets - shared)]


def write_word2vec(file, words, rows):
    with open(file, "wb") as out:
        out.write(f"{len(words)} {rows.shape[1]}\n".encode())
        for word, row in zip(words, rows):
            out.write(word.encode() + b" " + row.tobytes() + b"\n")


def write_tokenizer(folder, tokens):
    import tokenizers
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>", *tokens])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))


def make(args, folder):
    import numpy
    import torch
    import transformers
    rng = numpy.random.default_rng(0)
    old, new = names(args)
    centres = rng.standard_normal((CENTRES, args.dim), dtype=numpy.float32)

    def vectors(n):
        rows = centres[rng.integers(0, CENTRES, n)] + numpy.float32(0.7) * rng.standard_normal((n, args.dim), dtype=numpy.float32)
        return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)

    sources = vectors(len(old))
    targets = vectors(len(new))
    targets[:args.targets // 10] = sources[:args.targets // 10]
    for name, words, rows in (("sources", old, sources), ("targets", new, targets)):
        numpy.save(folder / f"{name}.npy", rows)
        write_word2vec(folder / f"{name}.bin", words, rows)
    both = dict(zip(old, sources)) | dict(zip(new, targets))
    write_word2vec(folder / "both.bin", list(both), numpy.stack(list(both.values())))
    write_tokenizer(folder / "model", old)
    write_tokenizer(folder / "new", new)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=len(old) + 3, hidden_size=args.width, intermediate_size=args.width, num_hidden_layers=1,
                                      num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)
    transformers.LlamaForCausalLM(config).save_pretrained(folder / "model")
    print("{}")


def load(args, folder):
    import numpy
    from safetensors.numpy import load_file
    table = load_file(str(folder / "model/model.safetensors"))["model.embed_tokens.weight"]
    return table, numpy.load(folder / "sources.npy"), numpy.load(folder / "targets.npy")


def softmax(numpy, cosines):
    e = numpy.exp((cosines - cosines.max(1, keepdims=True)) / TEMPERATURE)
    return e / e.sum(1, keepdims=True)


def ofa(args, folder):
    import numpy
    table, sources, targets = load(args, folder)
    own = table[3:]
    out = numpy.empty((len(targets) + 3, args.width), numpy.float32)
    out[:3] = table[:3]
    shared = args.targets // 10
    out[3:3 + shared] = own[:shared]
    for begin in range(shared, len(targets), 1024):
        cosines = targets[begin:begin + 1024] @ sources.T
        ids = numpy.argpartition(-cosines, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        weights = softmax(numpy, numpy.take_along_axis(cosines, ids, 1))
        for row, (near, weight) in enumerate(zip(ids, weights)):
            out[3 + begin + row] = (own[near] * weight[:, None]).sum(0)
    return out


def wechsel(args, folder):
    import numpy
    import transformers
    import wechsel as package
    table, sources, targets = load(args, folder)
    opened = [transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / name / "tokenizer.json"), unk_token="<unk>")
              for name in ("model", "new")]
    pad = [numpy.concatenate((numpy.zeros((3, args.dim)), rows)) for rows in (sources, targets)]
    made, _, _ = package.create_target_embeddings(*pad, *opened, table, NEIGHBOURS, TEMPERATURE, verbose=False)
    return made.astype(numpy.float32)


def focus(args, folder):
    import types

    import numpy
    import torch
    from deepfocus.focus import focus_additional_token_initialization as initialise
    table, sources, targets = load(args, folder)
    table = torch.from_numpy(table)
    shared = args.targets // 10
    old, new = names(args)
    overlap = {old[i]: types.SimpleNamespace(auxiliary_embedding=sources[i], source_embedding=table[3 + i]) for i in range(shared)}
    wanted = {new[i]: types.SimpleNamespace(auxiliary_embedding=targets[i], target=types.SimpleNamespace(id=3 + i))
              for i in range(shared, len(new))}
    out = torch.zeros(len(new) + 3, args.width)
    out[:3], out[3:3 + shared] = table[:3], table[3:3 + shared]
    return initialise(overlap, wanted, out, device="cpu").numpy()


def be_peer(args, folder):
    import importlib

    import numpy  # imports are not counted
    from safetensors.numpy import save_file
    importlib.import_module({"wechsel": "wechsel", "focus": "deepfocus.focus", "ofa": "numpy"}[args.methods[0]])
    if args.methods[0] == "focus":
        from deepfocus.focus import fastdist
        fastdist.cosine_matrix_to_matrix(numpy.eye(2, args.dim, dtype=numpy.float32), numpy.eye(2, args.dim, dtype=numpy.float32))
        import torch
        torch.set_num_threads(args.threads)
    cpu, wall = time.process_time(), time.perf_counter()
    table = {"wechsel": wechsel, "focus": focus, "ofa": ofa}[args.methods[0]](args, folder)
    save_file({"model.embed_tokens.weight": numpy.ascontiguousarray(table)}, str(folder / "peer.safetensors"))
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
                      "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def judge(args, folder):
    """Rows that the ledger says were made from others, compared with the peer's."""
    import numpy
    from safetensors.numpy import load_file
    ours, peer = (load_file(str(folder / file))["model.embed_tokens.weight"].astype(numpy.float64)
                  for file in ("out/model.safetensors", "peer.safetensors"))
    ledger = [json.loads(line) for line in (folder / "out/vocabulary.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [line["id"] for line in ledger if line["rule"] in ("similarity", "copy")]
    apart = numpy.abs(ours[rows] - peer[rows]).max(1) / numpy.abs(peer).max()
    print(json.dumps({"rows": len(rows), "of": len(ledger), "differ": int((apart > 1e-4).sum()), "median": float(numpy.median(apart)),
                      "worst": float(apart.max())}))


def environment(args):
    return {**os.environ, "HF_HUB_OFFLINE": "1",
            **{name: str(args.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}}


def peer(args, folder, part, method):
    command = [args.peer_python, os.path.abspath(__file__), method, "--be", part, "--folder", folder, "--sources", args.sources,
               "--targets", args.targets, "--dim", args.dim, "--width", args.width, "--threads", args.threads]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment(args), check=False)
    if done.returncode:  # what packages say on the way is progress
        raise SystemExit(f"the {part} of {method} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def adapted(args, folder, method):
    """CPU seconds, seconds and peak memory of the program, which writes folder/out."""
    out = folder / "out"
    subprocess.run(["rm", "-rf", str(out)], check=True)
    vectors = f"source_vectors={folder}/sources.bin,target_vectors={folder}/targets.bin"
    more = {"wechsel": ["--initializer", f"wechsel:{vectors},align=none,match=specials"],
            "focus": ["--initializer", f"focus:target_vectors={folder}/targets.bin"],
            "ofa": ["--initializer", "ofa", "--vectors", folder / "both.bin"]}[method]
    command = [args.xp, "adapt", "--model", folder / "model", "--tokenizer", folder / "new", *more, "--out", out, "--threads", args.threads]
    begun = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(args))
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"`{' '.join(map(str, command))}` ended with {os.waitstatus_to_exitcode(status)}")
    return {"cpu": used.ru_utime + used.ru_stime, "wall": time.perf_counter() - begun, "mib": used.ru_maxrss / 1024}


def compare(args, folder, method):
    rounds = []
    for number in range(args.rounds):
        rounds.append((adapted(args, folder, method), peer(args, folder, "peer", method)))
        print(f"{method}, round {number}:", *(f"{name} {one['cpu']:.2f} CPU s, {one['wall']:.2f} s, {one['mib']:.0f} MiB;"
                                              for name, one in zip(("xp", "peer"), rounds[-1])), file=sys.stderr, flush=True)
    shown = []
    for what, label in (("cpu", "times less CPU time"), ("wall", "times less time"), ("mib", "times less memory")):
        ratios = sorted(theirs[what] / ours[what] for ours, theirs in rounds)
        shown.append(f"{statistics.median(ratios):.1f} {label} ({ratios[0]:.1f} to {ratios[-1]:.1f})")
    same = peer(args, folder, "judge", method)
    print(f"{method}: {', '.join(shown)}, {len(rounds)} rounds; {same['differ']} of {same['rows']} rows differ by more than 1e-4, "
          f"the median by {same['median']:.1e}, the largest by {same['worst']:.1e}")
    return same["differ"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", choices=METHODS, metavar="METHOD")
    parser.add_argument("--xp", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--peer-python")
    parser.add_argument("--sources", type=int, default=20000)
    parser.add_argument("--targets", type=int, default=40000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--be", choices=["maker", "peer", "judge"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.be:
        {"maker": make, "peer": be_peer, "judge": judge}[args.be](args, args.folder)
        return 0
    if not args.xp or not args.peer_python:
        parser.error("--xp and --peer-python are needed")
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as name:
        folder = pathlib.Path(name)
        peer(args, folder, "maker", args.methods[0])
        print(f"{args.sources} old and {args.targets} new tokens, vectors of {args.dim}, rows of {args.width}, {args.threads} threads", flush=True)
        return 1 if sum([compare(args, folder, method) for method in args.methods]) else 0


if __name__ == "__main__":
    sys.exit(main())
