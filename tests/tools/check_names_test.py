"""check-names on a scratch tree with a manifest as the build writes it."""

import json
import unittest

from scratch import TOOLS, ScratchTest


class CheckNames(ScratchTest):
    def setUp(self):
        super().setUp()
        components = [{"interface": "objective", "type": "mlm"}, {"interface": "dataset", "type": "text"}]
        manifest = {"plugin": "masked", "components": components}
        self.write("build/release/plugins/masked.json", json.dumps(manifest))

    def check(self, text, name="framework/engine/loop.cpp"):
        self.write(name, text)
        return self.run_tool(TOOLS / "check-names", "--root", self.scratch)

    def test_name_is_found(self):
        status, out, _ = self.check('\nif (type == "mlm") run();\n')
        self.assertEqual(status, 1)
        self.assertEqual(out, 'framework/engine/loop.cpp:2: "mlm" names the objective of plugin masked\n')
        self.assertEqual(self.check('auto s = R"(mlm)";\n')[0], 1)

    def test_what_is_no_name_passes(self):
        for text in ('// "mlm" is one', '/* "mlm" */', 'auto s = "mlm.loss";', "int mlm;", 'auto kind = "text";'):
            with self.subTest(text):
                self.assertEqual(self.check(text)[:2], (0, ""))

    def test_tests_may_name_components(self):
        self.assertEqual(self.check('"mlm"', "framework/engine/loop_test.cpp")[0], 0)

    def test_nothing_to_compare_is_no_success(self):
        self.write("build/release/plugins/masked.json", "{}")
        status, _, err = self.check("")
        self.assertEqual(status, 2)
        self.assertIn("is no manifest", err)
        (self.scratch / "build/release/plugins/masked.json").unlink()
        self.assertEqual(self.check("")[0], 2)


if __name__ == "__main__":
    unittest.main()
