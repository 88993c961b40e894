"""Convolutional connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.variable import Var

from lava_async._graph import INPUT, Conv
from lava_async.errors import GraphError, expected
from lava_async.proc._wiring import AsyncConnection, check_weights


class AsyncConv(AsyncConnection):
    """A convolution with the arguments and the meaning of stock `Conv`, without its delay.

    Parameters
    ----------
    weight : (out_channels, kernel_w, kernel_h, in_channels / groups) array of int
        In -256..254. As in stock `Conv`, the kernel is flipped: `to_lava` turns that of a
        PyTorch layer or a network file, which means a cross-correlation, into this.
    input_shape : (W, H, C)
    padding, stride, dilation : int or (width, height)
    groups : int
    name : str, optional

    Attributes
    ----------
    output_shape : (W, H, C)
    weight : Var, shape of ``weight``
    s_in, a_out, release_in, forward_out, synops, synops_out
        See `AsyncConnection`.

    Raises
    ------
    GraphError
        A value is out of range, or the shapes do not fit.
    """

    def __init__(
        self,
        *,
        weight: npt.ArrayLike,
        input_shape: Sequence[int],
        padding: int | tuple[int, ...] = 0,
        stride: int | tuple[int, ...] = 1,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        name: str | None = None,
    ) -> None:
        where = name or "AsyncConv"
        kernel = check_weights(where, weight)
        if kernel.ndim != 4:
            raise GraphError(expected(where, "weight dimensions", 4, kernel.ndim))
        conv = Conv(
            INPUT, 0, from_lava(kernel), _reverse(stride), _reverse(padding),
            _reverse(dilation), groups,
        )  # fmt: skip
        source = tuple(input_shape)[::-1]
        if len(source) != 3:
            raise GraphError(expected(where, "input_shape", "(W, H, C)", input_shape))
        target = conv.out_shape(source)
        conv.check(where, source, target)
        self.output_shape = target[::-1]
        super().__init__(input_shape, self.output_shape, conv=conv, name=name)
        self.weight = Var(shape=kernel.shape, init=np.array(kernel))


def to_lava(weight: npt.NDArray) -> npt.NDArray:
    """The kernel of a cross-correlation, (out, in, h, w) as in PyTorch, for Lava's convolution."""
    return weight.transpose(0, 3, 2, 1)[:, ::-1, ::-1]


def from_lava(weight: npt.NDArray) -> npt.NDArray:
    """The inverse of `to_lava`."""
    return weight[:, ::-1, ::-1].transpose(0, 3, 2, 1)


def _reverse(pair: int | tuple[int, ...]) -> Any:
    """(width, height), Lava's order, to (height, width)."""
    return pair if np.ndim(pair) == 0 else tuple(pair)[::-1]  # type: ignore[arg-type]
