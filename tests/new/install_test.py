#!/usr/bin/env python3
"""Installs xp into an empty folder: the program there works by itself, and plugins build against it without the source
tree."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile


def run(*command, cwd=None):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("cmake", "generator", "compiler", "xp", "source"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--launcher", default="")
    parser.add_argument("kinds", nargs="+")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xp-install-") as scratch:
        first, prefix = pathlib.Path(scratch) / "first", pathlib.Path(scratch) / "moved"
        run(args.cmake, "--install", args.xp, "--prefix", first)
        first.rename(prefix)  # an install may be moved
        program = prefix / "bin" / "xp"
        if "xp" not in run(program, "--help"):
            sys.exit("xp --help says nothing")
        listed = json.loads(run(program, "plugins", "--json", cwd=scratch))
        if listed["quarantined"]:
            sys.exit(f"quarantined: {listed['quarantined']}")
        built = json.loads(run(pathlib.Path(args.xp) / "bin" / "xp", "plugins", "--json", cwd=scratch))
        names = lambda of: [(one["interface"], one["type"], one["sha256"]) for one in of["components"]]
        if names(listed) != names(built):
            sys.exit(f"installed: {names(listed)}\nbuilt: {names(built)}")
        outside = [one["library"] for one in listed["components"] if not one["library"].startswith(str(prefix))]
        if outside:
            sys.exit(f"not from the install: {outside}")
        run(program, "check", "recipes/quickstart.toml", cwd=args.source)
        test = pathlib.Path(__file__).with_name("outside_test.py")
        print(run(sys.executable, test, "--program", program, "--cmake", args.cmake, "--generator", args.generator,
                  "--compiler", args.compiler, "--xp", prefix / "lib" / "cmake" / "xp", f"--launcher={args.launcher}",
                  "--not-from", args.source, *args.kinds), end="")
    print("installed, moved, and used")


if __name__ == "__main__":
    main()
