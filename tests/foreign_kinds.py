"""Files that are no networks, by name: pointers, archives, checkpoints, other formats."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from corrupt_kinds import Kind


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"\x80\x02}q\x00.")
    return buffer.getvalue()


def _numpy(save: Callable[..., None]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            save(file, np.zeros((3, 4)))

    return write


def _foreign_hdf5(*names: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name in names:
                file[name] = np.zeros((3, 4))

    return write


def _annex_link(path: Path) -> None:
    path.symlink_to(".git/annex/objects/Gx/4M/SHA256E-s9--00.net/SHA256E-s9--00.net")


_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 460272\n"
_ANNEX = b"/annex/objects/SHA256E-s460272--" + b"0" * 64 + b".net\n"
_OLD_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)


def foreign_kinds() -> dict[str, Kind]:
    """Files that raise `FileFormatError`, which says what they are and what to do."""
    kinds = {
        "Git LFS pointer": (_bytes(_LFS), "(got a Git LFS pointer; get the file itself with git"),
        "git-annex pointer": (_bytes(_ANNEX), "(got a git-annex pointer; get the file itself with"),
        "git-annex link": (_annex_link, "(got a git-annex pointer; get the file itself with git"),
        "torch checkpoint": (_bytes(_zip("net/data.pkl", "net/data/0")), "got a PyTorch checkpoin"),
        "old torch checkpoint": (_bytes(_OLD_TORCH), "got a PyTorch checkpoint; load it into its"),
        "pickle": (_bytes(pickle.dumps({"weight": [1, 2]})), "(got a Python pickle; networks are"),
        "npy": (_numpy(np.save), "(got a NumPy array; networks are written by SLAYER's export_hdf"),
        "npz": (_numpy(np.savez), "(got a NumPy archive; networks are written by SLAYER's"),
        "zip": (_bytes(_zip("network.net")), "(got a ZIP archive; unpack it first)"),
        "damaged zip": (_bytes(_zip("network.net")[:-9]), "(got a ZIP archive; unpack it first)"),
        "gzip": (_bytes(gzip.compress(b"network")), "(got a compressed file; unpack it first)"),
        "bzip2": (_bytes(bz2.compress(b"network")), "(got a compressed file; unpack it first)"),
        "xz": (_bytes(lzma.compress(b"network")), "(got a compressed file; unpack it first)"),
        "JSON": (_bytes(b' {"layer": []}'), "(got JSON text; networks are written by SLAYER's"),
        "web page": (_bytes(b"<!DOCTYPE html><html>"), "(got a web page; download the file itself"),
        "text": (_bytes("héllo\nworld\n".encode()), "(got text; networks are written by SLAYER's"),
        "empty": (_bytes(b""), "(got an empty file)"),
        "zeros": (_bytes(bytes(4096)), "(got another format; networks are written by SLAYER's"),
        "png": (_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "(got another format; networks are"),
        "Keras": (_foreign_hdf5("model_weights/dense/kernel"), "(got a Keras model; networks are"),
    }
    return {name: Kind(*kind) for name, kind in kinds.items()}
