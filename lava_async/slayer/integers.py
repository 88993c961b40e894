"""The numbers that a network runs with now: what its blocks hold, quantised."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._kernel import training
from lava_async._semantics import dynamics as dyn
from lava_async._semantics.graph import Graph
from lava_async.slayer import surrogate as surrogates
from lava_async.slayer.wiring import Wiring

READOUT_DERIVATIVE = 2.0**-60
"""What stands for the derivative of the spike function in neurons that are read out.

They have none: their voltage is the outcome. With this factor, and its inverse on the gradient of
the loss, the decisive gradient is that of the voltage: whatever else it multiplies with the
derivative (what targets of a silent neuron send, the reset in full) vanishes in the rounding. A
power of 2, so that nothing else is rounded.
"""


class Integers:
    """Made once for a forward pass.

    Parameters
    ----------
    wiring : Wiring
    dtype : torch.dtype
        float32 or float64, of all weights and biases.

    Attributes
    ----------
    by_edge : list of tensors
        Whole numbers, the weights of each edge; autograd follows them to the parameters.
    biases : list of tensors or None
        Whole numbers, (size,) or (1,), of each population.
    decays : list of (tensor or None, tensor or None)
        Whole numbers, (size,) or (1,), of each population's current and voltage; None where they
        are not learned.
    weights : list of lists of tensors
        Of each population, biases and learned decays included.
    delays : list of tensors or None
        Time steps, (size,) of each population; autograd follows them, too.
    """

    def __init__(self, wiring: Wiring, dtype: torch.dtype):
        self._wiring = wiring
        weights = [[w.to(dtype) for w in layer.whole_weights()] for layer in wiring.layers]
        biases = [layer.whole_bias() for layer in wiring.layers]
        self.biases = [None if bias is None else bias.to(dtype) for bias in biases]
        self.decays = [
            tuple(None if own is None else own.to(dtype) for own in layer.learned_decays())
            for layer in wiring.layers
        ]
        self.delays = [
            None if steps is None else layer.delay(steps)
            for layer, steps in zip(wiring.layers, wiring.steps, strict=True)
        ]
        self.by_edge = [edge.pick(weights[edge.target]) for edge in wiring.edges]
        self.weights = [
            [*own, *(other for other in (bias, *decays) if other is not None)]
            for own, bias, decays in zip(weights, self.biases, self.decays, strict=True)
        ]

    @property
    def learned_decays(self) -> list[tuple[int, int, Tensor]]:
        """Population, 0 for current or 1 for voltage, and whole numbers of those that are."""
        return [
            (p, which, own)
            for p, both in enumerate(self.decays)
            for which, own in enumerate(both)
            if own is not None
        ]

    @property
    def reads_out(self) -> bool:
        """Whether the output is a voltage, for it never fires."""
        return not self._wiring.output.can_fire

    @property
    def readout_unit(self) -> float:
        """Membrane units per voltage unit of SLAYER, of the output population."""
        return float(self._wiring.output.neuron.s_scale)

    def graph(self) -> Graph:
        """The network as it runs, without names and schedule."""
        wiring = self._wiring
        return wiring.pattern.replace(
            populations=tuple(
                layer.population(layer.where, own.shape)
                for layer, own in zip(wiring.layers, wiring.pattern.populations, strict=True)
            ),
            connections=tuple(
                edge.weighted(weight.detach())
                for edge, weight in zip(wiring.edges, self.by_edge, strict=True)
            ),
        )

    def arrays(self) -> tuple[list[npt.NDArray[np.float32]], training.Neurons]:
        """Weights of each edge, and parameters of the populations, for the kernel."""
        weights = [
            weight.detach().to("cpu", torch.float32).contiguous().numpy()
            for weight in self.by_edge
        ]
        layers = self._wiring.layers
        decays = [layer.decays for layer in layers]
        neurons = training.Neurons(
            i_decay=[i for i, _ in decays],
            v_decay=[v for _, v in decays],
            threshold=[layer.threshold for layer in layers],
            bias=[
                None if bias is None else bias.detach().cpu().numpy() for bias in self.biases
            ],
        )
        return weights, neurons

    def surrogate(
        self, surrogate: surrogates.Surrogate, voltage: npt.NDArray[np.int32]
    ) -> training.Surrogate:
        """A surrogate as the kernel knows it; if it does not, its values at the voltages."""
        compiled = surrogates.COMPILED.get(surrogate)
        if compiled is None:
            given = self.derivative(surrogate, voltage, torch.float32)
            return training.Surrogate(training.GIVEN, given=given)
        found = [compiled(*numbers) for numbers in self._models()]
        widths, heights = [each.width for each in found], [each.height for each in found]
        if self.reads_out:
            output = self._wiring.pattern.output
            widths[output], heights[output] = math.inf, READOUT_DERIVATIVE
        return training.Surrogate(found[0].kind, widths, heights)

    def derivative(
        self,
        surrogate: surrogates.Surrogate,
        voltage: npt.NDArray[np.int32],
        dtype: torch.dtype = torch.float64,
    ) -> npt.NDArray:
        """The surrogate derivative (B, T, N) at voltages, both per membrane unit."""
        layers = self._wiring.layers
        sizes = torch.tensor([layer.size for layer in layers])
        unit, tau, scale = (
            torch.tensor(values, dtype=dtype).repeat_interleave(sizes)
            for values in zip(*self._models(), strict=True)
        )
        thresholds = [layer.threshold << dyn.STATE_SHIFT for layer in layers]
        threshold = torch.tensor(thresholds, dtype=dtype).repeat_interleave(sizes)
        with torch.no_grad():
            distance = (torch.from_numpy(voltage).to(dtype) - threshold).flatten(0, 1) / unit
            found = surrogate(distance, tau, scale) / unit
        if self.reads_out:
            pattern = self._wiring.pattern
            found[:, pattern.slice(pattern.output)] = READOUT_DERIVATIVE
        return found.reshape(voltage.shape).numpy()

    def _models(self) -> Sequence[tuple[float, float, float]]:
        """Of each population: membrane units per voltage unit of SLAYER, tau, scale."""
        models = [layer.neuron for layer in self._wiring.layers]
        return [(float(m.s_scale), float(m.tau_rho), float(m.scale_rho)) for m in models]
