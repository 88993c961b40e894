"""Neurons that go on where the last call ended: SLAYER's ``persistent_state``.

A network is one stream of time steps then, in as many calls as one likes. What one leaves to the
next are numbers, from which no gradient leads back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lava_async._semantics.connections import Shape
from lava_async._semantics.kept import Kept
from lava_async.errors import ValidationError
from lava_async.slayer.inputs import check_ids
from lava_async.slayer.links import Delay, delayed
from lava_async.slayer.wiring import Wiring

_HOW = "net.reset_state() begins new ones"


@dataclass(frozen=True)
class Stream:
    """Where a network is between two calls.

    Attributes
    ----------
    ids : (B,) int64
        Of the samples.
    shapes : tuple of shapes
        Of the populations, that of the output last.
    kept : Kept
    late : (B, outputs, D) tensor
        What the delay of the output lets out in each of the time steps to come.
    """

    ids: npt.NDArray[np.int64]
    shapes: tuple[Shape, ...]
    kept: Kept
    late: Tensor

    @classmethod
    def begin(cls, ids: npt.NDArray[np.int64], wiring: Wiring) -> Stream:
        """Before the first time step."""
        nothing = torch.zeros(len(ids), wiring.output.size, 0)
        kept = Kept.nothing(len(ids), wiring.pattern.num_neurons)
        return cls(ids, _shapes(wiring), kept, nothing)

    def check(self, wiring: Wiring, batch: int, sample_ids: npt.ArrayLike | None) -> None:
        """Raise `ValidationError` if a call does not go on here."""
        if batch != len(self.ids):
            wanted = f"{len(self.ids)} samples, which go on where the last call ended; {_HOW}"
            raise ValidationError("Network", "batch", wanted, batch)
        if sample_ids is not None:
            ids = check_ids(sample_ids, batch)
            if (wrong := np.flatnonzero(ids != self.ids)).size:
                first = wrong[0]
                wanted = f"{self.ids[first]}, as in the last call, where samples go on; {_HOW}"
                raise ValidationError("Network", f"sample_ids[{first}]", wanted, ids[first])
        shapes = _shapes(wiring)
        if shapes != self.shapes:
            before, now = (" ".join(map(str, own)) for own in (self.shapes, shapes))
            wanted = f"{before}, the output last, which go on where the last call ended; {_HOW}"
            raise ValidationError("Network", "populations", wanted, now)
        decoding = wiring.tail.decoding()
        if decoding is not None and self.kept.time_step % decoding.time_bin:
            raise ValidationError(
                "Network", "time steps of the calls before",
                f"a multiple of {decoding.time_bin}, as bins of TimeDecimation end with a call; "
                f"{_HOW}",
                self.kept.time_step,
            )  # fmt: skip

    def let_out(self, late: Tensor) -> Tensor:
        """The output (B, n, T) of a call, delayed, with what comes from calls before."""
        if not self.late.shape[-1]:
            return late
        return late + _resized(self.late.to(late), late.shape[-1])

    def after(self, kept: Kept, output: Tensor, delay: Delay) -> Stream:
        """Where a call ends; its output (B, n, T) is not late yet."""
        num_steps = output.shape[-1]
        longest = int(np.max(delay))
        last = F.pad(output.detach(), (0, longest))
        late = delayed(last, delay)[..., num_steps:]
        before = self.late[..., num_steps:].to(late)
        length = max(longest, before.shape[-1])
        late = _resized(late, length) + _resized(before, length)
        return Stream(self.ids, self.shapes, kept, late)


def _shapes(wiring: Wiring) -> tuple[Shape, ...]:
    pattern = wiring.pattern
    return *(own.shape for own in pattern.populations), pattern.populations[pattern.output].shape


def _resized(x: Tensor, length: int) -> Tensor:
    """The first entries of the last axis, or these with as many zeros as are missing."""
    return F.pad(x, (0, length - x.shape[-1]))

