"""A run that never happened: realistic results for testing how they are shown, with nasty strings among them."""

import itertools
import math
import random
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

NASTY = "</script><script>document.title='owned'</script>\"'&<img src=x onerror=\"document.title='owned'\">"
NASTY_OP = f"user.op {NASTY} Ünïcödé 数 🧮|`pipe`"

FAMILIES = {
    "elementwise": "exp expm1 log log1p sqrt rsqrt sin cos tanh sinh erf erfc pow atan2",
    "activation": "relu leaky_relu elu selu gelu gelu_tanh silu mish softplus sigmoid log_sigmoid hard_sigmoid "
    "hard_swish softsign softmax log_softmax",
    "reduction": "logsumexp sum mean var std prod max norm cumsum",
    "linear": "matmul batched_matmul linear einsum conv1d conv2d depthwise_conv2d max_pool avg_pool embedding "
    "attention",
    "normalisation": "batch_norm layer_norm group_norm rms_norm",
    "recurrent": "rnn lstm gru",
    "loss": "mse l1 huber bce bce_with_logits cross_entropy kl_div",
    "optimizer": "sgd adam adamw rmsprop",
}
AT_SCALE = {"reduction", "linear", "recurrent"}
CANDIDATES = (
    ("torch", "eager"), ("torch", "compile"), ("keras-tensorflow", "eager"), ("keras-jax", "jit"),
    ("tensorflow", "eager"), ("tensorflow", "jit_compile"), ("jax", "jit"), ("numpy", "eager"),
)  # fmt: skip
FORMATS = {"float32": (24, -126, 127), "bfloat16": (8, -126, 127), "float16": (11, -14, 15)}
REGIONS = ("typical", "wide", "edges", "subnormal", "special")
EDGES = [float(edge) for edge in (-64, -32, -16, -8, -4, -2, -1, *np.linspace(-0.5, 0.5, 11), 1, 2, 4, 8, 16, 32, 64)]


def results(*, only: Collection[str] = (), regions: Sequence[str] = REGIONS, seed: int = 1) -> dict[str, Any]:
    """A `results.json` of about 70 operations (or `only` these), 8 candidates, 3 formats and two directions."""
    operations = {
        op: {
            "family": family,
            "formula": f"{op}(x) = x/2 · erfc(−x/√2)",
            "source": "IEEE 754-2019, section 9.2",
            "at_scale": family in AT_SCALE,
        }
        for family, names in FAMILIES.items()
        for op in names.split()
        if op in only or not only
    }
    about = {"family": f"custom {NASTY}", "formula": f"f(x) = {NASTY}", "source": NASTY, "at_scale": False}
    operations[NASTY_OP] = about
    rows = [
        _row(random.Random(f"{seed} {op} {candidate} {fmt} {direction} {region}"), op, operations[op]["family"],
             candidate, (fmt, direction, region))
        for op in operations
        for direction in ("forward", "vjp")
        for candidate in CANDIDATES
        for fmt in FORMATS
        for region in regions
    ]  # fmt: skip
    return {
        "schema_version": 1,
        "manifest": {
            "versions": {"python": "3.11.2", "oracle": "0.1.0+1a2b3c4d", "torch": "2.13.0", "jax": "0.10.2",
                         "tensorflow-cpu": "2.21.0", "keras": "3.15.0", "numpy": "2.4.6"},
            "platform": f"Linux-6.1-x86_64 {NASTY}",
            "cpu": {"model": "AMD EPYC 9554", "cores": 2, "features": ["avx2", "fma", "avx512f"]},
            "gpus": [],
            "blas": [{"user_api": "blas", "internal_api": "openblas", "version": "0.3.30", "num_threads": 1}],
            "flags": {"OMP_NUM_THREADS": "1", "XLA_FLAGS": NASTY},
            "command": "oracle audit --quick",
            "profile": "quick",
            "started": "2026-01-31T12:00:00+00:00",
            "seconds": 142.5,
            "seed": seed,
        },
        "operations": operations,
        "rows": rows,
        "left_out": [
            {"what": "formats float64, float8_e5m2", "why": "quick profile", "command": "oracle audit --full"},
            {"what": f"adapter {NASTY}", "why": "not installed", "command": "pip install 'numerical-oracle[torch]'"},
        ],
    }  # fmt: skip


def _row(rng: random.Random, op: str, family: str, candidate: tuple[str, str], case: tuple[str, str, str, int]) -> dict:
    fmt, direction, region = case
    row: dict[str, Any] = {
        "op": op, "config": "elementwise", "direction": direction,
        "output": "x" if direction == "vjp" else "out", "framework": candidate[0], "mode": candidate[1],
        "format": fmt, "device": "cpu", "region": region, "verdict": "CORRECT", "reason": "", "elements": 0,
        "decided": 0, "undecided": 0, "rungs": {}, "max_ulp": None, "max_ulp_interval": None, "mean_abs_ulp": None,
        "max_ulp_flush_tolerant": None, "max_ulp_at_scale": None, "correctly_rounded": None, "budget_used": None,
        "budget_used_stepwise": None, "budget_used_probable": None,
        "classes": {"nan_mismatch": 0, "wrong_infinity": 0, "wrong_zero_sign": 0, "flushed": 0}, "histogram": None,
        "curve": None, "worst": [], "special": [], "reproduction": "", "seconds": round(rng.uniform(0.001, 0.2), 4),
        "seed": 1, "input_hash": f"{rng.getrandbits(64):016x}",
    }  # fmt: skip
    reason = _absent(op, candidate, fmt, direction)
    if reason:
        return {**row, "verdict": reason[0], "reason": reason[1]}
    return {**row, **_numbers(rng, row, family)}


def _absent(op: str, candidate: tuple[str, str], fmt: str, direction: str) -> tuple[str, str] | None:
    framework, mode = candidate
    if framework == "numpy" and (fmt == "bfloat16" or direction == "vjp"):
        return "UNSUPPORTED", f"numpy has no {'gradient' if direction == 'vjp' else fmt}"
    if (op, framework, mode) == ("cumsum", "torch", "compile"):
        return "CRASHED", f"worker died: signal 11 {NASTY}"
    if (op, framework) == ("attention", "keras-jax"):
        return "TIMEOUT", "no answer within 60 s"
    return None


def _numbers(rng: random.Random, row: dict, family: str) -> dict[str, Any]:
    bad = row["op"] == NASTY_OP or (row["op"] == "gelu" and row["framework"] != "numpy" and row["region"] == "wide")
    poor = row["framework"].endswith("tensorflow") and row["op"] in ("sigmoid", "softplus")
    flushes = row["framework"] in ("tensorflow", "jax") and row["region"] == "subnormal"
    at_scale = family in AT_SCALE
    elements, ulp = 4099, rng.choice([0.5, 0.5, 0.51, 0.8, 1.1, 2.0])
    ulp = 2.0 ** FORMATS[row["format"]][0] if bad else 6.7 if poor else ulp
    elementwise = ulp * rng.uniform(1, 3000) if at_scale else 2**22.0 if flushes else ulp
    budget = ulp / 4 if bad else rng.uniform(0.1, 0.9)
    infinite = bad and row["framework"] == "torch" and row["format"] == "float32"
    undecided = 3 if row["op"] == "prod" else 0
    verdict = "BEYOND_BUDGET" if bad else "UNDECIDED" if undecided else "CORRECT" if ulp <= 0.5 else "WITHIN_BUDGET"
    counts = [int(elements * w) for w in _bell(ulp)]
    return {
        "verdict": verdict, "reason": "" if not undecided else "3 elements stay undecided at 4096 bits",
        "elements": elements, "decided": elements - undecided, "undecided": undecided,
        "rungs": {"R0": elements - 40, "R3": 40 - undecided}, "max_ulp": elementwise,
        "max_ulp_interval": [elementwise, elementwise * 1.0001], "mean_abs_ulp": min(ulp, 0.26),
        "max_ulp_flush_tolerant": ulp if flushes else elementwise, "max_ulp_at_scale": ulp,
        "correctly_rounded": 1.0 if verdict == "CORRECT" else rng.uniform(0.6, 0.99), "budget_used": budget,
        "budget_used_stepwise": budget / 3, "budget_used_probable": budget * 1.5,
        "classes": {"nan_mismatch": 0, "wrong_infinity": int(infinite), "wrong_zero_sign": 0,
                    "flushed": 211 if flushes else 0},
        "histogram": {"edges": EDGES, "counts": counts}, "curve": dict(_curve(rng, row, ulp)),
        "worst": list(_worst(rng, row, ulp, infinite)), "special": _special(row),
        "reproduction": _reproduction(row, "-9.375"),
    }  # fmt: skip


def _bell(ulp: float) -> list[float]:
    centres = [(a + b) / 2 for a, b in itertools.pairwise(EDGES)]
    weights = [(b - a) * math.exp(-((c / 0.3) ** 2)) + (1e-3 if abs(c) < ulp else 0)
               for c, (a, b) in zip(centres, itertools.pairwise(EDGES), strict=True)]  # fmt: skip
    return [w / sum(weights) for w in weights]


def _curve(rng: random.Random, row: dict, ulp: float) -> Iterator[tuple[str, list[float]]]:
    _, e_min, e_max = FORMATS[row["format"]]
    spans = {
        "typical": (-6, 3),
        "wide": (e_min, e_max),
        "edges": (e_min, e_max),
        "subnormal": (e_min - 20, e_min),
    }
    low, high = spans.get(row["region"], (-1, 1))
    magnitudes = np.exp2(np.linspace(low, high, 60))
    x = np.concatenate([-magnitudes[::-1], [0.0], magnitudes])
    error = [min(ulp, 0.5) * (0.5 + rng.random() / 2) for _ in x]
    if ulp > 2:
        error = [ulp if -12 < value < -5 else e for value, e in zip(x, error, strict=True)]
    yield "x", x.tolist()
    yield "max_ulp", error


def _value(decimal: str, bits: int) -> dict[str, str]:
    return {"decimal": decimal, "hex": f"0x{bits:08x}"}


def _worst(rng: random.Random, row: dict, ulp: float, infinite: bool) -> Iterator[dict[str, Any]]:
    for n in range(5):
        x = -9.375 - n * rng.random()
        yield {
            "index": [rng.randrange(4099)],
            "inputs": {"x": _value(f"{x:.9g}", 0xC1160000 + n)},
            "actual": _value("inf", 0x7F800000) if infinite else _value("-3.2421875e-20", 0x9F191000),
            "truth": "-3.24219140282117304968e-20",
            "ulp": None if infinite else -ulp / (n + 1),
            "budget_used": ulp / 4 / (n + 1),
        } | ({"reproduction": _reproduction(row, f"{x:.9g}")} if n else {})  # fmt: skip


def _special(row: dict) -> list[dict[str, Any]]:
    if row["region"] != "special":
        return []
    wrong = row["framework"] == "tensorflow" and row["format"] == "float32"
    return [
        {"inputs": {"x": _value("-inf", 0xFF800000)}, "expected": "-0.0",
         "actual": _value("nan" if wrong else "-0.0", 0x7FC00000), "agrees": not wrong},
        {"inputs": {"x": _value("inf", 0x7F800000)}, "expected": "inf", "actual": _value("inf", 0x7F800000),
         "agrees": True},
        {"inputs": {"x": _value("nan", 0x7FC00000)}, "expected": "nan", "actual": _value("nan", 0x7FC00000),
         "agrees": True},
    ]  # fmt: skip


def _reproduction(row: dict, x: str) -> str:
    return (
        f"import {row['framework'].split('-')[0]}\nimport numpy as np\n\n# {row['op']} <b>&amp;</b>\n"
        f"x = np.array([{x}], np.{row['format']})\nout = F.gelu(x)\nprint(out)\n"
    )
