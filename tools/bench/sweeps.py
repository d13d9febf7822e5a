#!/usr/bin/env python3
"""A sweep of trivial trials beside Hydra's multirun and Optuna with SQLite: milliseconds a trial, and ratios.

usage: sweeps.py --xp build/release/bin/xp --plugins build/release/bench --peer-python ENV/bin/python --peers DIR
                 [--n 200] [--rounds 5]

A trial is (x - 2)^2. xp's is a stage of its own (`ninja plugin_parabola`), with artifact, record, result file and journal,
all synced; what counts is the time of a sweep of n + 1 trials less that of a sweep of 1, divided by n. The peers' programs are
those of DIR/overheads/sweep.py, which takes off the peer's start. Rounds are interleaved. `--sizes` shows xp's at three sizes."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

RECIPE = """
recipe  = 1
name    = "trivial"
threads = 1
[stage.x]
type = "parabola"
[sweep]
method = {method}
goal   = {{ metric = "x.value", better = "lower" }}
[[sweep.axis]]
key = "stage.x.x"
{axis}
"""


def sweep_seconds(xp, plugins, n, method):
    """Wall and CPU seconds of one sweep of n trials in a new folder."""
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as folder:
        folder = pathlib.Path(folder)
        (folder / "xp.toml").write_text("")
        grid = method == "grid"
        axis = "values = [" + ", ".join(str(i * 0.01) for i in range(n)) + "]" if grid else "uniform = [-10.0, 10.0]"
        settings = '{ type = "grid" }' if grid else f'{{ type = "{method}", trials = {n} }}'
        (folder / "trivial.toml").write_text(RECIPE.format(method=settings, axis=axis))
        before = os.times()
        start = time.perf_counter()
        subprocess.run([xp, "sweep", "trivial.toml", "-q", "--plugin-path", plugins], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        after = os.times()
        return wall, after.children_user + after.children_system - before.children_user - before.children_system


def ours(xp, plugins, n, method):
    return 1e3 * (sweep_seconds(xp, plugins, n + 1, method)[0] - sweep_seconds(xp, plugins, 1, method)[0]) / n


def peer(python, peers, runner, n):
    done = subprocess.run([python, pathlib.Path(peers) / "overheads" / "sweep.py", runner, "--n", str(n)], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["ms_median"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xp", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--plugins", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--peer-python", help="a Python with hydra-core and optuna")
    parser.add_argument("--peers")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", action="store_true", help="xp alone with n / 4, n and 4 n trials")
    args = parser.parse_args()
    if args.sizes:
        for n in (args.n // 4, args.n, 4 * args.n):
            print(f"{n:6d} trials: {ours(args.xp, args.plugins, n, 'grid'):.2f} ms each")
        return
    pairs = (("grid", "hydra"), ("tpe", "optuna_sqlite"))
    rows = {pair: [] for pair in pairs}
    for number in range(args.rounds):
        for method, runner in pairs:
            a, b = ours(args.xp, args.plugins, args.n, method), peer(args.peer_python, args.peers, runner, args.n)
            rows[method, runner].append(a / b)
            print(f"round {number + 1}: xp {method} {a:.2f} ms, {runner} {b:.2f} ms, ratio {a / b:.3f}", flush=True)
    for (method, runner), ratios in rows.items():
        print(f"{method} / {runner}: {statistics.median(ratios):.3f} (min {min(ratios):.3f}, max {max(ratios):.3f}, "
              f"n = {len(ratios)}, {args.n} trials)")


if __name__ == "__main__":
    main()
