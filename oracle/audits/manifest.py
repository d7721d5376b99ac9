"""The manifest of a run: everything that could change a number, read from the machine and never assumed."""

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy", "scipy", "jax", "jaxlib", "ml_dtypes", "mpmath", "numba", "python-flint",
    "torch", "tensorflow", "tensorflow-cpu", "keras",
)  # fmt: skip
FLAGS = (
    "OMP_", "MKL_", "OPENBLAS_", "KMP_", "ATEN_", "DNNL_", "ONEDNN_", "CUDA_", "CUBLAS_", "NVIDIA_", "XLA_",
    "JAX_", "KERAS_", "TORCH_", "PYTORCH_", "TF_DETERMINISTIC", "TF_DISABLE_", "TF_ENABLE_", "TF_NUM_",
    "TF_USE_", "TF_XLA_",
)  # fmt: skip
CPU_FEATURES = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "asimd",
    "sve",
)


def versions() -> dict[str, str]:
    """The installed version of Python, the oracle (with its source hash) and each package it may use."""
    found = {"python": platform.python_version(), "oracle": f"{oracle_version()}+{source_hash()}"}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def oracle_version() -> str:
    """The version of this distribution."""
    return importlib.metadata.version("numerical-oracle")


def source_hash() -> str:
    """Eight digits over the oracle's own source: two runs compare only if the judge is the same."""
    import oracle  # noqa: PLC0415 - the package's own folders, known only after import
    import oracle.adapters  # noqa: PLC0415
    import oracle.reference  # noqa: PLC0415

    digest = hashlib.sha256()
    for package in (oracle, oracle.reference, oracle.adapters):
        for path in sorted(Path(next(iter(package.__path__))).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def cpu() -> dict[str, Any]:
    """Model, core count and the features that decide which kernels run (FMA, AVX-512, bfloat16 ...)."""
    model, features = platform.processor() or platform.machine(), set()
    info = Path("/proc/cpuinfo")
    if info.exists():
        first = info.read_text().split("\n\n")[0].splitlines()
        named = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first)}
        model = named.get("model name", model)
        features = set(named.get("flags", named.get("Features", "")).split())
    return {
        "model": model,
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "features": [name for name in CPU_FEATURES if name in features],
    }


def gpus() -> list[dict[str, str]]:
    """Name, driver and memory of each NVIDIA device, as its driver's own tool tells; empty without one."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [
        dict(zip(("name", "driver", "memory"), line.split(", "), strict=False)) for line in told.splitlines() if line
    ]


def blas() -> list[dict[str, Any]]:
    """The linear-algebra and threading libraries that the reference itself has loaded."""
    import numpy as np  # noqa: F401, PLC0415 - loads the library that is then asked for
    from threadpoolctl import threadpool_info  # noqa: PLC0415

    wanted = ("user_api", "internal_api", "version", "architecture", "num_threads")
    return [{key: pool[key] for key in wanted if pool.get(key) is not None} for pool in threadpool_info()]


def flags() -> dict[str, str]:
    """The environment variables that frameworks and their libraries obey."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(FLAGS)}


def manifest(**run: Any) -> dict[str, Any]:
    """Everything about this machine, and `run`: what the caller knows (seed, command, adapters)."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "cpu": cpu(),
        "gpus": gpus(),
        "blas": blas(),
        "flags": flags(),
        **run,
    }


COMPARABLE = ("versions", "cpu", "gpus", "flags")


def comparable_hash(facts: Mapping[str, Any]) -> str:
    """Eight digits over everything that makes the answers of two runs comparable."""
    text = json.dumps([facts[part] for part in COMPARABLE], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What makes the answers of two manifests incomparable, in words: versions, CPU, GPUs and flags."""
    found = []
    for part in ("versions", "cpu", "flags"):
        old, new = before[part], now[part]
        found += [
            f"{part} {name}: {old.get(name)} then, {new.get(name)} now"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    if before["gpus"] != now["gpus"]:
        found.append(f"gpus: {before['gpus']} then, {now['gpus']} now")
    return found
