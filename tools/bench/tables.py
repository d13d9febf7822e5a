#!/usr/bin/env python3
"""`xp table` over many runs beside pandas reading the same numbers from one CSV file, as ratios of CPU seconds.

usage: tables.py --xp build/release/bin/xp --program build/release/bin/xp-result-files --python PEER/bin/python
                 [--runs 1000 4000 10000] [--rounds 5] [--scratch DIR]

The program is built by `ninja xp-result-files`; it writes runs of one arm, ten rates, ten ranks and as many seeds as
it takes, with six metrics each, through the library. The peer's Python has pandas. Rounds are interleaved, after one
unmeasured each. Numbers are compared first: the means of a pivot, rates by ranks.

first     the first `xp table` over runs that no index has: every file is opened
listing   `xp table --settings --format csv`: every number of every run, and its settings
pivot     `xp table --rows RATE --cols RANK`: a mean over seeds in each of 100 cells
csv       a Python that imports pandas and reads the CSV; `alone`: read_csv within it, the import not counted
Seconds are of the processor, user and system, of the whole process: machines that run this are seldom idle. A ratio
above 1 means that xp is faster. Exit: 1 if numbers differ."""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

METRICS = ["retrieval.top1", "retrieval.top10", "similarity.spearman", "bits_per_byte.bits", "classification.accuracy",
           "leak_bound"]
RATE, RANK = "stage.adapt.optimizer.lr", "stage.adapt.initializer.rank"
READ = """
import sys, time
import pandas
begin = time.process_time()
table = pandas.read_csv(sys.argv[1])
alone = time.process_time() - begin
assert len(table) == int(sys.argv[2])
print(alone)
"""
PIVOT = """
import sys
import pandas
table = pandas.read_csv(sys.argv[1])
print(table.pivot_table(index="lr", columns="rank", values="retrieval.top10", aggfunc="mean")
      .to_json(orient="split", double_precision=15))
"""


def spent():
    of = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of.ru_utime + of.ru_stime


def timed(command):
    before = spent()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return spent() - before, done.stdout.decode()


def equal(xp, python, table):
    """True if the cells of a pivot have the peer's means."""
    mine = json.loads(timed(xp + ["--rows", RATE, "--cols", RANK, "--cell", "score.retrieval.top10", "--json"])[1])
    theirs = json.loads(timed([python, "-c", PIVOT, table])[1])
    for row, values in zip(mine["rows"], theirs["data"], strict=True):
        for cell, value in zip(row["cells"], values, strict=True):
            if abs(cell["mean"] - value) > 1e-9:
                return False
    rates = [float(row["name"]) for row in mine["rows"]]
    return all(abs(one - other) < 1e-12 for one, other in zip(rates, theirs["index"], strict=True))


def measure(args, runs, folder):
    """Prints a row of seconds and ratios; true if the numbers are equal."""
    table = folder / "many.csv"
    subprocess.run([args.program, folder / "results", str(runs), table], check=True)
    xp = [args.xp, "--results", folder / "results", "table", "many", "--all-runs"]
    pivot = xp + ["--rows", RATE, "--cols", RANK, "--cell", "score.retrieval.top10", "-o", folder / "pivot.txt"]
    listing = xp + ["--settings", "--format", "csv", "-o", folder / "listing.csv", "--columns"]
    listing += ["score." + metric for metric in METRICS]
    read = [args.python, "-c", READ, table, str(runs)]
    first = timed(pivot)[0]
    if not equal(xp, args.python, table):
        print(f"{runs} runs: the numbers differ")
        return False
    timed(listing), timed(read)
    rows = []
    for _ in range(args.rounds):
        peer, told = timed(read)
        rows.append((timed(listing)[0], timed(pivot)[0], peer, float(told)))
    mine, cells, peer, alone = (statistics.median(column) for column in zip(*rows))
    ratios = [statistics.median(row[2] / row[at] for row in rows) for at in (0, 1)]
    within = [statistics.median(row[3] / row[at] for row in rows) for at in (0, 1)]
    print(f"{runs:6} runs  first {first:6.2f} s  listing {mine:5.2f} s  pivot {cells:5.2f} s  csv {peer:5.2f} s  "
          f"alone {alone:6.3f} s  ratio {ratios[0]:5.2f} {ratios[1]:5.2f}  to read_csv alone {within[0]:5.2f} "
          f"{within[1]:5.2f}  n={len(rows)}", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xp", required=True)
    parser.add_argument("--program", required=True, help="xp-result-files")
    parser.add_argument("--python", default=sys.executable, help="a Python with pandas")
    parser.add_argument("--runs", type=int, nargs="*", default=[1000, 4000, 10000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scratch", type=pathlib.Path, help="where the runs are written (default: the system's)")
    args = parser.parse_args()
    same = True
    for runs in args.runs:
        with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
            same &= measure(args, runs, pathlib.Path(folder))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
