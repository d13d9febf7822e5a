"""Small tokenizers of every kind, and what the library makes of texts with them: read by tests/pipeline/*_test.cpp."""

import json

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokenizers_real_texts

TEXTS = ["", " ", "Hello world", "hello WORLD!", "  two  spaces ", "don't stop, I'll go.", "naïve café Zürich",
         "It was [MASK] and  <mask> there", "<mask> x<mask>", "a <s> b</s>", "Yesterday yesterday YESTERDAY", "xyesterdayx",
         "новости дня", "日本語の文章です", "हिन्दी में", "emoji 😀👍🏽 end", "é e\u0301 ﬁ ①", "tab\tnew\nline\r\n", "▁mark ▁▁ Ġx ##y </w>",
         "<0x41> <extra_id_0> <extra_id_1>.", "\u200d\ufffd\0x", "aaaaaaaaaaaaaaaaaaaaaaaa", "supercalifragilisticexpialidocious " * 3,
         "\u3000<mask>\u3000x", "one two three four five six seven eight nine ten eleven twelve thirteen fourteen", "1234567 12,5 %"]
PAIRS = [("first text", "second one here"), ("a b c d e f g h i j k l m n o p", "x y"), ("x", "a b c d e f g h i j k l m n o p q r s"),
         ("a b c d e f g h i j", "a b c d e f g h i j k"), ("", "")]


def _token(content, **settings):
    return tokenizers.AddedToken(content, **{"normalized": False, "special": True, **settings})


def _trained(model, trainer, texts, normalizer=None, pre_tokenizer=None):
    tokenizer = tokenizers.Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _bert(texts):
    trainer = trainers.WordPieceTrainer(vocab_size=600, limit_alphabet=200, show_progress=False,
                                        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    out = _trained(models.WordPiece(unk_token="[UNK]"), trainer, texts, normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer())
    out.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                       special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    out.decoder = decoders.WordPiece()
    out.add_tokens([_token("yesterday", normalized=True, special=False, single_word=True)])
    out.enable_truncation(12)
    out.enable_padding(pad_to_multiple_of=8)
    return out


def _bert_pairs(texts):
    out = _bert(texts)
    out.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    out.enable_truncation(14, strategy="only_second", direction="left")
    out.enable_padding(direction="left", length=16, pad_id=0, pad_type_id=3)
    return out


def _roberta(texts):
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<s>", "<pad>", "</s>", "<unk>"])
    out = _trained(models.BPE(), trainer, texts, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True))
    out.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    out.decoder = decoders.ByteLevel()
    out.add_tokens([_token("<mask>", lstrip=True), _token("Yesterday", normalized=True, special=False, rstrip=True)])
    return out


def _gpt2(texts):
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<|endoftext|>"])
    out = _trained(models.BPE(), trainer, texts, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False))
    out.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True),
                                              processors.TemplateProcessing(single="$A <|endoftext|>", pair="$A $B:1 <|endoftext|>:1",
                                                                            special_tokens=[("<|endoftext|>", 0)])])
    out.decoder = decoders.ByteLevel()
    out.add_tokens([_token("<mask>", lstrip=True, rstrip=True, special=False), _token("[MASK]")])
    out.enable_truncation(9, direction="left", strategy="only_first")
    return out


def _llama(texts):
    trainer = trainers.BpeTrainer(vocab_size=800, show_progress=False, limit_alphabet=120,
                                  special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)])
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    out = _trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), trainer, texts, normalizer,
                   pre_tokenizers.Split("▁", "merged_with_next"))
    out.pre_tokenizer = None
    out.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    out.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    file = json.loads(out.to_str())
    for token in file["added_tokens"]:
        token["special"] = not token["content"].startswith("<0x")
    file["added_tokens"] = [token for token in file["added_tokens"] if token["special"]]
    return tokenizers.Tokenizer.from_str(json.dumps(file))


def _unigram(texts, byte_fallback):
    special = ["<unk>", "<s>", "</s>"] + ([f"<0x{b:02X}>" for b in range(256)] if byte_fallback else [])
    trainer = trainers.UnigramTrainer(vocab_size=700, show_progress=False, special_tokens=special, unk_token="<unk>")
    out = _trained(models.Unigram(), trainer, texts, normalizers.NFKC(), pre_tokenizers.Metaspace())
    file = json.loads(out.to_str())
    file["model"]["byte_fallback"] = byte_fallback
    file["added_tokens"] = file["added_tokens"][:3]
    out = tokenizers.Tokenizer.from_str(json.dumps(file))
    out.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    out.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]) if byte_fallback else decoders.Metaspace()
    out.add_special_tokens([_token("<extra_id_0>"), _token("<extra_id_1>", rstrip=True), _token("<mask>", lstrip=True)])
    out.enable_padding(pad_id=0, pad_token="<pad>")
    return out


def _suffix(texts):
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, end_of_word_suffix="</w>", limit_alphabet=60,
                                  special_tokens=["<unk>"])
    out = _trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), trainer, texts, normalizers.Lowercase(),
                   pre_tokenizers.Whitespace())
    out.decoder = decoders.BPEDecoder()
    return out


def _prefix(texts):
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, continuing_subword_prefix="##", limit_alphabet=60,
                                  special_tokens=["<unk>"])
    out = _trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=True), trainer, texts,
                   pre_tokenizer=pre_tokenizers.WhitespaceSplit())
    out.decoder = decoders.WordPiece(cleanup=False)
    return out


def _word_level(texts):
    trainer = trainers.WordLevelTrainer(vocab_size=300, show_progress=False, special_tokens=["<unk>", "|", "<pad>"])
    out = _trained(models.WordLevel(unk_token="<unk>"), trainer, texts, pre_tokenizer=pre_tokenizers.Whitespace())
    out.decoder = decoders.CTC()
    out.add_tokens([_token(" ", special=False), _token("  ", special=False), _token("xyz", special=False)])
    return out


def _whole_words(texts):
    out = _gpt2(texts)
    out.no_truncation()
    split = pre_tokenizers.Split(tokenizers.Regex(r"\p{N}{1,3}| ?\p{L}+|\s+|[^\s\p{L}\p{N}]+"), "isolated")
    out.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    file = json.loads(out.to_str())
    file["model"]["ignore_merges"] = True
    file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"][:200]]
    file["post_processor"] = None
    return tokenizers.Tokenizer.from_str(json.dumps(file))


def _row(tokenizer, encoding, texts):
    offsets = []
    for (begin, end), sequence in zip(encoding.offsets, encoding.sequence_ids):
        text = texts[sequence or 0]
        offsets.append([len(text[:begin].encode()), len(text[:end].encode())])
    return {"ids": encoding.ids, "offsets": offsets, "words": [-1 if w is None else w for w in encoding.word_ids],
            "types": encoding.type_ids, "attention": encoding.attention_mask, "special": encoding.special_tokens_mask,
            "sequences": [-1 if s is None else s for s in encoding.sequence_ids],
            "decoded": tokenizer.decode(encoding.ids), "decoded_raw": tokenizer.decode(encoding.ids, skip_special_tokens=False)}


def _plain(encoding, text):
    offsets = [[len(text[:begin].encode()), len(text[:end].encode())] for begin, end in encoding.offsets]
    return {"ids": encoding.ids, "offsets": offsets, "words": encoding.word_ids}


def _attempt(make):
    try:
        return make()
    except Exception as error:  # the library has one class for all its errors
        return {"error": str(error)}


def _expected(tokenizer, texts):
    out = {}
    if tokenizer.padding:
        out["batch"] = _attempt(lambda: [_row(tokenizer, e, [t]) for t, e in zip(texts[:12], tokenizer.encode_batch(texts[:12]))])
    tokenizer.no_padding()
    out["single"] = [_attempt(lambda t=t: _row(tokenizer, tokenizer.encode(t), [t])) for t in texts]
    out["pairs"] = [_attempt(lambda p=p: _row(tokenizer, tokenizer.encode(*p), p)) for p in PAIRS]
    out["bare"] = [_attempt(lambda t=t: _row(tokenizer, tokenizer.encode(t, add_special_tokens=False), [t])) for t in texts[:20]]
    tokenizer.no_truncation()
    out["plain"] = [_attempt(lambda t=t: _plain(tokenizer.encode(t, add_special_tokens=False), t)) for t in texts]
    return out


def write(folder, real):
    """Writes NAME.json, a tokenizer, and NAME.expected.json for each kind, and texts.json."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = real[:700]
    makers = {"bert": _bert, "bert_pairs": _bert_pairs, "roberta": _roberta, "gpt2": _gpt2, "llama": _llama,
              "unigram": lambda texts: _unigram(texts, False), "unigram_bytes": lambda texts: _unigram(texts, True),
              "suffix": _suffix, "prefix": _prefix, "word_level": _word_level, "whole_words": _whole_words}
    texts = TEXTS + tokenizers_real_texts.nasty_texts(30, 7, [])[5:]
    (folder / "texts.json").write_text(json.dumps({"texts": texts, "pairs": PAIRS}), encoding="utf-8")
    for name, make in makers.items():
        tokenizer = make(corpus)
        file = tokenizer.to_str()
        expected = _expected(tokenizers.Tokenizer.from_str(file), texts)
        (folder / f"{name}.json").write_text(file, encoding="utf-8")
        (folder / f"{name}.expected.json").write_text(json.dumps(expected, separators=(",", ":")), encoding="utf-8")
