"""What 0.1.0 wrote still loads, and runs to the spikes that it had."""

from pathlib import Path

import numpy as np
import pytest

import lava_async as la

FOLDER = Path(__file__).parent / "written_by_0_1_0"
SCHEDULES = {
    "dense": la.Momentum(3, noise=0.5, seed=2**63 + 5),
    "conv": la.Random(4, seed=9),
    "layer": la.LayerSync(6),
}


@pytest.mark.parametrize("backend", ["reference", "kernel"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_network_files(name, backend):
    graph = la.load(FOLDER / f"{name}.net")
    assert graph.schedule == SCHEDULES[name]
    with np.load(FOLDER / f"{name}.npz") as wanted:
        record = la.simulate(graph, wanted["x"], backend=backend)
        assert wanted["spikes"].any()
        for field in ("all_spikes", "spikes", "forward_steps", "synops"):
            np.testing.assert_array_equal(getattr(record, field), wanted[field])


@pytest.mark.parametrize("name", SCHEDULES)
def test_network_files_saved_anew(name, tmp_path):
    graph = la.load(FOLDER / f"{name}.net")
    la.save(graph, tmp_path / "network.net")
    again = la.load(tmp_path / "network.net")
    assert again.schedule == graph.schedule
    with np.load(FOLDER / f"{name}.npz") as wanted:
        np.testing.assert_array_equal(
            la.simulate(again, wanted["x"]).all_spikes, wanted["all_spikes"]
        )
