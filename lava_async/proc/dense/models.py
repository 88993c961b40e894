"""Process models of `AsyncDense`."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_async.proc._connection_models import (
    AbstractPyAsyncConnectionModel,
    FixedPorts,
    FloatPorts,
)
from lava_async.proc.dense.process import AsyncDense


class AbstractPyAsyncDenseModel(AbstractPyAsyncConnectionModel):
    """Adds one row of weights per spike."""

    weights: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=9)

    def _prepare(self):
        self._by_source = np.ascontiguousarray(self.weights.T)
        fan_out = np.full(self.weights.shape[1], self.weights.shape[0], np.int64)
        return fan_out, int(np.abs(self.weights).sum(axis=1).max(initial=0))

    def _deliver_frame(self, spikes):
        active = np.flatnonzero(spikes)
        return spikes[active] @ self._by_source[active]

    def _deliver(self, neurons):
        return self._by_source[neurons].sum(axis=0)


@implements(proc=AsyncDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAsyncDenseModelFloat(FloatPorts, AbstractPyAsyncDenseModel):
    """Floating-point ports for floating-point neighbours."""


@implements(proc=AsyncDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyAsyncDenseModelFixed(FixedPorts, AbstractPyAsyncDenseModel):
    """Integer ports, bit-accurate as everything inside."""
