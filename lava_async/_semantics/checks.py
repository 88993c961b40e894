"""Checks of what a graph is made of: they return plain Python and read-only arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async.errors import GraphError

INT32_MAX = (1 << 31) - 1


def array(where: str, what: str, value: npt.ArrayLike) -> npt.NDArray:
    """As an array, or `GraphError` if it has no shape."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise GraphError(where, what, "numbers in rows of one length", error) from None


def integer(where: str, what: str, value: object, low: int, high: int) -> int:
    given = array(where, what, value)  # type: ignore[arg-type]
    if given.size != 1 or given.dtype.kind not in "iuf":
        raise GraphError(where, what, f"one integer in {low}..{high}", value)
    number = given.reshape(-1)[0]
    if not np.isfinite(number) or number != np.floor(number) or not low <= number <= high:
        raise GraphError(where, what, f"an integer in {low}..{high}", number)
    return int(number)


def integers(
    where: str, what: str, value: npt.ArrayLike, low: int, high: int, dtype: type
) -> npt.NDArray:
    given = array(where, what, value)
    if given.dtype.kind not in "iuf":
        raise GraphError(where, what, "numbers", f"dtype {given.dtype}")
    with np.errstate(invalid="ignore"):
        bad = ~((given >= low) & (given <= high) & (given == np.floor(given)))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise GraphError(
            where, f"{what}{list(index)}", f"an integer in {low}..{high}", given[index]
        )
    result = given.astype(dtype)
    result.setflags(write=False)
    return result


def pair(where: str, what: str, value: object, low: int, high: int = 1 << 15) -> tuple[int, int]:
    given = array(where, what, value).reshape(-1)  # type: ignore[arg-type]
    if given.size not in (1, 2):
        raise GraphError(where, what, "one integer or (height, width)", value)
    pair = [integer(where, what, v, low, high) for v in given]
    return (pair[0], pair[-1])


def shape(where: str, value: Sequence[int]) -> tuple[int, ...]:
    given = array(where, "shape", value).reshape(-1)
    if given.size == 0:
        raise GraphError(where, "shape", "at least one dimension", value)
    shape = tuple(integer(where, "shape", v, 1, INT32_MAX) for v in given)
    if math.prod(shape) > INT32_MAX:
        raise GraphError(where, "shape", f"at most {INT32_MAX} neurons", shape)
    return shape


def weights(where: str, value: npt.ArrayLike, dimensions: int) -> npt.NDArray[np.int16]:
    """Synaptic weights: integers in -256..254, in an array of so many dimensions; True is 1."""
    given = array(where, "weight", value)
    if given.dtype.kind == "b":
        given = given.astype(np.int16)
    found = integers(where, "weight", given, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX, np.int16)
    if found.ndim != dimensions:
        raise GraphError(where, "weight dimensions", dimensions, found.ndim)
    return found
