"""The decisive gradient's readable definition against independent programs."""

import numpy as np
import pytest

import golden_gradients
import lava_async as la
from decisive_helpers import assert_close, by_output, gradients, thresholds
from golden_gradients import load_golden_gradient
from golden_graphs import NAMES, load_golden_graph


@pytest.mark.parametrize("name", NAMES)
def test_golden_graph(name):
    case = load_golden_graph(name)
    record, _, found = gradients(
        case.graph, case.x, case.schedule, by_output(case.graph, case.arrays["loss_gradient"]),
        case.stop_after,
    )
    np.testing.assert_array_equal(record.all_spikes, case.arrays["all_spikes"])
    assert len(found.weights) == len(case.graph.connections)
    for k, by_weight in enumerate(found.weights):
        assert_close(by_weight, case.arrays[f"gradient_{k}"])
    assert_close(found.bias, case.arrays["gradient_bias"])


def test_all_golden_gradients_are_here():
    assert len(golden_gradients.NAMES) == 6
    cases = [load_golden_gradient(name) for name in golden_gradients.NAMES]
    assert {type(case.schedule) for case in cases} == {la.Momentum, la.Fifo, la.LayerSync}


@pytest.mark.parametrize("name", golden_gradients.NAMES)
def test_golden_gradient(name):
    case = load_golden_gradient(name)

    def slayers(graph, voltage):
        return case.height * np.exp(-np.abs(voltage - thresholds(graph)) / case.width)

    record, _, found = gradients(
        case.graph, case.arrays["x"], case.schedule,
        by_output(case.graph, case.arrays["loss_gradient"]), derivative=slayers,
    )
    np.testing.assert_array_equal(record.all_spikes, case.arrays["spikes"])
    for k, by_weight in enumerate(found.weights):
        assert_close(by_weight, case.arrays[f"gradient_{k}"])
