"""Convolutions in groups whose channels come from several sources.

A source that brings some of the channels reaches the targets of their groups only. No
convolution says that, so each source gets its synapses one by one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from lava_async._semantics.connections import INPUT, Conv, Shape, Sparse


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
    synapses = conv.all_synapses(whole)
    taps = conv.places(whole)
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
