#!/usr/bin/env python3
"""Packs archives that point outside, link, lie about sizes or are not the pinned ones, and expects them to be refused."""

import gzip
import io
import lzma
import os
import sys
import tarfile
import tempfile
import unittest
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "data"))
import archives  # noqa: E402


def _tar(*members):
    """Returns an uncompressed tar archive of (name, type, content or link target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                tar.addfile(info)
    return stream.getvalue()


def _deb(data, size=None, name=b"data.tar.xz"):
    header = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(data) if size is None else size)
    return b"!<arch>\n" + header + data


class Archives(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name

    def put(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def npm(self, *members):
        return archives.members(self.put("p.tgz", gzip.compress(_tar(*members))), "npm", ["package/**"])

    def test_plain_members_by_glob(self):
        data = _tar(("package/a/1.txt", tarfile.REGTYPE, b"one"), ("package/a/b/2.txt", tarfile.REGTYPE, b"two"),
                    ("package/c.md", tarfile.REGTYPE, b"three"))
        path = self.put("p.tgz", gzip.compress(data))
        self.assertEqual(archives.members(path, "npm", ["package/a/*.txt"]), {"package/a/1.txt": b"one"})
        self.assertEqual(sorted(archives.members(path, "npm", ["package/a/**"])), ["package/a/1.txt", "package/a/b/2.txt"])
        path = self.put("p.deb", _deb(lzma.compress(data)))
        self.assertEqual(archives.members(path, "deb", ["package/*.md"]), {"package/c.md": b"three"})

    def test_names_that_point_outside(self):
        for name in ("/package/x", "package/../../x", "../x", "package\\x"):
            with self.subTest(name), self.assertRaisesRegex(archives.ArchiveError, "points outside"):
                self.npm((name, tarfile.REGTYPE, b"x"))

    def test_links_and_devices(self):
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            with self.subTest(kind), self.assertRaisesRegex(archives.ArchiveError, "link or a device"):
                self.npm(("package/x", kind, "/etc/passwd"))

    def test_wheel(self):
        path = os.path.join(self.folder, "p.whl")
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("p/a.txt", "text")
        self.assertEqual(archives.members(path, "pypi", ["p/*"]), {"p/a.txt": b"text"})
        link = zipfile.ZipInfo("p/link")
        link.external_attr = 0o120777 << 16
        with zipfile.ZipFile(path, "a") as wheel:
            wheel.writestr(link, "/etc/passwd")
        with self.assertRaisesRegex(archives.ArchiveError, "is a link"):
            archives.members(path, "pypi", ["p/*"])
        with zipfile.ZipFile(path, "a") as wheel:
            wheel.writestr("../x", "text")
        with self.assertRaisesRegex(archives.ArchiveError, "points outside"):
            archives.members(path, "pypi", ["q/*"])

    def test_oversize(self):
        self.addCleanup(setattr, archives, "MAX_UNPACKED_BYTES", archives.MAX_UNPACKED_BYTES)
        archives.MAX_UNPACKED_BYTES = 10
        with self.assertRaisesRegex(archives.ArchiveError, "more than 10 bytes"):
            self.npm(("package/a", tarfile.REGTYPE, b"123456"), ("package/b", tarfile.REGTYPE, b"123456"))

    def test_broken_debian_packages(self):
        good = lzma.compress(_tar(("a", tarfile.REGTYPE, b"x")))
        for data, message in ((b"no archive", "no ar header"), (_deb(good, size=10**9), "says 1000000000 bytes"),
                              (_deb(good)[:40], "broken ar header"), (_deb(good, name=b"data.tar.zst"), "only data.tar.xz"),
                              (_deb(good, name=b"control.tar.xz"), "no member `data.tar")):
            with self.subTest(message), self.assertRaisesRegex(archives.ArchiveError, message):
                archives.members(self.put("p.deb", data), "deb", ["*"])

    def test_archive_that_is_not_the_pinned_one(self):
        tools = os.path.join(self.folder, "tools")
        os.mkdir(tools)
        client = os.path.join(tools, "npm")
        with open(client, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho changed > p-1.tgz\n")
        os.chmod(client, 0o755)
        self.addCleanup(os.environ.__setitem__, "PATH", os.environ["PATH"])
        os.environ["PATH"] = tools + os.pathsep + os.environ["PATH"]
        cache = os.path.join(self.folder, "cache")
        source = {"registry": "npm", "package": "p", "version": "1", "sha256": "0" * 64}
        with self.assertRaisesRegex(archives.ArchiveError, "expected SHA-256 0{64}, downloaded p-1.tgz"):
            archives.obtain("p", source, cache)
        self.assertEqual(os.listdir(cache), [])


if __name__ == "__main__":
    unittest.main()
