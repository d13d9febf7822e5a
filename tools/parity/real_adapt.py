#!/usr/bin/env python3
"""Gives MiniLM and SmolLM2 the vocabularies of other real tokenizers with `xp adapt` and opens the results with transformers.

usage: PYTHON tools/parity/real_adapt.py PACKAGES BUILD [minilm] [smollm2]     (PYTHON has transformers==5.23.0, torch==2.13.0, gguf)

PACKAGES is a folder that tools/parity/packages.py filled, BUILD a build folder with `ninja tests/model_outputs` and the
program done. For Mistral's, XLM-R's and Qwen3's tokenizer: no weight is missing, the same ids, the same states or logits,
special tokens keep their rows, tied tables stay tied, and memory stays in bounds. The model's own tokenizer changes no bit.
Exit: 0 all of it holds, 1 something does not."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from real_models import TEXTS
from real_outputs import Verdicts, apart, outputs, place, program, read

TARGETS = ("mistral", "xlmr", "qwen3")
MOST_MEMORY = 1.3  # peak of the process over the larger of the two models
LARGE = 250e6      # bytes of a model that outweighs LibTorch, which takes 120 MB when it is loaded, and the tokenizers


def peaks(command):
    """Runs it; largest anonymous, file and whole resident memory in bytes, looked at every 2 ms (the whole: as the kernel keeps it)."""
    # The most that wait4() tells of would count this process too, as which the child began.
    seen = {"RssAnon": 0, "RssFile": 0, "VmHWM": 0}
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while True:
            try:
                status = pathlib.Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
            except OSError:
                status = ""
            for line in status.splitlines():
                key = line.split(":")[0]
                if key in seen:
                    seen[key] = max(seen[key], 1024 * int(line.split()[1]))
            if child.poll() is not None:
                break
            time.sleep(0.002)
        if child.returncode != 0:
            said.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}: {said.read().decode().strip()}")
    return {"anonymous": seen["RssAnon"], "file": seen["RssFile"], "whole": seen["VmHWM"]}


def adapt(build, model, tokenizer, out):
    return peaks([build / "bin" / "xp", "adapt", "--model", model, "--tokenizer", tokenizer, "--initializer", "mean_of_pieces", "--out", out])


def memory(name, seen, base, old_bytes, new_bytes, verdicts):
    model = max(old_bytes, new_bytes)
    print(f"{name} memory: peak {seen['whole'] / 1e6:.0f} MB (anonymous {seen['anonymous'] / 1e6:.0f}, files {seen['file'] / 1e6:.0f}), "
          f"{base / 1e6:.0f} MB of it for the program with the tokenizer alone; model {model / 1e6:.0f} MB")
    if model >= LARGE:
        verdicts.below(f"{name} peak over the model", seen["whole"] / model, MOST_MEMORY)
    verdicts.below(f"{name} peak without the program and its tokenizer over the model", (seen["whole"] - base) / model, MOST_MEMORY)


def special_rows(name, out, old_table, new_table, verdicts):
    """The rows of tokens that were matched by what they are for, to the bit."""
    same, specials = 0, 0
    for line in (out / "vocabulary.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n"):
        row = json.loads(line)
        if row["note"] == "by purpose":
            specials += 1
            same += torch.equal(new_table[row["id"]], old_table[row["sources"][0]["id"]])
    verdicts.true(f"{name} {same} of {specials} special tokens have their old rows", specials > 0 and same == specials)


def opened(name, kind, out, verdicts):
    """Tokenizer and model as transformers opens them."""
    model, report = kind.from_pretrained(out, dtype=torch.float32, output_loading_info=True)
    verdicts.true(f"{name} transformers misses no weights", not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")))
    return transformers.AutoTokenizer.from_pretrained(out), model.eval()


def computes(name, build, out, tokenizer, model, verdicts):
    got = outputs(build, out, out, TEXTS)
    causal = hasattr(model, "lm_head")
    worst, ids_same = 0.0, 0
    for i, text in enumerate(TEXTS):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        ids_same += ids[0].tolist() == got[f"ids.{i}"].tolist()
        theirs = torch.tensor(got[f"ids.{i}"].tolist())[None]
        want = model(theirs).logits[0] if causal else model(theirs).last_hidden_state[0]
        worst = max(worst, apart(got[f"{'logits' if causal else 'hidden'}.{i}"], want))
    verdicts.true(f"{name} ids of {ids_same} of {len(TEXTS)} texts are the same", ids_same == len(TEXTS))
    verdicts.below(f"{name} largest difference of {'logits' if causal else 'states'}", worst, 1e-4)


def check(label, kind, model, old_table, old_bytes, packages, build, verdicts):
    for target in TARGETS:
        name = f"{label} with {target}:"
        tokens = place(packages, target)
        with tempfile.TemporaryDirectory() as scratch:
            out = pathlib.Path(scratch, "new")
            base = peaks([build / "bin" / "xp", "inspect", tokens])["whole"]
            seen = adapt(build, model, tokens, out)
            state = read(out / "model.safetensors")
            memory(name, seen, base, old_bytes, sum(one.nbytes for one in state.values()), verdicts)
            tokenizer, peer = opened(name, kind, out, verdicts)
            special_rows(name, out, old_table, peer.get_input_embeddings().weight, verdicts)
            if kind is transformers.AutoModelForCausalLM:
                tied = peer.lm_head.weight.data_ptr() == peer.get_input_embeddings().weight.data_ptr()
                verdicts.true(f"{name} tied tables stay tied", tied and "lm_head.weight" not in state)
            computes(name, build, out, tokenizer, peer, verdicts)


def identity(label, build, model, verdicts):
    """The model with its own tokenizer is the same to the bit."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch, "same")
        adapt(build, model, model, out)
        old, new = read(model / "model.safetensors"), read(out / "model.safetensors")
        same = old.keys() == new.keys() and all(old[name].numpy().tobytes() == new[name].numpy().tobytes() for name in old)
        verdicts.true(f"{label} with its own tokenizer: {len(old)} tensors are the same to the bit", same)
        configs = [json.loads((folder / "config.json").read_text(encoding="utf-8")) for folder in (model, out)]
        verdicts.true(f"{label} with its own tokenizer: config.json says the same", configs[0] == configs[1])


def minilm(packages, build, verdicts):
    folder = place(packages, "minilm")
    state = read(folder / "model.safetensors")
    check("MiniLM", transformers.AutoModel, folder, state["embeddings.word_embeddings.weight"], sum(one.nbytes for one in state.values()),
          packages, build, verdicts)
    identity("MiniLM", build, folder, verdicts)


def smollm2(packages, build, verdicts):
    gguf = place(packages, "smollm2")
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch, "smollm2")
        program(build, "export", gguf, "--out", out)
        state = read(out / "model.safetensors")
        check("SmolLM2", transformers.AutoModelForCausalLM, gguf, state["model.embed_tokens.weight"], sum(one.nbytes for one in state.values()),
              packages, build, verdicts)
        identity("SmolLM2", build, out, verdicts)


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    packages, build = (pathlib.Path(one).resolve() for one in sys.argv[1:3])
    torch.set_grad_enabled(False)
    verdicts = Verdicts()
    for part in (minilm, smollm2):
        if len(sys.argv) == 3 or part.__name__ in sys.argv[3:]:
            part(packages, build, verdicts)
    sys.exit(bool(verdicts.wrong))


if __name__ == "__main__":
    main()
