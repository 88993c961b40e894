"""Events of a run, times what each costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.brief import Brief
from lava_async._semantics.record import Record
from lava_async.cost._model import EVENTS, CostModel, PerEvent
from lava_async.errors import ValidationError
from lava_async.metrics import spikes_per_sample, synops_per_sample

_PREFIXES = "fpnµm kMG"
_ONE = _PREFIXES.index(" ")


@dataclass(frozen=True, eq=False)
class Estimate(Brief):
    """What a run counted, and what a cost model makes of it.

    Attributes
    ----------
    spikes, synops : (B,) int64
        Spikes of all neurons and synaptic operations of each sample: counted.
    energy_j : (B,) float64 or None
        Joules of each sample: estimated. None where the model knows no energy at all.
    latency_s : (B,) float64 or None
        Seconds of each sample if each event follows another, as on a single core: estimated.
        None where the model knows no time at all.
    model : CostModel
    """

    spikes: npt.NDArray[np.int64]
    synops: npt.NDArray[np.int64]
    energy_j: npt.NDArray[np.float64] | None
    latency_s: npt.NDArray[np.float64] | None
    model: CostModel

    def to_dict(self) -> dict[str, Any]:
        """Means over the samples as plain data, for a table."""
        return {
            "spikes_per_sample": float(self.spikes.mean()),
            "synops_per_sample": float(self.synops.mean()),
            "estimated_energy_j_per_sample": _mean(self.energy_j),
            "estimated_latency_s_per_sample": _mean(self.latency_s),
            "cost_model": self.model.name,
            "cost_source": self.model.source,
        }

    def __str__(self) -> str:
        counted = (
            f"{self.spikes.mean():,.1f} spikes and {self.synops.mean():,.1f} synaptic operations "
            "a sample"
        )
        estimated = " and ".join(
            _with_prefix(mean, unit)
            for mean, unit in ((_mean(self.energy_j), "J"), (_mean(self.latency_s), "s"))
            if mean is not None
        )
        left_out = _left_out("energy", self.model.energy_pj) + _left_out("time", self.model.time_ns)
        return (
            f"{counted}. Estimate by the cost model {self.model.name}: {estimated} a sample"
            f"{left_out}. Source: {self.model.source}"
        )


def estimate(record: Record, model: CostModel) -> Estimate:
    """Estimate energy and latency of each sample of a run: Σ events × what one costs.

    Events that the model knows no cost of count nothing, and the text of the estimate names
    them.

    Raises
    ------
    ValidationError
        The record is none, or the model.
    """
    if not isinstance(model, CostModel):
        got = type(model).__name__
        raise ValidationError("estimate", "model", "a CostModel, as of cost.load", got)
    events = count_events(record)
    energy_j, latency_s = of_events(events, model)
    return Estimate(events["spike"], events["synaptic_operation"], energy_j, latency_s, model)


def of_events(events: Mapping[str, Any], model: CostModel) -> tuple[Any, Any]:
    """Energy (J) and latency (s) of so many events, estimated; None where the model knows none.

    Parameters
    ----------
    events : dict of str to number or array
        As `count_events` names them, all kinds.
    model : CostModel
    """
    return _total(events, model.energy_pj, 1e12), _total(events, model.time_ns, 1e9)


def count_events(record: Record) -> dict[str, npt.NDArray[np.int64]]:
    """(B,) events of each kind that `PerEvent` knows, of each sample."""
    spikes = spikes_per_sample(record)
    samples, neurons, steps = record.shape
    return {
        "synaptic_operation": synops_per_sample(record),
        "active_update": spikes,
        "inactive_update": neurons * steps - spikes,
        "spike": spikes,
        "forward_step": record.forward_steps.sum(axis=1, dtype=np.int64),
        "time_step": np.full(samples, steps, np.int64),
    }


def _total(events: Mapping[str, Any], costs: PerEvent, per_unit: float) -> Any:
    known = costs.known()
    if not known:
        return None
    return np.sum([events[event] * value for event, value in known.items()], axis=0) / per_unit


def _left_out(what: str, costs: PerEvent) -> str:
    known = costs.known()
    unknown = [event.replace("_", " ") for event in EVENTS if event not in known]
    if not known:
        return f"; no {what} at all"
    return f"; no {what} of: {', '.join(unknown)}" if unknown else ""


def _mean(values: npt.NDArray[np.float64] | None) -> float | None:
    return None if values is None else float(values.mean())


def _with_prefix(value: float, unit: str) -> str:
    """A number >= 0 with three digits and a prefix of the SI."""
    if not value:
        return f"0 {unit}"
    thousands = math.floor(math.log10(float(f"{value:.2e}")) / 3)
    thousands = min(max(thousands, -_ONE), len(_PREFIXES) - 1 - _ONE)
    prefix = _PREFIXES[thousands + _ONE].strip()
    return f"{value / 1000.0**thousands:.3g} {prefix}{unit}"
