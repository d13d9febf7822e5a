#!/usr/bin/env python3
"""Writes tests/golden/training/loss_curve.json: what a model written in PyTorch loses on weights and batches of xp's own.

usage: PYTHON tools/parity/loss_curve.py build/release/tests/test_engine     (PYTHON has torch==2.13.0)

The test program saves the weights before the first step and every batch; the model here is a BERT-like encoder with norms after
the parts, exact gelu, a tied head with bias, trained by torch.optim.AdamW with clipping. Nothing here runs in a test."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TYPES = {"F32": torch.float32, "I64": torch.int64, "BOOL": torch.bool}
HEADS, LAYERS, EPSILON = 4, 2, 1e-5


def read_safetensors(file):
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    out = {}
    for name, about in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + at for at in about["data_offsets"])
        out[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=TYPES[about["dtype"]]).reshape(about["shape"]).clone()
    return out


class Encoder(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.w = {name: torch.nn.Parameter(value) for name, value in weights.items()}

    def linear(self, name, x):
        return F.linear(x, self.w[name], self.w[name + ".bias"])

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[name], self.w[name + ".bias"], EPSILON)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], HEADS, -1).transpose(1, 2)

    def layer(self, name, x, mask):
        query, key, value = (self.split(self.linear(f"{name}.attention.{part}", x)) for part in ("query", "key", "value"))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        x = self.norm(f"{name}.attention.norm", x + self.linear(f"{name}.attention.output", mixed))
        inner = F.gelu(self.linear(f"{name}.ffn.up", x))
        return self.norm(f"{name}.ffn.norm", x + self.linear(f"{name}.ffn.down", inner))

    def loss(self, ids, labels, mask):
        x = F.embedding(ids, self.w["embedding.token"]) + self.w["embedding.position"][: ids.shape[1]]
        x = self.norm("embedding.norm", x)
        for i in range(LAYERS):
            x = self.layer(f"layer.{i}", x, mask)
        x = self.norm("head.norm", F.gelu(self.linear("head.dense", x)))
        logits = F.linear(x, self.w["embedding.token"], self.w["head.bias"])
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], "[.peer]"], check=True, env=dict(os.environ, XP_PARITY=folder), stdout=subprocess.DEVNULL)
        seen = read_safetensors(pathlib.Path(folder) / "seen.safetensors")
        digest = (pathlib.Path(folder) / "digest").read_text()
    model = Encoder({name[len("weight."):]: value for name, value in seen.items() if name.startswith("weight.")})
    small = [value for name, value in model.w.items() if "norm" in name or name.endswith("bias")]
    large = [value for name, value in model.w.items() if "norm" not in name and not name.endswith("bias")]
    optimizer = torch.optim.AdamW([{"params": large, "weight_decay": 0.1}, {"params": small, "weight_decay": 0.0}], lr=3e-3)
    losses = []
    for step in range(sum(name.endswith(".labels") for name in seen)):
        ids, labels, mask = (seen[f"step.{step}.{field}"] for field in ("masked_ids", "labels", "input.mask"))
        loss = model.loss(ids, labels.masked_fill(labels < 0, -100), mask)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(large + small, 1.0)
        optimizer.step()
        losses.append(loss.item())
    out = ROOT / "tests" / "golden" / "training" / "loss_curve.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"digest": digest, "torch": torch.__version__, "loss": losses}, indent=1) + "\n")
    print(f"{out.relative_to(ROOT)}: {len(losses)} steps, loss {losses[0]:.4f} to {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
