"""Kernels whose channels come from several sources.

A source that brings some of the channels of a convolution in groups reaches the targets of their
groups only, and so with pooling. No other kind of connection says that, so each source gets its
synapses one by one.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch

from lava_async._semantics.connections import INPUT, Shape, Sparse


def part(whole: Any, shape: Shape, channels: slice) -> tuple[Sparse, torch.Tensor]:
    """Connection and taps of a source with some of the channels.

    Parameters
    ----------
    whole : Connection
        From all channels.
    shape : (C, H, W)
        Of these.
    channels : slice

    Returns
    -------
    connection : Sparse
    taps : (synapses,) int64
        Each synapse's place in the flat weight of ``whole``.
    """
    synapses = whole.all_synapses(shape)
    each = math.prod(shape[1:])
    first, last = channels.start * each, channels.stop * each
    here = slice(*synapses.first[[first, last]].tolist())
    own = dataclasses.replace(
        synapses,
        shape=(synapses.shape[0], last - first),
        first=synapses.first[first : last + 1] - here.start,
        target=synapses.target[here],
        weight=synapses.weight[here],
    )
    return Sparse(INPUT, 0, own), torch.from_numpy(whole.places(shape)[here])
