#!/usr/bin/env python3
"""Writes what the Python package gguf reads from random blocks, and a small file of its writer.

Needs the Python packages `gguf`, `numpy` and `safetensors`; the C++ tests read what is written and need no Python.
tests/golden/files/gguf_blocks.safetensors holds for each number type NAME.blocks (bytes) and NAME.numbers (floats);
small.gguf and small.safetensors hold the same tensors, the first with metadata of every type.
With --check it writes nothing and compares. Exit: 0 written or equal, 1 different.
"""

import argparse
import pathlib
import sys
import tempfile

import numpy as np
from gguf import GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

QUANTISED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "BF16", "F16", "F32"]
BLOCKS = {1: 512, 32: 24, 256: 6}


def random_blocks(path):
    random = np.random.default_rng(7)
    tensors = {}
    for name in QUANTISED:
        kind = GGMLQuantizationType[name]
        block, size = GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (BLOCKS[block], size), dtype=np.uint8)
        blocks[0] = 0
        blocks[1] = 255
        with np.errstate(invalid="ignore", over="ignore"):
            numbers = dequantize(blocks.reshape(1, -1), kind).reshape(-1)
        tensors[name + ".blocks"] = blocks.reshape(-1)
        tensors[name + ".numbers"] = numbers.astype(np.float32)
    save_file(tensors, path)


def small_file(gguf_path, safetensors_path):
    writer = GGUFWriter(gguf_path, "llama")
    writer.add_custom_alignment(64)
    for name, kind, value in [
        ("t.u8", GGUFValueType.UINT8, 200),
        ("t.i8", GGUFValueType.INT8, -100),
        ("t.u16", GGUFValueType.UINT16, 60000),
        ("t.i16", GGUFValueType.INT16, -30000),
        ("t.u32", GGUFValueType.UINT32, 4000000000),
        ("t.i32", GGUFValueType.INT32, -2000000000),
        ("t.f32", GGUFValueType.FLOAT32, 0.5),
        ("t.yes", GGUFValueType.BOOL, True),
        ("t.text", GGUFValueType.STRING, "Zwölf"),
        ("t.u64", GGUFValueType.UINT64, 2**63),
        ("t.i64", GGUFValueType.INT64, -(2**62)),
        ("t.f64", GGUFValueType.FLOAT64, 0.1),
    ]:
        writer.add_key_value(name, value, kind)
    writer.add_array("t.words", ["a", "", "漢字"])
    writer.add_array("t.numbers", [1, -2, 3])
    writer.add_array("t.reals", [0.25, -1.5])
    writer.add_array("t.lists", [[1, 2], [3]])
    random = np.random.default_rng(11)
    tensors = {}
    for name, shape, kind in [
        ("plain", (3, 5), "F32"),
        ("halves", (2, 2, 3), "F16"),
        ("nibbles", (2, 64), "Q4_0"),
        ("bytes", (4, 32), "Q8_0"),
    ]:
        numbers = random.standard_normal(shape, dtype=np.float32)
        kind = GGMLQuantizationType[kind]
        stored = quantize(numbers, kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
        tensors[name] = dequantize(stored, kind).reshape(shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(tensors, safetensors_path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/files"
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=default)
    args = parser.parse_args()
    different = 0
    with tempfile.TemporaryDirectory() as scratch:
        made = pathlib.Path(scratch)
        random_blocks(made / "gguf_blocks.safetensors")
        small_file(made / "small.gguf", made / "small.safetensors")
        for path in sorted(made.iterdir()):
            target = args.folder / path.name
            if not args.check:
                target.write_bytes(path.read_bytes())
            elif not target.exists() or target.read_bytes() != path.read_bytes():
                print(f"{target}: the package gives other bytes", file=sys.stderr)
                different = 1
    return different


if __name__ == "__main__":
    sys.exit(main())
