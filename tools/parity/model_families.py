#!/usr/bin/env python3
"""Writes tests/golden/models: tiny random models of every family that plugins/formats/hugging_face reads, and what they compute.

usage: PYTHON tools/parity/model_families.py [NAME...]     (PYTHON has transformers==5.23.0 and torch==2.13.0)

Each folder is a model directory as save_pretrained writes it, with expected.safetensors beside: `ids` and `mask` ([2, 9], the
second text padded; BERT also has `segments` and what they change) or `image` ([2, 3, 12, 12]), `hidden` (last hidden states), `pooled` if the model pools, and `logits`;
encoder-decoders have `decoder_ids` too and both for the decoder, and `labels` with their `nats`; CLIP has the names of both towers behind `text.` and `image.`.
Nothing here runs in a test."""
import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VOCAB, WIDTH, HEADS, LAYERS, INNER, TIME = 40, 16, 4, 2, 24, 24
BERT = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_attention_heads=HEADS, num_hidden_layers=LAYERS,
            intermediate_size=INNER, max_position_embeddings=TIME)
LLAMA = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_attention_heads=HEADS, num_key_value_heads=2,
             num_hidden_layers=LAYERS, intermediate_size=INNER, max_position_embeddings=64, bos_token_id=1, eos_token_id=2)
LONG = dict(LLAMA, max_position_embeddings=256)
T5 = dict(vocab_size=VOCAB, d_model=WIDTH, d_kv=6, d_ff=INNER, num_layers=LAYERS, num_decoder_layers=3, num_heads=HEADS,
          relative_attention_num_buckets=8, relative_attention_max_distance=12, decoder_start_token_id=0)
CLIP_TEXT = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=INNER,
                 max_position_embeddings=TIME, projection_dim=12, bos_token_id=3, eos_token_id=4, pad_token_id=4)
VISION = dict(hidden_size=WIDTH, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=INNER, image_size=12,
              patch_size=4)
CLIP_VISION = dict(VISION, projection_dim=12)
# What image processors of the library write; they themselves need packages that nothing else here does.
PREPROCESSORS = {
    "clip": {"crop_size": {"height": 12, "width": 12}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
             "do_rescale": True, "do_resize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073],
             "image_processor_type": "CLIPImageProcessor", "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
             "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 12}},
    "vit": {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "ViTImageProcessor", "image_std": [0.5, 0.5, 0.5], "resample": 2,
            "rescale_factor": 0.00392156862745098, "size": {"height": 12, "width": 12}},
}


def families():
    t = transformers
    yield "bert", t.BertForMaskedLM(t.BertConfig(**BERT))
    yield "bert_trunk", t.BertModel(t.BertConfig(**BERT, hidden_act="relu"), add_pooling_layer=False)
    yield "roberta", t.RobertaForMaskedLM(t.RobertaConfig(**BERT, pad_token_id=1))
    yield "xlm_roberta", t.XLMRobertaForMaskedLM(t.XLMRobertaConfig(**BERT, pad_token_id=1))
    yield "distilbert", t.DistilBertForMaskedLM(t.DistilBertConfig(
        vocab_size=VOCAB, dim=WIDTH, n_heads=HEADS, n_layers=LAYERS, hidden_dim=INNER, max_position_embeddings=TIME))
    yield "electra", t.ElectraForMaskedLM(t.ElectraConfig(**BERT, embedding_size=8))
    yield "gpt2", t.GPT2LMHeadModel(t.GPT2Config(
        vocab_size=VOCAB, n_embd=WIDTH, n_head=HEADS, n_layer=LAYERS, n_positions=TIME, bos_token_id=1, eos_token_id=2))
    yield "llama", t.LlamaForCausalLM(t.LlamaConfig(**LLAMA))
    yield "llama_tied", t.LlamaForCausalLM(t.LlamaConfig(**dict(LLAMA, tie_word_embeddings=True, head_dim=6)))
    for kind, more in (
        ("linear", dict(rope_type="linear", factor=4.0)),
        ("llama3", dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                        original_max_position_embeddings=16)),
        ("yarn", dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)),
    ):
        yield f"llama_{kind}", t.LlamaForCausalLM(t.LlamaConfig(**dict(LONG, rope_parameters=dict(more, rope_theta=500.0))))
    yield "qwen2", t.Qwen2ForCausalLM(t.Qwen2Config(**LLAMA))
    yield "qwen3", t.Qwen3ForCausalLM(t.Qwen3Config(**LLAMA, head_dim=6))
    yield "t5", t.T5ForConditionalGeneration(t.T5Config(**T5))
    yield "t5_gated", t.T5ForConditionalGeneration(t.T5Config(**dict(T5, feed_forward_proj="gated-gelu",
                                                                     tie_word_embeddings=False)))
    yield "clip_text", t.CLIPTextModel(t.CLIPTextConfig(**CLIP_TEXT))
    yield "clip_text_projection", t.CLIPTextModelWithProjection(t.CLIPTextConfig(**CLIP_TEXT))
    # Files of before 2023 say 2 where the end token is the last one.
    yield "clip_text_old", t.CLIPTextModel(t.CLIPTextConfig(**dict(CLIP_TEXT, eos_token_id=2)))
    yield "clip_vision", t.CLIPVisionModel(t.CLIPVisionConfig(**CLIP_VISION))
    yield "clip_vision_projection", t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(**CLIP_VISION))
    yield "clip", t.CLIPModel(t.CLIPConfig(text_config=CLIP_TEXT, vision_config=dict(CLIP_VISION, hidden_size=8), projection_dim=12))
    yield "vit", t.ViTModel(t.ViTConfig(**VISION))
    yield "vit_trunk", t.ViTModel(t.ViTConfig(**VISION), add_pooling_layer=False)
    yield "vit_classifier", t.ViTForImageClassification(t.ViTConfig(**VISION, id2label={0: "cat", 1: "dog", 2: "cow"},
                                                                    label2id={"cat": 0, "dog": 1, "cow": 2}))
    yield "bert_pooler", t.BertModel(t.BertConfig(**BERT))
    yield "xlm_roberta_pooler", t.XLMRobertaModel(t.XLMRobertaConfig(**BERT, pad_token_id=1))


def pooled(got, projected):
    """The output of a tower by our names; `projected`: its place behind the projection, if there is one."""
    out = {"hidden": got.last_hidden_state}
    pool = getattr(got, projected, None)
    pool = got.get("pooler_output") if pool is None else pool
    return out if pool is None else out | {"pooled": pool}


def clip_texts(ids, config):
    """The same with end tokens: one more behind the first, which is not the last that may be read."""
    end = VOCAB - 1 if config.eos_token_id == 2 else config.eos_token_id
    ids = torch.where(ids == end, ids - 1, ids)
    ids[0, 6] = ids[0, 8] = end
    ids[1, 4:] = end
    return ids


def expected_of_images(model, ids, mask):
    kind = model.config.model_type
    with torch.no_grad():
        image = torch.randn(2, 3, 12, 12)
        if kind == "clip_text_model":
            ids = clip_texts(ids, model.config)
            got = model(input_ids=ids, attention_mask=mask)
            return {"ids": ids, "mask": mask.to(torch.uint8)} | pooled(got, "text_embeds")
        if kind == "clip":
            ids = clip_texts(ids, model.config.text_config)
            got = model(input_ids=ids, attention_mask=mask, pixel_values=image)
            text = pooled(got.text_model_output, "") | {"pooled": model.get_text_features(ids, mask).pooler_output}
            seen = pooled(got.vision_model_output, "") | {"pooled": model.get_image_features(image).pooler_output}
            out = {"text.ids": ids, "text.mask": mask.to(torch.uint8), "image.image": image, "logits": got.logits_per_image}
            return out | {"text." + k: v for k, v in text.items()} | {"image." + k: v for k, v in seen.items()}
        out = {"image": image}
        if hasattr(model, "classifier"):
            got = model(pixel_values=image, output_hidden_states=True)
            return out | {"hidden": model.vit(image).last_hidden_state, "class_scores": got.logits}
        return out | pooled(model(pixel_values=image), "image_embeds")


def answers(model, ids, mask):
    """Answers to the texts, the second one shorter and padded with -100, and the sum of the losses of each."""
    labels = ids.flip(0)[:, 1:7].contiguous()
    labels[1, 4:] = -100
    nats = [model(input_ids=ids[i:i + 1], attention_mask=mask[i:i + 1], labels=labels[i:i + 1]).loss * (labels[i] >= 0).sum()
            for i in range(2)]
    return {"labels": labels, "nats": torch.stack(nats)}


def expected(model, ids, mask):
    if model.config.model_type.startswith(("clip", "vit")):
        return expected_of_images(model, ids, mask)
    out = {"ids": ids, "mask": mask.to(torch.uint8)}
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            decoder_ids = ids.flip(1)[:, :7].contiguous()
            got = model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder_ids, output_hidden_states=True)
            return out | answers(model, ids, mask) | {
                "decoder_ids": decoder_ids, "memory": got.encoder_last_hidden_state,
                "hidden": got.decoder_hidden_states[-1], "logits": got.logits}
        got = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        out["hidden"] = got.hidden_states[-1]
        if model.config.model_type == "bert":
            segments = (torch.arange(9) >= 4).long().expand(2, 9).contiguous()
            again = model(input_ids=ids, attention_mask=mask, token_type_ids=segments, output_hidden_states=True)
            out |= {"segments": segments, "segments.hidden": again.hidden_states[-1]}
        pool = got.get("pooler_output")
        return out | ({"logits": got.logits} if hasattr(got, "logits") else {}) | ({} if pool is None else {"pooled": pool})


def main():
    target = ROOT / "tests" / "golden" / "models"
    only = sys.argv[1:]
    if not only:
        shutil.rmtree(target, ignore_errors=True)
    for seed, (name, model) in enumerate(families()):
        if only and name not in only:
            continue
        torch.manual_seed(seed)
        for name_, parameter in model.named_parameters():
            # Biases and gains that are not trivial, so that a missing one is seen.
            gain = name_.endswith("weight") and parameter.dim() == 1
            parameter.data.normal_(1.0 if gain else 0.0, 0.3)
        model.eval()
        ids = torch.randint(5, VOCAB, (2, 9))
        mask = torch.ones_like(ids)
        mask[1, 6:] = 0
        folder = target / name
        model.save_pretrained(folder)
        if name in ("clip", "clip_vision", "clip_vision_projection") or name.startswith("vit"):
            about = PREPROCESSORS["vit" if name.startswith("vit") else "clip"]
            (folder / "preprocessor_config.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
        save_file({k: v.contiguous().clone() for k, v in expected(model, ids, mask).items()}, folder / "expected.safetensors")
        print(name, sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
