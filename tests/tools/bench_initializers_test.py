"""bench/initializers.py with a peer and a program that stand in: ratios for equal neighbours, an error for wrong ones."""

import os
import sys
import unittest

from scratch import TOOLS, ScratchTest

SCRIPT = TOOLS / "bench" / "initializers.py"
PEER = """
METRIC_INNER_PRODUCT = 0
def omp_set_num_threads(n):
    pass
def knn(targets, sources, k, metric):
    cosines = targets @ sources.T
    ids = (-cosines).argsort(axis=1)[:, :k]
    return cosines, ids
"""
PROGRAM = """#!{python}
import json, sys
import numpy
targets, sources = (numpy.fromfile(path, numpy.float32).reshape(-1, int(sys.argv[3])) for path in sys.argv[1:3])
order = ({sign} * (targets @ sources.T)).argsort(axis=1)[:, :int(sys.argv[4])]
order.astype(numpy.int64).tofile(sys.argv[6])
print(json.dumps({{"cpu": 0.5, "wall": 0.5, "mib": 1.0}}))
"""
try:
    import numpy
except ImportError:
    numpy = None


@unittest.skipIf(numpy is None, "the peers' package numpy is not there")
class BenchInitializers(ScratchTest):
    def bench(self, sign, *more):
        peer = self.scratch / "peer" / "faiss" / "__init__.py"
        peer.parent.mkdir(parents=True, exist_ok=True)
        peer.write_text(PEER, encoding="utf-8")
        program = self.scratch / "search"
        program.write_text(PROGRAM.format(python=sys.executable, sign=sign), encoding="utf-8")
        program.chmod(0o755)
        environment = {**os.environ, "PYTHONPATH": str(peer.parent.parent)}
        return self.run_tool(sys.executable, "-B", SCRIPT, "neighbours", "--program", program, "--peer-python",
                             sys.executable, "--targets", "40", "--sources", "30", "--dim", "6", "--k", "4", "--rounds",
                             "3", *more, env=environment)

    def test_ratios(self):
        status, out, _ = self.bench(-1)
        self.assertEqual(status, 0)
        self.assertIn("4 nearest of 30 to 40, dimension 6", out)
        self.assertIn("40 of 40", out)

    def test_wrong_neighbours(self):
        status, out, _ = self.bench(1)
        self.assertEqual(status, 1)
        self.assertIn("0 of 40", out)

    def test_table(self):
        table = self.scratch / "table.safetensors"
        rows = numpy.random.default_rng(1).standard_normal((50, 8), dtype=numpy.float32)
        header = b'{"words":{"dtype":"F32","shape":[50,8],"data_offsets":[0,1600]}}'
        table.write_bytes(len(header).to_bytes(8, "little") + header + rows.tobytes())
        status, out, _ = self.bench(-1, "--table", table)
        self.assertEqual(status, 0)
        self.assertIn("4 nearest of 22 to 28, dimension 8", out)


if __name__ == "__main__":
    unittest.main()
