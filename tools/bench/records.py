#!/usr/bin/env python3
"""A scalar record beside TensorBoard's writer and h5py with a flush after each step: microseconds a number, and ratios.

usage: records.py --program build/release/bin/xp-record-rate --peer-python ENV/bin/python --peers DIR [--rounds 5]

xp's is a point of a curve with all of its counters in a stage's journal (`ninja xp-record-rate`), handed to the system at once
and on the disk within a second. The peers' programs are DIR/overheads/logging_rate.py; each logs 5 numbers a step. Rounds are
interleaved."""
import argparse
import json
import pathlib
import statistics
import subprocess

LOGGERS = ("tensorboard", "h5py_flush")


def microseconds(*command):
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["us_per_metric"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--peer-python", required=True, help="a Python with torch, tensorboard and h5py")
    parser.add_argument("--peers", required=True, type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    ratios = {logger: [] for logger in LOGGERS}
    for number in range(args.rounds):
        for logger in LOGGERS:
            ours = microseconds(args.program, args.steps, 5)
            peer = microseconds(args.peer_python, args.peers / "overheads" / "logging_rate.py", logger, "--steps", args.steps)
            ratios[logger].append(ours / peer)
            print(f"round {number + 1}: xp {ours:.2f} us, {logger} {peer:.2f} us, ratio {ours / peer:.4f}", flush=True)
    for logger, all_of_it in ratios.items():
        print(f"xp / {logger}: {statistics.median(all_of_it):.4f} (min {min(all_of_it):.4f}, max {max(all_of_it):.4f}, "
              f"n = {len(all_of_it)})")


if __name__ == "__main__":
    main()
