#!/usr/bin/env python3
"""Makes plugins with `xp new` in an empty folder outside the tree and goes the way of their author: builds them against
xp (a build folder or an install), runs their tests, finds them in `xp plugins`, and runs each one's recipe to its end."""

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
    for name in ("program", "cmake", "generator", "compiler", "xp"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--launcher", default="")
    parser.add_argument("--not-from", help="a folder that the compiler may not read from")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("kinds", nargs="*")
    args = parser.parse_args()
    kinds = run(args.program, "new", "--kinds").split() if args.all else args.kinds
    if not kinds:
        sys.exit("no kind to make")
    with tempfile.TemporaryDirectory(prefix="xp-new-") as scratch:
        folder, build = pathlib.Path(scratch), pathlib.Path(scratch) / "build"
        for kind in kinds:
            files = run(args.program, "new", kind, f"my_{kind}", "--in", folder).split()
            if f"{folder}/my_{kind}.cpp" not in files:
                sys.exit(f"xp new {kind} wrote {files}")
        configure = [args.cmake, "-S", folder, "-B", build, "-G", args.generator, f"-Dxp_DIR={args.xp}",
                     f"-DCMAKE_CXX_COMPILER={args.compiler}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
        if args.launcher:
            configure.append(f"-DCMAKE_CXX_COMPILER_LAUNCHER={args.launcher}")
        run(*configure)
        if args.not_from and args.not_from in (build / "compile_commands.json").read_text():
            sys.exit(f"the compiler is told of {args.not_from}")
        run(args.cmake, "--build", build)
        tested = run("ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error")
        if f"0 tests failed out of {len(kinds)}" not in tested:
            sys.exit(tested)
        plugins = ["--plugin-path", build / "plugins"]
        listed = json.loads(run(args.program, "plugins", *plugins, "--json"))
        if listed["quarantined"]:
            sys.exit(f"quarantined: {listed['quarantined']}")
        found = {(one["interface"], one["type"]) for one in listed["components"]}
        for kind in kinds:
            if (kind, f"my_{kind}") not in found:
                sys.exit(f"xp plugins does not list {kind} my_{kind}")
            run(args.program, "check", f"my_{kind}.toml", *plugins, cwd=folder)
            verb = "sweep" if "\n[sweep]\n" in (folder / f"my_{kind}.toml").read_text() else "run"
            run(args.program, verb, f"my_{kind}.toml", *plugins, cwd=folder)
            if not list((folder / "results" / f"my_{kind}").rglob("*.h5")):
                sys.exit(f"xp {verb} my_{kind}.toml left no result file")
    print(f"{len(kinds)} kinds made, built, tested and run outside the tree: {' '.join(kinds)}")


if __name__ == "__main__":
    main()
