"""Process models of `AsyncConv`."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_async._semantics.connections import Conv
from lava_async.proc._connection_models import (
    AbstractPyAsyncConnectionModel,
    FixedPorts,
    FloatPorts,
)
from lava_async.proc.conv.process import AsyncConv, from_lava


class AbstractPyAsyncConvModel(AbstractPyAsyncConnectionModel):
    """Walks the taps of each spike; whole frames are convolved."""

    WEIGHTS = AsyncConv.WEIGHTS

    weight: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=9)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._conv: Conv = proc_params["conv"]

    def _prepare(self):
        old, weight = self._conv, from_lava(self.weight)
        self._conv = Conv(
            old.source, old.target, weight, old.stride, old.padding, old.dilation, old.groups
        )
        self._source_shape = self.s_in._shape[::-1]
        self._out_shape = self._conv.out_shape(self._source_shape)
        out, in_group, *kernel = weight.shape
        self._out_group = out // old.groups
        # (groups, out, in, kh, kw) -> (source channel, kh, kw, out)
        by_source = weight.reshape(old.groups, self._out_group, in_group, *kernel)
        self._by_source = by_source.transpose(0, 2, 3, 4, 1).reshape(-1, *kernel, self._out_group)
        return self._conv.fan_out(self._source_shape), self._conv.l1(self._source_shape)

    def _deliver_frame(self, spikes):
        return self._conv.deliver(spikes, self._source_shape, self.forward_out._shape[0])

    def _deliver(self, neurons):
        channel, *place = np.unravel_index(neurons, self._source_shape)
        (top, fits_h), (left, fits_w) = (self._taps(p, axis) for axis, p in enumerate(place))
        spike, ky, kx = np.nonzero(fits_h[:, :, None] & fits_w[:, None, :])
        _, height, width = self._out_shape
        channel = channel[spike]
        first = channel // self._conv.weight.shape[1] * self._out_group * (height * width)
        first += top[spike, ky] * width + left[spike, kx]
        target = first[:, None] + np.arange(self._out_group) * (height * width)
        weight = self._by_source[channel, ky, kx]
        total = np.bincount(target.reshape(-1), weight.reshape(-1), self.forward_out._shape[0])
        return total.astype(np.int64)

    def _taps(self, place, axis):
        """(spikes, kernel) target place of each tap, and whether it lies inside the target."""
        conv = self._conv
        taps = np.arange(conv.weight.shape[2 + axis]) * conv.dilation[axis]
        out, rest = np.divmod(place[:, None] + conv.padding[axis] - taps, conv.stride[axis])
        return out, (rest == 0) & (out >= 0) & (out < self._out_shape[1 + axis])


@implements(proc=AsyncConv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAsyncConvModelFloat(FloatPorts, AbstractPyAsyncConvModel):
    """Floating-point ports for floating-point neighbours."""


@implements(proc=AsyncConv, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyAsyncConvModelFixed(FixedPorts, AbstractPyAsyncConvModel):
    """Integer ports, bit-accurate as everything inside."""
