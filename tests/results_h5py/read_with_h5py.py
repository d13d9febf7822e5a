"""Reads a result file with plain h5py, as framework/results/README.md shows. Exit 77: h5py is not installed."""

import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
except ImportError:
    print("h5py is not installed for", sys.executable)
    sys.exit(77)


def main() -> None:
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "result.h5"
        subprocess.run([program, str(path)], check=True)
        with h5py.File(path) as f:
            assert f.attrs["status"] == "done", f.attrs["status"]
            assert f.attrs["format"] == 1
            assert f["plan"][()].decode().startswith("{"), f["plan"][()]
            assert f["recipe"][()].decode() == 'name = "trial"\n'
            loss = f["ofa/0/tuned[duplicates]/curves/loss"]
            assert loss["value"][:].tolist() == [1 / (i + 3) for i in range(3000)]
            assert loss["steps"][:].tolist() == [10 * i for i in range(3000)]
            assert loss["value"].compression == "gzip"
            assert loss.attrs["unit"] == "nats/token" and loss.attrs["split"] == "text:train"
            final = f["separate[0]/0/tuned[duplicates]/final"]
            assert final["retrieval.top10"][()] == 0.125
            assert f["ofa/0/tuned[duplicates]"] == f["separate[0]/0/tuned[duplicates]"]
            items = f["ofa/0/tuned[duplicates]/items/pairs"]
            assert items["id"].asstr()[3] == "doc-3" and items["correct"][3] == 1
            assert f["ofa/0/tuned[duplicates]/ledger/mixing/way"].asstr()[0] == "copied"
            prints = f["ofa/0/tuned[duplicates]/fingerprints"]
            assert prints["batches/step"][:].tolist() == [1, 2, 4]
            names = prints["weights/names"].asstr()[:]
            assert [names[i] for i in prints["weights/tensor"][:2]] == ["embedding.token", "layer/0 %"]
            assert f["ofa/0/tuned[duplicates]/notes"].asstr()[:].tolist()[0] == "the first note"
            assert f["ofa/0/tuned[duplicates]/counters/steps"][()] == 30000
    print("read with h5py", h5py.__version__)


main()
