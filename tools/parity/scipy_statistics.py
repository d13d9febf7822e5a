#!/usr/bin/env python3
"""Writes tests/golden/statistics/*.json: inputs and what SciPy and statsmodels make of them.

Run with `python3 -m venv V && V/bin/pip install scipy==1.17.1 statsmodels && V/bin/python tools/parity/scipy_statistics.py`.
The C++ tests compare framework/results/statistics.cpp to these files; nothing here runs in a test.
"""

import json
import pathlib

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "statistics"
MASK = (1 << 64) - 1


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def stream_key(seed, path, epoch, item):
    """The key of RandomStreams(seed, path).stream(epoch, item), framework/base/random.h."""
    for c in path.encode():
        seed = mix(seed ^ c)
    key = mix((seed + len(path)) & MASK)
    return mix((mix((key + epoch) & MASK) + item) & MASK)


def draws_below(n, count, key):
    """Numbers in [0, n) of the stream, as RandomStream::below gives them."""
    spare = ((1 << 64) - n) % n
    out = []
    counter = 0
    while len(out) < count:
        counter += 1
        draw = mix((key + 0x9E3779B97F4A7C15 * counter) & MASK)
        if draw >= spare:
            out.append(draw % n)
    return out


def bootstrap(x, seed, resamples=9999):
    means = np.array([x[draws_below(len(x), len(x), stream_key(seed, "paired_bootstrap", 0, b))].mean()
                      for b in range(resamples)])
    reach = 2 * x.mean() - 1e-12 * np.abs(x).mean()
    low, high = np.percentile(means, [2.5, 97.5])
    return {"p": float((1 + (means >= reach).sum()) / (1 + resamples)), "low": float(low), "high": float(high)}


def sign_flip(x):
    result = stats.permutation_test((x,), lambda a, axis: a.sum(axis=axis), permutation_type="samples",
                                    alternative="greater", n_resamples=np.inf, vectorized=True)
    return float(result.pvalue)


def samples():
    rng = np.random.default_rng(1)
    yield "five positive", [0.3, 0.1, 0.2, 0.4, 0.25]
    yield "six mixed", [0.02, -0.01, 0.03, 0.011, -0.004, 0.019]
    yield "ties and a zero", [1.0, -1.0, 2.0, 2.0, 0.0, -0.5, 3.0, 0.5]
    yield "negative", [-0.5, -0.1, -0.7, 0.2]
    yield "two", [0.1, 0.3]
    yield "large offset", [1e6 + 1, 1e6 + 3, 1e6 - 2, 1e6 + 0.5]
    for n in (8, 12, 16):
        yield f"normal {n}", [float(v) for v in rng.normal(0.4, 1, n)]
    yield "rounded 14", [float(v) for v in np.round(rng.normal(0.3, 1, 14), 1)]
    yield "normal 40", [float(v) for v in rng.normal(0.2, 1, 40)]
    yield "rounded 60", [float(v) for v in np.round(rng.normal(0.2, 1, 60), 1)]
    # Differences as experiments give them: few, small, skewed, heavy-tailed, rounded, of bits per byte and of accuracy.
    for n in (3, 4, 5, 6, 7, 8, 10, 13, 15):
        yield f"bits per byte {n}", [float(v) for v in rng.normal(0.004, 0.01, n)]
        yield f"skewed {n}", [float(v) for v in rng.exponential(1, n) - 0.8]
        yield f"heavy tails {n}", [float(v) for v in 0.5 + rng.standard_t(2, n)]
        yield f"accuracy {n}", [float(v) for v in np.round(rng.normal(0.01, 0.02, n), 3)]
    yield "heavy tails 50", [float(v) for v in 0.2 + rng.standard_t(2, 50)]
    yield "tiny 9", [float(v) for v in 1e-9 * rng.normal(0.3, 1, 9)]


def one_sample(name, values):
    x = np.array(values)
    t = stats.ttest_1samp(x, 0, alternative="greater")
    low, high = stats.t.interval(0.95, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
    kept = x[x != 0]
    case = {"name": name, "x": values, "mean": float(x.mean()), "sd": float(x.std(ddof=1)), "paired_t": float(t.pvalue),
            "low": float(low), "high": float(high)}
    if len(kept) <= 25:
        exact = stats.PermutationMethod(n_resamples=1 << 26) if len(kept) <= 16 else None
        method = exact if exact is not None else "exact"
        case["wilcoxon"] = float(stats.wilcoxon(kept, alternative="greater", method=method).pvalue)
    else:
        case["wilcoxon"] = float(stats.wilcoxon(kept, alternative="greater", method="approx", correction=True).pvalue)
    if len(x) <= 16:
        case["sign_flip"] = sign_flip(x)
    case["bootstrap"] = bootstrap(x, 7)
    return case


def pairs():
    rng = np.random.default_rng(2)
    x = rng.normal(size=12)
    for name, a, b in (("linear", x, 2 * x + rng.normal(size=12)), ("noise", x, rng.normal(size=12)),
                       ("ties", np.round(x), np.round(2 * x + rng.normal(size=12))),
                       ("falling", np.arange(5.0), np.array([5.0, 4.5, 4.6, 1.0, -3.0]))):
        yield {"name": name, "x": a.tolist(), "y": b.tolist(), "pearson": float(stats.pearsonr(a, b)[0]),
               "spearman": float(stats.spearmanr(a, b)[0]), "slope": float(stats.linregress(a, b).slope)}


def write(name, cases):
    (OUT / name).write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write("one_sample.json", [one_sample(*s) for s in samples()])
    write("pairs.json", list(pairs()))
    write("mcnemar.json", [{"arm": b, "baseline": c,
                            "p": float(stats.binomtest(b, b + c, 0.5, alternative="greater").pvalue) if b + c else 1.0}
                           for b, c in ((0, 0), (5, 0), (0, 5), (10, 3), (3, 10), (60, 41), (500, 430))])
    write("holm.json", [{"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}
                        for p in ([0.01, 0.04, 0.03, 0.005], [0.2], [0.5, 0.5, 0.9], [0.03, 0.03, 0.01])])
    power = TTestPower()
    write("power.json", [{"difference": d, "sd": s, "alpha": a,
                          "n": float(power.solve_power(d / s, alpha=a, power=0.8, alternative="larger"))}
                         for d, s, a in ((1, 1, 0.05), (0.5, 1, 0.05), (0.02, 0.05, 0.05), (1, 2, 0.1), (2, 3, 0.01))])


if __name__ == "__main__":
    main()
