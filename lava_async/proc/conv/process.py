"""Convolutional connections."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import INPUT, Conv, Sparse
from lava_async.errors import GraphError
from lava_async.proc._connection import AsyncConnection, check_weights
from lava_async.proc._vars import WEIGHT, CheckedVar


class AsyncConv(AsyncConnection):
    """A convolution with the arguments and the meaning of stock `Conv`, but no delay of
    its own: ``a_out[t] = weight * s_in[t - delay]``.

    Weights are signed 9-bit integers, currents signed 32-bit ones.

    Parameters
    ----------
    weight : (out_channels, kernel_w, kernel_h, in_channels / groups) array of int
        In -256..254. As in stock `Conv`, the kernel is flipped: `to_lava` turns that of a
        PyTorch layer or a network file, which means a cross-correlation, into this.
    input_shape : (W, H, C)
    padding, stride, dilation : int or (width, height)
    groups : int
    delay : int or (source size,) array of int
        Axonal delay in time steps, 0..62, for all sources or for each; see `AsyncConnection`.
    name : str, optional

    Attributes
    ----------
    output_shape : (W, H, C)
    weight : CheckedVar, shape of ``weight``
    s_in, a_out, release_in, forward_out, reset_in, synops, synops_out
        See `AsyncConnection`.

    Raises
    ------
    GraphError
        A value is out of range, or the shapes do not fit.
    """

    WEIGHTS = "weight"

    def __init__(
        self,
        *,
        weight: npt.ArrayLike,
        input_shape: Sequence[int],
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        delay: npt.ArrayLike = 0,
        name: str | None = None,
    ) -> None:
        where = name or "AsyncConv"
        kernel = check_weights(where, weight, 4)
        if np.shape(input_shape) != (3,):
            raise GraphError(where, "input_shape", "(W, H, C)", input_shape)
        source = tuple(input_shape)[::-1]
        try:
            conv = Conv(
                INPUT, 0, from_lava(kernel),
                _height_width(where, "stride", stride),
                _height_width(where, "padding", padding),
                _height_width(where, "dilation", dilation), groups,
            )  # fmt: skip
            target = conv.out_shape(source)
            conv.check(where, source, target)
        except GraphError as error:
            # A connection of a graph goes by its ends, a process by its name.
            raise error.at(where, GraphError) from None
        self.output_shape = target[::-1]
        counts = math.prod(target), math.prod(source)
        super().__init__(counts, input_shape, self.output_shape, delay, name, conv=conv)
        self._conv = conv
        self.weight = CheckedVar(kernel.shape, kernel, WEIGHT)

    def lower(self, source, target, weights, source_shape, target_shape):
        old, delay = self._conv, self.delay
        conv = Conv(
            source, target, from_lava(weights), old.stride, old.padding, old.dilation, old.groups,
            delay=delay,
        )  # fmt: skip
        if (source_shape, target_shape) == (self.s_in.shape, self.a_out.shape):
            return conv
        # Populations of other shapes, which fit by their size: neurons are numbered alike.
        return Sparse(source, target, conv.all_synapses(self.s_in.shape[::-1]), delay=delay)


def to_lava(weight: npt.NDArray) -> npt.NDArray:
    """The kernel of a cross-correlation, (out, in, h, w) as in PyTorch, for Lava's convolution."""
    return weight.transpose(0, 3, 2, 1)[:, ::-1, ::-1]


def from_lava(weight: npt.NDArray) -> npt.NDArray:
    """The inverse of `to_lava`."""
    return weight[:, ::-1, ::-1].transpose(0, 3, 2, 1)


def _height_width(where: str, what: str, pair: int | Sequence[int]) -> tuple[int, int]:
    """Lava's (width, height), or one number for both, as (height, width)."""
    if np.shape(pair) not in ((), (1,), (2,)):
        raise GraphError(where, what, "one integer or (width, height)", pair)
    both = np.ravel(pair)
    return both[-1], both[0]
