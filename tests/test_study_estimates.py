"""Estimates of a study's report: by hand, of the same events as those of a record, never silent."""

import dataclasses

import numpy as np
import pytest

import lava_async as la
from lava_async import cost, metrics
from lava_async.study.estimates import estimates, events
from lava_async.study.pages import write_pages
from lava_async.study.results import Results
from study_rows import row

MODEL = cost.CostModel(
    "own", "measured <here>",
    cost.PerEvent(synaptic_operation=10, active_update=7, inactive_update=5, spike=3),
    cost.PerEvent(synaptic_operation=1, time_step=100),
)  # fmt: skip


def table(rows, model):
    heading, paragraph, found = estimates(Results(rows), model)
    return heading.text, paragraph.text, found.rows


def test_by_hand():
    """20,000 operations, 500 spikes of 2,020 updates: 200,000 + 3,500 + 7,600 + 1,500 pJ."""
    heading, text, lines = table([row(), row(seed=1, synops_per_sample=40000.0)], MODEL)
    assert "estimates" in heading and "nothing here was measured" in text
    assert text.endswith("Source: measured <here>")
    assert lines == [("layered", "layer by layer", "500", "30,000", "0.313", "0.031")]


def test_what_a_model_does_not_know():
    only_energy = dataclasses.replace(MODEL, time_ns=cost.PerEvent())
    assert table([row()], only_energy)[2][0][-1] == "not in the model"
    only_time = dataclasses.replace(MODEL, energy_pj=cost.PerEvent())
    assert table([row()], only_time)[2][0][-2] == "not in the model"


def test_complete_runs_alone():
    rows = [row(run="momentum:8"), row(run="momentum:8", stop_after=2)]
    assert len(table(rows, MODEL)[2]) == 1


@pytest.mark.parametrize("model", cost.MODELS.values(), ids=lambda model: model.name)
def test_the_same_events_as_of_a_record(model):
    rng = np.random.default_rng(1)
    graph = la.Graph(
        (5,), [la.Population("a", (7,), 4096, 4096, 20), la.Population("b", (3,), 4096, 4096, 20)],
        [la.Dense(la.INPUT, 0, rng.integers(-20, 40, (7, 5))),
         la.Dense(0, 1, rng.integers(-20, 40, (3, 7)))],
    )  # fmt: skip
    record = la.simulate(graph, rng.integers(0, 2, (6, 5, 4)), la.Momentum(2))
    own = row(
        neurons=10, time_steps=4,
        forward_steps_per_sample=float(record.forward_steps.sum(1).mean()),
        spikes_per_sample=float(metrics.spikes_per_sample(record).mean()),
        synops_per_sample=float(metrics.synops_per_sample(record).mean()),
    )  # fmt: skip
    wanted = {name: counts.mean() for name, counts in cost.count_events(record).items()}
    assert events(own) == pytest.approx(wanted)
    whole = cost.estimate(record, model)
    energy, latency = cost.of_events(events(own), model)
    assert energy == pytest.approx(whole.energy_j.mean())
    assert (latency is None) == (whole.latency_s is None)
    assert latency is None or latency == pytest.approx(whole.latency_s.mean())


def test_they_come_last_and_only_where_a_model_is_named(tmp_path):
    without, named = tmp_path / "without", tmp_path / "named"
    for folder, model in ((without, None), (named, MODEL)):
        folder.mkdir()
        write_pages([row()], [], folder, model=model)
    text = (without / "report.md").read_text()
    assert "none is used here" in text and "µJ" not in text
    text = (named / "report.md").read_text()
    assert "whose estimates come last" in text
    assert text.index("## All numbers") < text.index("## Energy and latency: estimates")
    assert "measured &lt;here&gt;" in (named / "report.html").read_text()
