"""One small training stage, and what comes out of it; shared by the tests of this folder."""
import hashlib
import json
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

RECIPE = """
recipe  = 1
name    = "shared"
threads = 1

[dataset.english]
type  = "text"
files = ["en.txt"]

[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 200 }
corpus = "english"

[stage.pretrain]
type      = "train"
model     = { type = "transformer", layers = 2, width = 32, heads = 2, max_time = 32, dropout = 0.1, attention_dropout = 0.1 }
tokenizer = "tokens"
data      = "english"
objective = { type = "mlm", mask_rate = 0.3 }
optimizer = { type = "adamw", lr = 1e-3, epsilon = 1e-4 }
batch     = { tokens = 512 }
stop      = "30 steps"
"""


def write_project(folder, recipe=RECIPE):
    """A project with shared.toml and the text it reads."""
    (folder / "xp.toml").write_text("")
    draw = random.Random(1)
    words = "ship wave sail port cow field barn milk".split()
    texts = [" ".join(draw.choice(words) for _ in range(draw.randrange(5, 60))) for _ in range(200)]
    (folder / "en.txt").write_text("".join(f"::id {n}\n{text}.\n\n" for n, text in enumerate(texts)))
    (folder / "shared.toml").write_text(recipe)


def documents(words, seed):
    """120 texts of drawn words, as dataset `text` reads them."""
    draw = random.Random(seed)
    lines = []
    for number in range(120):
        lines.append(f"::id {number}")
        lines += [" ".join(draw.choice(words) for _ in range(25)) + "." for _ in range(2)]
        lines.append("")
    return "\n".join(lines) + "\n"


def write_tiny(folder):
    """A project with tiny.toml and the two texts that it reads."""
    (folder / "xp.toml").write_text("")
    shutil.copy(pathlib.Path(__file__).resolve().parent / "tiny.toml", folder)
    (folder / "en.txt").write_text(documents("ship wave sail port cow field barn milk".split(), 1))
    (folder / "fr.txt").write_text(documents("navire vague voile port vache champ grange lait".split(), 2))


def weights(folder):
    """Numbers by name of the one trained model in a results folder."""
    files = sorted((folder / "cache").glob("[0-9a-f]*/*/model.safetensors"))
    assert len(files) == 1, files
    data = files[0].read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    out = {}
    for name, entry in head.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            out[name] = struct.unpack(f"<{(end - begin) // 4}f", data[8 + size + begin:8 + size + end])
    return out


def difference(a, b):
    assert a.keys() == b.keys()
    return max(abs(x - y) for name in a for x, y in zip(a[name], b[name], strict=True))


class Project(unittest.TestCase):
    """A folder of its own for each test, and `program` in it."""
    program = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-project-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def xp(self, *arguments, code=0, **more):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300,
                              **more)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done

    def weights(self, results="results"):
        """sha256 of every trained model, by its entry in the cache."""
        files = (self.folder / results / "cache").glob("[0-9a-f]*/*/model.safetensors")
        return {f.parent.parent.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
