"""Versions, the machine, and the places on its disk."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import lava_async
from lava_async._compiling import can_write, first_writable
from lava_async._doctor.findings import Finding
from lava_async.datasets import registry

_CORE = {
    "numpy": "numpy", "numba": "numba", "llvmlite": "llvmlite", "h5py": "h5py", "scipy": "scipy",
    "joblib": "joblib", "typer": "typer", "rich": "rich", "matplotlib": "matplotlib",
    "scikit-learn": "sklearn",
}  # fmt: skip
_LAVA = {"torch": "torch", "lava-nc": "lava.magma", "lava-dl": "lava.lib.dl.slayer"}
_EXTRA = {
    "tonic": ("tonic", "datasets"), "aeon": ("aeon", "vowels"), "dask": ("dask", "cluster"),
    "nir": ("nir", "nir"),
}  # fmt: skip
"""Distribution -> a module of it, and the extra of ours that brings it."""

_FIRST_WITHOUT_LAVA = 3, 13

_KERNELS = "run_samples", "run_step", "record_samples", "credit_samples", "learn_samples"

_VARIABLES = (
    "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", registry.ROOT_VARIABLE, "XDG_CACHE_HOME", "TMPDIR",
    "PYTHONPATH",
)  # fmt: skip
"""Of the environment, that have an influence."""


def look_around() -> Iterator[Finding]:
    """All that can be told without running anything."""
    yield Finding("lava-async", f"{lava_async.__version__}, {Path(lava_async.__file__).parent}")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Finding("python", f"{python}, {sys.executable}")
    yield Finding("platform", f"{platform.platform()}, {platform.machine()}")
    yield _cores()
    yield _environment()
    yield from _packages()
    yield _kernel_cache()
    yield _data_root()


def _environment() -> Finding:
    named = [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]
    text = " ".join(named) or "nothing set that matters here"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return Finding("environment", f"{text}: unset NUMBA_DISABLE_JIT to compile", ok=False)
    return Finding("environment", text)


def _cores() -> Finding:
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    return Finding("cores", f"{usable} of {there}, a thread of the kernels on each")


def _packages() -> Iterator[Finding]:
    for name, module in _CORE.items():
        yield _package(name, module, ok=False)
    has_lava = sys.version_info < _FIRST_WITHOUT_LAVA
    reason = "" if has_lava else ", as it needs Python 3.10 to 3.12"
    for name, module in _LAVA.items():
        yield _package(name, module, reason, ok=not has_lava)
    for name, (module, extra) in _EXTRA.items():
        yield _package(name, module, f"; comes with lava-async[{extra}]", ok=True)


def _package(name: str, module: str, reason: str = "", *, ok: bool) -> Finding:
    """A package's version; where there is none the reason, and whether that is ``ok``."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        remedy = "" if ok else ": install lava-async anew"
        return Finding(name, f"not installed{reason or remedy}", ok)
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # what it is in cannot be imported
        found = None
    if found is None:
        return Finding(name, f"{version}, but no module {module}: install it anew", ok=False)
    return Finding(name, version)


def _kernel_cache() -> Finding:
    name = "kernel cache"
    try:
        from lava_async._kernel import _cache
        from lava_async._kernel._entry import DIGEST
    except Exception as error:  # whatever a broken compiler raises
        return Finding(name, f"{type(error).__name__}: {error}", ok=False)
    kept = [kernel for kernel in _KERNELS if _cache.is_kept(kernel, DIGEST)]
    told = f"compiled: {', '.join(kept) or 'none'}"
    folder = first_writable(folder for folder, _ in _cache.folders())
    if folder is not None:
        return Finding(name, f"{folder}, writable; {told}")
    remedy = "set NUMBA_CACHE_DIR to a folder that you may write"
    text = f"no folder that can be written, so each start compiles: {remedy}; {told}"
    return Finding(name, text, ok=len(kept) == len(_KERNELS))


def _data_root() -> Finding:
    name, root = "data root", registry.data_root()
    if can_write(root):
        return Finding(name, f"{root}, writable")
    if root.is_dir():
        return Finding(name, f"{root}, to read only")
    remedy = f"set {registry.ROOT_VARIABLE} to one that can, for data sets to download"
    return Finding(name, f"{root} cannot be made: {remedy}", ok=False)
