"""tools/setup where nothing may be installed: which LibTorch it takes, and what it says when there is none."""

import unittest

from scratch import TOOLS, ScratchTest


class Setup(ScratchTest):
    def torch(self, folder, version):
        self.write(f"{folder}/share/cmake/Torch/TorchConfig.cmake", "")
        self.write(f"{folder}/share/cmake/Torch/TorchConfigVersion.cmake", f'set(PACKAGE_VERSION "{version}")\n')
        return self.scratch / folder

    def prefix(self, **env):
        env = {"XDG_CACHE_HOME": self.scratch / "cache", "LIBTORCH": None, "CMAKE_PREFIX_PATH": None, **env}
        return self.run_tool(TOOLS / "setup", "--print-prefix", env=env)

    def test_order_of_places(self):
        first, second = self.torch("a b", "2.13.0"), self.torch("c", "2.11.0+cpu")
        self.assertEqual(self.prefix(LIBTORCH=first, CMAKE_PREFIX_PATH=second)[:2], (0, f"{first}\n"))
        self.assertEqual(self.prefix(CMAKE_PREFIX_PATH=f"{self.scratch}:{second}")[:2], (0, f"{second}\n"))
        # what torch.utils.cmake_prefix_path names
        self.assertEqual(self.prefix(CMAKE_PREFIX_PATH=second / "share/cmake")[:2], (0, f"{second}\n"))

    def test_unusable_torch(self):
        status, out, err = self.prefix(LIBTORCH=self.scratch)
        self.assertEqual((status, out), (3, ""))
        self.assertIn("has no share/cmake/Torch/TorchConfig.cmake", err)
        status, out, err = self.prefix(LIBTORCH=self.torch("old", "2.5.1"))
        self.assertEqual((status, out), (3, ""))
        self.assertIn("LIBTORCH names LibTorch 2.5.1", err)
        self.assertIn("at least 2.11 is needed", err)

    def test_own_environment_counts_when_stamped(self):
        status, out, err = self.prefix()
        self.assertEqual((status, out), (3, ""))
        self.assertIn("run tools/setup", err)
        torch = self.torch("cache/xp/torch-2.13.0/lib/torch", "2.13.0")
        self.assertEqual(self.prefix()[0], 3)
        self.write("cache/xp/torch-2.13.0/xp-installed", f"{torch}\n")
        self.assertEqual(self.prefix()[:2], (0, f"{torch}\n"))
        (torch / "share/cmake/Torch/TorchConfig.cmake").unlink()
        self.assertEqual(self.prefix()[0], 3)

    def test_usage(self):
        status, _, err = self.run_tool(TOOLS / "setup", "--everything")
        self.assertEqual(status, 2)
        self.assertIn("unknown argument --everything", err)


if __name__ == "__main__":
    unittest.main()
