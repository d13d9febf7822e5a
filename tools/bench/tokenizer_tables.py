"""Tables of what tokenizer_bench.py measured, in Markdown, and the section of README.md that has them."""
import json
import pathlib
import statistics

OURS, PEER = "xp", "HF encode_batch_fast"
BEGIN, END = "<!-- tokenizers:begin -->", "<!-- tokenizers:end -->"
NAMES = {"en": "English", "de": "German", "ru": "Russian", "ja": "Japanese", "zh": "Chinese", "hi": "Hindi",
         "code": "code", "jazh": "Japanese and Chinese", "bpe": "BPE", "wordpiece": "WordPiece", "unigram": "Unigram"}
OTHER, OWN = "ᵈ", "ᵒ"
NOTES = f"{OTHER}: ids differ from Hugging Face's; {OWN}: a model of its own. –: no such model, not there, or failed."


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "a processor without a name"


def load(source):
    return [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]


def select(records, **where):
    return [row for row in records if all(row.get(key) == value for key, value in where.items())]


def distinct(rows, key):
    return list(dict.fromkeys(row[key] for row in rows if key in row))


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def title(tokenizer):
    kind, language = tokenizer.split("-")
    return f"{NAMES[kind]} of {NAMES[language]}"


def mark(rows, peer):
    """What must be known of a peer's ids in these rows, which are of one tokenizer and text."""
    if peer == "sentencepiece":
        return OWN
    right = {row["ids"] for row in rows if row["peer"] == PEER}
    return OTHER if right and {row["ids"] for row in rows if row["peer"] == peer} != right else ""


def middle(rows, value):
    values = [value(row) for row in rows]
    return statistics.median(values) if values else None


def ratio(rows, value, threads=1):
    """The median over rounds of what Hugging Face took by what we took."""
    rounds = {}
    for row in rows:
        if row["peer"] in (OURS, PEER, "HF") and row["threads"] == threads:
            rounds.setdefault(row["round"], {})["ours" if row["peer"] == OURS else "peer"] = value(row)
    ratios = [one["peer"] / one["ours"] for one in rounds.values() if len(one) == 2]
    return statistics.median(ratios) if ratios else None


def table(heads, rows):
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |"
                     for row in [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows])


def rates(rows, peer):
    """Megabytes per CPU second, cold / warm."""
    own = select(rows, peer=peer, threads=1)
    if not own:
        return "–"
    cold, warm = (middle(own, lambda row, at=at: row["megabytes"] / row["cpu"][at]) for at in (0, 1))
    return f"{number(cold)} / {number(warm)}{mark(rows, peer)}"


def times(rows):
    """How many times as fast as Hugging Face we are, cold / warm."""
    both = [ratio(rows, lambda row, at=at: row["cpu"][at]) for at in (0, 1)]
    if None in both or mark(rows, OURS):
        return "–"
    return " / ".join(number(one) for one in both)


def encoding_tables(records):
    """One a tokenizer: peers by texts."""
    rows = select(records, part="encode")
    for tokenizer in distinct(rows, "tokenizer"):
        mine = select(rows, tokenizer=tokenizer)
        texts = distinct(mine, "text")
        cells = [[peer, *(rates(select(mine, text=text), peer) for text in texts)] for peer in distinct(mine, "peer")]
        cells.append([f"{OURS} by {PEER}", *(times(select(mine, text=text)) for text in texts)])
        heads = ["", *(NAMES[text] for text in texts)]
        yield title(tokenizer) + ", MB per CPU second, cold / warm", table(heads, cells)


def english_table(records):
    rows = select(records, part="encode", text="en")
    tokenizers = [name for name in distinct(rows, "tokenizer") if name.endswith("-en")]
    if tokenizers:
        cells = [[peer, *(rates(select(rows, tokenizer=name), peer) for name in tokenizers)]
                 for peer in distinct(rows, "peer")]
        yield ("MB of English per CPU second, cold / warm",
               table(["", *(NAMES[name.split("-")[0]] for name in tokenizers)], cells))


def times_table(records):
    rows = select(records, part="encode")
    tokenizers = distinct(rows, "tokenizer")
    if tokenizers:
        cells = [[NAMES[text], *(times(select(rows, text=text, tokenizer=name)) for name in tokenizers)]
                 for text in distinct(rows, "text")]
        yield f"Times as fast as `{PEER.split()[1]}`, cold / warm", table(["", *map(title, tokenizers)], cells)


def threads_table(records):
    rows = select(records, part="threads")
    tokenizers = distinct(rows, "tokenizer")

    def cell(mine, peer):
        walls = {}
        for row in select(mine, peer=peer):
            walls.setdefault(row["round"], {})[row["threads"]] = row["wall"]
        both = [[one[1][at] / one[2][at] for one in walls.values() if len(one) == 2] for at in (0, 1)]
        if not both[0]:
            return "–"
        return " / ".join(f"{statistics.median(one):.2f}" for one in both) + mark(mine, peer)

    if tokenizers:
        cells = [[peer, *(cell(select(rows, tokenizer=name), peer) for name in tokenizers)]
                 for peer in distinct(rows, "peer")]
        size = middle(rows, lambda row: row["megabytes"])
        yield (f"Two threads, times as fast as one by the clock, {number(size)} MB, cold / warm",
               table(["", *map(title, tokenizers)], cells))


def sizes_table(records):
    rows = select(records, part="sizes")
    sizes = distinct(rows, "asked")
    for tokenizer in distinct(rows, "tokenizer"):
        mine = select(rows, tokenizer=tokenizer)

        def cell(size, peer, mine=mine):
            own = select(mine, asked=size, peer=peer)
            if not own:
                return "–"
            nanoseconds = middle(own, lambda row: 1e3 * row["cpu"][0] / row["megabytes"])
            mib = middle(own, lambda row: row["mib"])
            return f"{number(nanoseconds)}, {mib:.0f}{mark(select(mine, asked=size), peer)}"

        cells = [[peer, *(cell(size, peer) for size in sizes)] for peer in distinct(mine, "peer")]
        yield (title(tokenizer) + " over all texts: ns per byte, first pass; MiB of the process at most",
               table(["", *(f"{size:g} MB" for size in sizes)], cells))


def word_table(records):
    rows = select(records, part="word")
    tokenizers = distinct(rows, "tokenizer")

    def cell(mine, peer):
        own = select(mine, peer=peer)
        return number(middle(own, lambda row: 1e3 * row["cpu"][0])) + mark(mine, peer) if own else "–"

    if tokenizers:
        cells = [[peer, *(cell(select(rows, tokenizer=name), peer) for name in tokenizers)]
                 for peer in distinct(rows, "peer")]
        yield "A word of a million equal letters, CPU milliseconds", table(["", *map(title, tokenizers)], cells)


def training_table(records):
    rows = select(records, part="train")
    kinds = distinct(rows, "kind")
    columns = [(kind, threads) for kind in kinds for threads in distinct(select(rows, kind=kind), "threads")]

    def cell(peer, kind, threads):
        own = select(rows, peer=peer, kind=kind, threads=threads)
        if not own:
            return "–"
        cpu, wall, mib = (middle(own, lambda row, key=key: row[key]) for key in ("cpu", "wall", "mib"))
        return f"{number(cpu)} / {number(wall)} / {mib:.0f}"

    if columns:
        cells = [[peer, *(cell(peer, *column) for column in columns)] for peer in distinct(rows, "peer")]
        compared = [ratio(select(rows, kind=kind), lambda row: row["cpu"], threads) for kind, threads in columns]
        cells.append([f"{OURS} by HF, CPU", *("–" if one is None else number(one) for one in compared)])
        heads = [f"{NAMES[kind]}, {threads} thread{'s' if threads > 1 else ''}" for kind, threads in columns]
        size = middle(rows, lambda row: row["megabytes"])
        yield (f"Training on {number(size)} MB of English: CPU s / s / MiB; of `xp run` everything counts, its own "
               "encoding of the text too", table(["", *heads], cells))
        same = [kind for kind in kinds if len(distinct(select(rows, kind=kind, peer=OURS), "ids")) == 1]
        yield "What we train is the same in every round and for any number of threads: " + ", ".join(
            f"{NAMES[kind]} {'yes' if kind in same else 'NO'}" for kind in kinds), ""


def setting(records):
    machine = select(records, part="machine")[0]
    rounds = 1 + max((row["round"] for row in records if "round" in row), default=0)
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    return (f"{machine['cpu']}, {machine['cores']} cores; medians of up to {rounds} rounds, everybody in each round, "
            f"one process a measurement, pinned; tokenizers of {machine['entries']} entries; {versions}.")


def shown(parts):
    return "\n\n".join(f"{head}:\n\n{body}" if body else f"{head}." for head, body in parts)


def everything(records):
    makers = (encoding_tables, threads_table, sizes_table, word_table, training_table)
    parts = shown([part for maker in makers for part in maker(records)])
    remarks = "\n".join(f"- {row['peer']}{', ' + row['where'] if row['where'] else ''}: {row['text']}"
                        for row in select(records, part="remark"))
    return "\n\n".join(part for part in (setting(records), parts, NOTES, remarks) if part)


def section(records):
    makers = (english_table, times_table, threads_table, sizes_table, word_table, training_table)
    parts = shown([part for maker in makers for part in maker(records)])
    return "\n\n".join(["## Tokenizers",
                        "Ids are the same as Hugging Face's. `tools/bench/tokenizer_bench.py` measures "
                        "all of this in one command. Cold is the first pass over text without a repeated line, warm "
                        "the second. " + setting(records), parts, NOTES])


def write_section(source, target):
    """Puts the section between its marks in `target`; 1 if there are no sound numbers for it."""
    records = load(source)
    if select(records, part="machine")[0]["quick"]:
        raise SystemExit(f"{source} was made with --quick: no numbers to be shown to others")
    if any(row["peer"] == OURS and "differ" in row["text"] for row in select(records, part="remark")):
        raise SystemExit(f"{source} says that ids of ours differ: no numbers to be shown to others")
    text = target.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{target} has not one {BEGIN} and one {END}")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    target.write_text(f"{before}{BEGIN}\n{section(records)}\n{END}{after}", encoding="utf-8")
    return 0
