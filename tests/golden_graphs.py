"""The golden graphs: directed graphs with spikes and gradients that an independent program made."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lava_async as la

FOLDER = Path(__file__).parent / "golden_graphs"
NAMES = sorted(path.stem for path in FOLDER.glob("graph_*.npz"))
_SCHEDULES = {"momentum": la.Momentum, "fifo": la.Fifo, "layer": la.LayerSync}


@dataclass(frozen=True)
class GoldenGraph:
    """One case; ``arrays`` is all that its file holds, see golden_graphs/README.md."""

    graph: la.Graph
    x: np.ndarray
    schedule: la.Schedule
    stop_after: int | None
    arrays: dict[str, np.ndarray]


def load_golden_graph(name: str) -> GoldenGraph:
    with np.load(FOLDER / f"{name}.npz") as file:
        case = dict(file)
    parameters = [np.broadcast_to(case[key], case["sizes"].shape) for key in ("du", "dv", "vth")]
    populations = [
        la.Population(f"p{i}", (int(size),), *map(int, numbers), case.get(f"bias_{i}"))
        for i, (size, *numbers) in enumerate(zip(case["sizes"], *parameters, strict=True))
    ]
    connections = [
        la.Dense(int(source), int(target), case[f"weight_{k}"], delay=case[f"delay_{k}"])
        for k, (source, target) in enumerate(zip(case["source"], case["target"], strict=True))
    ]
    stop_after = int(case["stop_after"])
    return GoldenGraph(
        la.Graph(case["input"].shape[1:2], populations, connections, int(case["output"])),
        case["input"],
        _SCHEDULES[str(case["schedule"])](int(case["group_size"])),
        None if stop_after < 0 else stop_after,
        case,
    )
