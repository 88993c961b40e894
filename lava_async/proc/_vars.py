"""Vars whose new values are checked in the caller, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.variable import Var

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.checks import integers as check_integers
from lava_async._semantics.graph import NETX_NEVER_FIRES
from lava_async.errors import ExecutionError, GraphError, ValidationError
from lava_async.proc._ports import describe

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Range:
    """The integers that a Var may hold: ``low..high`` and a few others.

    Attributes
    ----------
    low, high : int
    others : tuple of int
    """

    low: int
    high: int
    others: tuple[int, ...] = ()

    def check(self, where: str, what: str, values: npt.ArrayLike) -> Ints:
        """These values as integers, or `GraphError`."""
        values = np.asarray(values)
        other = np.isin(values, self.others)
        inside = check_integers(
            where, what, np.where(other, self.low, values), self.low, self.high, np.int64
        )
        return np.where(other, values, inside).astype(np.int64)


CURRENT = Range(-dyn.STATE_LIMIT + 1, dyn.STATE_LIMIT)
VOLTAGE = Range(-dyn.STATE_LIMIT + 1, dyn.STATE_LIMIT - 1)
DECAY = Range(0, dyn.DECAY_ONE)
THRESHOLD = Range(0, dyn.THRESHOLD_MAX, NETX_NEVER_FIRES)
BIAS = Range(dyn.BIAS_MIN, dyn.BIAS_MAX)
WEIGHT = Range(dyn.WEIGHT_MIN, dyn.WEIGHT_MAX)
COUNT = Range(0, 1 << 53)  # what Lava's messages, floating-point numbers, carry exactly
FLAG = Range(0, 1)


class CheckedVar(Var):
    """A Var of integers; `set` refuses values outside their range, and then sends nothing.

    Unlike in Lava, values are broadcast to the Var's shape, and `get` and `set` take whatever
    NumPy takes as an index.
    """

    def __init__(self, shape: tuple[int, ...], init: Any, allowed: Range) -> None:
        super().__init__(shape=shape, init=init)
        self._allowed = allowed

    def get(self, idx: Any = None) -> Any:
        value = self._read()
        return value if idx is None else value[idx]

    def set(self, value: Any, idx: Any = None) -> None:
        """Set all or some elements between two runs.

        Raises
        ------
        ValidationError
            A value is not an integer in the range of this Var, or the shape does not fit.
        """
        where = describe(self.process)
        try:
            if idx is None:
                whole = np.broadcast_to(value, self.shape)
            else:
                whole = np.array(np.broadcast_to(self._read(), self.shape), float)
                whole[idx] = value
        except (IndexError, ValueError):
            place = "" if idx is None else f" at {idx}"
            raise ValidationError(
                where, f"{self.name}{place}", f"what fits shape {self.shape}",
                f"shape {np.shape(value)}",
            ) from None
        self._write(self._allowed.check(where, self.name, whole))

    def _read(self) -> npt.NDArray[Any]:
        return super().get()

    def _write(self, value: npt.NDArray[Any]) -> None:
        super().set(value)


def check_vars(model: Any, where: str, ranges: Mapping[str, Range]) -> dict[str, Ints]:
    """Vars of a process model as integers: a RefPort writes whatever it likes.

    Raises
    ------
    ExecutionError
        A value is outside its range.
    """
    try:
        return {
            name: allowed.check(where, name, getattr(model, name))
            for name, allowed in ranges.items()
        }
    except GraphError as error:
        raise error.at(error.where, ExecutionError) from None
