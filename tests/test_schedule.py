"""Schedules: what they release, and what they refuse."""

import numpy as np
import pytest

import lava_async as la
from lava_async._semantics import schedule as schedules
from lava_async.errors import ExecutionError, UnsupportedError, ValidationError

POOL = np.array([3, 5, 8, 9])
MOMENTA = np.array([700, 900, 700, 650])
THRESHOLDS = np.full(4, 640)
FIRED_AT = np.array([2, 1, 0, 2])


def released(schedule, **where):
    names = dict(sample=0, time_step=0, forward_step=0) | where
    return POOL[schedule.select(POOL, MOMENTA, THRESHOLDS, FIRED_AT, **names)].tolist()


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


def test_fifo_takes_the_earliest_and_ties_to_the_lowest_index():
    assert released(la.Fifo(1)) == [8]
    assert released(la.Fifo(3)) == [8, 5, 3]
    assert released(la.Fifo(100)) == [8, 5, 3, 9]


class Heaviest(la.AsyncSchedule):
    """A user's own: the highest index first."""

    def priorities(
        self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step
    ):
        return neurons


class MyMomentum(la.Momentum):
    """Looks like ours, and is not."""

    def priorities(self, neurons, momenta, *rest):
        return -momenta


@pytest.mark.parametrize("cls", [Heaviest, MyMomentum])
def test_a_users_own_schedule_runs_on_the_reference_and_is_refused_by_the_kernel(cls):
    schedule = cls(2)
    assert released(schedule) == ([9, 8] if cls is Heaviest else [9, 3])
    rng = np.random.default_rng(0)
    graph = la.Graph(
        (6,),
        (la.Population("a", (9,), 4096, 4096, 30), la.Population("b", (9,), 4096, 4096, 30)),
        (la.Dense(la.INPUT, 0, rng.integers(-20, 60, (9, 6))),
         la.Dense(0, 1, rng.integers(-60, 60, (9, 9)))),
    )
    x = rng.integers(0, 2, (4, 6, 5))
    own = la.simulate(graph, x, schedule, backend="reference", trace=True)
    assert (own.released_at != la.simulate(graph, x, la.Momentum(2), trace=True).released_at).any()
    mixture = la.Mixture([la.Fifo(1), schedule], seed=3)
    mixed = la.simulate(graph, x, mixture, backend="reference", trace=True)
    mine = mixture.draw(range(4)) == 1
    assert mine.any() and not mine.all()
    np.testing.assert_array_equal(mixed.released_at[mine], own.released_at[mine])
    for refused in (schedule, la.Mixture([la.Fifo(1), schedule])):
        # Whichever samples draw it.
        with pytest.raises(UnsupportedError, match=f"'reference'.*got {cls.__name__}"):
            la.simulate(graph, x[:1], refused, sample_ids=[int(np.argmin(mine))])
    with pytest.raises(UnsupportedError, match=cls.__name__):
        schedule.to_dict()


def test_a_schedule_cannot_change_the_pool():
    class Meddling(la.AsyncSchedule):
        def priorities(self, neurons, *rest):
            neurons[:] = 0
            return neurons

    with pytest.raises(ValueError, match="read-only"):
        released(Meddling(2))


@pytest.mark.parametrize(
    "result", [[[1], [2, 3]], [1.0], np.full(4, np.nan), ["a"] * 4, np.ones((4, 1)), None]
)
def test_priorities_that_are_no_numbers_are_refused(result):
    class Wrong(la.AsyncSchedule):
        def priorities(self, *arguments):
            return result

    with pytest.raises(ExecutionError, match=r"Wrong\.priorities: result: expected 4 numbers"):
        released(Wrong(2))


def test_a_mixture_draws_by_seed_and_sample_index_only():
    parts = [la.Momentum(8), la.Random(1, seed=2), la.LayerSync(3)]
    mixture = la.Mixture(parts, seed=5)
    ids = np.arange(3000)
    drawn = mixture.draw(ids)
    np.testing.assert_array_equal(mixture.draw(ids[::-1]), drawn[::-1])
    assert [mixture.of_sample(i) for i in range(9)] == [parts[d] for d in drawn[:9]]
    assert (la.Mixture(parts, seed=6).draw(ids) != drawn).any()
    scipy_stats = pytest.importorskip("scipy.stats")
    assert scipy_stats.chisquare(np.bincount(drawn)).pvalue > 0.01
    weighted = la.Mixture(parts, [1, 0, 3], seed=5).draw(ids)
    counts = np.bincount(weighted, minlength=3)
    assert counts[1] == 0
    assert scipy_stats.chisquare(counts[[0, 2]], [750, 2250]).pvalue > 0.01


def test_every_sample_of_a_mixture_runs_as_with_its_own_schedule():
    rng = np.random.default_rng(1)
    graph = la.Graph(
        (6,),
        tuple(la.Population(name, (9,), 1000, 300, 30) for name in "abc"),
        tuple(la.Dense(i - 1, i, rng.integers(-20, 60, (9, 6 if i == 0 else 9))) for i in range(3)),
    )
    x = rng.integers(0, 2, (30, 6, 5))
    mixture = la.Mixture([la.Fifo(1), la.LayerSync(4), la.Random(3, 8)], seed=11)
    ids = np.arange(30) + 100
    for backend in ("reference", "kernel"):
        mixed = la.simulate(graph, x, mixture, sample_ids=ids, trace=True, backend=backend)
        for i, sample in enumerate(ids):
            schedule = mixture.of_sample(sample)
            alone = la.simulate(
                graph, x[i], schedule, sample_ids=[sample], trace=True, backend=backend
            )
            for name in ("all_spikes", "forward_steps", "synops", "output_steps", "fired_at"):
                np.testing.assert_array_equal(getattr(mixed, name)[i], getattr(alone, name)[0])
            released = -1 if alone.released_at is None else alone.released_at[0]
            np.testing.assert_array_equal(mixed.released_at[i], released)


@pytest.mark.parametrize(
    "arguments, text",
    [
        (([],), "schedules: expected one or more"),
        ((la.Momentum(8),), "schedules: expected one or more"),
        (([la.Momentum(8), "fifo"],), "schedules: expected one or more"),
        (([la.Mixture([la.Fifo(1)])],), "that are no mixtures"),
        (([la.Fifo(1), la.Fifo(2)], [1.0]), "weights: expected 2 numbers"),
        (([la.Fifo(1), la.Fifo(2)], [1.0, -1.0]), "weights: expected 2 numbers"),
        (([la.Fifo(1), la.Fifo(2)], [0, 0]), "not all 0"),
        (([la.Fifo(1), la.Fifo(2)], [1, float("nan")]), "weights: expected 2 numbers"),
        (([la.Fifo(1), la.Fifo(2)], [1, float("inf")]), "weights: expected 2 numbers"),
        (([la.Fifo(1), la.Fifo(2)], [1e308, 1e308]), "weights: .* of a finite sum"),
        (([la.Fifo(1), la.Fifo(2)], "ab"), "weights: expected 2 numbers"),
        (([la.Fifo(1), la.Fifo(2)], [[1], [1, 2]]), "weights: expected 2 numbers"),
        (([la.Fifo(1)], None, -1), "seed: expected 0 <= seed"),
    ],
)
def test_bad_mixture(arguments, text):
    with pytest.raises(ValidationError, match=text):
        la.Mixture(*arguments)


def test_early_decision_needs_asynchronous_parts_only():
    graph = la.Graph((1,), (la.Population("p", (1,), 0, 0, 9),), (la.OneToOne(-1, 0, 10),))
    x = np.ones((1, 1))
    la.simulate(graph, x, la.Mixture([la.Fifo(1), la.Random(1)]), stop_after=0)
    with pytest.raises(ValidationError, match="Mixture: stop_after: expected None"):
        la.simulate(graph, x, la.Mixture([la.Fifo(1), la.LayerSync(1)]), stop_after=0)


@pytest.mark.parametrize(
    "schedule",
    [
        la.LayerSync(3),
        la.Random(2, 9),
        la.Momentum(8, 0.5, 1),
        la.Fifo(4),
        la.Mixture([la.Fifo(4), la.Momentum(1, 0.1, 2**64 - 1)], [1, 2.5], 3),
        la.Mixture([la.LayerSync(4)]),
    ],
)
def test_dict_round_trip(schedule):
    assert schedules.from_dict(schedule.to_dict()) == schedule


def test_defaults():
    assert la.LayerSync().group_size == la.Momentum().group_size == la.Random().group_size == 8
    assert la.Momentum(8) == la.Momentum(group_size=8, noise=0.0, seed=0)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8", None])
@pytest.mark.parametrize("cls", [la.LayerSync, la.Random, la.Momentum, la.Fifo])
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
        ({"scheduler": "lifo", "group_size": 8}, "scheduler: expected one of"),
        ({"group_size": 8}, "scheduler: expected one of"),
        ({"scheduler": "random", "noise": 1.0}, "settings of random"),
        ({"scheduler": "mixture", "schedules": "fifo"}, "schedules: expected a list"),
        ({"scheduler": "mixture"}, "schedules: expected a list"),
        ({"scheduler": "mixture", "schedules": [{"scheduler": "mixture"}]}, "expected a list"),
    ],
)
def test_bad_description(description, text):
    with pytest.raises(ValidationError, match=text):
        schedules.from_dict(description)


def test_a_schedule_says_what_its_parts_are():
    with pytest.raises(TypeError, match="abstract"):
        la.Schedule()


@pytest.mark.parametrize(
    "schedule, layered, asynchronous",
    [
        (la.LayerSync(), True, False),
        (la.Momentum(), False, True),
        (la.Random(), False, True),
        (la.Fifo(), False, True),
        (Heaviest(), False, True),
        (la.Mixture([la.LayerSync(2), la.LayerSync(8)]), True, False),
        (la.Mixture([la.Fifo(), Heaviest()]), False, True),
        (la.Mixture([la.Momentum(), la.LayerSync()]), False, False),
        (la.Mixture([la.Momentum(), la.LayerSync()], weights=[1, 0]), False, False),
    ],
)
def test_a_schedule_is_layered_or_asynchronous_or_a_mixture_of_both(
    schedule, layered, asynchronous
):
    assert (schedule.layered, schedule.asynchronous) == (layered, asynchronous)
