"""Write network files in SLAYER's (netx's) layout from arrays.

A layer is a dict of its fields, a neuron a dict inside it, so tests can change or drop any
field before they write the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lava_async._files.hdf5_own import write_schedule
from lava_async._semantics.schedule import Schedule

Layer = dict[str, Any]


def neuron(i_decay=1024, v_decay=128, threshold=80, **fields) -> Layer:
    return {
        "type": "CUBA",
        "iDecay": i_decay,
        "vDecay": v_decay,
        "vThMant": threshold,
        "refDelay": 1,
        "gradedSpike": False,
        **fields,
    }


def input_layer(shape: Sequence[int], **fields) -> Layer:
    return {"type": "input", "shape": np.array(shape), **fields}


def flatten(size: int) -> Layer:
    return {"type": "flatten", "shape": np.array([size, 1, 1])}


def dense(weight, neuron: Layer | None = None, **fields) -> Layer:
    """weight : (out, in). Without ``neuron`` the file has none."""
    weight = np.asarray(weight, np.float32)
    layer = {
        "type": "dense",
        "shape": np.array([weight.shape[0]]),
        "inFeatures": weight.shape[1],
        "outFeatures": weight.shape[0],
        "weight": weight,
    }
    return layer | ({} if neuron is None else {"neuron": neuron}) | fields


def conv(
    weight,
    in_shape: Sequence[int],
    neuron: Layer,
    stride=(1, 1),
    padding=(0, 0),
    dilation=(1, 1),
    groups=1,
    **fields,
) -> Layer:
    """weight : (out, in / groups, kh, kw), in cross-correlation order."""
    weight = np.asarray(weight, np.float32)
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(
            in_shape[1:], weight.shape[2:], stride, padding, dilation, strict=True
        )
    ]
    return {
        "type": "conv",
        "shape": np.array([weight.shape[0], *size]),
        "inChannels": weight.shape[1] * groups,
        "outChannels": weight.shape[0],
        "kernelSize": np.array(weight.shape[2:]),
        "stride": np.array(stride),
        "padding": np.array(padding),
        "dilation": np.array(dilation),
        "groups": groups,
        "weight": weight[..., None],  # SLAYER's kernels have a time axis
        "neuron": neuron,
        **fields,
    }


def write_fields(group: h5py.Group, fields: Layer) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            write_fields(group.create_group(name), value)
        elif name == "type" and isinstance(value, str) and "shape" in fields:
            # As SLAYER: the type of a layer has a fixed length, that of a neuron has not.
            group.create_dataset(name, (1,), "S16", [value.encode()])
        else:
            group.create_dataset(name, data=value)


def write_net(path: Path, layers: Sequence[Layer], schedule: Schedule | None = None) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("layer")
        for index, layer in enumerate(layers):
            write_fields(group.create_group(str(index)), layer)
        if schedule is not None:
            write_schedule(file, schedule)
    return path


def random_layers(rng: np.random.Generator, with_conv: bool | None = None) -> list[Layer]:
    """A small random network that spikes: [input, conv, flatten,] dense, …, dense."""

    def pick(*values):
        return values[rng.integers(len(values))]

    def even(bound: int, *shape: int):
        return 2 * rng.integers(-bound // 2, bound // 2 + 1, shape)

    def some_neuron() -> Layer:
        return neuron(pick(4096, 2048, 1000), pick(4096, 2048, 128, 0), int(rng.integers(10, 100)))

    def some_bias(size: int) -> Layer:
        return {"bias": rng.integers(-10, 20, size).astype(np.float32)} if rng.integers(2) else {}

    layers: list[Layer] = []
    if with_conv if with_conv is not None else rng.integers(2):
        groups = pick(1, 2)
        shape = (2, int(rng.integers(5, 9)), int(rng.integers(5, 9)))
        weight = even(60, 2 * int(rng.integers(1, 3)), 2 // groups, 3, pick(2, 3))
        stride, padding = (pick(1, 2), pick(1, 2)), (pick(0, 1), pick(0, 1))
        dilation = (pick(1, 2), 1)
        convolution = conv(
            weight, shape, some_neuron(), stride, padding, dilation, groups,
            **some_bias(len(weight)),
        )
        size = math.prod(convolution["shape"].tolist())
        layers += [input_layer(shape), convolution, flatten(size)]
    else:
        size = int(rng.integers(4, 40))
    for _ in range(rng.integers(1, 4)):
        out = int(rng.integers(2, 30))
        layers.append(dense(even(pick(16, 40, 90), out, size), some_neuron(), **some_bias(out)))
        size = out
    return layers
