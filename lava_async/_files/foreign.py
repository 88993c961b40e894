"""What a file is that was given as a network and is none, and what to do about it."""

from __future__ import annotations

import os
import zipfile

import h5py

_WRITTEN_BY = "networks are written by SLAYER's export_hdf5 or lava_async.save"
_UNPACK = "a compressed file; unpack it first"
_ANNEX = "a git-annex pointer; get the file itself with git annex get"
_TORCH = "a PyTorch checkpoint; load it into its network and export that with export_hdf5"

_STARTS = (
    (b"version https://git-lfs", "a Git LFS pointer; get the file itself with git lfs pull"),
    (b"/annex/objects/", _ANNEX),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", _TORCH),  # the magic number of its old format
    (b"\x93NUMPY", f"a NumPy array; {_WRITTEN_BY}"),
    (b"\x1f\x8b", _UNPACK),  # gzip
    (b"BZh", _UNPACK),
    (b"\xfd7zXZ\0", _UNPACK),
    (b"\x28\xb5\x2f\xfd", _UNPACK),  # zstandard
)


def describe(path: str | os.PathLike[str]) -> str:
    """A file that is not HDF5."""
    with open(path, "rb") as file:
        start = file.read(256)
    for signature, what in _STARTS:
        if start.startswith(signature):
            return what
    if not start:
        return "an empty file"
    if start.startswith(b"PK"):
        return _archive(path)
    if start[:1] == b"\x80" and 2 <= start[1] <= 5:
        return f"a Python pickle; {_WRITTEN_BY}"
    text = start.decode("utf-8", "replace").strip().lower()
    if text.startswith(("<!doctype", "<html")):
        return "a web page; download the file itself"
    if text.startswith(("{", "[")):
        return f"JSON text; {_WRITTEN_BY}"
    if "".join(text.split()).isprintable() and "\ufffd" not in text[:-1]:
        return f"text; {_WRITTEN_BY}"
    return f"another format; {_WRITTEN_BY}"


def _archive(path: str | os.PathLike[str]) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # of a damaged archive, nearly anything
        names = []
    if any(name.endswith("data.pkl") for name in names):
        return _TORCH
    if names and all(name.endswith(".npy") for name in names):
        return f"a NumPy archive; {_WRITTEN_BY}"
    return "a ZIP archive; unpack it first"


def describe_missing(path: str | os.PathLike[str]) -> str | None:
    """A path where no file is; None: nothing that is known."""
    if os.path.islink(path) and "/annex/objects/" in os.readlink(path).replace("\\", "/"):
        return _ANNEX
    return None


def describe_hdf5(file: h5py.File) -> str | None:
    """A file of HDF5 without the layers of a network; None: nothing that is known."""
    if "model_weights" in file or "keras_version" in file.attrs:
        return f"a Keras model; {_WRITTEN_BY}"
    return None
