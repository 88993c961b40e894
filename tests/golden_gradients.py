"""The golden gradients: chains with the decisive gradient that an independent program made."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lava_async as la

FOLDER = Path(__file__).parent / "golden_gradients"
NAMES = sorted(path.stem for path in FOLDER.glob("gradient_*.npz"))
_SCHEDULES = {"momentum": la.Momentum, "fifo": la.Fifo, "layer": la.LayerSync}


@dataclass(frozen=True)
class GoldenGradient:
    """One case; ``arrays`` is all that its file holds, see golden_gradients/README.md.

    ``width`` and ``height`` are of SLAYER's surrogate derivative in membrane units, a two-sided
    exponential.
    """

    graph: la.Graph
    schedule: la.Schedule
    width: float
    height: float
    arrays: dict[str, np.ndarray]


def load_golden_gradient(name: str) -> GoldenGradient:
    with np.load(FOLDER / f"{name}.npz") as file:
        case = dict(file)
    weights = [case[f"weight_{k}"] for k in range(sum(key[:7] == "weight_" for key in case))]
    mantissa = int(case["threshold"] * 64)
    decays = [round(float(case[key]) * 4096) for key in ("current_decay", "voltage_decay")]
    populations = [
        la.Population(f"layer {k}", (len(w),), *decays, mantissa) for k, w in enumerate(weights)
    ]
    connections = [la.Dense(k - 1, k, w) for k, w in enumerate(weights)]
    # Factors 100 and 0.1 as in `lava.lib.dl.slayer.neuron.cuba`; 4096 membrane units are one of
    # SLAYER's.
    width = float(case["tau_grad"]) * mantissa / 64 * 100
    height = float(case["scale_grad"]) * 0.1 / 2 / width
    return GoldenGradient(
        la.Graph(case["x"].shape[1:2], populations, connections),
        _SCHEDULES[str(case["schedule"])](int(case["group_size"])),
        width * 4096,
        height / 4096,
        case,
    )
