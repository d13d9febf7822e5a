#!/usr/bin/env python3
"""Trains small fastText models and writes the vectors that the library itself gives for words.

Needs the Python packages `fasttext-wheel`, `gensim`, `numpy` and `safetensors`; the C++ tests read what is written and
need no Python. Into tests/golden/files/vectors it writes
  skipgram.bin, supervised.ftz and pruned.ftz (models), skipgram.vec, word2vec.bin and glove.txt (tables),
  and expected.safetensors: NAME, a row for each word of words.txt (zeros if the library has none).
Training is not bit-equal everywhere, so --check compares the vectors of the models that are there.
Exit: 0 written or equal, 1 different.
"""

import argparse
import pathlib
import sys

import fasttext
import numpy as np
from gensim.models import KeyedVectors
from safetensors.numpy import load_file, save_file

LINES = [
    "die Katze sitzt auf der Matte und schläft",
    "der Hund läuft über die Wiese und bellt",
    "the cat sits on the mat and sleeps",
    "the dog runs over the meadow and barks",
    "кошка сидит на коврике и спит",
    "собака бежит по лугу и лает",
]
WORDS = ["die", "Katze", "schläft", "the", "cat", "кошка", "</s>", "Katzen", "лугом", "a", "x", "猫", "über", "the the"]
TABLES = {"skipgram.vec": False, "word2vec.bin": True, "glove.txt": False}


def train(folder):
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(LINES * 4) + "\n", encoding="utf-8")
    labelled = folder / "labelled.txt"
    labelled.write_text("\n".join(f"__label__{i % 3} {line}" for i, line in enumerate(LINES * 4)) + "\n", "utf-8")
    small = {"dim": 4, "thread": 1, "epoch": 3, "verbose": 0}
    model = fasttext.train_unsupervised(str(corpus), "skipgram", minCount=1, bucket=50, minn=2, maxn=4, **small)
    model.save_model(str(folder / "skipgram.bin"))
    for name, settings in {"supervised.ftz": {}, "pruned.ftz": {"cutoff": 260, "retrain": True}}.items():
        model = fasttext.train_supervised(
            str(labelled), bucket=400, minn=1, maxn=5, dim=5, thread=1, epoch=3, verbose=0, minCount=1
        )
        model.quantize(input=str(labelled), qnorm=True, dsub=2, thread=1, epoch=1, verbose=0, **settings)
        model.save_model(str(folder / name))
    corpus.unlink()
    labelled.unlink()


def tables(folder):
    model = fasttext.load_model(str(folder / "skipgram.bin"))
    words = model.get_words()
    vectors = KeyedVectors(4)
    vectors.add_vectors(words, np.stack([model.get_word_vector(word) for word in words]))
    vectors.save_word2vec_format(folder / "skipgram.vec")
    vectors.save_word2vec_format(folder / "word2vec.bin", binary=True)
    vectors.save_word2vec_format(folder / "glove.txt", write_header=False)


def expected(folder):
    rows = {}
    for path in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.ftz")):
        if path.name != "word2vec.bin":
            model = fasttext.load_model(str(path))
            rows[path.name] = np.stack([model.get_word_vector(word) for word in WORDS]).astype(np.float32)
    for name, binary in TABLES.items():
        vectors = KeyedVectors.load_word2vec_format(folder / name, binary=binary, no_header=name == "glove.txt")
        rows[name] = np.stack([vectors[word] if word in vectors else np.zeros(4, np.float32) for word in WORDS])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/files/vectors"
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=default)
    args = parser.parse_args()
    if not args.check:
        args.folder.mkdir(parents=True, exist_ok=True)
        train(args.folder)
        tables(args.folder)
        (args.folder / "words.txt").write_text("\n".join(WORDS) + "\n", "utf-8")
        save_file(expected(args.folder), args.folder / "expected.safetensors")
        return 0
    stored = load_file(args.folder / "expected.safetensors")
    different = 0
    for name, rows in expected(args.folder).items():
        if name not in stored or stored[name].tobytes() != rows.tobytes():
            print(f"{args.folder / name}: the library gives other vectors", file=sys.stderr)
            different = 1
    return different


if __name__ == "__main__":
    sys.exit(main())
