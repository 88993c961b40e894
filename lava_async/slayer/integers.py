"""The numbers that a network runs with now: what its blocks hold, quantised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from lava_async._kernel import training
from lava_async._semantics import dynamics as dyn
from lava_async._semantics.graph import Graph
from lava_async.slayer import surrogate as surrogates
from lava_async.slayer.wiring import Wiring


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
    weights : list of lists of tensors
        Of each population, biases included.
    """

    def __init__(self, wiring: Wiring, dtype: torch.dtype):
        self._wiring = wiring
        weights = [[w.to(dtype) for w in layer.weights()] for layer in wiring.layers]
        self.biases = [
            None if (bias := layer.bias()) is None else bias.to(dtype) for layer in wiring.layers
        ]
        self.by_edge = [edge.pick(weights[edge.target]) for edge in wiring.edges]
        self.weights = [
            own if bias is None else [*own, bias]
            for own, bias in zip(weights, self.biases, strict=True)
        ]

    def graph(self) -> Graph:
        """The network as it runs, without names and schedule."""
        wiring = self._wiring
        return wiring.pattern.replace(
            populations=tuple(layer.population(layer.where) for layer in wiring.layers),
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
            threshold=[layer.block.neuron.v_th_mant for layer in layers],
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
        return training.Surrogate(
            found[0].kind, [each.width for each in found], [each.height for each in found]
        )

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
        thresholds = [layer.block.neuron.v_th_mant << dyn.STATE_SHIFT for layer in layers]
        threshold = torch.tensor(thresholds, dtype=dtype).repeat_interleave(sizes)
        with torch.no_grad():
            distance = (torch.from_numpy(voltage).to(dtype) - threshold).flatten(0, 1) / unit
            found = surrogate(distance, tau, scale) / unit
        return found.reshape(voltage.shape).numpy()

    def _models(self) -> Sequence[tuple[float, float, float]]:
        """Of each population: membrane units per voltage unit of SLAYER, tau, scale."""
        models = [layer.block.neuron for layer in self._wiring.layers]
        return [(float(m.s_scale), float(m.tau_rho), float(m.scale_rho)) for m in models]
