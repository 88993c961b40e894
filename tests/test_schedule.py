"""Schedules: what they release, and what they refuse."""

import numpy as np
import pytest

import lava_async as la
from lava_async._semantics import schedule as schedules
from lava_async.errors import ValidationError

POOL = np.array([3, 5, 8, 9])
MOMENTA = np.array([700, 900, 700, 650])
THRESHOLDS = np.full(4, 640)


def released(schedule, **where):
    names = dict(sample=0, time_step=0, forward_step=0) | where
    return POOL[schedule.select(POOL, MOMENTA, THRESHOLDS, **names)].tolist()


def test_momentum_takes_the_highest_and_ties_to_the_lowest_index():
    assert released(la.Momentum(1)) == [5]
    assert released(la.Momentum(2)) == [5, 3]
    assert released(la.Momentum(3)) == [5, 3, 8]
    assert released(la.Momentum(100)) == [5, 3, 8, 9]


def test_momentum_noise_is_in_units_of_the_threshold_and_drawn_anew():
    quiet = la.Momentum(1, noise=(900 - 700) / 640 * 0.99)
    assert {released(quiet, forward_step=k)[0] for k in range(200)} == {5}
    loud = la.Momentum(1, noise=50.0)
    assert {released(loud, forward_step=k)[0] for k in range(200)} == set(POOL.tolist())
    assert released(loud, sample=3) == released(loud, sample=3)


def test_random_depends_on_seed_sample_and_step_only():
    draws = [released(la.Random(2, seed=4), sample=s, time_step=t) for s in (0, 1) for t in (0, 1)]
    again = [released(la.Random(2, seed=4), sample=s, time_step=t) for s in (0, 1) for t in (0, 1)]
    assert draws == again
    assert len({tuple(d) for d in draws}) > 1


@pytest.mark.parametrize("schedule", [la.LayerSync(3), la.Random(2, 9), la.Momentum(8, 0.5, 1)])
def test_dict_round_trip(schedule):
    assert schedules.from_dict(schedule.to_dict()) == schedule


def test_defaults():
    assert la.LayerSync().group_size == la.Momentum().group_size == la.Random().group_size == 8
    assert la.Momentum(8) == la.Momentum(group_size=8, noise=0.0, seed=0)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8", None])
@pytest.mark.parametrize("cls", [la.LayerSync, la.Random, la.Momentum])
def test_bad_group_size(cls, size):
    with pytest.raises(ValidationError, match=f"{cls.__name__}: group_size: expected an integer"):
        cls(size)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf"), "1", True])
def test_bad_noise(noise):
    with pytest.raises(ValidationError, match="Momentum: noise: expected"):
        la.Momentum(8, noise=noise)


@pytest.mark.parametrize(
    ("description", "text"),
    [
        ({"scheduler": "fifo", "group_size": 8}, "scheduler: expected one of"),
        ({"group_size": 8}, "scheduler: expected one of"),
        ({"scheduler": "random", "noise": 1.0}, "settings of random"),
    ],
)
def test_bad_description(description, text):
    with pytest.raises(ValidationError, match=text):
        schedules.from_dict(description)
