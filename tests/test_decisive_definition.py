"""The decisive gradient's readable definition against independent programs."""

import numpy as np
import pytest

from decisive_helpers import assert_close, by_output, gradients
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
