"""What a power cut may leave of what a program did to its files, by the rules of POSIX and little kindness beyond them:
bytes are on the disk once their file was synced, a name once its folder was; of the rest, any beginning may be there.
A rename is there or not, never half."""
import collections
import json
import os
import pathlib
import time

REBOOT = 300  # seconds until somebody looks at the disk again
ROOT = 0


class Operation:
    def __init__(self, entry, data):
        self.__dict__.update(entry)
        self.data = data


def read_log(path):
    """The operations that recorder.cpp wrote down, in order."""
    out = []
    with open(path, "rb") as file:
        while line := file.readline():
            entry = json.loads(line)
            out.append(Operation(entry, file.read(entry["bytes"])))
    return out


class Tree:
    """Folders and files by numbers of their own, for inodes are used again: a folder's names and a file's bytes."""

    def __init__(self):
        self.folders = {ROOT: {}}
        self.bytes = collections.defaultdict(bytearray)

    def change(self, number, operation, most=None):
        data = self.bytes[number]
        if operation.op == "truncate":
            del data[operation.size:]
            data.extend(bytes(operation.size - len(data)))
            return
        piece = operation.data if most is None else operation.data[:most]
        data.extend(bytes(max(0, operation.offset - len(data))))
        data[operation.offset:operation.offset + len(piece)] = piece

    def apply(self, step, torn=None):
        """A step of Disk.steps."""
        if step.operation.op in ("write", "truncate"):
            return self.change(step.number, step.operation, torn)
        for folder, name in step.gone:
            self.folders.setdefault(folder, {}).pop(name, None)
        for folder, name in step.come:
            self.folders.setdefault(folder, {})[name] = step.number
        if step.operation.op == "mkdir":
            self.folders.setdefault(step.number, {})

    def write_to(self, path, number=ROOT):
        path = pathlib.Path(path)
        path.mkdir(parents=True, exist_ok=True)
        for name, inner in self.folders[number].items():
            if inner in self.folders:
                self.write_to(path / name, inner)
                continue
            (path / name).write_bytes(self.bytes.get(inner, b""))
            os.utime(path / name, (time.time() - REBOOT,) * 2)


class Step:
    """An operation with what it is about: `touched` are the folders whose names or the file whose bytes it changes."""

    def __init__(self, operation, number, touched, come=(), gone=()):
        self.operation, self.number, self.touched = operation, number, touched
        self.come, self.gone = come, gone


class Disk:
    def __init__(self, operations):
        self.steps = []
        self.tree = Tree()  # all that was done, as if nothing was ever lost
        self.numbers = {}   # inode -> number
        for one in operations:
            self.steps.append(self._step(one))
            if one.op != "sync":
                self.tree.apply(self.steps[-1])

    def _place(self, path):
        """Number of the folder, and the name in it."""
        number, *rest = ROOT, *path.split("/")
        for name in rest[:-1]:
            number = self.tree.folders[number][name]
        return number, rest[-1]

    def _step(self, one):
        if one.op in ("create", "mkdir"):
            number = self.numbers[one.inode] = len(self.steps) + 1
            place = self._place(one.path)
            return Step(one, number, [place[0]], come=[place])
        if one.op in ("rename", "link"):
            place, to = self._place(one.path), self._place(one.to)
            number = self.tree.folders[place[0]][place[1]]
            if one.op == "link":
                return Step(one, number, [to[0]], come=[to])
            return Step(one, number, [place[0], to[0]], come=[to], gone=[place])
        if one.op == "unlink":
            place = self._place(one.path)
            return Step(one, None, [place[0]], gone=[place])
        number = ROOT if one.op == "sync" and not one.path else self.numbers[one.inode]
        return Step(one, number, [number])

    def after(self, cut, draw, names="synced", data="synced"):
        """What is there if the power goes behind the first `cut` operations. `names`, `data`: "synced" (nothing more),
        "all", or "some" (a beginning of what each folder or file saw)."""
        steps = self.steps[:cut]
        synced = {step.number: i for i, step in enumerate(steps) if step.operation.op == "sync"}
        pending = collections.Counter(number for i, step in enumerate(steps) if step.operation.op != "sync"
                                      for number in step.touched if i > synced.get(number, -1))
        kept = {number: draw.randint(0, count) for number, count in sorted(pending.items())}
        tree = Tree()
        for i, step in enumerate(steps):
            if step.operation.op == "sync":
                continue
            is_data = step.operation.op in ("write", "truncate")
            mode = data if is_data else names
            there, torn = any(i < synced.get(number, -1) for number in step.touched), None
            if not there and mode == "some":
                there = all(kept[number] > 0 for number in step.touched)
                for number in step.touched:
                    kept[number] -= 1
                if there and step.operation.op == "write" and kept[step.number] == 0:
                    torn = draw.randint(0, len(step.operation.data))
            if there or mode == "all":
                tree.apply(step, torn)
        return tree


def content(root):
    """Path -> bytes of all files below a folder."""
    out = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = pathlib.Path(folder) / name
            out[str(path.relative_to(root))] = path.read_bytes()
    return out
