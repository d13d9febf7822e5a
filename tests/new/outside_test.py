#!/usr/bin/env python3
"""Makes plugins with `xp new` in an empty folder outside the tree, builds them against the build tree, runs their tests."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("make", "cmake", "generator", "compiler", "launcher", "xp"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("kinds", nargs="*")
    args = parser.parse_args()
    kinds = run(args.make, "--kinds").split() if args.all else args.kinds
    if not kinds:
        sys.exit("no kind to make")
    with tempfile.TemporaryDirectory(prefix="xp-new-") as scratch:
        folder, build = pathlib.Path(scratch), pathlib.Path(scratch) / "build"
        for kind in kinds:
            files = run(args.make, kind, f"my_{kind}", folder).split()
            assert f"{folder}/my_{kind}.cpp" in files, files
        configure = [args.cmake, "-S", folder, "-B", build, "-G", args.generator, f"-Dxp_DIR={args.xp}",
                     f"-DCMAKE_CXX_COMPILER={args.compiler}"]
        if args.launcher:
            configure.append(f"-DCMAKE_CXX_COMPILER_LAUNCHER={args.launcher}")
        run(*configure)
        run(args.cmake, "--build", build)
        tested = run("ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error")
        assert f"0 tests failed out of {len(kinds)}" in tested, tested
        for kind in kinds:
            manifest = json.loads((build / "plugins" / f"my_{kind}.json").read_text())
            made = [(one["interface"], one["type"]) for one in manifest["components"]]
            assert made == [(kind, f"my_{kind}")], made
    print(f"{len(kinds)} kinds made, built and tested outside the tree")


if __name__ == "__main__":
    main()
