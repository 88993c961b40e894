"""Connections whose synapses are given one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, issparse, spmatrix

from lava_async._semantics.connections import Sparse, Synapses
from lava_async.errors import GraphError, ValidationError
from lava_async.proc._connection import AsyncConnection, check_weights
from lava_async.proc._ports import describe
from lava_async.proc._vars import WEIGHT, CheckedVar


class AsyncSparse(AsyncConnection):
    """Synapses given one by one: ``a_out[t] = weights * s_in[t - delay]``.

    Weights are signed 9-bit integers, currents signed 32-bit ones.

    Parameters
    ----------
    weights : (target size, source size) SciPy sparse matrix of int
        In -256..254, neurons in C order of (C, H, W). Every stored entry is a synapse, also
        one of weight 0.
    input_shape, output_shape : tuple of int, optional
        Shapes of ``s_in`` and ``a_out``, (W, H, C) or (n,); flat by default.
    delay : int or (source size,) array of int
        Axonal delay in time steps, 0..62, for all sources or for each; see `AsyncConnection`.
    name : str, optional

    Attributes
    ----------
    weights : SynapseVar
        Its `get` and `set` give and take matrices as above, with the same synapses.
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
        weights: spmatrix,
        input_shape: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        delay: npt.ArrayLike = 0,
        name: str | None = None,
    ) -> None:
        where = name or "AsyncSparse"
        if not issparse(weights):
            raise GraphError(where, "weights", "a SciPy sparse matrix", type(weights).__name__)
        matrix = _canonical(weights)
        matrix.data = check_weights(where, matrix.data, 1)
        super().__init__(matrix.shape, input_shape, output_shape, delay, name, matrix=matrix)
        self._matrix = matrix
        self.weights = SynapseVar(matrix)

    def lower(self, source, target, weights, source_shape, target_shape):
        parts = weights, self._matrix.indices, self._matrix.indptr
        matrix = csr_matrix(parts, self._matrix.shape)
        synapses = Synapses.from_matrix(describe(self), matrix)
        return Sparse(source, target, synapses, delay=self.delay)


class SynapseVar(CheckedVar):
    """The weights of given synapses: a Var of a vector that looks like a sparse matrix.

    Lava has Vars of sparse matrices, but forgets synapses of weight 0 when they are set.
    """

    def __init__(self, matrix: csr_matrix) -> None:
        super().__init__(matrix.data.shape, matrix.data, WEIGHT)
        self._matrix = matrix

    def get(self, idx: Any = None) -> Any:
        """All weights (target size, source size), or what SciPy finds at an index."""
        matrix = self._with(self._read() if self.size else self.init)
        return matrix if idx is None else matrix[idx]

    def set(self, value: Any, idx: Any = None) -> None:
        """Set the weights of all synapses, or those at an index, between two runs.

        Raises
        ------
        ValidationError
            A weight is out of range, or the matrix has other synapses.
        """
        if idx is not None:
            matrix = self.get()
            matrix[idx] = value
            value = matrix
        where, synapses = describe(self.process), "a SciPy sparse matrix with the same synapses"
        if not issparse(value):
            raise ValidationError(where, self.name, synapses, type(value).__name__)
        matrix = _canonical(value)
        if (
            matrix.shape != self._matrix.shape
            or not np.array_equal(matrix.indptr, self._matrix.indptr)
            or not np.array_equal(matrix.indices, self._matrix.indices)
        ):
            raise ValidationError(
                where, self.name, f"{synapses}: shape {self._matrix.shape}, {self.size} " "entries",
                f"shape {matrix.shape}, {matrix.nnz} entries",
            )
        if self.size:
            super().set(matrix.data)

    def _with(self, weights: Any) -> csr_matrix:
        parts = np.array(weights), self._matrix.indices.copy(), self._matrix.indptr.copy()
        return csr_matrix(parts, self._matrix.shape)


def _canonical(weights: Any) -> Any:
    """A csr_matrix with a copy of each entry once, in order."""
    matrix: Any = csr_matrix(weights, copy=True)
    matrix.sum_duplicates()
    return matrix
