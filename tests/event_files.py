"""Miniature data sets in the formats in which the real ones are published."""

import hashlib
import io
import tarfile
import zipfile

import h5py
import numpy as np


def nmnist_bytes(events):
    """Five bytes an event: x, y, then polarity and 23 bits of the time in µs."""
    data = bytearray()
    for x, y, t, p in events:
        data += bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])
    return bytes(data)


def write_nmnist(folder, train, samples):
    """A zip with a folder of .bin files for each class; samples are (events or bytes, label)."""
    split = "Train" if train else "Test"
    file = folder / "NMNIST" / f"{split.lower()}.zip"
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        for i, (events, label) in enumerate(samples):
            data = events if isinstance(events, bytes) else nmnist_bytes(events)
            archive.writestr(f"{split}/{label}/{i:05}.bin", data)
    return file


def write_shd(folder, train, samples):
    """A zipped HDF5 file with spike times in s, units and labels."""
    name = f"shd_{'train' if train else 'test'}.h5"
    (folder / "SHD").mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for key, kind, column in (("times", np.float16, 1), ("units", np.uint16, 0)):
            data = file.create_dataset(
                f"spikes/{key}", (len(samples),), h5py.vlen_dtype(np.dtype(kind))
            )
            for i, (events, _) in enumerate(samples):
                data[i] = np.array([event[column] for event in events], kind)
        file["labels"] = np.array([label for _, label in samples], np.uint16)
        file["extra/keys"] = np.array([b"null", b"eins"])
        file["extra/speaker"] = np.zeros(len(samples), np.uint16)
    archived = folder / "SHD" / f"{name}.zip"
    with zipfile.ZipFile(archived, "w") as archive:
        archive.writestr(name, content.getvalue())
    return archived


def write_dvsgesture(folder, train, samples):
    """A tar.gz with a .npy file a gesture, named by its class, in a folder for each user; rows of
    x, y, p and the time in ms."""
    split = "Train" if train else "Test"
    file = folder / "DVSGesture" / f"ibmGesture{split}.tar.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz") as archive:
        for i, (events, label) in enumerate(samples):
            content = io.BytesIO()
            np.save(content, np.array(events, np.int64).reshape(-1, np.shape(events)[-1]))
            entry = tarfile.TarInfo(f"ibmGesture{split}/user{i + 1:02}_led/{label}.npy")
            entry.size = content.tell()
            content.seek(0)
            archive.addfile(entry, content)
    return file


def md5(file):
    return hashlib.md5(file.read_bytes()).hexdigest()
