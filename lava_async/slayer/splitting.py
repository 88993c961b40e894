"""Convolutions in groups whose channels come from several sources.

A source that brings some of the channels reaches the targets of their groups only. No
convolution says that, so each source gets its synapses one by one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch

from lava_async._semantics.connections import INPUT, Conv, Shape, Sparse, Synapses


def parts(conv: Conv, shapes: Sequence[Shape]) -> list[tuple[Sparse, torch.Tensor]]:
    """Connection and taps of each source.

    Parameters
    ----------
    conv : Conv
        From all channels.
    shapes : sequence of (C, H, W)
        Of the sources, whose channels follow one another.

    Returns
    -------
    list of (Sparse, (synapses,) int64)
        With each synapse's place in the flat weight of ``conv``.
    """
    whole = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    synapses = conv.synapses(whole)
    taps = _taps(conv, whole, synapses)
    found, first = [], 0
    for shape in shapes:
        sources = slice(first, first + math.prod(shape))
        here = slice(*synapses.first[[sources.start, sources.stop]].tolist())
        part = dataclasses.replace(
            synapses,
            shape=(synapses.shape[0], math.prod(shape)),
            first=synapses.first[sources.start : sources.stop + 1] - here.start,
            target=synapses.target[here],
            weight=synapses.weight[here],
        )
        found.append((Sparse(INPUT, 0, part), torch.from_numpy(taps[here])))
        first = sources.stop
    return found


def _taps(conv: Conv, whole: Shape, synapses: Synapses) -> np.ndarray:
    """(synapses,) place of each one's weight in the flat weight of ``conv``."""
    channel, y, x = np.unravel_index(synapses.source, whole)
    target, out_y, out_x = np.unravel_index(synapses.target, conv.out_shape(whole))
    row = (y + conv.padding[0] - out_y * conv.stride[0]) // conv.dilation[0]
    column = (x + conv.padding[1] - out_x * conv.stride[1]) // conv.dilation[1]
    place = (target, channel % conv.weight.shape[1], row, column)
    return np.ravel_multi_index(place, conv.weight.shape)
