"""The forward pass of `unrolled`: a batch under any schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.schedule import AsyncSchedule, LayerSync
from lava_async.slayer import layered
from lava_async.slayer.draws import Draws
from lava_async.slayer.integers import Integers
from lava_async.slayer.links import Delay, Link, delayed
from lava_async.slayer.neurons import FLOAT32_EXACT, Inexact, Neurons
from lava_async.slayer.rules import Rules
from lava_async.slayer.unrolled import unlayered
from lava_async.slayer.wiring import Wiring


class ForwardPass:
    """A batch in PyTorch, unrolled over the forward steps, or layer by layer.

    Parameters
    ----------
    wiring : Wiring
    integers : Integers
    rules : Rules
    dropout : Dropout
        ``dropout.input`` is up to the caller.
    max_forward_steps : int
    highest : float
        What no input value exceeds.
    dtype : torch.dtype
        float32 or float64, of all that float32 holds exactly.
    """

    def __init__(
        self,
        wiring: Wiring,
        integers: Integers,
        rules: Rules,
        dropout: Dropout,
        max_forward_steps: int,
        highest: float,
        dtype: torch.dtype,
    ):
        self.wiring = wiring
        self.rules = rules
        self.dropout = dropout
        self.max_forward_steps = max_forward_steps
        self.highest = highest
        self.dtype = dtype
        self.biases, self.by_edge = integers.biases, integers.by_edge

    def run(
        self, x: Tensor, ids: npt.NDArray[np.int64], schedule: LayerSync | AsyncSchedule
    ) -> list[Tensor]:
        """Spikes (B, size, T) of each population.

        Parameters
        ----------
        x : (B, inputs, T)
            Of ``dtype``.
        ids : (B,) int64
        schedule : LayerSync or AsyncSchedule

        Raises
        ------
        ForwardStepLimitError
            A time step did not come to rest within ``max_forward_steps``.
        """
        if isinstance(schedule, LayerSync):
            return self._layered(x, ids)
        neurons = self._neurons()
        for dtype in self._dtypes(schedule):
            inputs, links = self._links(x.to(dtype), [c.delay for c in self._connections])
            try:
                spikes = unlayered(
                    inputs, links, neurons, schedule, self.rules, ids, self.dropout,
                    self.max_forward_steps,
                )
                break
            except Inexact:
                continue
        return list(spikes.permute(1, 2, 0).split(neurons.sizes, dim=1))

    def _layered(self, x: Tensor, ids: npt.NDArray[np.int64]) -> list[Tensor]:
        layers, pattern = self.wiring.layers, self.wiring.pattern
        draws = Draws(self.dropout, ids)
        delays = [pattern.layered_delay(c) for c in self._connections]
        if not self.wiring.recurs:
            edges = list(zip(self.wiring.edges, self.by_edge, delays, strict=True))
            models = [layer.block.neuron for layer in layers]
            try:
                return layered.by_population(
                    x, self.highest, pattern.order, edges, models, self.biases, draws
                )
            except Inexact:
                pass
        neurons = self._neurons()
        for dtype in self._dtypes(None):
            inputs, links = self._links(x.to(dtype), delays)
            try:
                spikes = layered.by_time_step(inputs, pattern.order, links, neurons, draws)
                break
            except Inexact:
                continue
        return spikes

    @property
    def _connections(self):
        return self.wiring.pattern.connections

    def _links(
        self, x: Tensor, delays: Sequence[Delay]
    ) -> tuple[list[Tensor | None], list[Link]]:
        """The input's currents (T, B, size) for each population, and the other edges.

        ``delays`` of each edge under the schedule. All in membrane units, and of x's dtype.
        """
        inputs: list[Tensor | None] = [None] * len(self.wiring.layers)
        links = []
        for edge, weight, delay in zip(self.wiring.edges, self.by_edge, delays, strict=True):
            scaled = (weight * (1 << dyn.STATE_SHIFT)).to(x.dtype)
            if edge.source != INPUT:
                links.append(Link(edge.source, edge.target, partial(edge.deliver, scaled), delay))
                continue
            frames = delayed(x, delay).permute(2, 0, 1)  # (T, B, inputs)
            current = edge.deliver(scaled, frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
            before = inputs[edge.target]
            inputs[edge.target] = current if before is None else before + current
        return inputs, links

    def _dtypes(self, schedule: AsyncSchedule | None) -> Iterator[torch.dtype]:
        """Float types to try: all weighted sums are exact in each, in any order of summation."""
        if self.dtype == torch.float32 and self._most_current(schedule) < FLOAT32_EXACT:
            yield torch.float32
        yield torch.float64

    def _most_current(self, schedule: AsyncSchedule | None) -> float:
        """Bound of what arrives anywhere at once, in weight units; None is layer by layer."""
        refractory = schedule is not None and self.dropout.refractory
        most = self.max_forward_steps + 1 if refractory else 1  # spikes of one place
        first = [0.0] * len(self.wiring.layers)  # with the input, and what was delayed
        later = [0.0] * len(self.wiring.layers)  # in a forward step
        for edge, weight in zip(self.wiring.edges, self.by_edge, strict=True):
            weight = weight.detach()
            l1 = edge.fan_in_l1(weight)
            if edge.source == INPUT:
                first[edge.target] += l1 * self.highest
                continue
            if schedule is None or np.any(edge.connection.delay):
                first[edge.target] += l1 * most
            if schedule is not None and weight.numel():
                group = schedule.group_size * float(weight.abs().max())
                later[edge.target] += min(l1, group) * most
        return max(*first, *later)

    def _neurons(self) -> Neurons:
        """Parameters of all neurons, spread over the populations."""
        layers = self.wiring.layers
        models = [layer.block.neuron for layer in layers]
        sizes = [layer.size for layer in layers]
        device = models[0].device
        repeats = torch.tensor(sizes, device=device)

        def spread(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device).repeat_interleave(
                repeats
            )

        bias = None
        if any(own is not None for own in self.biases):
            bias = torch.cat(
                [
                    torch.zeros(size, dtype=self.dtype, device=device)
                    if own is None else own.expand(size)
                    for own, size in zip(self.biases, sizes, strict=True)
                ]
            ) * (1 << dyn.STATE_SHIFT)
        return Neurons(
            sizes=sizes,
            i_decay=spread([layer.decays[0] for layer in layers]),
            v_decay=spread([layer.decays[1] for layer in layers]),
            threshold=spread([m.v_th_mant << dyn.STATE_SHIFT for m in models]),
            unit=spread([m.s_scale for m in models]),
            tau=spread([m.tau_rho for m in models]),
            scale=spread([m.scale_rho for m in models]),
            bias=bias,
        )
