"""All-to-all connections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import Dense
from lava_async.proc._connection import AsyncConnection, check_weights
from lava_async.proc._vars import WEIGHT, CheckedVar


class AsyncDense(AsyncConnection):
    """All-to-all synapses: ``a_out[t] = weights * s_in[t - delay]``.

    Weights are signed 9-bit integers, currents signed 32-bit ones.

    Parameters
    ----------
    weights : (target size, source size) array of int
        In -256..254, neurons in C order of (C, H, W).
    input_shape, output_shape : tuple of int, optional
        Shapes of ``s_in`` and ``a_out``, (W, H, C) or (n,); flat by default.
    delay : int or (source size,) array of int
        Axonal delay in time steps, 0..62, for all sources or for each; see `AsyncConnection`.
    name : str, optional

    Attributes
    ----------
    weights : CheckedVar, (target size, source size)
    s_in, a_out, release_in, forward_out, reset_in, synops, synops_out
        See `AsyncConnection`.

    Raises
    ------
    GraphError
        A weight is out of range, or the shapes do not fit.
    """

    def __init__(
        self,
        *,
        weights: npt.ArrayLike,
        input_shape: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        delay: npt.ArrayLike = 0,
        name: str | None = None,
    ) -> None:
        checked = check_weights(name or "AsyncDense", weights, 2)
        super().__init__(checked.shape, input_shape, output_shape, delay, name)
        self.weights = CheckedVar(checked.shape, checked, WEIGHT)

    def lower(self, source, target, weights, source_shape, target_shape):
        return Dense(source, target, weights.astype(np.int16), delay=self.delay)
