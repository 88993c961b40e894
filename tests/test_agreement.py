"""How far two executions agree: the first difference and the distance of their spike trains."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async import metrics
from lava_async.errors import ValidationError
from random_networks import graphs, inputs, schedules
from records import with_fields


def record_of(trains):
    """A record with these spikes of all neurons (B, N, T), the last one's the output."""
    spikes = np.asarray(trains, np.int8)
    counts = np.zeros((len(spikes), spikes.shape[2]), np.int64)
    output = spikes[:, -1:]
    steps = np.where(output, 0, -1).astype(np.int32)
    return la.Record(output, spikes, counts, counts, steps, counts)


def distance_squared(first, second, tau):
    """Sum over all pairs of spikes of one neuron; kernels overlap by exp(-|gap| / tau) / 2."""
    spikes = [(t, 1) for t in np.flatnonzero(first)] + [(t, -1) for t in np.flatnonzero(second)]
    pairs = itertools.product(spikes, repeat=2)
    return sum(a * b * math.exp(-abs(int(s) - int(t)) / tau) / 2 for (s, a), (t, b) in pairs)


TAUS = st.sampled_from([1e-3, 0.3, 1.0, 2.5, 40.0, 1e6])


class TestFirstDifference:
    first = record_of([[[0, 1, 0], [1, 0, 0]], [[0, 1, 0], [1, 0, 1]]])

    def test_none(self):
        assert metrics.first_difference(self.first, self.first) is None

    def test_by_hand(self):
        second = record_of([[[0, 1, 0], [1, 0, 0]], [[0, 0, 0], [1, 1, 0]]])
        found = metrics.first_difference(self.first, second)
        assert found == metrics.SpikeDifference(1, 1, 0, first=1, second=0)
        assert str(found) == "sample 1, time step 1, neuron 0: 1 and 0 spikes"

    def test_time_steps_come_before_neurons(self):
        second = record_of([[[0, 1, 1], [0, 0, 0]], [[0, 1, 0], [1, 0, 1]]])
        found = metrics.first_difference(self.first, second)
        assert found == metrics.SpikeDifference(0, 0, 1, first=1, second=0)


class TestVanRossumByHand:
    def test_equal(self):
        record = record_of([[[0, 1, 1, 0]], [[0, 0, 0, 0]]])
        for relative in (False, True):
            found = metrics.van_rossum_distance(record, record, 2.0, relative=relative)
            assert found.tolist() == [0, 0]

    def test_one_spike_more(self):
        """At any time, the last one too: van Rossum's D² = 1/2."""
        silent = record_of(np.zeros((4, 1, 4)))
        spike = record_of(np.eye(4)[:, None])
        found = metrics.van_rossum_distance(silent, spike, 3.0)
        assert found.tolist() == [math.sqrt(0.5)] * 4
        assert metrics.van_rossum_distance(silent, spike, 3.0, relative=True).tolist() == [1] * 4

    @pytest.mark.parametrize("gap", [1, 2, 5])
    def test_a_spike_that_comes_late(self, gap):
        """Van Rossum's D² = 1 - exp(-gap / tau)."""
        early, late = np.zeros((2, 1, 1, 8))
        early[..., 1] = late[..., 1 + gap] = 1
        found = metrics.van_rossum_distance(record_of(early), record_of(late), 2.0)
        assert found == pytest.approx([math.sqrt(1 - math.exp(-gap / 2))], rel=1e-14)
        relative = metrics.van_rossum_distance(
            record_of(early), record_of(late), 2.0, relative=True
        )
        assert relative == pytest.approx(found, rel=1e-14)  # |f|² + |g|² is 1

    def test_neurons_add_up(self):
        one, other = record_of([np.eye(3)]), record_of(np.zeros((1, 3, 3)))
        assert metrics.van_rossum_distance(one, other, 1.0) == pytest.approx([math.sqrt(1.5)])

    def test_long_tau_compares_numbers_of_spikes(self):
        one, other = record_of([[[1, 1, 1, 0, 0]]]), record_of([[[0, 0, 0, 0, 1]]])
        found = metrics.van_rossum_distance(one, other, 1e12)
        assert found == pytest.approx([math.sqrt((3 - 1) ** 2 / 2)])

    @pytest.mark.parametrize("tau", [5e-324, 1e-300, 1e-9])
    def test_short_tau_counts_spikes_that_do_not_coincide(self, tau):
        one, other = record_of([[[1, 1, 1, 0, 0]]]), record_of([[[0, 0, 1, 1, 1]]])
        found = metrics.van_rossum_distance(one, other, tau)
        assert found.tolist() == [math.sqrt(4 / 2)]


@st.composite
def pairs_of_trains(draw):
    samples, neurons, steps = (draw(st.integers(1, high)) for high in (3, 4, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return [record_of(rng.random((samples, neurons, steps)) < density) for _ in range(2)]


def assert_as_defined(first, second, tau):
    found = metrics.van_rossum_distance(first, second, tau)
    relative = metrics.van_rossum_distance(first, second, tau, relative=True)
    silence = np.zeros(first.all_spikes.shape[2])
    for sample, (a, b) in enumerate(zip(first.all_spikes, second.all_spikes, strict=True)):
        squared = sum(distance_squared(f, g, tau) for f, g in zip(a, b, strict=True))
        whole = sum(distance_squared(train, silence, tau) for train in (*a, *b))
        assert found[sample] ** 2 == pytest.approx(squared, rel=1e-9, abs=1e-9)
        ratio = squared / whole if whole else 0
        assert relative[sample] ** 2 == pytest.approx(ratio, rel=1e-9, abs=1e-9)


class TestAgainstTheDefinition:
    @settings(deadline=None)
    @given(pairs_of_trains(), TAUS)
    def test_sum_over_pairs_of_spikes(self, pair, tau):
        assert_as_defined(*pair, tau)

    @settings(deadline=None)
    @given(pairs_of_trains(), pairs_of_trains(), TAUS)
    def test_a_metric(self, pair, other, tau):
        first, second = pair
        distance = metrics.van_rossum_distance(first, second, tau)
        np.testing.assert_array_equal(
            distance, metrics.van_rossum_distance(second, first, tau)
        )
        same = (first.all_spikes == second.all_spikes).all(axis=(1, 2))
        np.testing.assert_array_equal(distance == 0, same)
        relative = metrics.van_rossum_distance(first, second, tau, relative=True)
        assert ((relative >= 0) & (relative <= 1)).all()
        third = other[0]
        if third.all_spikes.shape == first.all_spikes.shape:
            by_way = metrics.van_rossum_distance(first, third, tau)
            by_way += metrics.van_rossum_distance(third, second, tau)
            assert (distance <= by_way + 1e-9).all()

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data(), TAUS)
    def test_two_orders_of_random_networks(self, data, tau):
        graph = data.draw(graphs(max_populations=3))
        x = data.draw(inputs(graph))
        first, second = (
            la.simulate(graph, x, data.draw(schedules()), backend="reference") for _ in range(2)
        )
        assert_as_defined(first, second, tau)
        shape = first.all_spikes.shape
        places = (
            (b, t, n)
            for b, t, n in itertools.product(range(shape[0]), range(shape[2]), range(shape[1]))
            if first.all_spikes[b, n, t] != second.all_spikes[b, n, t]
        )
        found = metrics.first_difference(first, second)
        place = None if found is None else (found.sample, found.time_step, found.neuron)
        assert place == next(places, None)
        if found is not None:
            sample, step, neuron = place
            assert found.first == first.all_spikes[sample, neuron, step]
            assert found.second == second.all_spikes[sample, neuron, step]


class TestBadInput:
    record = record_of(np.zeros((2, 3, 4)))

    @pytest.mark.parametrize(
        ("shape", "text"),
        [
            ((1, 3, 4), r"samples: expected 2, as in the first record \(got 1\)"),
            ((2, 5, 4), r"neurons: expected 3, as in the first record \(got 5\)"),
            ((2, 3, 1), r"time steps: expected 4, as in the first record \(got 1\)"),
        ],
    )
    def test_other_shapes(self, shape, text):
        other = record_of(np.zeros(shape))
        for function in (
            lambda: metrics.first_difference(self.record, other),
            lambda: metrics.van_rossum_distance(self.record, other, 1.0),
        ):
            with pytest.raises(ValidationError, match=text):
                function()

    @pytest.mark.parametrize("tau", [0, -1.0, math.nan, math.inf, None, "1", True, [1.0], 10**400])
    def test_tau(self, tau):
        with pytest.raises(ValidationError, match="tau: expected a finite number > 0"):
            metrics.van_rossum_distance(self.record, self.record, tau)

    def test_which_record_is_wrong(self):
        empty = with_fields(self.record, all_spikes=self.record.all_spikes[:0])
        with pytest.raises(ValidationError, match="second record: all_spikes shape"):
            metrics.first_difference(self.record, empty)
