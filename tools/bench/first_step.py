#!/usr/bin/env python3
"""From the command to the first training step: `xp run` beside a script with the Hugging Face Trainer, as a ratio.

usage: first_step.py --xp build/release/bin/xp --peer-python ENV/bin/python --peers DIR [--rounds 7]

The model and the batch of mlm_step.py --size mini: 4 layers of width 256, 16 texts of 128 tokens, one thread. xp has its
tokenizer from an earlier run and reads 2 MB of text; the script holds token ids in memory. Both are stopped when the step
begins: xp says so with XP_LOG=debug, of the Trainer it is `on_step_begin`. Wall time; one round before them is not
measured."""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from mlm_step import Ours

SCRIPT = """
import os, runpy, sys, transformers
from transformers.trainer_callback import CallbackHandler
def begun(*_, **__):
    print("first step begins", file=sys.stderr, flush=True)
    os._exit(0)
CallbackHandler.on_step_begin = begun
sys.argv = ["hf_trainer.py", "--size", "mini", "--threads", "1"]
runpy.run_path("hf_trainer.py", run_name="__main__")
"""


def seconds_to(line, command, folder, **environment):
    """Seconds until the program writes the line on standard error; then it is stopped."""
    start = time.perf_counter()
    run = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           env={**os.environ, "OMP_NUM_THREADS": "1", **environment})
    said = []
    for text in run.stderr:
        said.append(text)
        if line in text:
            taken = time.perf_counter() - start
            run.kill(), run.communicate()
            return taken
    raise SystemExit("".join(said[-20:]) + f"`{command[0]}` ended before its first step")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xp", required=True, type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory(prefix="xp-bench-") as folder:
        ours = Ours(args.xp, "mini", "float32", folder)
        ours.cpu_seconds(0, 1)  # makes the tokenizer
        for number in range(args.rounds + 1):
            xp = seconds_to("first step begins", [args.xp, "run", "step.toml", "--set", f"seeds=[{number + 1}]"], folder,
                            XP_LOG="debug")
            peer = seconds_to("first step begins", [args.peer_python, "-c", SCRIPT], pathlib.Path(args.peers) / "mlm_step")
            print("round", number, f"xp {xp:.3f} s, Trainer {peer:.3f} s", file=sys.stderr, flush=True)
            if number:
                rounds.append((xp, peer))
    ratios = sorted(peer / xp for xp, peer in rounds)
    print(f"first step: xp after {statistics.median(xp for xp, _ in rounds):.2f} s, {statistics.median(ratios):.1f} x sooner "
          f"than Trainer ({ratios[0]:.1f} to {ratios[-1]:.1f}, {len(ratios)} rounds)")


if __name__ == "__main__":
    main()
