"""Compiled training against the definition: tapes number for number, gradients to rounding."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async._kernel import training
from lava_async._kernel.training import batch
from lava_async._semantics.decisive import RESETS
from lava_async._semantics.dropout import Dropout
from random_networks import Neighbours, async_schedules, graphs, inputs
from training_passes import (
    SURROGATES,
    assert_rounded,
    defined,
    derivative,
    explained,
    run,
    tape_of,
    with_magnitudes,
)

DROPOUTS = st.builds(
    Dropout,
    input=st.sampled_from([0, 0, 0.3]),
    spike=st.sampled_from([0, 0, 0.3, 0.8]),
    seed=st.integers(0, 2**64 - 1),
)


def compare(graph, x, schedule, rng, *, stop_after=None, dropout=None, kind=training.EXPONENTIAL,
            reset="through", dtype=np.uint8, density=1.0):
    """Run and go back both ways, and look at everything."""
    layered = isinstance(schedule, la.LayerSync)
    ids = rng.integers(0, 2**32, len(x))
    first, last = np.sort(rng.choice(graph.num_neurons + 1, 2, replace=False)).tolist()
    done = run(
        graph, x, schedule, stop_after=stop_after, ids=ids, dropout=dropout, dtype=dtype,
        neuron_range=(first, last),
    )  # fmt: skip
    record, tape, frames = defined(graph, x, schedule, stop_after, ids, dropout)
    assert done.bad is None
    np.testing.assert_array_equal(done.spikes, record.all_spikes[:, first:last])
    for got, want in zip(tape_of(done), explained(tape, layered), strict=True):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(done.fired, record.all_spikes.any((0, 2)))
    assert done.has_input == frames.any()

    loss = rng.normal(size=(len(x), last - first, x.shape[-1])).astype(np.float32)
    loss *= rng.random(loss.shape) < density
    whole = np.zeros(tape.voltage.shape)
    whole[:, :, first:last] = np.moveaxis(loss, 1, 2)
    if kind == training.GIVEN:
        given = rng.exponential(1 / 3000, tape.voltage.shape).astype(np.float32)
        by_voltage = given * (rng.random(given.shape) < 0.7)
        surrogate = training.Surrogate(kind, given=by_voltage)
    else:
        width, height = rng.uniform(100, 20000, len(graph.populations)), None
        height = rng.uniform(0.1, 2) / width
        surrogate = training.Surrogate(kind, width, height)
        by_voltage = derivative(graph, kind, width, height, tape.voltage)
    found = done.backward(loss, surrogate, reset=reset, by_frames=True)
    want, size = with_magnitudes(
        graph, layered, frames, tape, by_voltage.astype(np.float64), whole, reset
    )
    for got, expected, most in zip(found.weights, want.weights, size.weights, strict=True):
        assert_rounded(got, expected, most)
    assert_rounded(found.bias, want.bias, size.bias)
    assert_rounded(found.frames, want.frames, size.frames)
    return record, found


def draw_settings(data, schedule):
    asynchronous = not isinstance(schedule, la.LayerSync)
    return {
        "stop_after": data.draw(st.sampled_from([None, None, 0, 1, 1000]))
        if asynchronous else None,
        "dropout": data.draw(st.none() | DROPOUTS),
        "kind": data.draw(st.sampled_from([training.GIVEN, *SURROGATES])),
        "reset": data.draw(st.sampled_from(RESETS)),
        "dtype": data.draw(st.sampled_from([np.uint8, np.int32, np.float32])),
        "density": data.draw(st.sampled_from([1.0, 0.1])),
    }  # fmt: skip


@pytest.mark.parametrize("layered", [False, True])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_random_networks(data, layered):
    """Any kinds, circles and delays, any schedule, dropout and surrogate."""
    schedule = la.LayerSync() if layered else data.draw(async_schedules())
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph, max_steps=5))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    compare(graph, x, schedule, rng, **draw_settings(data, schedule))


def busy(rng, count=3, delays=False):
    """All-to-all everywhere, in circles and over skips: much happens at once."""
    shapes = [(40,), (33,), (5, 4, 2)][:count]
    sizes = [int(np.prod(shape)) for shape in shapes]

    def dense(source, target, delay=0):
        inputs = 37 if source == la.INPUT else sizes[source]
        weight = rng.normal(4, 30, (sizes[target], inputs)).round().clip(-256, 254)
        each = rng.integers(0, 3, inputs) if delays else 0
        return la.Dense(source, target, weight.astype(int), delay=each if delay is None else delay)

    return la.Graph(
        (37,),
        [
            la.Population(
                f"population {p}", shape, int(rng.integers(1000, 4097)),
                int(rng.integers(0, 2000)), 140, rng.integers(-2, 6, shape),
            )
            for p, shape in enumerate(shapes)
        ],
        [
            dense(la.INPUT, 0), dense(0, 1), dense(1, 2), dense(2, 0), dense(1, 1),
            dense(0, 2, None), dense(la.INPUT, 2, 1), dense(2, 1, 2),
        ],
        output_delay=1,
    )  # fmt: skip


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize(
    "schedule",
    [
        la.Momentum(1), la.Momentum(8), la.Momentum(8, 0.7, 5), la.Random(1, 6), la.Random(20, 7),
        la.Fifo(3), la.Fifo(10**6), la.LayerSync(),
    ],
    ids=repr,
)  # fmt: skip
def test_a_busy_network(schedule, reset):
    """Rows of more than a block of weights, long pools, circles within a time step."""
    rng = np.random.default_rng(1)
    graph = busy(rng, delays=True)
    x = (rng.random((2, 37, 4)) < 0.4) * rng.integers(1, 4, (2, 37, 4))
    for dropout in (None, Dropout(input=0.2, spike=0.2, seed=4)):
        record, found = compare(graph, x, schedule, rng, dropout=dropout, reset=reset)
        share = record.all_spikes.mean((0, 2))
        assert all(0.1 < share[graph.slice(p)].mean() < 0.95 for p in range(3))
        assert all(np.abs(by_weight).max() > 0 for by_weight in found.weights)


def busy_images(rng, delays):
    """Convolutions of every make, more channels than a row has, skips and circles."""
    inputs, shapes = (4, 9, 8), [(12, 5, 4), (18, 5, 4), (9, 5, 4)]

    def conv(source, target, kernel, *options, groups=1, delay=0):
        source_shape = inputs if source == la.INPUT else shapes[source]
        shape = (shapes[target][0], source_shape[0] // groups, *kernel)
        weight = rng.normal(1, 15, shape).round().astype(int)
        each = rng.integers(0, 3, int(np.prod(source_shape))) if delays else 0
        return la.Conv(
            source, target, weight, *options, groups=groups,
            delay=each if delay is None else delay,
        )  # fmt: skip

    return la.Graph(
        inputs,
        [
            la.Population(
                f"population {p}", shape, int(rng.integers(1000, 4097)),
                int(rng.integers(0, 2000)), 60, rng.integers(-2, 6, shape),
            )
            for p, shape in enumerate(shapes)
        ],
        [
            conv(la.INPUT, 0, (3, 3), 2, 1, groups=2), conv(0, 1, (3, 3), 1, 2, 2, groups=3),
            conv(1, 2, (3, 1), 1, (1, 0)), conv(2, 0, (1, 1)), conv(1, 1, (3, 3), 1, 1, groups=2),
            conv(0, 2, (3, 3), 1, 1, groups=3, delay=None), conv(la.INPUT, 2, (3, 4), 2, 1),
            conv(2, 1, (1, 3), 1, (0, 1), delay=2), conv(la.INPUT, 1, (3, 4), 2, 1, delay=None),
        ],
        output_delay=1,
    )  # fmt: skip


@pytest.mark.parametrize("rate", [0.05, 0.4])
@pytest.mark.parametrize(
    "schedule", [la.Momentum(1), la.Momentum(8), la.Random(20, 7), la.Fifo(3), la.LayerSync()],
    ids=repr,
)  # fmt: skip
def test_busy_images(schedule, rate):
    """Few spikes a time step, and many; the delays of single sources, and none."""
    rng = np.random.default_rng(3)
    x = (rng.random((3, 4, 9, 8, 4)) < rate) * rng.integers(1, 4, (3, 4, 9, 8, 4))
    for delays, reset in zip((False, True, True), RESETS, strict=True):
        graph = busy_images(rng, delays)
        dropout = Dropout(input=0.2, spike=0.2, seed=4) if reset == "detached" else None
        record, found = compare(graph, x, schedule, rng, dropout=dropout, reset=reset)
        share = record.all_spikes.mean((0, 2))
        assert all(0.05 < share[graph.slice(p)].mean() < 0.95 for p in range(3))
        assert all(np.abs(by_weight).max() > 0 for by_weight in found.weights)


@pytest.mark.parametrize("stop_after", [0, 1, 3, 10**6, 2**40])
def test_early_decision_in_a_busy_network(stop_after):
    rng = np.random.default_rng(2)
    graph = busy(rng)
    x = (rng.random((2, 37, 4)) < 0.4).astype(int)
    compare(graph, x, la.Momentum(2), rng, stop_after=stop_after)
    compare(graph, x, la.Fifo(2), rng, stop_after=stop_after, dropout=Dropout(spike=0.3))


def bits(found):
    return [part.tobytes() for part in (*found.weights, found.bias, found.frames)]


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_threads_and_batches_do_not_matter(data):
    """The same bits for any number of threads; each sample is its own, however it is batched."""
    schedule = data.draw(async_schedules() | st.just(la.LayerSync()))
    graph = data.draw(graphs(max_populations=3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = (rng.random((41, *graph.input_shape, 4)) < 0.3) * rng.integers(1, 3)
    ids = rng.permutation(41)
    options = {"dropout": data.draw(st.none() | DROPOUTS)}
    if not isinstance(schedule, la.LayerSync):
        options["stop_after"] = data.draw(st.sampled_from([None, 1]))
    surrogate = training.Surrogate(training.EXPONENTIAL, 3000.0, 1 / 3000)
    loss = rng.normal(size=(41, graph.num_neurons, 4)).astype(np.float32)
    runs = [run(graph, x, schedule, ids=ids, threads=n, **options) for n in (1, 2, 3, 7)]
    found = [done.backward(loss, surrogate, by_frames=True) for done in runs]
    for done, gradients in zip(runs[1:], found[1:], strict=True):
        np.testing.assert_array_equal(done.spikes, runs[0].spikes)
        assert bits(gradients) == bits(found[0])
    # Once more, of the same pass.
    assert bits(runs[3].backward(loss, surrogate, by_frames=True)) == bits(found[0])
    untaped = run(graph, x, schedule, ids=ids, threads=2, taped=False, **options)
    np.testing.assert_array_equal(untaped.spikes, runs[0].spikes)

    cuts = sorted(data.draw(st.sets(st.integers(1, 40), min_size=1, max_size=5)))
    for here in np.split(rng.permutation(41), cuts):
        part = run(graph, x[here], schedule, ids=ids[here], threads=2, **options)
        np.testing.assert_array_equal(part.spikes, runs[0].spikes[here])
        for got, want in zip(tape_of(part), tape_of(runs[0]), strict=True):
            np.testing.assert_array_equal(got, want[here])
        by_frames = part.backward(loss[here], surrogate, by_frames=True).frames
        assert by_frames.tobytes() == found[0].frames[here].tobytes()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_batch_has_the_sum_of_its_samples_gradients(data):
    schedule = data.draw(async_schedules() | st.just(la.LayerSync()))
    layered = isinstance(schedule, la.LayerSync)
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph, max_batch=5, max_steps=4))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    loss = rng.normal(size=(len(x), graph.num_neurons, x.shape[-1])).astype(np.float32)
    width = np.full(len(graph.populations), 3000.0)
    surrogate = training.Surrogate(training.ARCTAN, width, 1 / width)
    whole = run(graph, x, schedule).backward(loss, surrogate)
    single = [
        run(graph, x[b : b + 1], schedule, ids=[b]).backward(loss[b : b + 1], surrogate)
        for b in range(len(x))
    ]
    _, tape, frames = defined(graph, x, schedule)
    by_voltage = derivative(graph, training.ARCTAN, width, 1 / width, tape.voltage)
    _, size = with_magnitudes(
        graph, layered, frames, tape, by_voltage, np.moveaxis(loss, 1, 2).astype(float), "through"
    )
    for k, most in enumerate(size.weights):
        assert_rounded(whole.weights[k], sum(part.weights[k].astype(float) for part in single),
                       most)
    assert_rounded(whole.bias, sum(part.bias.astype(float) for part in single), size.bias)


@pytest.mark.parametrize("threads", [1, 2, 7])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_only_what_is_wanted(data, threads):
    """Any choice of connections gives the same bits, with the input's or without, or nothing."""
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph))
    loss = np.ones((len(x), graph.num_neurons, x.shape[-1]), np.float32)
    surrogate = training.Surrogate(training.EXPONENTIAL, 3000.0, 1 / 3000)
    done = run(graph, x, la.Momentum(2), threads=threads)
    whole = done.backward(loss, surrogate, by_frames=True)
    count = len(graph.connections)
    wanted = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    for choice in (wanted, [False] * count):
        for by_frames in (False, True):
            found = done.backward(loss, surrogate, wanted=choice, by_frames=by_frames)
            for by_weight, every, is_wanted in zip(
                found.weights, whole.weights, choice, strict=True
            ):
                assert (by_weight is not None) == is_wanted
                if is_wanted:
                    assert by_weight.tobytes() == every.tobytes()
            assert found.bias.tobytes() == whole.bias.tobytes()
            assert (found.frames is not None) == by_frames
            if by_frames:
                assert found.frames.tobytes() == whole.frames.tobytes()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_trainer_runs_with_other_numbers_each_time(data):
    """As one that is made anew: nothing of the graph that made it is left."""
    graph = data.draw(graphs(max_populations=3))
    layered = data.draw(st.booleans())
    x = data.draw(inputs(graph))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    assume(not any(isinstance(c, Neighbours) for c in graph.connections))
    blank = graph.replace(
        populations=tuple(la.Population(p.name, p.shape, 0, 0, 0) for p in graph.populations),
        connections=tuple(_blank(c) for c in graph.connections),
    )
    schedule = la.LayerSync() if layered else la.Momentum(3, 0.5, 1)
    trainer = training.Trainer(blank, layered)
    run(blank, x, schedule, trainer=trainer)  # leaves nothing behind either
    surrogate = training.Surrogate(training.EXPONENTIAL, 3000.0, 1 / 3000)
    loss = rng.normal(size=(len(x), graph.num_neurons, x.shape[-1])).astype(np.float32)
    shared, own = (run(graph, x, schedule, trainer=t) for t in (trainer, None))
    np.testing.assert_array_equal(shared.spikes, own.spikes)
    found = [done.backward(loss, surrogate, by_frames=True) for done in (shared, own)]
    assert bits(found[0]) == bits(found[1])


def _blank(connection):
    if isinstance(connection, la.Sparse):
        synapses = connection.weight
        weight = dataclasses.replace(synapses, weight=np.zeros_like(synapses.weight))
    else:
        weight = np.zeros_like(connection.weight)
        weight = int(weight) if isinstance(connection, la.OneToOne) else weight
    return dataclasses.replace(connection, weight=weight)


@pytest.mark.parametrize("value", [-1, 0.5, 1 << 24, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0), (3, 1, 2), (8, 2, 4)])
def test_an_input_that_is_no_count_is_found(value, place):
    graph = la.Graph((3,), [la.Population("p", (2,), 0, 0, 1)],
                     [la.Dense(la.INPUT, 0, np.full((2, 3), 9))])
    x = np.ones((9, 3, 5), np.float32)
    x[place] = value
    for threads in (1, 3):
        assert run(graph, x, la.Momentum(), dtype=np.float32, threads=threads).bad == place[0]
    x[place] = (1 << 24) - 1
    assert run(graph, x, la.Momentum(), dtype=np.float32).bad is None


def chain(rng, sizes):
    """All-to-all from one to the next, nothing recurs: all time steps go back at once."""
    return la.Graph(
        (sizes[0],),
        [la.Population(f"population {p}", (n,), 4096, 2000, 50) for p, n in enumerate(sizes[1:])],
        [
            la.Dense(p - 1, p, rng.normal(4, 30, (o, i)).round().clip(-256, 254).astype(int))
            for p, (i, o) in enumerate(itertools.pairwise(sizes))
        ],
    )


@pytest.mark.parametrize("num_steps", [1, 3, 4, 5, 8, 10])
@pytest.mark.parametrize("sizes", [(15, 16, 17, 4), (33, 31, 32, 3), (70, 48, 49, 10)], ids=repr)
def test_blocks_of_sources_and_time_steps(sizes, num_steps):
    """Whole ones and what is left over of either, or of both."""
    rng = np.random.default_rng(7)
    graph = chain(rng, sizes)
    x = (rng.random((2, sizes[0], num_steps)) < 0.4).astype(int)
    for schedule in (la.Momentum(3), la.LayerSync()):
        for density in (1.0, 0.1):
            record, found = compare(graph, x, schedule, rng, density=density)
            assert record.all_spikes[:, graph.slice(1)].any()
            assert density < 1 or found.weights[0].any()


@pytest.mark.parametrize("sizes", [(15, 16, 17, 4), (70, 48, 49, 10)], ids=repr)
def test_many_weights_are_in_order(sizes, monkeypatch):
    """Summed by source in any number of ranges, and turned round in squares."""
    rng = np.random.default_rng(8)
    graph = chain(rng, sizes)
    x = (rng.random((9, sizes[0], 5)) < 0.4).astype(int)
    compare(graph, x, la.Momentum(3), rng)
    loss = rng.normal(size=(9, graph.num_neurons, 5)).astype(np.float32)
    surrogate = training.Surrogate(training.EXPONENTIAL, 3000.0, 1 / 3000)
    few = run(graph, x, la.Momentum(3)).backward(loss, surrogate)
    monkeypatch.setattr(batch, "MANY", 1)
    compare(graph, x, la.Momentum(3), rng)
    many = [
        run(graph, x, la.Momentum(3), threads=n).backward(loss, surrogate) for n in (1, 2, 5, 40)
    ]
    for found in many:
        for got, want, first in zip(found.weights, few.weights, many[0].weights, strict=True):
            assert got.flags.c_contiguous and got.tobytes() == first.tobytes()
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_many_weights_of_random_networks(data):
    """Of connections of any kind, as far as they are not shared."""
    schedule = data.draw(async_schedules() | st.just(la.LayerSync()))
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph, max_steps=5))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "MANY", 1)
        compare(graph, x, schedule, rng, **draw_settings(data, schedule))


def test_what_stays_from_pass_to_pass_is_not_taken_for_another():
    """Other neurons, schedules, surrogates and choices of weights, in turns, by one trainer."""
    rng = np.random.default_rng(9)
    first = chain(rng, (15, 16, 17, 4))
    x = (rng.random((3, 15, 5)) < 0.4).astype(int)
    loss = rng.normal(size=(3, first.num_neurons, 5)).astype(np.float32)
    others = [
        first,
        changed(first, threshold=90), changed(first, i_decay=1000), changed(first, v_decay=4096),
        changed(first, bias=np.full(16, 3)), changed(first, bias=np.full(16, 5)),
    ]  # fmt: skip
    ways = [
        (la.Momentum(3), None, None), (la.Momentum(2), None, None), (la.Momentum(3), 1, None),
        (la.Momentum(3, 0.5, 7), None, None), (la.Momentum(3, 0.5, 8), None, None),
        (la.Momentum(3), None, Dropout(spike=0.5, seed=1)),
        (la.Momentum(3), None, Dropout(spike=0.5, seed=2)),
    ]  # fmt: skip
    surrogates = [
        training.Surrogate(training.EXPONENTIAL, 3000.0, 1 / 3000),
        training.Surrogate(training.ARCTAN, 3000.0, 1 / 3000),
        training.Surrogate(training.ARCTAN, [3000.0, 2000.0, 1000.0], 1 / 3000),
        training.Surrogate(training.ARCTAN, [3000.0, 2000.0, 1000.0], [1.0, 2.0, 3.0]),
    ]
    choices = None, [True, False, True]
    cases = list(itertools.product(others, ways, surrogates, ("through", "full"), choices))
    kept = training.Trainer(first, layered=False)
    for i in rng.permutation(len(cases))[:60]:
        graph, (schedule, stop_after, dropout), surrogate, reset, wanted = cases[i]
        found = [
            run(graph, x, schedule, stop_after=stop_after, dropout=dropout, trainer=trainer)
            .backward(loss, surrogate, reset=reset, wanted=wanted)
            for trainer in (kept, None)
        ]
        assert [None if g is None else g.tobytes() for g in (*found[0].weights, found[0].bias)] == [
            None if g is None else g.tobytes() for g in (*found[1].weights, found[1].bias)
        ]


def changed(graph, **fields):
    """The graph with another first population."""
    population = dataclasses.replace(graph.populations[0], **fields)
    return graph.replace(populations=(population, *graph.populations[1:]))
