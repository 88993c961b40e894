"""Cost follows events in the kernel: what is left out must change nothing.

Populations of more neurons than are looked at together, few of which get anything, or more than
are brought together at once, among small ones; with memory and without, the same for all neurons or
not, biases of a few neurons or of all, delays, early decision, and samples that follow each other
in the same state. Populations are packed from any size on.
"""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async._kernel import Stepper
from lava_async._kernel._entry import clear_state, run_step
from lava_async._kernel._layout import FIRED, OVERFLOWS, SYNOPS, new_state
from lava_async._kernel._lowering import compile_graph, compile_schedule, worth_packing
from random_networks import DECAYS, drawn_packing, schedules
from records import assert_equal_records

SIZES = st.one_of(st.integers(1, 140), st.sampled_from([63, 64, 65, 1000, 4097, 5000]))


@st.composite
def _large_population(draw, name, size, rng):
    bias = draw(st.sampled_from([None, "few", "all"]))
    if bias == "few":
        bias = np.where(rng.random(size) < 3 / size, rng.integers(-20, 40, size), 0)
    elif bias == "all":
        bias = np.full(size, 3)
    decays = [
        draw(DECAYS) if draw(st.booleans()) else rng.choice([0, 128, 2048, 4095, 4096], size)
        for _ in range(2)
    ]
    return la.Population(name, (size,), *decays, draw(st.integers(15, 90)), bias)


def _few_synapses(rng, target, source, per_source, delay=0):
    """From each source neuron to few targets, neighbours or scattered ones."""
    sources = np.repeat(np.arange(source[1]), per_source)
    if rng.random() < 0.5:
        targets = rng.integers(0, target[1], len(sources))
    else:
        start = rng.integers(0, target[1], source[1])
        targets = (np.repeat(start, per_source) + np.tile(np.arange(per_source), source[1]))
        targets %= target[1]
    weight = rng.integers(-60, 110, len(sources))
    matrix = scipy.sparse.csc_matrix((weight, (targets, sources)), (target[1], source[1]))
    matrix.data = matrix.data.clip(-256, 254)  # of those that were drawn twice
    return la.Sparse(source[0], target[0], matrix, delay=delay)


@st.composite
def _large_graphs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = [draw(st.integers(1, 40)), *draw(st.lists(SIZES, min_size=1, max_size=3))]
    populations = [
        draw(_large_population(f"p{i}", size, rng)) for i, size in enumerate(sizes[1:])
    ]
    ends = [(i - 1, size) for i, size in enumerate(sizes)]
    pairs = [(i, i + 1) for i in range(len(populations))]
    for _ in range(draw(st.integers(0, 2))):  # skips and recurrence
        pair = draw(st.tuples(st.integers(0, len(sizes) - 1), st.integers(1, len(sizes) - 1)))
        pairs.append(pair)
    connections = []
    for source, target in pairs:
        delay = draw(st.sampled_from([0, 0, 1, 3]))
        if draw(st.booleans()) and ends[source][1] > 1:
            delay = rng.integers(0, 4, ends[source][1])
        per_source = draw(st.sampled_from([1, 3, 100] if ends[source][1] < 100 else [1, 2]))
        connections.append(
            _few_synapses(rng, ends[target], ends[source], per_source, delay)
        )
    return la.Graph((sizes[0],), tuple(populations), tuple(connections))


@st.composite
def _few_events(draw, graph):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (2, *graph.input_shape, 5)
    return (rng.random(shape) < draw(st.sampled_from([0.02, 0.2]))).astype(np.int64)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_kernel_equals_the_definition_where_few_neurons_live(data):
    graph = data.draw(_large_graphs())
    x = data.draw(_few_events(graph))
    schedule = data.draw(schedules())
    stop_after = None
    if isinstance(schedule, la.AsyncSchedule):
        stop_after = data.draw(st.sampled_from([None, 0, 2]))
    options = {"stop_after": stop_after, "trace": True, "num_threads": 1}
    want = la.simulate(graph, x, schedule, backend="reference", **options)
    with drawn_packing(data):
        got = la.simulate(graph, x, schedule, **options)
        sparse = la.simulate(graph, x, schedule, record="sparse", **options)
    assert_equal_records(got, want)
    assert_equal_records(sparse, want)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_stepper_equals_batch_where_few_neurons_live(data):
    """Samples of a mixture follow each other in one state, in either kind of network."""
    graph = data.draw(_large_graphs())
    x = data.draw(_few_events(graph))
    schedule = la.Mixture([la.LayerSync(4), la.Momentum(3), la.Random(2, 5)], seed=1)
    want = la.simulate(graph, x, schedule, sample_ids=np.arange(2) + 3, trace=True)
    stepper = Stepper(graph, schedule)
    for b in range(2):
        stepper.reset(b + 3)
        assert not stepper.voltage.any() and not stepper.current.any()
        for t in range(x.shape[-1]):
            step = stepper.step(x[b, :, t])
            np.testing.assert_array_equal(step.fired_at, want.fired_at[b, :, t])
            assert step.synops == want.synops[b, t]
            assert step.overflows == want.overflows[b, t]


@pytest.mark.parametrize("schedule", [la.Momentum(8), la.LayerSync()])
def test_a_state_that_was_written_lives(schedule):
    """Whatever lived before: a neuron without input fires on the voltage that it was given."""
    size = 5000
    graph = la.Graph(
        (1,), (la.Population("p", (size,), 0, 0, 10),),
        (la.Sparse(la.INPUT, 0, scipy.sparse.csc_matrix(([100], ([7], [0])), (size, 1))),),
    )  # fmt: skip
    stepper = Stepper(graph, schedule)
    stepper.step(np.zeros(1, int))
    stepper.current[[3, 4200]] = 4 << 6
    stepper.wake()
    spikes = [np.flatnonzero(stepper.step(np.zeros(1, int)).spikes).tolist() for _ in range(4)]
    assert spikes == [[], [], [3, 4200], []]


@pytest.mark.parametrize("schedule", [la.Momentum(3), la.Random(5), la.LayerSync()], ids=str)
@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_a_population_that_fills_up_is_packed_no_longer(schedule, memory, together):
    """From the time step on in which many have a place, with currents under way, and for good."""
    rng, size, num_steps = np.random.default_rng(2), 130, 14
    delay = np.full(size, 2) if together else rng.integers(0, 4, size)  # swept, or listed, later
    own = scipy.sparse.random(
        size, size, 0.12 if together else 0.02, random_state=rng, format="csc"
    )
    own.data[:] = rng.integers(-30, 60, len(own.data))
    decays = (1000, 200) if memory else (4096, 4096)
    graph = la.Graph(
        (size,), (la.Population("p", (size,), *decays, 50),),
        (la.OneToOne(la.INPUT, 0, 60, delay=delay), la.Sparse(0, 0, own, delay=delay)),
    )  # fmt: skip
    wave = np.arange(size) // 12 == np.arange(num_steps)[:, None]
    x = np.stack([wave.T, wave[:, ::-1].T]).astype(np.int64)
    want = la.simulate(graph, x, schedule, backend="reference", trace=True)
    net = compile_graph(graph, schedule)
    plan, s = compile_schedule(net, schedule, None), new_state(graph, packed=np.array([True]))
    packed, under_way = [], []
    for b in range(len(x)):
        clear_state(net, s)
        assert not s.u.any() and not s.v.any() and not s.current.any() and not s.hit.any()
        for t in range(num_steps):
            index = np.flatnonzero(x[b, :, t]).astype(np.uint32)
            under_way.append((s.swept[1:].any(), s.num_hits[1:].any()))
            run_step(net, plan, s, index, np.ones(len(index), np.int32), b, t)
            fired = np.sort(s.fired[: s.count[FIRED]])
            np.testing.assert_array_equal(fired, np.flatnonzero(want.spikes[b, :, t]))
            assert s.number[SYNOPS] == want.synops[b, t]
            assert s.number[OVERFLOWS] == want.overflows[b, t]
            packed.append(bool(s.packed[0]))
    assert packed[0] and not packed[num_steps - 1]
    assert packed == sorted(packed, reverse=True)
    assert under_way[packed.index(False)][0 if together else 1]
    np.testing.assert_array_equal(s.place, np.arange(size))
    np.testing.assert_array_equal(s.owner, np.arange(size))


def test_places_end_with_their_sample():
    """Others come first in the next one, on other places; who has none has no voltage."""
    size = 5000
    readout = la.Population("readout", (size,), 0, 0, 1 << 17)
    graph = la.Graph((size,), (readout,), (la.OneToOne(la.INPUT, 0, 60),))
    assert worth_packing(compile_graph(graph, la.Momentum())).all()
    x = np.zeros((3, size, 2), np.int64)
    x[0, [4000, 7], 0] = x[1, 9, 1] = x[2, [9, 7, 4999], [0, 1, 1]] = 1
    got, want = (la.simulate(graph, x, backend=b, num_threads=1) for b in ("kernel", "reference"))
    assert_equal_records(got, want)
    assert np.count_nonzero(got.readout[..., 1]) == 6


@pytest.mark.parametrize("num_steps", [1, 2])
def test_a_population_that_fills_up_last_is_not_packed_in_the_next_sample(num_steps):
    size = 100
    graph = la.Graph(
        (size,), (la.Population("p", (size,), 0, 0, 10),), (la.OneToOne(la.INPUT, 0, 60),)
    )
    net, s = compile_graph(graph, la.Momentum()), new_state(graph, packed=np.array([True]))
    plan, everyone = compile_schedule(net, la.Momentum(), None), np.arange(size, dtype=np.uint32)
    clear_state(net, s)
    for t in range(num_steps):
        active = everyone if t == num_steps - 1 else everyone[:5]
        run_step(net, plan, s, active, np.ones(len(active), np.int32), 0, t)
        assert s.packed[0]
    clear_state(net, s)
    assert not s.packed[0] and s.num_packed[0] == 0 and s.used[0] == size
    assert not s.u.any() and not s.v.any()
