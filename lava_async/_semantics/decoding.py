"""What is made of the output after a network has run: nothing here changes a spike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import checks
from lava_async.errors import GraphError


@dataclass(frozen=True)
class Decoding:
    """Means over groups of output neurons, and over bins of time steps; they commute.

    Parameters
    ----------
    groups : int, optional
        Population decoding: the output neurons, in C order, are so many groups of the same
        size, each of which stands for one class. SLAYER's `Average`.
    time_bin : int
        Time steps a bin, a power of 2; what is missing in the last one counts as 0. SLAYER's
        `TimeDecimation`.

    Raises
    ------
    GraphError
        A number below 1, or no power of 2.
    """

    groups: int | None = None
    time_bin: int = 1

    def __post_init__(self) -> None:
        most = checks.INT32_MAX
        if self.groups is not None:
            groups = checks.integer("decoding", "groups", self.groups, 1, most)
            object.__setattr__(self, "groups", groups)
        time_bin = checks.integer("decoding", "time_bin", self.time_bin, 1, most)
        if time_bin & (time_bin - 1):
            raise GraphError("decoding", "time_bin", "a power of 2", time_bin)
        object.__setattr__(self, "time_bin", time_bin)

    def check(self, outputs: int) -> None:
        """Raise `GraphError` unless the groups are of the same size."""
        if self.groups is not None and outputs % self.groups:
            wanted = f"a divisor of {outputs}, the number of output neurons"
            raise GraphError("decoding", "groups", wanted, self.groups)

    def classes(self, outputs: int) -> int:
        """How many there are to decide between, of so many output neurons."""
        return outputs if self.groups is None else self.groups

    def totals(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Sums (B, classes, …) over the groups of values (B, outputs, …)."""
        batch, outputs, *rest = values.shape
        grouped = values.reshape(batch, self.classes(outputs), -1, *rest)
        return grouped.sum(axis=2, dtype=np.int64)

    def decode(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Means (B, classes, bins) of values (B, outputs, T)."""
        outputs = values.shape[1]
        totals = self.totals(values)
        missing = -values.shape[2] % self.time_bin
        padded = np.pad(totals, ((0, 0), (0, 0), (0, missing)))
        binned = padded.reshape(*padded.shape[:2], -1, self.time_bin).sum(axis=-1)
        return binned / (outputs // self.classes(outputs) * self.time_bin)
