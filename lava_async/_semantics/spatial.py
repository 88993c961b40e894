"""Kinds of connection that share the weights of a kernel, and run through their synapses.

SLAYER's blocks of these names, channel by channel. Backends run them as they run a kind of the
user's own; files and the trainer know that their synapses share weights.
"""

from __future__ import annotations

import abc
import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lava_async._semantics import checks
from lava_async._semantics.connections import Connection, Ints, Shape, Synapses
from lava_async.errors import GraphError

Meeting = tuple[Ints, Ints, Ints]
"""Places in a source, taps of the kernel and places in the target that meet, along one axis."""


@dataclass(frozen=True, eq=False)
class Kernel(Connection):
    """Base: frames (C, H, W) through one kernel, tuples in (height, width)."""

    weight: npt.NDArray[np.int16]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    _RANK: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        where = self.where
        put = functools.partial(object.__setattr__, self)
        weight = checks.weights(where, self.weight, self._RANK)
        if 0 in weight.shape:
            raise GraphError(where, "weight shape", "(…, kh, kw)", weight.shape)
        put("weight", weight)
        put("stride", checks.pair(where, "stride", self.stride, 1))
        put("padding", checks.pair(where, "padding", self.padding, 0))
        put("dilation", checks.pair(where, "dilation", self.dilation, 1))

    @property
    def span(self) -> tuple[int, int]:
        """Places that the kernel spans, its dilation included."""
        height, width = (
            d * (k - 1) + 1
            for d, k in zip(self.dilation, self.weight.shape[-2:], strict=True)
        )
        return height, width

    def out_shape(self, source: Shape) -> tuple[int, int, int]:
        """Shape of the target for a source of shape (C, H, W)."""
        height, width = (self._out_size(n, axis) for axis, n in enumerate(source[1:]))
        return self._out_channels(source[0]), height, width

    @abc.abstractmethod
    def _out_size(self, size: int, axis: int) -> int:
        """Places of the target along an axis."""

    @abc.abstractmethod
    def _meeting(self, size: int, axis: int) -> Meeting:
        """Along an axis of a source of that size."""

    def _out_channels(self, channels: int) -> int:
        return channels

    def _channels(self, channels: int) -> tuple[Ints, Ints, Ints]:
        """Source and target of channels that are joined, and place of their kernel's first tap."""
        each = np.arange(channels)
        return each, each, np.zeros(channels, np.int64)

    def _entries(self, source_shape: Shape) -> tuple[Ints, Ints, Ints]:
        """Source, target and place of the weight of each synapse, source after source."""
        out_shape = self.out_shape(source_shape)
        channel, out_channel, first = (n[:, None, None] for n in self._channels(source_shape[0]))
        y, ky, out_y = (n[:, None] for n in self._meeting(source_shape[1], 0))
        x, kx, out_x = self._meeting(source_shape[2], 1)
        source = (channel * source_shape[1] + y) * source_shape[2] + x
        target = (out_channel * out_shape[1] + out_y) * out_shape[2] + out_x
        place = first + ky * self.weight.shape[-1] + kx
        entries = np.stack([n.reshape(-1) for n in np.broadcast_arrays(source, target, place)])
        source, target, place = entries[:, np.lexsort((entries[1], entries[0]))]
        return source, target, place

    def synapses(self, source_shape):
        source, target, place = self._entries(source_shape)
        sizes = math.prod(self.out_shape(source_shape)), math.prod(source_shape)
        return Synapses.from_entries(
            self.where, sizes, target, source, self.weight.reshape(-1)[place]
        )

    def places(self, source_shape):
        return self._entries(source_shape)[2]

    def weight_shape(self, source_shape):
        return self.weight.shape

    def check_shapes(self, where, source, target):
        if len(source) != 3:
            raise GraphError(where, f"{self.kind} source shape", "(C, H, W)", source)
        self.check_channels(where, source[0])
        want = self.out_shape(source)
        if min(want) < 1 or tuple(target) != want:
            raise GraphError(where, f"{self.kind} target shape", want, target)

    def check_channels(self, where: str, channels: int) -> None:
        """Raise `GraphError` unless a source may have so many."""


@dataclass(frozen=True, eq=False)
class Pool(Kernel):
    """Weighted sums over windows of each channel, by one kernel for all: SLAYER's pooling.

    As there, a source whose height is no multiple of the kernel's is seen with height mod kernel
    height rows of zeros below, and so for columns.

    Parameters
    ----------
    weight : (kernel_h, kernel_w) array of int
        In -256..254.
    """

    kind: ClassVar[str] = "pool"

    def _seen(self, size: int, axis: int) -> int:
        """Places along an axis, zeros included."""
        return size + size % self.weight.shape[axis]

    def _out_size(self, size, axis):
        seen = self._seen(size, axis) + 2 * self.padding[axis]
        return (seen - self.span[axis]) // self.stride[axis] + 1

    def _meeting(self, size, axis):
        return _windows(size, self._out_size(size, axis), axis, self)

    def crosses_channels(self, source: Shape) -> bool:
        """Whether SLAYER, which pools all channels as one long frame, pools over their borders."""
        rows = self._seen(source[1], 0)
        apart = not self.padding[0] and self.span[0] <= self.stride[0] and not rows % self.stride[0]
        return source[0] > 1 and not apart


class _Transposed(Kernel):
    """Each place to a window."""

    def _out_size(self, size, axis):
        return (size - 1) * self.stride[axis] - 2 * self.padding[axis] + self.span[axis]

    def _meeting(self, size, axis):
        place, tap, window = _windows(self._out_size(size, axis), size, axis, self)
        return window, tap, place


@dataclass(frozen=True, eq=False)
class Unpool(_Transposed):
    """Each place of each channel to a window, by one kernel for all: SLAYER's unpooling.

    Parameters
    ----------
    weight : (kernel_h, kernel_w) array of int
        In -256..254.
    """

    kind: ClassVar[str] = "unpool"

    def crosses_channels(self, source: Shape) -> bool:
        """Whether SLAYER's, which has all channels as one long frame, mixes their borders."""
        return source[0] > 1 and (self.padding[0] != 0 or self.span[0] != self.stride[0])


@dataclass(frozen=True, eq=False)
class ConvTranspose(_Transposed):
    """Transposed 2-D convolution, as PyTorch's.

    Parameters
    ----------
    weight : (in_channels, out_channels / groups, kernel_h, kernel_w) array of int
        In -256..254.
    """

    groups: int = 1
    kind: ClassVar[str] = "conv_transpose"
    _RANK: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        groups = checks.integer(self.where, "groups", self.groups, 1, 1 << 15)
        object.__setattr__(self, "groups", groups)
        if self.weight.shape[0] % groups:
            wanted = f"a multiple of groups={groups}"
            raise GraphError(self.where, "in_channels", wanted, self.weight.shape[0])

    def _out_channels(self, channels):
        return self.weight.shape[1] * self.groups

    def _channels(self, channels):
        outputs = self.weight.shape[1]
        each, output = (n.reshape(-1) for n in np.mgrid[:channels, :outputs])
        target = each // (channels // self.groups) * outputs + output
        return each, target, (each * outputs + output) * math.prod(self.weight.shape[2:])

    def check_channels(self, where, channels):
        if channels != self.weight.shape[0]:
            raise GraphError(where, f"{self.kind} input channels", self.weight.shape[0], channels)


def _windows(size: int, windows: int, axis: int, kernel: Kernel) -> Meeting:
    """Places of 0..size - 1, taps, and windows whose tap is at that place."""
    window, tap = (
        n.reshape(-1) for n in np.mgrid[: max(windows, 0), : kernel.weight.shape[-2 + axis]]
    )
    place = window * kernel.stride[axis] - kernel.padding[axis] + tap * kernel.dilation[axis]
    inside = (place >= 0) & (place < size)
    return place[inside], tap[inside], window[inside]


def crossing(kernel: Pool | Unpool, source: Shape) -> tuple[str, str, str]:
    """What is wrong, wanted and given where SLAYER's crosses channels, for messages."""
    wanted = {
        Pool: "a stride of at least the kernel's height that divides the frame's, and no padding "
        "of the height",
        Unpool: "a stride of the kernel's height, and no padding of the height",
    }[type(kernel)]
    got = (
        f"height {source[1]}, kernel height {kernel.span[0]}, stride {kernel.stride[0]}, padding "
        f"{kernel.padding[0]}"
    )
    return "windows", f"{wanted} (SLAYER's would see over the borders of channels)", got
