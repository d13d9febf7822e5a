#!/usr/bin/env python3
"""The cases of plugins/launchers/slurm_test.cpp that want a Slurm."""
import pathlib
import subprocess
import sys

import one_node

PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())


class Launcher(one_node.SlurmTest):
    def test_cases(self):
        done = subprocess.run([PROGRAM, "[real_slurm]"], env=self.slurm.environment, cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("All tests passed", done.stdout)


if __name__ == "__main__":
    one_node.main()
