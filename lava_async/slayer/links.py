"""Links: edges with their weights, and spikes on their way into later time steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Delay = int | npt.NDArray[Any]


@dataclass(frozen=True)
class Link:
    """What a run needs of an edge.

    Attributes
    ----------
    source, target : int
        Populations; `INPUT` as source.
    deliver : callable
        Turns spikes (B, source size) into currents (B, target size), membrane units.
    delay : int or (source size,) array of int
        Time steps.
    """

    source: int
    target: int
    deliver: Callable[[Tensor], Tensor]
    delay: Delay = 0

    def delays(self) -> list[tuple[int, npt.NDArray[np.bool_] | None]]:
        """Each delay that occurs, and which sources have it; None for all."""
        found = np.unique(self.delay).tolist()
        if len(found) == 1:
            return [(found[0], None)]
        return [(delay, self.delay == delay) for delay in found]


def delayed(spikes: Tensor, delay: Delay) -> Tensor:
    """Spikes (B, n, T) as they are after their delay, one for all n or one for each."""
    if not np.any(delay):
        return spikes
    steps = torch.arange(spikes.shape[-1], device=spikes.device)
    late = torch.as_tensor(np.asarray(delay, np.int64), device=spikes.device)
    fired_at = steps - late.reshape(-1, 1)  # (n or 1, T)
    shifted = spikes.gather(-1, fired_at.clamp(min=0).expand(spikes.shape))
    return shifted * (fired_at >= 0)


class Immediate:
    """The links of each source over which spikes arrive in the same time step."""

    def __init__(self, links: Sequence[Link], like: Tensor):
        self._links = [
            (link, _mask(sources, like))
            for link in links
            for delay, sources in link.delays()
            if delay == 0
        ]

    def arriving(self, spikes: Sequence[Tensor | None]) -> Iterator[tuple[int, Tensor]]:
        """Targets and currents of spikes (B, size) of each population; None sends nothing."""
        for link, mask in self._links:
            sent = spikes[link.source]
            if sent is not None:
                yield link.target, link.deliver(sent if mask is None else sent * mask)


class Late:
    """The links over which spikes arrive in later time steps, and what is under way."""

    def __init__(self, links: Sequence[Link], like: Tensor):
        found = [
            (link, [(delay, _mask(sources, like)) for delay, sources in link.delays() if delay])
            for link in links
        ]
        self._links = [(link, delays) for link, delays in found if delays]
        self._sent: list[Sequence[Tensor]] = []

    @property
    def any(self) -> bool:
        return bool(self._links)

    def send(self, spikes: Sequence[Tensor]) -> None:
        """All spikes (B, size) that each population sent in a time step, one after another."""
        self._sent.append(spikes)

    def arriving(self) -> Iterator[tuple[int, Tensor]]:
        """Targets and currents of what arrives in the time step that begins."""
        for link, delays in self._links:
            waited = [
                self._sent[-delay][link.source] if mask is None
                else self._sent[-delay][link.source] * mask
                for delay, mask in delays
                if delay <= len(self._sent)
            ]
            if waited:
                yield link.target, link.deliver(sum(waited[1:], waited[0]))

    def left(self) -> Iterator[list[tuple[int, Tensor]]]:
        """The same of each time step that follows, when nothing more is sent."""
        longest = max((delay for _, delays in self._links for delay, _ in delays), default=0)
        for _ in range(longest):
            yield list(self.arriving())
            self.send([torch.zeros_like(own) for own in self._sent[-1]])


def _mask(sources: npt.NDArray[np.bool_] | None, like: Tensor) -> Tensor | None:
    return None if sources is None else torch.from_numpy(sources).to(like)
