"""Checkpoints: plain data and tensors in PyTorch's format, with a digest of all of it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from lava_async.errors import FileFormatError

FORMAT_VERSION = 1


def dump(content: dict[str, Any]) -> bytes:
    """A checkpoint file that holds ``content``, as `read` gives it back.

    In memory: written to a full disk, PyTorch would raise an error that says nothing of it.
    """
    checkpoint = {"format_version": FORMAT_VERSION, **content}
    file = io.BytesIO()
    torch.save({**checkpoint, "digest": digest(checkpoint)}, file)
    return file.getvalue()


def read(path: Path) -> dict[str, Any]:
    """What the checkpoint holds.

    Raises
    ------
    FileFormatError
        There is no checkpoint, or it is damaged, foreign or of a later version.
    """
    where = str(path)
    if not path.is_file():
        raise FileFormatError(where, "checkpoint", "a file", "none")
    file = path.read_bytes()
    try:
        # Only plain data: a foreign checkpoint must not run code.
        checkpoint = torch.load(_whole(file), weights_only=True)
    except Exception as error:  # zipfile and torch have many for damage; no code of ours runs here
        raise FileFormatError(
            where, "checkpoint", "an undamaged one that train wrote", type(error).__name__
        ) from error
    if not isinstance(checkpoint, dict) or "format_version" not in checkpoint:
        raise FileFormatError(where, "checkpoint", "one that train wrote", "something else")
    version = checkpoint["format_version"]
    if version != FORMAT_VERSION:
        wanted = f"{FORMAT_VERSION}; upgrade lava_async for later ones"
        raise FileFormatError(where, "format_version", wanted, version)
    recorded = checkpoint.pop("digest", None)  # 0.1.0 recorded none
    if recorded is not None and recorded != digest(checkpoint):
        raise FileFormatError(
            where, "checkpoint", "the values that its digest was taken of", "others: it is damaged"
        )
    return checkpoint


def _whole(file: bytes) -> io.BytesIO:
    """An archive written anew from one whose sums are right, and its entries readable.

    PyTorch checks no sums, and takes an entry with a damaged attribute for a folder: its tensor
    would then be whatever lies in memory.
    """
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as source, zipfile.ZipFile(whole, "w") as archive:
        for name in dict.fromkeys(source.namelist()):
            archive.writestr(name, source.read(name))
    whole.seek(0)
    return whole


def digest(content: Any) -> str:
    """SHA-256 of plain data and tensors, however nested; the same wherever tensors lie."""
    sha = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            sha.update(f"tensor {value.dtype} {tuple(value.shape)} ".encode())
            sha.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        elif isinstance(value, dict):
            sha.update(f"dict {len(value)} ".encode())
            for item in value.items():
                add(item)
        elif isinstance(value, (list, tuple)):
            sha.update(f"{type(value).__name__} {len(value)} ".encode())
            for item in value:
                add(item)
        else:
            sha.update(f"{value!r} ".encode())

    add(content)
    return sha.hexdigest()
