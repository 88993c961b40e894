"""The decisive gradient of networks that are small enough to do by hand, and its tape."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from decisive_helpers import gradients, thresholds
from lava_async._semantics import decisive, reference
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.tape import Tape
from random_networks import async_schedules, graphs, inputs

SLOPE = 1 / 1024  # of every outcome, whatever the voltage; powers of 2 leave nothing to round
NEVER, FORGETS, HALF = 200, 4096, 2048


def neuron(threshold, decay=FORGETS):
    return la.Population("n", (1,), decay, decay, threshold)


def one_by_one(*weights_of):
    """Connections between single neurons: (source, target, weight[, delay])."""
    return [la.Dense(s, t, [[w]], delay=sum(delay)) for s, t, w, *delay in weights_of]


def back(graph, x, by_spikes, schedule=None, **settings):
    """Gradients of one sample with input counts x (inputs, T); by_spikes (T, N)."""
    _, tape, found = gradients(
        graph, np.array([x]), schedule or la.Momentum(1), np.array([by_spikes], float),
        derivative=lambda graph, voltage: np.full(voltage.shape, SLOPE), **settings,
    )  # fmt: skip
    return tape, found, [by_weight.item() for by_weight in found.weights]


def test_one_silent_neuron():
    graph = la.Graph((1,), [neuron(NEVER)], one_by_one((-1, 0, 10)))
    tape, found, (by_weight,) = back(graph, [[3]], [[2]])
    assert tape.voltage.item() == 64 * 30 and tape.fired_at.item() == tape.released_at.item() == -1
    by_voltage = SLOPE * 2
    assert by_weight == 64 * 3 * by_voltage
    assert found.bias.item() == 64 * by_voltage
    assert found.frames.item() == 64 * 10 * by_voltage


@pytest.mark.parametrize(
    "reset, passes", [("through", 1.0), ("detached", 0.0), ("full", 1 - 1 - SLOPE * 640 * 3)]
)
def test_memory_and_reset(reset, passes):
    """One neuron fires at t = 0 with v = 1920 and is silent at t = 1; half is kept of each."""
    graph = la.Graph((1,), [neuron(25, HALF)], one_by_one((-1, 0, 30)))
    tape, found, (by_weight,) = back(graph, [[1, 0]], [[5], [7]], reset=reset)
    assert tape.voltage[0, :, 0].tolist() == [1920, 960]  # its current is left
    by_second = SLOPE * 7
    through_voltage, through_current = by_second / 2, by_second / 2
    by_first = SLOPE * 5 + passes * through_voltage
    assert by_weight == 64 * (by_first + through_current)
    assert found.bias.item() == 64 * (by_first + by_second)
    assert found.decay_u.item() == by_second * 1920
    assert found.decay_v.item() == 0  # the voltage was reset


def test_decays_of_a_silent_neuron():
    graph = la.Graph((1,), [neuron(NEVER, HALF)], one_by_one((-1, 0, 30)))
    tape, found, _ = back(graph, [[1, 1]], [[0], [7]])
    assert tape.voltage[0, :, 0].tolist() == [1920, 1920 // 2 + 960 + 1920]
    assert found.decay_u.item() == found.decay_v.item() == SLOPE * 7 * 1920


def race(by_spikes):
    """Neurons 0 and 1 fire at the input, 0 is released first, and 2 fires on its spike alone."""
    populations = [neuron(20), neuron(20), neuron(36, HALF)]
    wires = one_by_one((-1, 0, 60), (-1, 1, 50), (0, 2, 40), (1, 2, 30))
    graph = la.Graph((1,), populations, wires)
    tape, _, by_weight = back(graph, [[1, 0]], by_spikes)
    assert tape.fired_at[0].tolist() == [[0, 0, 1], [-1, -1, -1]]
    assert tape.released_at[0, 0].tolist() == [0, 1, 2]
    # What came late is left in the current, what came first was reset with the voltage.
    assert tape.voltage[0, :, 2].tolist() == [64 * 40, 64 * 35]
    return by_weight


def test_in_time_and_late():
    by_first, by_second, by_third, by_fourth = race([[0, 0, 3], [0, 0, 8]])
    current = voltage = SLOPE * 8 / 2  # gu and gv at the end of the first time step
    decided = SLOPE * 3 + voltage
    assert by_third == 64 * (decided + current)
    assert by_fourth == 64 * current
    assert by_first == 64 * SLOPE * 64 * 40 * (decided + current)
    assert by_second == 64 * SLOPE * 64 * 30 * current


def test_late_spikes_reach_no_outcome_of_the_time_step():
    by_first, by_second, by_third, by_fourth = race([[0, 0, 3], [0, 0, 0]])
    assert by_third == 64 * SLOPE * 3 and by_first == 64 * SLOPE * 64 * 40 * SLOPE * 3
    assert by_fourth == by_second == 0


@pytest.mark.parametrize("target", [20, NEVER])
def test_silent_neurons_have_the_credit_of_all_their_targets(target):
    """In time for a target that has fired long since, too."""
    wires = one_by_one((-1, 0, 10), (-1, 1, 60), (0, 1, 30))
    graph = la.Graph((1,), [neuron(20), neuron(target)], wires)
    tape, _, (by_first, by_second, by_third) = back(graph, [[1]], [[0, 5]])
    assert tape.fired_at[0, 0].tolist() == [-1, -1 if target == NEVER else 0]
    assert by_third == 0  # nothing was sent
    assert by_second == 64 * SLOPE * 5
    assert by_first == 64 * SLOPE * 64 * 30 * SLOPE * 5


@pytest.mark.parametrize(
    "reset, kept", [("through", 1), ("detached", 0), ("full", 0)]
)
def test_silent_neurons_in_a_circle(reset, kept):
    """Neuron 0 is silent, its target fires and is wired back: credit is of what is left."""
    wires = one_by_one((-1, 0, 10), (-1, 1, 60), (0, 1, 30), (1, 0, 1))
    graph = la.Graph((1,), [neuron(NEVER), neuron(20, HALF)], wires)
    tape, _, by_weight = back(graph, [[1, 0]], [[0, 5], [0, 8]], reset=reset)
    assert tape.fired_at[0].tolist() == [[-1, 0], [-1, 0]]  # on the half that is left
    left = SLOPE * 8 / 2  # gv and gu
    assert by_weight[0] == 64 * SLOPE * 64 * 30 * (kept * left + left)
    assert by_weight[2] == 0


def test_a_delay_opens_the_circle():
    wires = one_by_one((-1, 0, 10), (-1, 1, 60), (0, 1, 30), (1, 0, 1, 1))
    graph = la.Graph((1,), [neuron(NEVER), neuron(20)], wires)
    _, _, by_weight = back(graph, [[1]], [[0, 5]])
    assert by_weight[0] == 64 * SLOPE * 64 * 30 * SLOPE * 5


@pytest.mark.parametrize("threshold", [20, NEVER])
def test_delays(threshold):
    """Sent at t = 0 and 1, arrives at t = 1 and past the end; also what a silent one would."""
    wires = one_by_one((-1, 0, 60), (0, 1, 30, 1))
    graph = la.Graph((1,), [neuron(threshold), neuron(NEVER)], wires)
    _, _, (by_first, by_second) = back(graph, [[1, 1]], [[0, 100], [0, 5]])
    assert by_second == (64 * SLOPE * 5 if threshold == 20 else 0)
    assert by_first == 64 * SLOPE * 64 * 30 * SLOPE * 5


@pytest.mark.parametrize("delay, change", [(0, 7 - 5), (1, 11 - 7), (2, -11), (3, 0)])
def test_a_delay_gets_what_a_later_spike_would_bring(delay, change):
    """Sent at t = 0 to a neuron whose spikes are worth 5, 7 and 11."""
    graph = la.Graph(
        (1,), [neuron(20), neuron(NEVER)], one_by_one((-1, 0, 60), (0, 1, 30, delay))
    )
    tape, found, _ = back(graph, [[1, 0, 0]], [[0, 5], [0, 7], [0, 11]])
    assert tape.fired_at[0, :, 0].tolist() == [0, -1, -1]
    assert found.delay.tolist() == [64 * 30 * SLOPE * change, 0]


def test_delays_of_spikes_that_follow_each_other():
    """Only the first can go away, and only the last can come anew."""
    graph = la.Graph((1,), [neuron(20), neuron(NEVER)], one_by_one((-1, 0, 60), (0, 1, 30)))
    _, found, _ = back(graph, [[1, 1, 0]], [[0, 5], [0, 7], [0, 11]])
    assert found.delay.tolist() == [64 * 30 * SLOPE * (11 - 5), 0]


def test_a_delay_counts_a_late_spike_as_in_time():
    """Neuron 1 of the race comes second, when neuron 2 has fired."""
    populations = [neuron(20), neuron(20), neuron(36, HALF)]
    wires = one_by_one((-1, 0, 60), (-1, 1, 50), (0, 2, 40), (1, 2, 30))
    graph = la.Graph((1,), populations, wires)
    _, found, _ = back(graph, [[1, 0]], [[0, 0, 3], [0, 0, 8]])
    current = voltage = SLOPE * 8 / 2
    here, later = SLOPE * 3 + voltage + current, SLOPE * 8
    assert found.delay.tolist() == [64 * 40 * (later - here), 64 * 30 * (later - here), 0]


def test_a_spike_that_is_discarded_has_no_delay():
    wires = one_by_one((-1, 0, 60), (-1, 1, 60), (0, 1, 30))
    graph = la.Graph((1,), [neuron(20), neuron(20)], wires)
    _, found, _ = back(graph, [[1]], [[3, 5]], stop_after=0)
    assert found.delay.tolist() == [0, 0]


def test_the_inputs_delay():
    graph = la.Graph((1,), [neuron(NEVER)], one_by_one((-1, 0, 10, 1)))
    _, found, (by_weight,) = back(graph, [[3, 4]], [[100], [2]])
    assert by_weight == 64 * 3 * SLOPE * 2
    assert found.frames[0, 0].tolist() == [64 * 10 * SLOPE * 2, 0]


def test_discarded_spikes_have_the_losss_own_part_only():
    """K = 0: both neurons fire at the input, neither spike is released."""
    wires = one_by_one((-1, 0, 60), (-1, 1, 60), (0, 1, 30))
    graph = la.Graph((1,), [neuron(20), neuron(20)], wires)
    tape, _, by_weight = back(graph, [[1]], [[3, 5]], stop_after=0)
    assert tape.released_at[0, 0].tolist() == [-1, -1] and not tape.lost.any()
    assert by_weight == [64 * SLOPE * 3, 64 * SLOPE * 5, 0]


def test_lost_spikes_have_none():
    """Neuron 0 fires and loses its spike at t = 0; the reset alone passes its gradient on."""
    wires = one_by_one((-1, 0, 60), (0, 1, 30))
    graph = la.Graph((1,), [neuron(20, HALF), neuron(NEVER)], wires)
    tape = Tape(
        voltage=np.array([[[3840, 0], [1920, 0]]], np.int32),
        fired_at=np.array([[[0, -1], [-1, -1]]], np.int32),
        released_at=np.full((1, 2, 2), -1, np.int32),
        lost=np.array([[[True, False], [False, False]]]),
        current=np.zeros((1, 2, 2), np.int32),
    )
    for reset, passes in (("through", 1), ("detached", 0), ("full", -SLOPE * 3840)):
        found = decisive.backward(
            graph, False, np.array([[[1, 0]]]), tape, np.full((1, 2, 2), SLOPE),
            np.array([[[100.0, 50], [7, 0]]]), reset,
        )  # fmt: skip
        left = SLOPE * 7 / 2
        assert found.weights[0].item() == 64 * (passes * left + left)
        assert found.weights[1].item() == 0


def test_layer_by_layer_nothing_is_late():
    """Whatever the forward steps in which it fired."""
    wires = one_by_one((-1, 0, 60), (0, 1, 60))
    graph = la.Graph((1,), [neuron(20), neuron(20)], wires)
    at_once = np.zeros((1, 1, 2), np.int32)
    voltage = np.full((1, 1, 2), 3840, np.int32)
    tape = Tape(voltage, at_once, at_once, at_once.astype(bool), current=at_once)
    found = [
        decisive.backward(
            graph, layered, np.array([[[1]]]), tape, np.full((1, 1, 2), SLOPE),
            np.array([[[0.0, 5]]]),
        ).weights[1].item()
        for layered in (True, False)
    ]  # fmt: skip
    assert found == [64 * SLOPE * 5, 0]


def test_gradients_sum_over_the_batch():
    graph = la.Graph((1,), [neuron(20)], one_by_one((-1, 0, 60)))
    x, by_spikes = np.array([[[1]], [[2]]]), np.array([[[3.0]], [[5.0]]])
    _, _, found = gradients(graph, x, la.Fifo(1), by_spikes,
                            derivative=lambda graph, voltage: np.full(voltage.shape, SLOPE))
    assert found.weights[0].item() == 64 * SLOPE * (3 + 2 * 5)
    assert found.frames.reshape(-1).tolist() == [64 * 60 * SLOPE * 3, 64 * 60 * SLOPE * 5]


def test_an_unknown_reset_is_refused():
    graph = la.Graph((1,), [neuron(20)], one_by_one((-1, 0, 60)))
    wanted = "reset: expected one of through, detached, full"
    with pytest.raises(la.errors.ValidationError, match=wanted):
        back(graph, [[1]], [[0]], reset="none")


# The tape


@pytest.mark.parametrize("layered", [False, True])
@pytest.mark.parametrize("drop", [0.0, 0.3])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_tape_is_of_the_run(data, drop, layered):
    schedule = la.LayerSync(2) if layered else data.draw(async_schedules())
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph))
    stop_after = None if layered else data.draw(st.sampled_from([None, 0, 2]))
    arguments = {"sample_ids": np.arange(len(x)) + 3, "dropout": Dropout(spike=drop, seed=5)}
    want = reference.run(graph, x, schedule, stop_after, trace=True, **arguments)
    record, tape = reference.run_with_tape(graph, x, schedule, stop_after, **arguments)
    for field in dataclasses.fields(record):
        if field.name not in ("fired_at", "released_at"):
            np.testing.assert_array_equal(
                getattr(record, field.name), getattr(want, field.name), field.name
            )
    spikes = np.moveaxis(want.all_spikes, 1, -1).astype(bool)
    fired = tape.fired_at >= 0
    assert tape.voltage.dtype == tape.fired_at.dtype == tape.released_at.dtype == np.int32
    np.testing.assert_array_equal(fired & ~tape.lost, spikes)
    assert (drop > 0) or not tape.lost.any()
    assert not (tape.lost & ~fired).any()
    fired_at = np.moveaxis(want.fired_at, 1, -1)
    np.testing.assert_array_equal(np.where(tape.lost, -1, tape.fired_at), fired_at)
    released_at = np.where(spikes, 0, -1) if layered else np.moveaxis(want.released_at, 1, -1)
    np.testing.assert_array_equal(tape.released_at, released_at)
    assert (tape.voltage > thresholds(graph))[fired].all()


def test_the_tape_of_a_schedule_of_ones_own():
    @dataclasses.dataclass(frozen=True)
    class Slowest(la.AsyncSchedule):
        def priorities(self, neurons, momenta, *others):
            return -momenta.astype(float)

    populations = [neuron(20), neuron(20)]
    graph = la.Graph((1,), populations, one_by_one((-1, 0, 60), (-1, 1, 50)))
    tape, _, _ = back(graph, [[1]], [[0, 0]], Slowest(1))
    assert tape.released_at[0, 0].tolist() == [1, 0]


def test_refractory_dropout_is_refused():
    graph = la.Graph((1,), [neuron(20)], one_by_one((-1, 0, 60)))
    with pytest.raises(la.errors.UnsupportedError, match="refractory: expected 0"):
        back(graph, [[1]], [[0]], dropout=Dropout(refractory=0.5))
