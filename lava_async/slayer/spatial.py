"""SLAYER's blocks that see frames through a kernel, other than `Conv`."""

from __future__ import annotations

import numpy as np
from lava.lib.dl.slayer import synapse as synapses
from lava.lib.dl.slayer.block import cuba

from lava_async._semantics.connections import INPUT
from lava_async._semantics.spatial import ConvTranspose, Pool, Unpool, crossing
from lava_async.slayer.layers import FramesLayer
from lava_async.slayer.weights import integers, shaped, synapse_weight


class PoolLayer(FramesLayer):
    """`Pool`: each channel by itself, through one kernel for all."""

    kind = cuba.Pool
    synapse = synapses.layer.Pool
    connection_kind: type[Pool] | type[Unpool] = Pool

    @property
    def in_channels(self):
        return None

    def connection(self, channels):
        weight = np.zeros(self.block.synapse.kernel_size[:2], np.int16)
        return self.connection_kind(INPUT, 0, weight, **self.windows())

    def check_frames(self, connection, shape):
        if connection.crosses_channels(shape):
            raise self.unsupported(*crossing(connection, shape))


class UnpoolLayer(PoolLayer):
    """`Unpool`."""

    kind = cuba.Unpool
    synapse = synapses.layer.Unpool
    connection_kind = Unpool


class ConvTLayer(FramesLayer):
    """`ConvT`: transposed 2-D convolution."""

    kind = cuba.ConvT
    synapse = synapses.layer.ConvTranspose

    def connection(self, channels):
        s = self.block.synapse
        shape = (channels, s.out_channels // s.groups, *s.kernel_size[:2])
        weight = np.zeros(shape, np.int16)
        return ConvTranspose(INPUT, 0, weight, **self.windows(), groups=s.groups)

    def weight(self, synapse):
        shape = (*self.connection(synapse.in_channels).weight.shape, 1)
        weight = shaped(self.where, "weight", synapse_weight(self.where, synapse), shape)
        return integers(self.where, "weight", weight, synapse.pre_hook_fx).squeeze(-1)

    def part(self, whole, piece, channels):
        if self.block.synapse.groups > 1:
            return super().part(whole, piece, channels)
        return self.connection(piece.shape[0]), lambda weights: weights[0][piece.channels]
