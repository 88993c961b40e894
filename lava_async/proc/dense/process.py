"""All-to-all connections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.variable import Var

from lava_async.errors import GraphError, expected
from lava_async.proc._wiring import AsyncConnection, check_shape, check_weights


class AsyncDense(AsyncConnection):
    """All-to-all synapses: ``a_out = weights * s_in``, without a delay.

    Parameters
    ----------
    weights : (target size, source size) array of int
        In -256..254, neurons in C order of (C, H, W).
    input_shape, output_shape : tuple of int, optional
        Shapes of ``s_in`` and ``a_out``, (W, H, C) or (n,); flat by default.
    name : str, optional

    Attributes
    ----------
    weights : Var, (target size, source size)
    s_in, a_out, release_in, forward_out, synops, synops_out
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
        name: str | None = None,
    ) -> None:
        where = name or "AsyncDense"
        checked = check_weights(where, weights)
        if checked.ndim != 2:
            raise GraphError(expected(where, "weight dimensions", 2, checked.ndim))
        super().__init__(
            check_shape(where, "input_shape", input_shape, checked.shape[1]),
            check_shape(where, "output_shape", output_shape, checked.shape[0]),
            name=name,
        )
        self.weights = Var(shape=checked.shape, init=np.array(checked))
