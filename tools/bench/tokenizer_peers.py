#!/usr/bin/env python3
"""What the peers' Python does for tokenizer_bench.py: one call, one process. Prints JSON.

usage: tokenizer_peers.py versions
       tokenizer_peers.py encode PEER TOKENIZER TEXTS PASSES THREADS
       tokenizer_peers.py make KIND TEXT TARGET ENTRIES
       tokenizer_peers.py train PEER TEXT TARGET ENTRIES THREADS

encode: {"cpu", "wall", "mib", "tokens", "ids"}: seconds of each pass, the largest memory of the process, and a
SHA-256 of the ids as xp-tokenizer-rate writes them, of every pass the same. TEXTS is what that program reads. Each
peer gets what suits it: Hugging Face 256 texts a call, whose results are dropped before the next call, the others all
texts at once; where a peer can return arrays in place of lists, it does. Packages that peers import when they are
first called are imported before the clock starts."""
import array
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import pathlib
import struct
import sys
import tempfile
import time

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PACKAGES = {"HF encode_batch_fast": "tokenizers", "HF encode_batch": "tokenizers", "tiktoken": "tiktoken",
            "sentencepiece": "sentencepiece", "gigatoken": "gigatoken", "gigatoken, files": "gigatoken",
            "nanotoken": "nanotoken", "nanotoken, files": "nanotoken", "tokie": "tokie", "iree": "iree-tokenizer"}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def texts_of(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file] if path.endswith(".jsonl") else [file.read()]


def peak_mib():
    """Of this process: getrusage would count what the parent had when it forked."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("/proc/self/status has no VmHWM")


def packed(row):
    """32 bits an id."""
    return row.astype("<u4").tobytes() if hasattr(row, "astype") else array.array("I", row).tobytes()


def split_rows(ids, lengths):
    at = 0
    for n in lengths.tolist():
        yield ids[at:at + n]
        at += n


def hugging_face(name, tokenizer, _texts, _threads):
    from tokenizers import Tokenizer
    loaded = Tokenizer.from_file(tokenizer)
    encode = loaded.encode_batch_fast if name.endswith("fast") else loaded.encode_batch
    return 256, lambda texts: encode(texts, add_special_tokens=False), lambda out: (one.ids for one in out)


def byte_of():
    """GPT-2's printable characters, each with its byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}


def tiktoken(_name, tokenizer, _texts, threads):
    import tiktoken as package
    vocabulary = json.loads(pathlib.Path(tokenizer).read_text(encoding="utf-8"))["model"]["vocab"]
    table = byte_of()
    ranks = {bytes(table[c] for c in token): rank for token, rank in vocabulary.items()}
    loaded = package.Encoding("own", pat_str=GPT2, mergeable_ranks=ranks, special_tokens={})
    return None, lambda texts: loaded.encode_ordinary_batch(texts, num_threads=threads), iter


def sentencepiece(_name, tokenizer, _texts, threads):
    import sentencepiece as package
    loaded = package.SentencePieceProcessor(model_file=str(pathlib.Path(tokenizer).with_suffix(".model")))
    return None, lambda texts: loaded.encode(texts, num_threads=threads), iter


def separated(texts):
    """A file of the texts; it goes when the process ends. None of them has the separator."""
    if any("\0" in text for text in texts):
        raise SystemExit("a text has a zero byte")
    file = tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n", suffix=".txt")
    file.write("\0".join(texts))
    file.flush()
    return file


def gigatoken(name, tokenizer, texts, threads):
    import gigatoken as package
    loaded = package.Tokenizer(tokenizer)
    parallel = threads > 1
    rows = lambda out: (row.to_numpy() for row in out)
    if not name.endswith("files"):
        return None, lambda texts: loaded.encode_batch(texts, parallel=parallel), rows
    file = separated(texts)
    source = package.TextFileSource([file.name], separator=b"\0")
    return None, lambda _, keep=file: loaded.encode_files(source, parallel=parallel), rows


def nanotoken(name, tokenizer, texts, threads):
    import nanotoken as package
    loaded = package.Tokenizer(tokenizer)
    options = {"add_special_tokens": False, "parallel": threads > 1}
    rows = lambda out: (out[i] for i in range(len(out)))
    if not name.endswith("files"):
        return None, lambda texts: loaded.encode_batch(texts, **options), rows
    file = separated(texts)
    source = package.TextFileSource(file.name, separator="\0")
    return None, lambda _, keep=file: loaded.encode_files(source, **options), rows


def tokie(_name, tokenizer, _texts, _threads):
    import tokie as package
    loaded = package.Tokenizer.from_json(tokenizer)
    return None, lambda texts: loaded.encode_batch_flat(texts, add_special_tokens=False), lambda out: split_rows(*out)


def iree(_name, tokenizer, _texts, _threads):
    from iree.tokenizer import Tokenizer
    loaded = Tokenizer.from_file(tokenizer)
    return None, loaded.encode_batch_to_array, lambda out: split_rows(*out)


def encode(peer, tokenizer, texts_path, passes, threads):
    texts = texts_of(texts_path)
    if not peer.startswith("HF"):
        for name in ("numpy", "awkward"):
            if importlib.util.find_spec(name):
                importlib.import_module(name)
    make = {"HF": hugging_face, "tiktoken": tiktoken, "sentencepiece": sentencepiece, "gigatoken": gigatoken,
            "nanotoken": nanotoken, "tokie": tokie, "iree": iree}[peer.split()[0].rstrip(",")]
    batch, step, rows = make(peer, tokenizer, texts, threads)
    out = {"cpu": [], "wall": []}
    hashes, tokens = set(), 0
    for _ in range(passes):
        digest, tokens, cpu, wall = hashlib.sha256(), 0, 0.0, 0.0
        for at in range(0, len(texts), batch or len(texts)):
            part = texts[at:at + batch] if batch else texts
            begin, begin_wall = time.process_time(), time.perf_counter()
            result = step(part)
            cpu, wall = cpu + time.process_time() - begin, wall + time.perf_counter() - begin_wall
            for row in rows(result):
                digest.update(struct.pack("<I", len(row)) + packed(row))
                tokens += len(row)
            del result
        out["cpu"].append(cpu), out["wall"].append(wall)
        hashes.add(digest.hexdigest()[:16])
    if len(hashes) > 1:
        raise SystemExit("passes gave different ids")
    return out | {"mib": peak_mib(), "tokens": tokens, "ids": hashes.pop()}


def make_tokenizer(kind, text, target, entries):
    """With the package `tokenizers`; without post-processing, so that texts have their own tokens alone."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    common = {"vocab_size": entries, "show_progress": False}
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), **common)
    elif kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(special_tokens=SPECIAL, **common)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="<unk>", special_tokens=["<unk>"], **common)
    tokenizer.train([text], trainer)
    tokenizer.save(target)
    return {"entries": tokenizer.get_vocab_size()}


def train_sentencepiece(kind, text, target, entries, threads):
    """hard_vocab_limit off: a short text has fewer pieces than entries."""
    import sentencepiece as package
    options = {"hard_vocab_limit": False} if kind == "unigram" else {}
    package.SentencePieceTrainer.train(input=text, model_prefix=target.removesuffix(".model"), model_type=kind,
                                       vocab_size=entries, num_threads=threads, minloglevel=2, **options)


def train(peer, text, target, entries, threads):
    """{"cpu", "wall"} without imports, {"mib"} with everything; with gigatoken nothing is written."""
    if peer == "gigatoken":
        import gigatoken
        step = lambda: gigatoken.train_bpe(text, vocab_size=entries, special_tokens=[])
    else:
        import sentencepiece  # noqa: F401, so that the clock does not see it
        step = lambda: train_sentencepiece(peer.removeprefix("sentencepiece "), text, target, entries, threads)
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "mib": peak_mib()}


def versions():
    """Of each peer's package; null where it is not installed."""
    found = {}
    for package in dict.fromkeys(PACKAGES.values()):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def main(part, *words):
    sys.path.pop(0)  # this folder has names, tables and records among them, that packages have too
    if part == "versions":
        out = versions()
    elif part == "encode":
        peer, tokenizer, texts, passes, threads = words
        out = encode(peer, tokenizer, texts, int(passes), int(threads))
    elif part == "make" and words[0].startswith("sentencepiece"):
        kind, text, target, entries = words
        out = train("sentencepiece " + kind.split()[1], text, target, int(entries), 1)
    elif part == "make":
        kind, text, target, entries = words
        out = make_tokenizer(kind, text, target, int(entries))
    elif part == "train":
        peer, text, target, entries, threads = words
        out = train(peer, text, target, int(entries), int(threads))
    else:
        raise SystemExit(__doc__)
    print(json.dumps(out))


if __name__ == "__main__":
    main(*sys.argv[1:] or ["help"])
