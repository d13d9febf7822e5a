#!/usr/bin/env python3
"""Makes a Hugging Face directory of flan-t5-small from its int8 ONNX files and compares the text that it writes.

usage: PYTHON tools/parity/real_title_model.py PACKAGES BUILD [FOLDER]   (PYTHON has transformers==5.23.0, torch==2.13.0, onnx)

PACKAGES has traceforge-title-model (tools/parity/packages.py), BUILD `tests/model_outputs`. FOLDER keeps the directory: where
it is there it is read, else it is made; without FOLDER it is made in a scratch folder. Weights are scale * (q - zero point).
Exit: 0 our greedy text is transformers' for every prompt, 1 it is not or weights are missing."""
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy
import onnx
import torch
import transformers
from onnx import numpy_helper
from real_outputs import Verdicts, apart, outputs, place
from safetensors.torch import save_file

PROMPTS = ["translate English to German: The house is wonderful.", "translate English to French: I would like a cup of coffee.",
           "summarize: The committee met on Tuesday to discuss the new bridge. After three hours it agreed to build it of stone and to open it in May.",
           "Answer the question: What is the capital of Germany?", "Is this review positive or negative? I loved every minute of it.",
           "write a title: user opens the settings page, changes the language to Spanish and saves",
           "Q: If I have 3 apples and eat one, how many are left?"]
MOST_TOKENS = 60


def floats(graph):
    """Float weights by the names of the graph: those of the file, and products of bytes and scales."""
    held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    out = {name: value for name, value in held.items() if value.dtype == numpy.float32 and not name.endswith("_scale")}
    for name, value in held.items():
        if name.endswith("_quantized"):
            stem = name.removesuffix("_quantized")
            zero = held[stem + "_zero_point"].astype(numpy.int32)
            out[stem] = (value.astype(numpy.int32) - zero).astype(numpy.float32) * held[stem + "_scale"].astype(numpy.float32)
    return out


def weights(folder, part):
    """State of one half by the names of T5ForConditionalGeneration."""
    graph = onnx.load(folder / f"{part}.onnx").graph
    known, out = floats(graph), {}
    for name, value in known.items():
        short = re.sub(r"^(enc|m\.decoder|m|dec|decoder)\.", "", name)
        if name.endswith("shared.weight") or name.endswith("embed_tokens.weight"):
            out["shared.weight"] = value
        elif short.startswith(("block.", "final_layer_norm")):
            out[f"{part}.{short}"] = value
    for node in graph.node:
        if node.op_type not in ("MatMul", "MatMulInteger"):
            continue
        stem = node.input[1].removesuffix("_quantized")
        if stem not in known:
            continue  # a product of two activations
        found = re.search(r"block\.(\d+)/(?:.*/)?layer\.(\d)/(\w+)/(\w+)/MatMul", node.name)
        if found:
            out[f"{part}.block.{found[1]}.layer.{found[2]}.{found[3]}.{found[4]}.weight"] = known[stem].T
        elif "lm_head" in node.name:
            out["lm_head.weight"] = known[stem].T
        else:
            raise SystemExit(f"{part}.onnx: nobody knows the weight of the product {node.name}")
    return out


def configuration(state):
    rows, width = state["shared.weight"].shape
    buckets, heads = state["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"].shape
    layers = [1 + max(int(name.split(".")[2]) for name in state if name.startswith(f"{part}.block.")) for part in ("encoder", "decoder")]
    return transformers.T5Config(
        vocab_size=rows, d_model=width, d_kv=state["encoder.block.0.layer.0.SelfAttention.q.weight"].shape[0] // heads,
        d_ff=state["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"].shape[0], num_layers=layers[0], num_decoder_layers=layers[1],
        num_heads=heads, relative_attention_num_buckets=buckets, relative_attention_max_distance=128, dropout_rate=0.0,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)


def convert(folder, target):
    """Writes the directory `target`; it is there when it is whole."""
    halves = [weights(folder, part) for part in ("encoder", "decoder")]
    if not numpy.array_equal(halves[0]["shared.weight"], halves[1]["shared.weight"]):
        raise SystemExit("encoder.onnx and decoder.onnx have different tables of tokens")
    state = {name: torch.tensor(value).contiguous() for half in halves for name, value in half.items()}
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    # T5Config takes "not tied" as a word about scaling alone and ties; the library unties where a file has both tables.
    config = configuration(state).to_dict() | {"tie_word_embeddings": False, "architectures": ["T5ForConditionalGeneration"]}
    (partial / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(state, partial / "model.safetensors", metadata={"format": "pt"})
    (partial / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}), encoding="utf-8")
    shutil.copyfile(folder / "tokenizer.json", partial / "tokenizer.json")
    partial.rename(target)
    print(f"made a directory of {sum(one.numel() for one in state.values()) / 1e6:.1f} million numbers")


def compare(folder, build, verdicts):
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    model, report = transformers.T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    model.eval()
    verdicts.true("transformers opens it without missing, unexpected or mismatched weights",
                  not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")))
    states, written = outputs(build, folder, folder, PROMPTS), outputs(build, folder, folder, PROMPTS, str(MOST_TOKENS))
    worst, same = 0.0, 0
    for i, prompt in enumerate(PROMPTS):
        x = tokenizer(prompt, return_tensors="pt")
        ids = x["input_ids"]
        verdicts.true(f"same ids for prompt {i}", ids[0].tolist() == states[f"ids.{i}"].tolist())
        worst = max(worst, apart(states[f"hidden.{i}"], model.encoder(input_ids=ids).last_hidden_state[0]))
        full = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=MOST_TOKENS, do_sample=False, num_beams=1)
        text = tokenizer.decode(full[0], skip_special_tokens=True)
        same += text == written[i]
        print(f"  {'same' if text == written[i] else 'DIFFERS'} {text!r}" + ("" if text == written[i] else f" / {written[i]!r}"))
    verdicts.below("largest difference of the encoder's states", worst, 1e-4)
    verdicts.true(f"greedy text of {same} of {len(PROMPTS)} prompts is the same", same == len(PROMPTS))
    verdicts.true("the sentence of the sources page is translated", written[0] == "Das Haus ist wunderbar.")


def main():
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    packages, build = (pathlib.Path(one).resolve() for one in sys.argv[1:3])
    torch.set_grad_enabled(False)
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else scratch + "/title_model").resolve()
        if not folder.exists():
            convert(place(packages, "title"), folder)
        compare(folder, build, verdicts)
    sys.exit(bool(verdicts.wrong))


if __name__ == "__main__":
    main()
