"""What an epoch's evaluation says of a network's health: numbers, and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.graph import Graph
from lava_async.study.recipe import Passed

MANY_DEAD = 0.9
MANY_AT_LIMIT = 0.1
"""Shares of a layer from which on a warning is due."""


@dataclass(frozen=True)
class Health:
    """A network after an epoch.

    Attributes
    ----------
    dead_neurons : float
        Share of the neurons that can fire and never did in the evaluation.
    silent_layers : list of str
        Populations of which all are dead.
    weights_at_limit : float
        Share of the weights that are as large or as small as a synapse can be.
    """

    dead_neurons: float
    silent_layers: list[str]
    weights_at_limit: float


def examine(
    graph: Graph, spikes: npt.NDArray[np.int64]
) -> tuple[Health, dict[tuple[str, str], str]]:
    """Health of a network, and warnings by their (layer, cause).

    spikes : (N,) of each neuron in the evaluation.
    """
    dead = spikes == 0
    able = np.repeat([p.can_fire for p in graph.populations], np.diff(graph.offsets))
    warnings: dict[tuple[str, str], str] = {}
    silent: list[str] = []
    for place, population in enumerate(graph.populations):
        if not population.can_fire:  # a readout
            continue
        share = dead[graph.slice(place)].mean()
        if share == 1:
            silent.append(population.name)
            warnings[population.name, "silent"] = (
                f"{population.name}: no spike in the whole evaluation: scale its weights up "
                "(weight_scale), lower its threshold, or lower the penalty on spikes"
            )
        elif share >= MANY_DEAD:
            warnings[population.name, "dead"] = (
                f"{population.name}: {share:.0%} of its neurons never fired in the evaluation: "
                "lower the penalty on spikes or the learning rate, or take fewer neurons"
            )
    at_limit = total = 0
    connections: Any = graph.connections  # of a recipe's layers, which all have weights
    for connection in connections:
        weight: npt.NDArray[np.int16] = connection.weight
        found = np.count_nonzero((weight <= dyn.WEIGHT_MIN) | (weight >= dyn.WEIGHT_MAX))
        at_limit, total = at_limit + found, total + weight.size
        if found >= MANY_AT_LIMIT * weight.size:
            name = graph.populations[connection.target].name
            warnings[name, "limit"] = (
                f"{name}: {found / weight.size:.0%} of its weights are at {dyn.WEIGHT_MIN} or "
                f"{dyn.WEIGHT_MAX}, the largest that a synapse holds: lower its threshold, the "
                "scale of its weights (weight_scale) or the learning rate"
            )
    share = float(dead[able].mean()) if able.any() else 0.0
    return Health(share, silent, at_limit / max(total, 1)), warnings


def examine_gradient(passed: Passed) -> dict[tuple[str, str], str]:
    """Warnings about an epoch's gradients, by (parameters, cause)."""
    if not passed.skipped:
        return {}
    names = ", ".join(passed.not_finite)
    return {
        (names, "gradient"): f"{names}: gradient not finite, {passed.skipped} steps were skipped: "
        'lower the learning rate, or train with gradient="decisive"'
    }
