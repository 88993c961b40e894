"""Process models of `AsyncSparse`."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

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
from lava_async.proc.sparse.process import AsyncSparse


class AbstractPyAsyncSparseModel(AbstractPyAsyncConnectionModel):
    """Walks the synapses of each spike."""

    weights: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=9)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._matrix: Any = proc_params["matrix"]

    def _prepare(self):
        self._matrix.data = self.weights
        self._by_source = self._matrix.tocsc()
        absolute = np.asarray(abs(self._matrix).sum(axis=1))
        return np.diff(self._by_source.indptr).astype(np.int64), int(absolute.max(initial=0))

    def _deliver_frame(self, spikes):
        return self._matrix @ spikes

    def _deliver(self, neurons):
        first, last = self._by_source.indptr[neurons], self._by_source.indptr[neurons + 1]
        at = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        return np.bincount(
            self._by_source.indices[at], self._by_source.data[at], minlength=self._matrix.shape[0]
        )


@implements(proc=AsyncSparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAsyncSparseModelFloat(FloatPorts, AbstractPyAsyncSparseModel):
    """Floating-point ports for floating-point neighbours."""


@implements(proc=AsyncSparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyAsyncSparseModelFixed(FixedPorts, AbstractPyAsyncSparseModel):
    """Integer ports, bit-accurate as everything inside."""
