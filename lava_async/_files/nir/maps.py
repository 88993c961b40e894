"""A small algebra of linear maps: what lies between two populations becomes one connection.

A map takes the spikes of a source to the currents of a target. `Gain` is element by element,
`Convolution` one of PyTorch's, `Matrix` anything. Maps in a row compose, maps side by side add;
both stay as special as they can, so that a scaled or pooled convolution remains one.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from lava_async._semantics import connections
from lava_async._semantics.connections import Shape

Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Gain:
    """Element i times ``gain[i]``; source and target are of one size."""

    source: Shape
    target: Shape
    gain: Floats


@dataclass(frozen=True, eq=False)
class Convolution:
    """As `lava_async.Conv`, from (C, H, W) to (C', H', W'), with floats."""

    source: Shape
    target: Shape
    weight: Floats
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def geometry(self) -> tuple[Any, ...]:
        return self.weight.shape, self.stride, self.padding, self.dilation, self.groups


@dataclass(frozen=True, eq=False)
class Matrix:
    """``entries`` is (target size, source size): an array, or a SciPy sparse matrix."""

    source: Shape
    target: Shape
    entries: Any


Map = Gain | Convolution | Matrix
"""From a source of shape ``source`` to a target of shape ``target``, both in C order."""


def identity(shape: Shape, target: Shape | None = None) -> Gain:
    return Gain(shape, shape if target is None else target, np.ones(math.prod(shape)))


def is_identity(given: Map) -> bool:
    return isinstance(given, Gain) and bool((given.gain == 1).all())


def convolution(
    source: Shape,
    weight: npt.NDArray,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Convolution:
    """With its target's shape; raises `GraphError` where that would be empty or does not fit."""
    plain = _plain(weight, stride, padding, dilation, groups)
    target = plain.out_shape(source) if len(source) == 3 else source
    plain.check_shapes("conv", source, target)
    floats = np.asarray(weight, np.float64)
    return Convolution(source, target, floats, stride, padding, dilation, groups)


def compose(first: Map, second: Map) -> Map:
    """``second`` of what ``first`` gives."""
    source, target = first.source, second.target
    match first, second:
        case (Matrix() | Gain()), Gain() if is_identity(second):
            return dataclasses.replace(first, target=target)
        case Gain(), Gain():
            return Gain(source, target, first.gain * second.gain)
        case Gain(), Matrix() if is_identity(first):
            return dataclasses.replace(second, source=source)
        case Gain(), Convolution() if source == second.source and _is_uniform(first.gain):
            return dataclasses.replace(second, weight=second.weight * first.gain[0])
        case Convolution(), Gain() if target == first.target:
            gain = second.gain.reshape(target[0], -1)
            if all(map(_is_uniform, gain)):
                weight = first.weight * gain[:, 0, None, None, None]
                return dataclasses.replace(first, weight=weight)
        case Convolution(), Convolution() if _joins(first, second):
            return _joined(first, second)
    return Matrix(source, target, as_entries(second) @ as_entries(first))


def add(one: Map, other: Map) -> Map:
    """Both between the same source and target."""
    match one, other:
        case Gain(), Gain():
            return dataclasses.replace(one, gain=one.gain + other.gain)
        case Convolution(), Convolution() if one.geometry == other.geometry:
            return dataclasses.replace(one, weight=one.weight + other.weight)
    return Matrix(one.source, one.target, as_entries(one) + as_entries(other))


def rows(given: Map, chosen: npt.NDArray[np.bool_]) -> Map:
    """Only what arrives at the ``chosen`` elements of the target."""
    if chosen.all():
        return given
    selection = scipy.sparse.csr_array(scipy.sparse.diags(chosen.astype(np.float64)))
    return Matrix(given.source, given.target, selection @ scipy.sparse.csr_array(as_entries(given)))


def apply(given: Map, values: Floats) -> Floats:
    """The target's currents of values of the source, both flat."""
    if isinstance(given, Gain):
        return given.gain * values
    return np.asarray(as_entries(given) @ values)


def as_entries(given: Map) -> Any:
    """(target size, source size), dense where it was, else sparse."""
    match given:
        case Matrix():
            return given.entries
        case Gain():
            return scipy.sparse.csr_array(scipy.sparse.diags(given.gain))
        case Convolution():
            return _synapses(given)


def _synapses(given: Convolution) -> Any:
    plain = _plain(given.weight, given.stride, given.padding, given.dilation, given.groups)
    synapses = plain.all_synapses(given.source)
    weight = given.weight.reshape(-1)[plain.places(given.source)]
    return scipy.sparse.csr_array((weight, (synapses.target, synapses.source)), synapses.shape)


def _is_uniform(gain: Floats) -> bool:
    return bool((gain == gain[0]).all())


def _plain(
    weight: npt.NDArray, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> connections.Conv:
    """The connection of this geometry, which knows shapes and places."""
    zeros = np.zeros(np.shape(weight), np.int16)
    return connections.Conv(connections.INPUT, 0, zeros, stride, padding, dilation, groups)


def _joins(first: Convolution, second: Convolution) -> bool:
    """Whether the two in a row are one convolution, which that of a pooled map mostly is.

    What the second pads are zeros, but one convolution would see the first one's input there.
    """
    channels = first.source[0]
    return first.groups == channels == len(first.weight) and second.padding == (0, 0)


def _joined(first: Convolution, second: Convolution) -> Convolution:
    steps = [d * s for d, s in zip(second.dilation, first.stride, strict=True)]
    taps = [
        (k2 - 1) * step + (k1 - 1) * d + 1
        for k2, step, k1, d in zip(
            second.weight.shape[2:], steps, first.weight.shape[2:], first.dilation, strict=True
        )
    ]
    out, inside = second.weight.shape[:2]
    weight = np.zeros((out, inside, *taps))
    # The channel of the first that each kernel of the second sees.
    group = np.arange(out) // (out // second.groups)
    channel = group[:, None] * inside + np.arange(inside)
    depth = first.weight[channel, 0]
    for y, x in np.ndindex(*second.weight.shape[2:]):
        place = [
            slice(at * step, at * step + (k - 1) * d + 1, d)
            for at, step, k, d in zip(
                (y, x), steps, first.weight.shape[2:], first.dilation, strict=True
            )
        ]
        weight[:, :, place[0], place[1]] += second.weight[:, :, y, x, None, None] * depth
    stride = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
    return convolution(first.source, weight, stride, first.padding, (1, 1), second.groups)
