"""SLAYER's blocks whose neurons see one another: `Recurrent` and `KWTA`.

SLAYER feeds the spikes of a time step back in the next one, which is what `LayerSync` does with
an edge from a population to itself. Under other schedules a spike gets there as soon as it is
released. Each call begins at zero unless the other neurons of the network persist; SLAYER's neurons
go on from where the last call left them, without the feedback of its last time step.
"""

from __future__ import annotations

import numpy as np
import torch
from lava.lib.dl.slayer.block import cuba
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import Dense
from lava_async.slayer.edges import edge
from lava_async.slayer.layers import AllToAllLayer
from lava_async.slayer.weights import integers, shaped


class _FeedbackLayer(AllToAllLayer):
    """Base: besides the edges of its sources one from itself, whose weights are the last."""

    must_persist = True  # to go from one time step to the next

    def check(self):
        super().check()
        if self.block.bias is not None:
            raise self.unsupported("bias", "none", "one")
        if self.block.delay is not None:
            raise self.unsupported(
                "delay", "none: SLAYER's feedback knows nothing of it (delay those that see the "
                "block instead: sources={…: [(block, delay)]})", "one",
            )  # fmt: skip

    def edges(self, target, pieces, shape):
        weight = np.zeros((*shape, *shape), np.int16)
        own = edge(Dense(target, target, weight), shape, shape, lambda weights: weights[-1])
        return [*super().edges(target, pieces, shape), own]


class RecurrentLayer(_FeedbackLayer):
    """`Recurrent`."""

    kind = cuba.Recurrent

    @property
    def synapses(self):
        return [self.block.input_synapse, self.block.recurrent_synapse]

    def check(self):
        super().check()
        if self.frame != (1, 1):  # SLAYER fails at frames
            raise self.unsupported(
                "in_neurons", "an integer (with a Flatten block before)",
                (*self.frame[::-1], self.synapses[0].in_channels),
            )

    def edges(self, target, pieces, shape):
        self.check_pieces(pieces, (self.synapses[0].in_channels,))
        return super().edges(target, pieces, shape)


class KWTALayer(_FeedbackLayer):
    """`KWTA`: neurons excite themselves, inhibit all others, and have one bias."""

    kind = cuba.KWTA
    exported = False

    def check(self):
        super().check()
        i_decay = np.min(self.decays[0])
        if i_decay != dyn.DECAY_ONE and int(self._bias()):
            # SLAYER adds it to the current, the chip to the voltage.
            raise self.unsupported(
                "bias of num_winners", "0, or neurons with current_decay 1",
                f"current_decay {i_decay / dyn.DECAY_ONE}",
            )

    def weights(self):
        self.block.clamp()  # as SLAYER's forward does
        return [*super().weights(), self._feedback()]

    def _feedback(self) -> Tensor:
        block = self.block
        excitation = shaped(self.where, "self_excitation", block.self_excitation, (1,))
        weight = (1 + excitation) * torch.eye(block.num_neurons, device=excitation.device) - 1
        return integers(self.where, "self_excitation", weight, block.neuron.quantize_8bit)

    def _bias(self) -> Tensor:
        block, neuron = self.block, self.block.neuron
        # The threshold is divided by the weights' scale once more than its unit asks for.
        bias = neuron.threshold * (block.num_neurons - 2 * block.num_winners)
        bias = torch.tensor([bias / block.num_neurons / neuron.w_scale], dtype=torch.float)
        return integers(
            self.where, "num_winners", bias.to(neuron.device), neuron.quantize_8bit
        )

    def bias(self):
        bias = self._bias()
        return bias if int(bias) else None
