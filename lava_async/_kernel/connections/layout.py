"""How a connection is described to compiled code."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from lava_async._kernel._layout import OWN, SPARSE, zeros
from lava_async._semantics.connections import Connection, Shape

FIRST, TARGETS = OWN, OWN + 1  # columns of a sparse connection


class Arrays:
    """The arrays that all connections of a network share; each adds its part."""

    def __init__(self) -> None:
        self._parts: dict[str, list[npt.NDArray]] = {}
        self._lengths: dict[str, int] = {}

    def add(self, name: str, part: npt.ArrayLike, dtype: type) -> int:
        """Append; returns where the part begins."""
        array = np.asarray(part, dtype).reshape(-1)
        begin = self._lengths.get(name, 0)
        self._parts.setdefault(name, []).append(array)
        self._lengths[name] = begin + len(array)
        return begin

    def whole(self, name: str, dtype: type) -> npt.NDArray:
        array = zeros(self._lengths.get(name, 0), dtype)
        return np.concatenate([np.zeros(0, dtype), *self._parts.get(name, [])], out=array)


@functools.singledispatch
def lay_out(
    connection: Connection, source_shape: Shape, target_shape: Shape, arrays: Arrays
) -> tuple[int, int, list[int]]:
    """Put the weights of a connection into the shared arrays, fan-out of a source contiguous.

    Returns
    -------
    kind : int
        Which delivery there is for it.
    at : int
        Where its weights begin.
    own : list of int
        Further columns of `Net.wiring`, from `OWN` on, as its delivery reads them.
    """
    synapses = connection.all_synapses(source_shape)
    at = arrays.add("weight", synapses.weight, np.int16)
    first = arrays.add("first", synapses.first, np.int64)
    return SPARSE, at, [first, arrays.add("target", synapses.target, np.uint32)]


@functools.singledispatch
def arrange(connection: Connection, weight: npt.NDArray, arranged: npt.NDArray) -> None:
    """Put weights where the shared array, from where they begin on, has them.

    It is 0 where it has none.
    """
    arranged[: weight.size] = weight


@functools.singledispatch
def turn_round(connection: Connection, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The weights as the fast way back wants them; none where there is no fast one."""
    return np.zeros(0, np.float32)


@functools.singledispatch
def room_to_learn(connection: Connection, weight: npt.NDArray) -> int:
    """Numbers that the gradient of the weights takes while it is added up."""
    return weight.size


@functools.singledispatch
def room_for_targets(connection: Connection, targets: int) -> int:
    """Numbers that the gradients of so many targets take, side by side as they are added up."""
    return targets


@functools.singledispatch
def restore(connection: Connection, gradient: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The gradient of the weights, flat as `learn` has it in its room, in the weights' shape."""
    return gradient
