"""Networks, inputs and spikes computed by an independent program from the semantics alone."""

from pathlib import Path

import numpy as np
import pytest

import lava_async as la

CASES = sorted((Path(__file__).parent / "golden").glob("case_*.net"))


def test_all_cases_are_here():
    assert len(CASES) == 24


@pytest.mark.parametrize("backend", ["reference", "kernel"])
@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_golden(path, backend):
    with np.load(path.with_suffix(".npz")) as case:
        want = dict(case)
    cls = {"momentum": la.Momentum, "layer": la.LayerSync}[str(want["schedule"])]
    stop_after = int(want["stop_after"]) if want["stop_after"] >= 0 else None
    record = la.simulate(
        la.load(path),
        want["input"],
        cls(int(want["group_size"])),
        backend=backend,
        stop_after=stop_after,
        trace=True,
    )
    np.testing.assert_array_equal(record.all_spikes, want["all_spikes"])
    np.testing.assert_array_equal(record.spikes, want["spikes"])
    np.testing.assert_array_equal(record.forward_steps, want["forward_steps"])
    assert not record.overflows.any()
    if record.released_at is not None:
        neuron, step = np.nonzero(record.released_at[0] >= 0)
        rows = np.stack([step, record.released_at[0, neuron, step], neuron], axis=1)
        rows = rows[np.lexsort(rows.T[::-1])]
        np.testing.assert_array_equal(rows, want["released_sample0"])
