"""The forward pass of `unrolled`: a batch under any schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.kept import Kept
from lava_async._semantics.schedule import AsyncSchedule, LayerSync
from lava_async.slayer import layered
from lava_async.slayer.draws import Draws
from lava_async.slayer.integers import Integers
from lava_async.slayer.links import Delay, Link, delayed
from lava_async.slayer.neurons import FLOAT32_EXACT, Inexact, Neurons, States
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
        self.biases, self.by_edge, self.decays = (
            integers.biases, integers.by_edge, integers.decays
        )
        self._reads_out, self._readout_unit = integers.reads_out, integers.readout_unit

    def run(
        self, x: Tensor, ids: npt.NDArray[np.int64], schedule: LayerSync | AsyncSchedule,
        kept: Kept | None,
    ) -> tuple[list[Tensor], Kept | None]:  # fmt: skip
        """Spikes (B, size, T) of each population, and last the voltages of the output.

        The voltages, at the end of each time step, are in SLAYER's units; of an output that can
        fire they are of no use. Then where the samples can go on, if it is said where they did.

        Parameters
        ----------
        x : (B, inputs, T)
            Of ``dtype``.
        ids : (B,) int64
        schedule : LayerSync or AsyncSchedule
        kept : Kept or None
            Where the samples go on; without it each begins at zero.

        Raises
        ------
        ForwardStepLimitError
            A time step did not come to rest within ``max_forward_steps``.
        """
        if isinstance(schedule, LayerSync):
            return self._layered(x, ids, kept)
        neurons = self._neurons()
        for dtype in self._dtypes(schedule, kept):
            begun, ahead = self._begun(x.to(dtype), kept)
            inputs, links = self._links(ahead, [c.delay for c in self._connections])
            now, later = self._parted(inputs, x.shape[-1], kept)
            try:
                spikes, voltage, left = unlayered(
                    now, links, neurons, schedule, self.rules, ids, self.dropout,
                    self.max_forward_steps, self.wiring.pattern.output, begun,
                )  # fmt: skip
                break
            except Inexact:
                continue
        split = spikes.permute(1, 2, 0).split(neurons.sizes, dim=1)
        found = [*split, voltage.permute(1, 2, 0).div(self._readout_unit)]
        return found, self._left(left, later)

    def _layered(
        self, x: Tensor, ids: npt.NDArray[np.int64], kept: Kept | None
    ) -> tuple[list[Tensor], Kept | None]:
        layers, pattern = self.wiring.layers, self.wiring.pattern
        draws = Draws(self.dropout, ids)
        delays = [pattern.layered_delay(c) for c in self._connections]
        plain = all(
            layer.neuron.shared_param and layer.neuron.drop is None and own == (None, None)
            for layer, own in zip(layers, self.decays, strict=True)
        )
        # SLAYER's own gradient of decays is not the true one, and its dropout scales what it keeps.
        if plain and kept is None and not (self.wiring.recurs or self._reads_out):
            edges = list(zip(self.wiring.edges, self.by_edge, delays, strict=True))
            models = [layer.neuron for layer in layers]
            try:
                spikes = layered.by_population(
                    x, self.highest, pattern.order, edges, models, self.biases, draws
                )
                return [*spikes, spikes[pattern.output]], None
            except Inexact:
                pass
        neurons = self._neurons()
        for dtype in self._dtypes(None, kept):
            begun, ahead = self._begun(x.to(dtype), kept)
            inputs, links = self._links(ahead, delays)
            now, later = self._parted(inputs, x.shape[-1], kept)
            try:
                spikes, voltage, left = layered.by_time_step(
                    now, pattern.order, links, neurons, draws, pattern.output, begun
                )
                break
            except Inexact:
                continue
        found = [*spikes, voltage.div(self._readout_unit)]
        return found, self._left(left, later)

    def _begun(self, x: Tensor, kept: Kept | None) -> tuple[States, Tensor]:
        """Where samples begin, and their input with the time steps that anything may wait for."""
        pattern = self.wiring.pattern
        if kept is None:
            zero = x.new_zeros(len(x), pattern.num_neurons)
            return States(0, zero, zero), x
        current, voltage = (torch.from_numpy(own).to(x) for own in (kept.current, kept.voltage))
        return States(kept.time_step, current, voltage), F.pad(x, (0, self._ahead(kept)))

    def _ahead(self, kept: Kept) -> int:
        return max(kept.ahead, self.wiring.pattern.max_delay)

    def _parted(
        self, inputs: list[Tensor | None], num_steps: int, kept: Kept | None
    ) -> tuple[list[Tensor | None], list[Tensor]]:
        """Currents that arrive in the batch's time steps, and (D, B, size) in those to come.

        Of the input, and of what is on its way from the batch before.
        """
        if kept is None:
            return inputs, []
        like = next(current for current in inputs if current is not None)
        late = like.new_zeros(len(like), like.shape[1], self.wiring.pattern.num_neurons)
        late[: kept.ahead] = torch.from_numpy(kept.late).to(like).movedim(1, 0)
        late *= 1 << dyn.STATE_SHIFT
        sizes = [layer.size for layer in self.wiring.layers]
        arriving = [
            part if own is None else part + own
            for part, own in zip(late.split(sizes, -1), inputs, strict=True)
        ]
        later = [part[num_steps:].detach().clone() for part in arriving]
        return [part[:num_steps] for part in arriving], later

    @torch.no_grad()
    def _left(self, left: States, later: list[Tensor]) -> Kept | None:
        if not later:
            return None
        for i, currents in enumerate(left.late):
            for target, current in currents:
                later[target][i] += current
        late = torch.cat(later, -1).movedim(0, 1) / (1 << dyn.STATE_SHIFT)
        rows = torch.cat([left.current[:, None], left.voltage[:, None], late], 1)
        return Kept(left.time_step, rows.cpu().numpy().astype(np.int32))

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

    def _dtypes(
        self, schedule: AsyncSchedule | None, kept: Kept | None
    ) -> Iterator[torch.dtype]:
        """Float types to try: all weighted sums are exact in each, in any order of summation."""
        late = 0 if kept is None else int(np.abs(kept.late).max(initial=0))
        if self.dtype == torch.float32 and self._most_current(schedule) + late < FLOAT32_EXACT:
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
        models = [layer.neuron for layer in layers]
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
        # A readout has no spike function, and a derivative of 0 in its place.
        shapes = [(m.tau_rho, m.scale_rho) for m in models]
        if self._reads_out:
            shapes[self.wiring.pattern.output] = (1.0, 0.0)

        def decays(which: int) -> Tensor:
            """Those that are learned lead autograd to their parameters."""
            return torch.cat(
                [
                    torch.as_tensor(
                        layer.decays[which] if learned[which] is None else learned[which],
                        dtype=torch.float64, device=device,
                    ).expand(size)
                    for layer, learned, size in zip(layers, self.decays, sizes, strict=True)
                ]
            )  # fmt: skip

        return Neurons(
            sizes=sizes,
            i_decay=decays(0),
            v_decay=decays(1),
            threshold=spread([layer.threshold << dyn.STATE_SHIFT for layer in layers]),
            unit=spread([m.s_scale for m in models]),
            tau=spread([tau for tau, _ in shapes]),
            scale=spread([scale for _, scale in shapes]),
            bias=bias,
        )
