"""How sure an accuracy is, and how much seeds matter."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from lava_async.errors import ValidationError
from lava_async.metrics._checks import is_finite

_MOST = 2**53
"""Samples: up to here a float counts each one."""


class Interval(NamedTuple):
    """Of a share, both ends in 0..1."""

    low: float
    high: float


def wilson_interval(correct: int, samples: int, confidence: float = 0.95) -> Interval:
    """Confidence interval of an accuracy: ``correct`` of ``samples`` independent samples.

    All true accuracies p from which the measured one is no further than z standard deviations
    √(p (1 − p) / samples): Wilson, *Probable inference, the law of succession, and statistical
    inference*, JASA 22(158):209-212, 1927. Other than ± z standard errors it stays inside 0..1
    and holds for few samples and accuracies near 1 (Brown, Cai and DasGupta, *Interval
    estimation for a binomial proportion*, Statistical Science 16(2):101-133, 2001). It knows of
    the choice of samples only: that of the seed is `over_seeds`.

    Parameters
    ----------
    correct : int
        In 0..samples.
    samples : int
        In 1..2**53.
    confidence : float
        In (0, 1).

    Raises
    ------
    ValidationError
        An argument is outside of its range.
    """
    where = "wilson_interval"
    samples = _whole(where, "samples", samples, 1, _MOST)
    correct = _whole(where, "correct", correct, 0, samples)
    if not is_finite(confidence) or not 0 < confidence < 1:
        raise ValidationError(where, "confidence", "a number in (0, 1)", repr(confidence))
    z = -statistics.NormalDist().inv_cdf((1 - confidence) / 2)  # exact for confidence near 1
    share, extra = correct / samples, z**2 / samples
    centre = (share + extra / 2) / (1 + extra)
    half = math.sqrt(share * (1 - share) * extra + extra**2 / 4) / (1 + extra)
    # Exactly, where rounding would miss the end by a little.
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == samples else min(1.0, centre + half)
    return Interval(low, high)


class Spread(NamedTuple):
    """Mean and sample standard deviation of a measure over seeds.

    Attributes
    ----------
    mean : float
    deviation : float or None
        None of one seed, which says nothing about others.
    seeds : int
    """

    mean: float
    deviation: float | None
    seeds: int


def over_seeds(values: Iterable[float]) -> Spread:
    """Mean and spread of a measure, one value a seed.

    The spread is the sample standard deviation, √(Σ (x − mean)² / (seeds − 1)): of the single
    seeds, not of their mean. Why one seed is not enough: Bouthillier et al., *Accounting for
    variance in machine learning benchmarks*, MLSys 2021.

    Raises
    ------
    ValidationError
        There is no value, or one is no finite number.
    """
    where = "over_seeds"
    given = list(values) if isinstance(values, Iterable) else []
    if not given:
        raise ValidationError(where, "values", "one or more numbers", repr(values))
    for place, value in enumerate(given):
        if not is_finite(value):
            raise ValidationError(where, f"value at [{place}]", "a finite number", repr(value))
    exact = [float(value) for value in given]
    deviation = statistics.stdev(exact) if len(exact) > 1 else None
    return Spread(statistics.mean(exact), deviation, len(exact))


def _whole(where: str, what: str, value: Any, low: int, high: int) -> int:
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        raise ValidationError(where, what, f"an integer in {low}..{high}", repr(value))
    return int(value)
