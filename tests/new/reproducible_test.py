#!/usr/bin/env python3
"""Builds one plugin in two folders of different names and depths: the libraries must be equal, byte by byte."""

import argparse
import hashlib
import pathlib
import subprocess
import sys
import tempfile


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}:\n{done.stdout}{done.stderr}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("program", "cmake", "generator", "compiler", "xp"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xp-new-") as scratch:
        root = pathlib.Path(scratch)
        digests = {}
        for folder, build in ((root / "a", root / "a" / "build"), (root / "b" / "much" / "deeper", root / "elsewhere")):
            folder.mkdir(parents=True)
            run(args.program, "new", "schedule", "twice", "--in", folder)
            # No compiler cache: it would hand the second folder what the first one made.
            run(args.cmake, "-S", folder, "-B", build, "-G", args.generator, f"-Dxp_DIR={args.xp}",
                f"-DCMAKE_CXX_COMPILER={args.compiler}", "-DCMAKE_CXX_COMPILER_LAUNCHER=", "-DBUILD_TESTING=OFF")
            run(args.cmake, "--build", build, "--target", "plugin_twice")
            library = (build / "plugins" / "twice.so").read_bytes()
            if str(root).encode() in library:
                sys.exit(f"{build}/plugins/twice.so names the folder that it was built in")
            digests[str(build)] = hashlib.sha256(library).hexdigest()
    if len(set(digests.values())) != 1:
        sys.exit("\n".join(f"{digest}  {build}" for build, digest in digests.items()))
    print("equal:", *set(digests.values()))


if __name__ == "__main__":
    main()
