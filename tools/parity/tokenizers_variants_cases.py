"""Files for tokenizers_variants.py: each a name and the text of a tokenizer.json."""

import copy
import json
import pathlib

import tokenizers

from pipeline_cases import all_settings

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizer_files"
BASES = "bert roberta gpt2 llama unigram unigram_bytes suffix prefix word_level whole_words".split()
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
PREPEND = {"type": "Prepend", "prepend": "\u2581"}
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
MARK = {"type": "Metaspace", "replacement": "\u2581"}


def _base(name):
    file = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return {**file, "truncation": None, "padding": None}


def _special(*names):
    return {name: {"id": name, "ids": [number], "tokens": [name]} for number, name in enumerate(names)}


def _template(single, pair, tokens):
    def pieces(text):
        out = []
        for part in text.split():
            part, _, kind = part.partition(":")
            key = "Sequence" if part[0] == "$" else "SpecialToken"
            out.append({key: {"id": part.lstrip("$"), "type_id": int(kind or 0)}})
        return out
    return {"type": "TemplateProcessing", "single": pieces(single), "pair": pieces(pair), "special_tokens": tokens}


def normalizers():
    sequence = lambda *steps: {"type": "Sequence", "normalizers": list(steps)}
    # Behind a replacement of nothing at the very start the library fails, or takes characters twice.
    empty = [{"Regex": "a*"}, {"Regex": "^"}, {"String": ""}]
    plain = [step for step, _ in all_settings() if step and step.get("pattern") not in empty and step.get("prepend") != ""]
    return plain + [
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False},
        {"type": "BertNormalizer"}, {"type": "BertNormalizer", "lowercase": None}, {"type": "Strip"},
        {"type": "Strip", "strip_left": True}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
        {"type": "Replace", "pattern": "a", "content": "b"}, {"type": "Replace", "pattern": {"String": "a"}},
        {"type": "Prepend"}, {"type": "Sequence"}, {"type": "Lowercase", "unknown": 1}, {"type": "Precompiled"},
        {"type": "Sequence", "normalizers": [None]}, {"normalizers": [{"type": "NFC"}]}, {"prepend": "x"},
        {"strip_left": True, "strip_right": True}, {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                                                    "lowercase": True},
        sequence({"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}), sequence(PREPEND, REPLACE),
        {"type": "lowercase"}, {"type": "Precompiled", "precompiled_charsmap": ""}, "NFC", [], {}]


def pre_tokenizers():
    steps = lambda *parts: {"type": "Sequence", "pretokenizers": list(parts)}
    split = lambda pattern, behavior, **more: {"type": "Split", "pattern": pattern, "behavior": behavior, **more}
    out = [setting[1] for setting in all_settings() if setting[0] is None and setting[1]]
    for scheme in ("always", "first", "never"):
        for add in (True, False):
            for cut in (True, False, None):
                out.append({**MARK, "prepend_scheme": scheme, "add_prefix_space": add, **({} if cut is None else {"split": cut})})
    return out + [
        MARK, {**MARK, "add_prefix_space": True}, {**MARK, "add_prefix_space": False}, {**MARK, "str_rep": "_"},
        {**MARK, "replacement": "__"}, {**MARK, "replacement": ""}, {**MARK, "prepend_scheme": None}, {"type": "Metaspace"},
        {**MARK, "prepend_scheme": "Always"}, {"type": "ByteLevel"}, {"type": "ByteLevel", "add_prefix_space": True},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}, {"type": "CharDelimiterSplit"},
        {"type": "CharDelimiterSplit", "delimiter": "ab"}, split({"Regex": " "}, "removed"), split({"Regex": "("}, "Removed", invert=False),
        split({"String": " "}, "Removed"), split({"String": ""}, "Isolated", invert=False), split("a", "Isolated", invert=True),
        {"type": "Digits"}, {"type": "Digits", "individual_digits": None}, {"type": "Punctuation", "behavior": None},
        {"type": "FixedLength", "length": 0}, {"type": "FixedLength", "length": -1}, {"type": "FixedLength", "length": 2.0},
        {"type": "Sequence"}, {"pretokenizers": [MARK]}, {"delimiter": "-"}, {"replacement": "_"}, {"individual_digits": True},
        {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {**MARK, "add_prefix_space": True}]},
        steps({"type": "Whitespace"}, {"type": "Digits", "individual_digits": True}), steps(split({"Regex": "\\d"}, "Isolated", invert=False), LEVEL),
        {"type": "UnicodeScripts", "x": 1}, {"type": "Whitespace", "pattern": None}, {"type": "Nothing"}, "Whitespace", {}]


def post_processors():
    roberta = lambda trim, space: {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": trim,
                                   "add_prefix_space": space}
    tokens = _special("<a>", "<b>", "<c>")
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    template = _template("<a> $A <b>:3", "<a> $A:1 <b> $B:2 <c>:9", tokens)
    several = {**tokens, "<c>": {"id": "<c>", "ids": [5, 6, 7], "tokens": ["x", "y", "z"]}}
    return [roberta(trim, space) for trim in (True, False) for space in (True, False)] + [
        level, {**level, "trim_offsets": False}, {**level, "add_prefix_space": False}, {"type": "ByteLevel"}, template,
        _template("$A $A <b>", "$B $A", tokens), _template("<a>", "<b>", tokens), _template("$A", "$A $B", {}),
        _template("<c> $A <c>", "<c> $A <c> $B", several), _template("$B", "$A $B", {}), _template("<x> $A", "$A $B", tokens),
        {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, {"type": "BertProcessing", "sep": ["[SEP]", 3]},
        {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}, {"type": "BertProcessing", "sep": [3, 3], "cls": ["a", -1]},
        {"type": "Sequence", "processors": [level, template]}, {"type": "Sequence", "processors": [template, level]},
        {"type": "Sequence", "processors": [template, template]}, {"type": "Sequence", "processors": []}, {"type": "Sequence"},
        {"type": "Sequence", "processors": [roberta(True, True), template]}, {**template, "special_tokens": None},
        {key: value for key, value in template.items() if key != "pair"}, {key: value for key, value in template.items() if key != "single"},
        {**template, "special_tokens": list(tokens.values())}, {**template, "single": "<a> $A <b>:3"}, {**template, "single": ["<a>", "$A"]},
        {**template, "single": ["$0", "$1", "$A:2", "$"]}, {"type": "Nothing"}, {}]


def decoders():
    sequence = lambda *steps: {"type": "Sequence", "decoders": list(steps)}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    fallback, fuse = {"type": "ByteFallback"}, {"type": "Fuse"}
    return [None, {"type": "ByteLevel"}, LEVEL, {"type": "WordPiece"}, {"type": "WordPiece", "prefix": "##", "cleanup": True},
            {"type": "WordPiece", "prefix": "", "cleanup": False}, MARK, {**MARK, "prepend_scheme": "never"},
            {**MARK, "prepend_scheme": "first", "split": False}, {**MARK, "add_prefix_space": False},
            {**MARK, "add_prefix_space": True, "str_rep": "x"}, {"type": "BPEDecoder", "suffix": "</w>"}, {"type": "BPEDecoder"},
            {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": False}, {"type": "CTC"},
            {"type": "BPEDecoder", "suffix": ""}, fallback, fuse, strip, {**strip, "content": "  "}, {**strip, "start": -1},
            {"type": "Strip", "content": "e", "start": 2, "stop": 3}, {"type": "Strip"}, REPLACE, {**REPLACE, "pattern": {"Regex": "[aeiou]"}},
            sequence({**REPLACE, "pattern": {"String": "\u2581"}, "content": " "}, fallback, fuse, strip), sequence(), {"type": "Sequence"},
            sequence(fallback, MARK), sequence(fuse, {"type": "WordPiece", "prefix": "##", "cleanup": True}), sequence(LEVEL, fuse),
            {"decoders": [fuse]}, {"suffix": "</w>"}, {"prefix": "##", "cleanup": True}, {"type": "Nothing"}, {}, "Fuse"]


def model_changes():
    """Changes of a model: a name, and what to set; a value of `...` takes the key away."""
    out = []
    for key, values in {"dropout": [0, 0.0, None, ..., 1.5, "0", -1], "unk_token": [None, ..., "not there", "<unk>", 3, "a"],
                        "continuing_subword_prefix": ["", ..., None, "@@"], "end_of_word_suffix": ["", ..., None, "</w>"],
                        "fuse_unk": [True, False, ..., None, 1], "byte_fallback": [True, False, ..., None],
                        "ignore_merges": [True, False, ..., None], "type": [..., None, "bpe", "Unigram", "BPE", "WordPiece", "WordLevel"],
                        "max_input_chars_per_word": [3, 0, ..., -1, 2.5, None], "unk_id": [None, ..., 1, 100000, -1, "0"],
                        "merges": [[], ..., None, ["a b c"], [["a", "b", "c"]], ["#version: 0.2"], ["ab"], [["a", "b"], "a b"], [" "], [["", ""]]],
                        "vocab": [{}, [], ..., None, {"a": 0}, {"a": -1}, {"a": 0, "b": 0}, [["a", 0.0]], [["a", 0], ["b", "x"]], [["a"]]],
                        "unknown": [1], "cache_capacity": [0]}.items():
        out += [(f"{key}={value!r:.60}", {key: value}) for value in values]
    return out


def added(rng):
    """Some added tokens, known to the model or not."""
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    contents = ["<mask>", "[MASK]", "yesterday", "Yester", "day", " x", "x ", "\u2581mark", "caf\u00e9", "CAF\u00c9", "\u65e5\u672c", "a", "##", "",
                " ", "  ", "\n", "don't", "1", "12", "e\u0301", "\u00e9", "</w>", "<s>", "tw", "two", "o three", "ing", "\u0130", "\u00df"]
    chosen = rng.sample(contents, rng.randint(1, 5))
    return [{"content": text, **{flag: rng.random() < 0.4 for flag in flags}} for text in chosen]


def with_added(file, tokens):
    file = copy.deepcopy(file)
    vocab = file["model"]["vocab"]
    known = dict(vocab) if isinstance(vocab, dict) else {piece[0]: number for number, piece in enumerate(vocab)}
    known |= {token["content"]: token["id"] for token in file["added_tokens"]}
    free = max(known.values(), default=-1) + 1
    for token in tokens:
        if token["content"] in {other["content"] for other in file["added_tokens"]}:
            file["added_tokens"] = [other for other in file["added_tokens"] if other["content"] != token["content"]]
        number = known.get(token["content"])
        if number is None:
            number, free = free, free + 1
        file["added_tokens"].append({"id": number, **token})
    file["added_tokens"].sort(key=lambda token: token["id"])
    return file


def _changed(file, changes):
    model = {**file["model"], **changes}
    return {**file, "model": {key: value for key, value in model.items() if value is not ...}}


def truncations():
    whole = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    return [whole, {**whole, "direction": "Left"}, {**whole, "stride": 2}, {**whole, "stride": 4, "direction": "Left"}, {**whole, "stride": 5},
            {**whole, "stride": 9}, {**whole, "max_length": 0}, {**whole, "max_length": 1}, {**whole, "max_length": 2}, {**whole, "max_length": 3},
            {**whole, "strategy": "OnlyFirst"}, {**whole, "strategy": "OnlySecond"}, {key: whole[key] for key in list(whole)[1:]},
            {**whole, "strategy": "longest_first"}, {**whole, "max_length": -1}, {**whole, "max_length": 2.5}, {"max_length": 5}, {},
            {**whole, "direction": None}, {**whole, "stride": None}, {**whole, "x": 1}]


def paddings():
    whole = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 2, "pad_token": "<pad>"}
    fixed = {**whole, "strategy": {"Fixed": 9}}
    return [whole, fixed, {**fixed, "direction": "Left"}, {**whole, "pad_to_multiple_of": 8}, {**fixed, "pad_to_multiple_of": 8},
            {**whole, "pad_to_multiple_of": 0}, {**whole, "pad_to_multiple_of": 1}, {**whole, "pad_id": 999999}, {**whole, "pad_id": -1},
            {**whole, "pad_token": "not there"}, {**whole, "strategy": "Fixed"}, {**whole, "strategy": {"Fixed": 0}}, {},
            *({k: v for k, v in whole.items() if k != key} for key in whole), {**whole, "x": 1}]


def listed():
    """One change of one base each."""
    out = []
    put = lambda name, file: out.append((name, json.dumps(file)))
    bases = {name: _base(name) for name in BASES}
    for name, file in bases.items():
        put(name, file)
        for change, values in model_changes():
            if values.get("end_of_word_suffix") == "</w>" and file["model"].get("byte_fallback"):
                continue  # the library counts the suffix's bytes as text: offsets without meaning
            put(f"{name}: model {change}", _changed(file, values))
        pairs = file["model"].get("merges")
        if pairs:
            texts = [pair if isinstance(pair, str) else " ".join(pair) for pair in pairs]
            put(f"{name}: merges as texts", _changed(file, {"merges": texts}))
            put(f"{name}: merges as pairs", _changed(file, {"merges": [text.split(" ") for text in texts]}))
        for key in ("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"):
            put(f"{name}: without {key}", {k: v for k, v in file.items() if k != key})
    for key, settings, on in (("normalizer", normalizers(), "llama bert"), ("pre_tokenizer", pre_tokenizers(), "unigram roberta"),
                              ("post_processor", post_processors(), "roberta unigram"), ("decoder", decoders(), "llama bert word_level"),
                              ("truncation", truncations(), "bert gpt2"), ("padding", paddings(), "bert gpt2")):
        for name in on.split():
            for setting in settings:
                put(f"{name}: {key} {json.dumps(setting):.200}", {**bases[name], key: setting})
    for version in ("1.0", "1.1", "2.0", 1.0, None, ""):
        put(f"bert: version {version!r}", {**bases["bert"], "version": version})
    return out


def golden_changes():
    """(base, { "set": top keys, "model": keys of the model, "without": keys of both }, file) of listed(), but for steps
    that tests/golden/pipeline covers and for other vocabularies."""
    covered = [step for setting in all_settings() for step in setting if step]
    bases = {name: _base(name) for name in BASES}
    out = []
    for name, text in listed():
        base, _, said = name.partition(": ")
        file, old = json.loads(text), bases[base]
        if not said or base in ("whole_words", "prefix", "unigram_bytes") or "merges" in said or "vocab" in said or "without model" in said:
            continue
        top = {key: value for key, value in file.items() if key != "model" and (key not in old or old[key] != value)}
        model = {key: value for key, value in file["model"].items() if key not in ("vocab", "merges") and
                 (key not in old["model"] or old["model"][key] != value)}
        gone = [key for key in old if key not in file] + ["model." + key for key in old["model"] if key not in file["model"]]
        if (top or model or gone) and not any(value in covered for value in top.values()):
            out.append((base, {"set": top, "model": model, "without": gone}, file))
    return out


def _is_undecided(file):
    """Whether added tokens normalize to the same text, or to none: what the library finds then is chance, or a panic."""
    try:
        normalizer = tokenizers.Tokenizer.from_str(json.dumps(file)).normalizer
    except BaseException:  # which both programs must refuse
        return False
    texts = [token["content"] if normalizer is None else normalizer.normalize_str(token["content"])
             for token in file["added_tokens"] if token["normalized"]]
    return len(set(texts)) < len(texts) or "" in texts


def mixed(rng, count):
    """Random steps on random models, with added tokens, truncation and padding."""
    out, kinds = [], {"normalizer": normalizers(), "pre_tokenizer": pre_tokenizers(), "post_processor": post_processors(),
                      "decoder": decoders()}
    lengths = {"truncation": truncations()[:12], "padding": paddings()[:8]}
    for number in range(count):
        name = rng.choice(BASES)
        file = with_added(_base(name), added(rng))
        said = []
        for key, settings in kinds.items():
            if rng.random() < 0.4:
                setting = rng.choice(settings)
                if isinstance(setting, dict) and "type" in setting:
                    file[key] = setting
                    said.append(f"{key} {json.dumps(setting):.200}")
        for key, settings in lengths.items():
            if rng.random() < 0.2:
                file[key] = rng.choice(settings)
                said.append(f"{key} {file[key]}")
        if _is_undecided(file):
            continue
        extra = [token for token in file["added_tokens"] if token["content"] not in ("<unk>",)][-6:]
        out.append((f"mixed {number}: {name} {'; '.join(said)}; added {json.dumps(extra)}", json.dumps(file)))
    return out


def _places(value, path=()):
    if isinstance(value, dict):
        for key in value:
            yield path + (key,)
            if key not in ("vocab", "merges"):
                yield from _places(value[key], path + (key,))
    elif isinstance(value, list):
        for number in range(min(len(value), 3)):
            yield path + (number,)
            yield from _places(value[number], path + (number,))


def broken(rng, count):
    """Files with one key that is missing, null, renamed, or has a value of another type."""
    out = []
    for number in range(count):
        name = rng.choice(BASES)
        file = _base(name)
        for key, settings in (("normalizer", normalizers()), ("pre_tokenizer", pre_tokenizers()), ("post_processor", post_processors()),
                              ("decoder", decoders()), ("truncation", truncations()), ("padding", paddings())):
            if rng.random() < 0.3:
                file[key] = copy.deepcopy(rng.choice(settings))
        path = rng.choice(list(_places(file)))
        at = file
        for key in path[:-1]:
            at = at[key]
        change = rng.choice(["missing", "null", "renamed", *([0, 1, -1, 1.5, True, "", "a", [], {}, [[]], {"a": 1}])])
        if change == "missing":
            del at[path[-1]]
        elif change == "null":
            at[path[-1]] = None
        elif change == "renamed" and isinstance(at, dict):
            at[str(path[-1]) + "_"] = at.pop(path[-1])
        else:
            at[path[-1]] = change
        steps = {key: file.get(key) for key in (path[0],) if key not in ("model", "added_tokens")}
        out.append((f"broken {number}: {name} {'.'.join(map(str, path))} {change!r} {json.dumps(steps):.300}", json.dumps(file)))
    return out
