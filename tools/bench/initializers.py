#!/usr/bin/env python3
"""What vocabulary initializers spend their time on, beside a peer in the same run, as ratios.

usage: initializers.py neighbours --program build/release/bin/xp-neighbours --peer-python ENV/bin/python
                       [--targets 40000] [--sources 25000] [--dim 300] [--k 10] [--threads 1] [--rounds 5]
                       [--table FILE.safetensors]
       initializers.py skipgram --program build/release/bin/xp --peer-python ENV/bin/python --text FILE
                       [--words 500000] [--held 2000] [--epochs 2] [--dim 128] [--words-only] [--rounds 5]

neighbours: the k nearest source vectors of each target by cosine, beside `faiss.knn`, which is exact as well; ENV has
faiss-cpu. Vectors are drawn around 2000 centres, as words lie, or are the rows of the largest matrix of --table, which
are split among targets and sources. The searches are interleaved; data in memory count for neither. Then the neighbours
are compared: they may differ only where cosines differ by less than 1e-5, what a search in float cannot tell apart.
The program is built by `ninja xp-neighbours`. Exit: 1 if neighbours differ.
skipgram: word vectors beside fastText on --text, plain text of a million words or more in one language; ENV has
fasttext-wheel and numpy. skipgram.py says what is equal, counted and compared. Exit: 1 if ours find less."""
import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile

import skipgram


def clustered(numpy, rng, rows, centres):
    noise = rng.standard_normal((rows, centres.shape[1]), dtype=numpy.float32)
    return centres[rng.integers(0, len(centres), rows)] + numpy.float32(0.7) * noise


def largest_matrix(numpy, path):
    """As float32."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        begin = file.tell()
        matrices = [one for name, one in header.items() if name != "__metadata__" and len(one["shape"]) == 2]
        if not matrices:
            raise SystemExit(f"{path} has no matrix; give --table a file with a table of vectors")
        most = max(matrices, key=lambda one: one["shape"][0] * one["shape"][1])
        file.seek(begin + most["data_offsets"][0])
        data = file.read(most["data_offsets"][1] - most["data_offsets"][0])
    if most["dtype"] == "BF16":
        wide = numpy.frombuffer(data, numpy.uint16).astype(numpy.uint32) << 16
        return wide.view(numpy.float32).reshape(most["shape"])
    kinds = {"F32": numpy.float32, "F16": numpy.float16}
    return numpy.frombuffer(data, kinds[most["dtype"]]).astype(numpy.float32).reshape(most["shape"])


def write_vectors(args, folder):
    """Writes both sides, of unit length; gives their sizes."""
    import numpy
    rng = numpy.random.default_rng(0)
    if args.table:
        rows = rng.permutation(largest_matrix(numpy, args.table))
        rows = rows[numpy.linalg.norm(rows, axis=1) > 0]
        share = args.targets / (args.targets + args.sources)
        cut = min(args.targets, int(len(rows) * share))
        sides = {"targets": rows[:cut], "sources": rows[cut:cut + args.sources]}
    else:
        centres = rng.standard_normal((2000, args.dim), dtype=numpy.float32)
        sides = {"targets": clustered(numpy, rng, args.targets, centres),
                 "sources": clustered(numpy, rng, args.sources, centres)}
    for name, rows in sides.items():
        (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)).tofile(folder / f"{name}.f32")
    print(json.dumps([len(sides["targets"]), len(sides["sources"]), sides["targets"].shape[1]]))


def search_by_peer(args, folder):
    import resource
    import time
    import faiss
    import numpy
    faiss.omp_set_num_threads(args.threads)
    targets, sources = (numpy.fromfile(folder / f"{name}.f32", numpy.float32).reshape(-1, args.dim)
                        for name in ("targets", "sources"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    _, ids = faiss.knn(targets, sources, args.k, metric=faiss.METRIC_INNER_PRODUCT)
    used = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    used["mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    ids.astype(numpy.int64).tofile(folder / "peer.i64")
    print(json.dumps(used))


def compare(args, folder):
    """How many rows of neighbours are the same, and the largest difference of cosines at one place."""
    import numpy
    targets, sources = (numpy.fromfile(folder / f"{name}.f32", numpy.float32).reshape(-1, args.dim)
                        for name in ("targets", "sources"))
    ours, peer = (numpy.fromfile(folder / f"{name}.i64", numpy.int64).reshape(len(targets), -1) for name in ("ours", "peer"))
    worst = 0.0
    differ = numpy.flatnonzero((ours != peer).any(axis=1))
    for row in differ:
        cosines = [sources[ids[row]].astype(float) @ targets[row].astype(float) for ids in (ours, peer)]
        worst = max(worst, float(abs(cosines[0] - cosines[1]).max()))
    print(json.dumps({"rows": len(targets), "equal": len(targets) - len(differ), "worst": worst}))


def call(command, threads):
    """What the command printed as JSON."""
    environment = {**os.environ, **{name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}}
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}")
    return json.loads(done.stdout)


def neighbours(args):
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as name:
        folder = pathlib.Path(name)

        def peer(part, dim=args.dim):
            shown = [args.peer_python, os.path.abspath(__file__), "neighbours", "--be", part, "--folder", folder, "--dim", dim,
                     "--k", args.k, "--threads", args.threads, "--targets", args.targets, "--sources", args.sources]
            return call(shown + (["--table", args.table] if args.table else []), args.threads)

        targets, sources, dim = peer("maker")
        rounds = []
        for number in range(args.rounds):
            ours = call([args.program, folder / "targets.f32", folder / "sources.f32", dim, args.k, args.threads,
                         folder / "ours.i64"], args.threads)
            theirs = peer("peer", dim)
            rounds.append((ours, theirs))
            print(f"round {number}:", *(f"{name} {one['cpu']:.2f} CPU s, {one['wall']:.2f} s, {one['mib']:.0f} MiB;"
                                        for name, one in (("xp", ours), ("faiss", theirs))), file=sys.stderr, flush=True)
        shown = []
        for what, label in (("cpu", "CPU time"), ("wall", "time"), ("mib", "memory")):
            ratios = sorted(ours[what] / max(theirs[what], 1e-9) for ours, theirs in rounds)
            shown.append(f"{label} {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        print(f"{args.k} nearest of {sources} to {targets}, dimension {dim}, {args.threads} threads: xp takes of faiss' "
              + ", ".join(shown) + f", {len(rounds)} rounds")
        same = peer("judge", dim)
        print(f"rows with the same neighbours in the same order: {same['equal']} of {same['rows']}; where they differ, "
              f"cosines differ by {same['worst']:.1e} at most")
        return 0 if same["worst"] < 1e-5 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["neighbours", "skipgram"])
    parser.add_argument("--program", type=lambda p: str(pathlib.Path(p).resolve()), help="xp-neighbours, or xp for skipgram")
    parser.add_argument("--peer-python")
    parser.add_argument("--targets", type=int, default=40000)
    parser.add_argument("--sources", type=int, default=25000)
    parser.add_argument("--dim", type=int, help="300, for skipgram 128")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--text", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--words", type=int, default=500000)
    parser.add_argument("--held", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--words-only", action="store_true")
    parser.add_argument("--be", choices=["maker", "peer", "judge", "trainer", "words-judge"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.dim = args.dim or (128 if args.part == "skipgram" else 300)
    if args.be:
        {"maker": write_vectors, "peer": search_by_peer, "judge": compare, "trainer": skipgram.train_by_peer,
         "words-judge": skipgram.judge}[args.be](args, args.folder)
        return 0
    if not args.program or not args.peer_python:
        parser.error("--program and --peer-python are needed")
    if args.part == "skipgram":
        if not args.text:
            parser.error("skipgram needs --text")
        return skipgram.skipgram(args, call)
    return neighbours(args)


if __name__ == "__main__":
    sys.exit(main())
