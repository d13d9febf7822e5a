"""backports-line on the source formats apt reads."""

import unittest

from scratch import TOOLS, ScratchTest

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


class BackportsLine(ScratchTest):
    def setUp(self):
        super().setUp()
        self.write("etc/os-release", 'ID=debian\nVERSION_CODENAME=bookworm\n')

    def line(self, *arguments):
        return self.run_tool(TOOLS / "backports-line", "--root", self.scratch, *arguments)

    def test_one_line_format(self):
        self.write(
            "etc/apt/sources.list",
            "# deb http://old.example/debian bookworm main\n"
            "deb-src http://mirror.example/debian bookworm main\n"
            "deb http://other.example/tools bookworm contrib\n"
            "deb [arch=amd64 signed-by=/keys/a.gpg] http://mirror.example/debian bookworm main # ours\n",
        )
        expected = "deb [arch=amd64 signed-by=/keys/a.gpg] http://mirror.example/debian bookworm-backports main\n"
        self.assertEqual(self.line()[:2], (0, expected))
        self.assertFalse((self.scratch / "etc/apt/sources.list.d").exists())

    def test_deb822_format(self):
        self.write(
            "etc/apt/sources.list.d/debian.sources",
            "Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
            "Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n"
            "Components: main\nSigned-By: /keys/b.gpg\n",
        )
        expected = "deb [signed-by=/keys/b.gpg] http://mirror.example/debian bookworm-backports main\n"
        self.assertEqual(self.line("--write")[:2], (0, expected))
        written = self.scratch / "etc/apt/sources.list.d/xp-backports.list"
        self.assertEqual(written.read_text(), expected)
        self.assertEqual(self.line()[1], expected)

    def test_key_inside_the_source(self):
        self.write(
            "etc/apt/sources.list.d/debian.sources",
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: stable\nComponents: main\n"
            f"Signed-By:\n {KEY}\n .\n mQINBFit\n",
        )
        status, out, err = self.line("--write")
        self.assertEqual(status, 0, err)
        self.assertIn("[signed-by=/etc/apt/keyrings/xp-backports.asc]", out)
        self.assertEqual((self.scratch / "etc/apt/keyrings/xp-backports.asc").read_text(), f"{KEY}\n\nmQINBFit\n")

    def test_no_source_of_this_release(self):
        self.write("etc/apt/sources.list", "deb http://mirror.example/debian trixie main\n")
        status, out, err = self.line("--write")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("offers suite `bookworm`", err)


if __name__ == "__main__":
    unittest.main()
