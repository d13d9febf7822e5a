"""tools/build, run and test on a small project of their own: what they build, pass on, print and return."""

import shutil
import unittest

from scratch import ROOT, ScratchTest

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(small CXX)
enable_testing()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_executable(xp main.cpp)
add_custom_target(product DEPENDS xp)
add_test(NAME quick COMMAND xp)
add_test(NAME patient COMMAND xp)
set_tests_properties(patient PROPERTIES LABELS long)
"""

# Prints its arguments; its exit status is the length of the last one beyond four.
MAIN = """
#include <cstdio>
#include <cstring>
int main(int count, char** words) {
  for (int i = 1; i < count; ++i) std::puts(words[i]);
  return count > 1 && std::strlen(words[count - 1]) == 4 ? 5 : 0;
}
"""


class FrontDoor(ScratchTest):
    def setUp(self):
        super().setUp()
        for name in ("tools/setup", "tools/build", "tools/run", "tools/test", "CMakePresets.json"):
            (self.scratch / name).parent.mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, self.scratch / name)
        self.write("CMakeLists.txt", PROJECT)
        self.write("main.cpp", MAIN)

    def call(self, name, *arguments):
        return self.run_tool(self.scratch / "tools" / name, *arguments)

    def test_run(self):
        self.assertEqual(self.call("run")[:2], (0, "run\nrecipes/quickstart.toml\n"))
        status, out, err = self.call("run", "a b.toml", "--set", "x=12")
        self.assertEqual((status, out, err), (5, "run\na b.toml\n--set\nx=12\n", ""))
        self.assertEqual(self.call("run", "--smoke")[1], "run\nrecipes/quickstart.toml\n--smoke\n")
        elsewhere = self.run_tool(self.scratch / "tools/run", cwd="/")
        self.assertEqual(elsewhere[1], f"run\n{self.scratch}/recipes/quickstart.toml\n")

    def test_test(self):
        status, out, _ = self.call("test")
        self.assertEqual(status, 0)
        self.assertIn("100% tests passed, 0 tests failed out of 1", out)
        self.assertIn("0 tests failed out of 2", self.call("test", "--long")[1])
        self.assertNotEqual(self.call("test", "-R", "no_such_test")[0], 0)
        self.write("main.cpp", "int main() { return 1; }\n")
        status, out, _ = self.call("test")
        self.assertEqual(status, 1)
        self.assertIn("1 tests failed out of 1", out)

    def test_build_failure_shows_the_mistake(self):
        self.write("main.cpp", "int main() { return no_such_name; }\n")
        status, out, err = self.call("build")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("main.cpp:1:21: error: ", err)
        self.assertIn("build/release/build.log", err)
        self.assertEqual(self.call("run")[:2], (1, ""))
        self.assertEqual(self.call("test")[:2], (1, ""))
        self.write("CMakeLists.txt", "project(\n")
        status, _, err = self.call("build")
        self.assertEqual(status, 1)
        self.assertIn("CMake Error at CMakeLists.txt:", err)

    def test_preset(self):
        self.assertEqual(self.call("build", "--preset", "debug")[0], 0)
        self.assertTrue((self.scratch / "build/debug/bin/xp").exists())
        self.assertFalse((self.scratch / "build/release").exists())
        status, _, err = self.call("build", "--preset", "fast")
        self.assertEqual(status, 2)
        self.assertIn("no preset `fast`", err)


if __name__ == "__main__":
    unittest.main()
