"""Connections whose synapses are given one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lava.magma.core.process.variable import Var
from scipy.sparse import csr_matrix, issparse, spmatrix

from lava_async.errors import GraphError, expected
from lava_async.proc._wiring import AsyncConnection, check_shape, check_weights


class AsyncSparse(AsyncConnection):
    """Synapses given one by one: ``a_out = weights * s_in``, without a delay.

    Parameters
    ----------
    weights : (target size, source size) SciPy sparse matrix of int
        In -256..254, neurons in C order of (C, H, W). Every stored entry is a synapse, also
        one of weight 0.
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
        weights: spmatrix,
        input_shape: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        where = name or "AsyncSparse"
        if not issparse(weights):
            raise GraphError(
                expected(where, "weights", "a SciPy sparse matrix", type(weights).__name__)
            )
        matrix: Any = csr_matrix(weights)
        data = check_weights(where, matrix.data)
        matrix = csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape)
        super().__init__(
            check_shape(where, "input_shape", input_shape, matrix.shape[1]),
            check_shape(where, "output_shape", output_shape, matrix.shape[0]),
            name=name,
        )
        self.weights = Var(shape=matrix.shape, init=matrix)
