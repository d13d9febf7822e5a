#!/usr/bin/env python3
"""Copies the tree to two folders of different depth and builds the named plugins in both: equal libraries, equal
manifests but for the time. The plugins are compiled without a compiler cache, which would hand the second folder what the
first one made; the libraries below them may come from one."""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def copy_tree(source, target):
    for name in run("git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def build(args, root, source, folder):
    run(args.cmake, "-S", source, "-B", folder, "-G", args.generator, f"-DTorch_DIR={args.torch}", "-DXP_TESTS=OFF",
        f"-DCMAKE_BUILD_TYPE={args.type}", f"-DCMAKE_CXX_COMPILER={args.compiler}")
    shared = dict(os.environ, CCACHE_BASEDIR=str(root), CCACHE_NOHASHDIR="1")
    run(args.cmake, "--build", folder, "--target", "xp_engine", "xp-describe", env=shared)
    run(args.cmake, "--build", folder, "--target", *[f"plugin_{name}" for name in args.plugins],
        env=dict(os.environ, CCACHE_DISABLE="1"))


def seen(args, folder):
    out = {}
    for name in args.plugins:
        library = (folder / "plugins" / f"{name}.so").read_bytes()
        manifest = json.loads((folder / "plugins" / f"{name}.json").read_text())
        del manifest["mtime"]  # when the library was written
        out[name] = {"sha256": hashlib.sha256(library).hexdigest(), "manifest": manifest}
        if str(folder.parent).encode() in library:
            sys.exit(f"{name}.so names the folder that it was built in")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("cmake", "generator", "compiler", "torch", "type", "source"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("plugins", nargs="+")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xp-bytes-") as scratch:
        root = pathlib.Path(scratch)
        found = []
        for source, folder in ((root / "a", root / "a" / "build"), (root / "b" / "much" / "deeper", root / "elsewhere")):
            copy_tree(pathlib.Path(args.source), source)
            build(args, root, source, folder)
            found.append(seen(args, folder))
        for name in args.plugins:
            if found[0][name] != found[1][name]:
                sys.exit(f"{name} differs:\n{found[0][name]}\n{found[1][name]}")
            print(name, found[0][name]["sha256"])


if __name__ == "__main__":
    main()
