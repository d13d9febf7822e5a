"""check-symbols on libraries compiled here."""

import os
import shutil
import unittest

from scratch import TOOLS, ScratchTest


class CheckSymbols(ScratchTest):
    def compile(self, name, code):
        source = self.write("source.c", code)
        library = self.scratch / "plugins" / f"{name}.so"
        library.parent.mkdir(exist_ok=True)
        compiler = os.environ.get("CC") or shutil.which("gcc") or "cc"
        status, _, err = self.run_tool(compiler, "-shared", "-fPIC", "-fvisibility=hidden", "-o", library, source)
        self.assertEqual(status, 0, err)

    def check(self):
        return self.run_tool(TOOLS / "check-symbols", self.scratch / "plugins")

    exported = '__attribute__((visibility("default"))) int {} = 1;\n'

    def test_one_entry_passes(self):
        self.compile("good", self.exported.format("xp_plugin_abi3_good") + "int hidden(void) { return 0; }\n")
        status, out, err = self.check()
        self.assertEqual((status, out), (0, ""))
        self.assertIn("1 plugins, 0 not", err)

    def test_second_symbol(self):
        self.compile("loud", self.exported.format("xp_plugin_abi3_loud") + self.exported.format("leaked"))
        status, out, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("exports more than its entry `xp_plugin_abi3_loud`: leaked", out)

    def test_no_entry_and_two_entries(self):
        self.compile("none", "int hidden(void) { return 0; }\n")
        self.compile("two", self.exported.format("xp_plugin_abi3_a") + self.exported.format("xp_plugin_abi4_b"))
        status, out, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("none.so: exports 0 symbols", out)
        self.assertIn("two.so: exports 2 symbols", out)

    def test_no_library_and_no_plugins(self):
        self.assertEqual(self.check()[0], 2)
        self.write("plugins/broken.so", "not ELF")
        status, out, _ = self.check()
        self.assertEqual(status, 1)
        self.assertIn("nm cannot read it", out)


if __name__ == "__main__":
    unittest.main()
