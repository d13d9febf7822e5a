#!/usr/bin/env python3
"""Makes small tokenizers in the formats of other tools, and compares what the C++ readers make of them.

Needs the Python packages `sentencepiece`, `tiktoken` and `tokenizers`; the C++ tests read what is written and need no
Python. Into tests/golden/files/tokenizers it writes SentencePiece models, a rank file, a Tekken file, and for each
NAME its NAME.ids.json: a list of [text, ids] of the tool itself. What the C++ readers make of them stands beside them as
NAME.tokenizer.json (`test_files "[.golden]"` writes it, the ordinary tests compare with it); --check loads it with the
Hugging Face library and compares ids. Exit: 0 written or equal, 1 different.
"""

import argparse
import base64
import io
import json
import pathlib
import sys

import sentencepiece
import tiktoken
import tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Texts that spell a byte piece: the library's Unigram takes it for one, SentencePiece does not.
KNOWN = {("unigram_own", "<0x41>")}
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LINES = [
    "the quick brown fox jumps over the lazy dog, 12 times in 3 days",
    "the cat sits on the mat and sleeps; the dog runs over the meadow and barks",
    "die Katze sitzt auf der Matte und schläft, der Hund läuft über die Wiese und bellt",
    "кошка сидит на коврике и спит, собака бежит по лугу и лает",
    "we don't know what they'll say: it isn't said twice, and it's never written down",
]
COMMON = {"vocab_size": 180, "hard_vocab_limit": False, "minloglevel": 2, "character_coverage": 1.0, "num_threads": 1}
MODELS = {
    "bpe_bytes": {"model_type": "bpe", "byte_fallback": True, "vocab_size": 450}
    | {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "split_digits": True},
    "bpe_own": {"model_type": "bpe", "user_defined_symbols": ["<sep>", "brown fox"]}
    | {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False},
    "unigram": {"model_type": "unigram", "normalization_rule_name": "identity"},
    "unigram_own": {"model_type": "unigram", "normalization_rule_name": "identity", "byte_fallback": True}
    | {"user_defined_symbols": ["<sep>", "qu"], "vocab_size": 450},
    "unigram_phrases": {"model_type": "unigram", "normalization_rule_name": "identity", "split_by_whitespace": False}
    | {"remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True},
}


def texts_of_tests():
    texts = json.loads((ROOT / "tests/golden/tokenizers/texts.json").read_text(encoding="utf-8"))
    more = ["", " ", "  a", "a  b ", "a <sep> b", "the brown fox", "quqaqu", "12 345", "\t\n", "<0x41>", "日本 語"]
    return texts + more


def train(folder):
    for name, settings in MODELS.items():
        made = io.BytesIO()  # a file's name would stand in the model
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(LINES * 4), model_writer=made, **(COMMON | settings)
        )
        (folder / f"{name}.model").write_bytes(made.getvalue())


def ranks(lines):
    """Ranks of a byte-pair encoding: bytes first, then the most frequent pair of what is there, and again."""
    tokens = {bytes([i]): i for i in range(256)}
    words = [[bytes([b]) for b in word.encode()] for line in lines for word in line.replace(" ", "\n ").split("\n")]
    while len(tokens) < 400:
        counts = {}
        for word in words:
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        left, right = max(counts, key=lambda pair: (counts[pair], pair))
        tokens[left + right] = len(tokens)
        for word in words:
            i = 0
            while i + 1 < len(word):
                if word[i] == left and word[i + 1] == right:
                    word[i : i + 2] = [left + right]
                i += 1
    return tokens


def write_ranks(folder, tokens):
    lines = [f"{base64.b64encode(token).decode()} {rank}" for token, rank in tokens.items()]
    (folder / "ranks.tiktoken").write_text("\n".join(lines) + "\n", encoding="ascii")
    entries = [
        {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
        for token, rank in tokens.items()
    ]
    config = {"pattern": PATTERN, "num_vocab_tokens": len(tokens), "default_vocab_size": 390}
    config |= {"default_num_special_tokens": 30, "version": "v3"}
    (folder / "tekken.json").write_text(json.dumps({"config": config, "vocab": entries}), encoding="ascii")


def tools_of(folder):
    """Yields (name, text -> ids) of each file."""
    for path in sorted(folder.glob("*.model")):
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        yield path.stem, lambda text, model=model: model.encode(text)
    lines = (folder / "ranks.tiktoken").read_text(encoding="ascii").split("\n")
    tokens = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines if line}
    cl100k = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|"""
    cl100k += r"""\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    ranked = tiktoken.Encoding("ranks", pat_str=cl100k, mergeable_ranks=tokens, special_tokens={})
    yield "ranks", lambda text: ranked.encode(text, disallowed_special=())
    lowest = {token: rank for token, rank in tokens.items() if rank < 360}
    tekken = tiktoken.Encoding("tekken", pat_str=PATTERN, mergeable_ranks=lowest, special_tokens={})
    yield "tekken", lambda text: [i + 30 for i in tekken.encode(text, disallowed_special=())]


def compare(name, rows, path):
    made = tokenizers.Tokenizer.from_file(str(path))
    rows = [row for row in rows if (name, row[0]) not in KNOWN]
    wrong = [text for text, ids in rows if made.encode(text, add_special_tokens=False).ids != ids]
    for text in wrong[:5]:
        print(f"{name}: other ids for {text!r}", file=sys.stderr)
    print(f"{name}: {len(rows) - len(wrong)} of {len(rows)} texts equal")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "tests/golden/files/tokenizers")
    args = parser.parse_args()
    texts = texts_of_tests()
    if not args.check:
        args.folder.mkdir(parents=True, exist_ok=True)
        train(args.folder)
        write_ranks(args.folder, ranks(LINES))
    different = 0
    for name, ids_of in tools_of(args.folder):
        rows = [[text, ids_of(text)] for text in texts]
        target = args.folder / f"{name}.ids.json"
        lines = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
        if not args.check:
            target.write_text(lines, encoding="utf-8")
            continue
        if target.read_text(encoding="utf-8") != lines:
            print(f"{target}: the tool gives other ids", file=sys.stderr)
            different = 1
        different |= compare(name, rows, args.folder / f"{name}.tokenizer.json")
    return different


if __name__ == "__main__":
    sys.exit(main())
