"""How sure an accuracy is, and what seeds make of a measure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from lava_async import metrics
from lava_async.errors import ValidationError


class TestWilson:
    @pytest.mark.parametrize(
        ("correct", "samples", "low", "high"),
        [
            # z² = 3.841459: none right, 0 and z² / (n + z²); half of them, 1/2 ± 1/2 / √(1 + n/z²).
            (0, 10, 0, 3.841459 / 13.841459),
            (10, 10, 10 / 13.841459, 1),
            (5, 10, 0.5 - 0.5 * (3.841459 / 13.841459) ** 0.5,
             0.5 + 0.5 * (3.841459 / 13.841459) ** 0.5),
            (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17:857-872, 1998
            (15, 148, 0.0624, 0.1605),
            (1, 29, 0.0061, 0.1718),
        ],
    )  # fmt: skip
    def test_by_hand(self, correct, samples, low, high):
        found = metrics.wilson_interval(correct, samples)
        assert found == pytest.approx((low, high), abs=5e-5)

    @given(st.data())
    def test_against_scipy_and_the_definition(self, data):
        samples = data.draw(st.integers(1, 10**6))
        correct = data.draw(st.integers(0, samples))
        confidence = data.draw(st.sampled_from([0.5, 0.9, 0.95, 0.999]))
        low, high = metrics.wilson_interval(correct, samples, confidence)
        wanted = binomtest(correct, samples).proportion_ci(confidence, method="wilson")
        assert (low, high) == pytest.approx((wanted.low, wanted.high), rel=1e-9, abs=1e-12)
        assert 0 <= low <= correct / samples <= high <= 1 and low < high
        z = norm.ppf((1 + confidence) / 2)
        for end in (low, high):
            if 0 < end < 1:  # as far away as the measured share may be from the true one
                far = z * math.sqrt(end * (1 - end) / samples)
                assert abs(correct / samples - end) == pytest.approx(far, rel=1e-6)

    @pytest.mark.parametrize("samples", [1, 3, 7, 359, 10**12])
    def test_ends(self, samples):
        assert metrics.wilson_interval(0, samples).low == 0
        assert metrics.wilson_interval(samples, samples).high == 1

    def test_almost_certain(self):
        low, high = metrics.wilson_interval(5, 10, float(np.nextafter(1, 0)))
        assert 0 < low < 0.1 and high == pytest.approx(1 - low)

    def test_numpy_numbers(self):
        found = metrics.wilson_interval(np.int64(3), np.uint8(7), np.float32(0.5))
        assert found == metrics.wilson_interval(3, 7, 0.5)

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ((1, 0), r"samples: expected an integer in 1..9007199254740992 \(got 0\)"),
            ((0, -1), "samples"),
            ((0, 10**400), "samples"),
            ((4, 3), r"correct: expected an integer in 0..3 \(got 4\)"),
            ((-1, 3), "correct"),
            ((0.5, 3), "correct"),
            ((math.nan, 3), "correct"),
            ((1, math.nan), "samples"),
            ((1, 3.0), "samples"),
            ((True, 3), "correct"),
            ((1, None), "samples"),
            ((1, 3, 0), "confidence"),
            ((1, 3, 1), "confidence"),
            ((1, 3, 95), "confidence"),
            ((1, 3, math.nan), "confidence"),
            ((1, 3, "95%"), "confidence"),
        ],
    )
    def test_bad_input(self, arguments, text):
        with pytest.raises(ValidationError, match=f"wilson_interval: {text}"):
            metrics.wilson_interval(*arguments)


class TestSeeds:
    def test_by_hand(self):
        # Deviations -1, 0, 1, 2, -2 from 5: 10 / 4.
        found = metrics.over_seeds([4, 5, 6, 7, 3])
        assert found == metrics.Spread(mean=5.0, deviation=math.sqrt(2.5), seeds=5)

    def test_one_seed_has_no_spread(self):
        assert metrics.over_seeds([0.9]) == metrics.Spread(0.9, None, 1)

    def test_equal_values_have_none(self):
        """Not even by rounding."""
        assert metrics.over_seeds([0.1] * 10) == metrics.Spread(0.1, 0.0, 10)

    @given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
    def test_as_numpy_has_it(self, values):
        found = metrics.over_seeds(iter(values))
        assert found.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
        assert found.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-9)

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ([], "values: expected one or more"),
            (None, "values: expected one or more"),
            (0.9, "values: expected one or more"),
            ([0.9, math.nan], r"value at \[1\]: expected a finite number \(got nan\)"),
            ([math.inf], r"value at \[0\]"),
            ([0.9, None], r"value at \[1\]"),
            ([10**400], r"value at \[0\]"),
            ([np.float32("nan")], r"value at \[0\]"),
            ([np.float32("inf")], r"value at \[0\]"),
            ([1j], r"value at \[0\]"),
            (["0.9"], r"value at \[0\]"),
            ([True], r"value at \[0\]"),
        ],
    )
    def test_bad_input(self, values, text):
        with pytest.raises(ValidationError, match=f"over_seeds: {text}"):
            metrics.over_seeds(values)
