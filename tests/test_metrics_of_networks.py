"""The measures of random networks, counted a second time, one spike at a time."""

import collections
import itertools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async import metrics
from random_networks import graphs, inputs, schedules

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@st.composite
def runs(draw):
    graph = draw(graphs(max_populations=3))
    x = draw(inputs(graph))
    schedule = draw(schedules())
    record = la.simulate(graph, x, schedule, backend="reference", trace=True)
    labels = draw(
        st.lists(
            st.integers(0, int(np.prod(graph.out_shape)) - 1), min_size=len(x), max_size=len(x)
        )
    )
    return graph, x, record, labels


def events(record):
    """(sample, time step, neuron) of every spike."""
    samples, neurons, steps = record.all_spikes.shape
    for b, t, n in itertools.product(range(samples), range(steps), range(neurons)):
        if record.all_spikes[b, n, t]:
            yield b, t, n


def synapses_by_source(graph):
    """How many synapses leave each neuron and each input, (population, index within it)."""
    found = collections.Counter()
    for connection in graph.connections:
        synapses = connection.synapses(graph.source_shape(connection))
        for source in synapses.source.tolist():
            found[connection.source, source] += 1
    return found


@SETTINGS
@given(runs())
def test_activity(run):
    graph, x, record, _ = run
    spikes = collections.Counter()
    population = np.repeat(
        range(len(graph.populations)), [p.size for p in graph.populations]
    ).tolist()
    synapses, synops = synapses_by_source(graph), collections.Counter()
    for b, _, n in events(record):
        spikes[b, population[n]] += 1
        synops[b] += synapses[population[n], n - int(graph.offsets[population[n]])]
    for b, frames in enumerate(x):
        for source, frame in enumerate(frames.reshape(-1, x.shape[-1])):
            synops[b] += synapses[la.INPUT, source] * int(frame.sum())
    samples, indices = range(len(x)), range(len(graph.populations))
    sums = [sum(spikes[b, p] for p in indices) for b in samples]
    assert metrics.spikes_per_population(graph, record).tolist() == [
        [spikes[b, p] for p in indices] for b in samples
    ]
    assert metrics.spikes_per_sample(record).tolist() == sums
    places = graph.num_neurons * x.shape[-1]
    assert metrics.spike_density(record).tolist() == [total / places for total in sums]
    assert metrics.synops_per_sample(record).tolist() == [synops[b] for b in samples]


@SETTINGS
@given(runs())
def test_decisions(run):
    """Latencies and confusion from the trace of all neurons, followed from step to step."""
    graph, _, record, labels = run
    output = graph.slice(graph.output)
    confusion = collections.Counter()
    decided = {"forward_steps": [], "time_steps": []}
    correct = {"forward_steps": [], "time_steps": []}
    for b, label in enumerate(labels):
        spikes = [
            (t, int(record.fired_at[b, n, t]), n - output.start)
            for _, t, n in (event for event in events(record) if event[0] == b)
            if output.start <= n < output.stop
        ]
        for unit in decided:
            counts, guess, since, first = collections.Counter(), None, -1, -1
            for step, together in itertools.groupby(
                sorted((step_of(record, b, t, k, unit), c) for t, k, c in spikes),
                key=lambda spike: spike[0],
            ):
                counts.update(c for _, c in together)
                lead = min(c for c, n in counts.items() if n == max(counts.values()))
                if lead != guess:
                    guess, since = lead, step
                if lead == label and first < 0:
                    first = step
            decided[unit].append(since)
            correct[unit].append(first)
        confusion[label, guess or 0] += 1
    classes = range(output.stop - output.start)
    for unit in ("forward_steps", "time_steps"):
        assert metrics.decision_latency(record, unit).tolist() == decided[unit]
        assert metrics.first_correct_latency(record, labels, unit).tolist() == correct[unit]
    assert metrics.confusion_matrix(record, labels).tolist() == [
        [confusion[true, guess] for guess in classes] for true in classes
    ]
    right = sum(confusion[c, c] for c in classes)
    assert metrics.accuracy(record, labels) == right / len(labels)


def step_of(record, sample, time_step, fired_at, unit):
    if unit == "time_steps":
        return time_step + 1
    return int(record.forward_steps[sample, :time_step].sum()) + fired_at


@SETTINGS
@given(st.data())
def test_worst_over_orders(data):
    """Each sample run alone under each order, the lowest accuracy found by looking at all."""
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph))
    classes = int(np.prod(graph.out_shape))
    labels = data.draw(
        st.lists(st.integers(0, classes - 1), min_size=len(x), max_size=len(x))
    )
    orders = data.draw(st.lists(schedules(), min_size=1, max_size=4))
    found = metrics.accuracy_by_schedule(graph, x, labels, orders, backend="reference")
    output = graph.slice(graph.output)
    right, spikes, decided = [], [], []
    for order in orders:
        alone = [
            la.simulate(graph, x[b], order, backend="reference", sample_ids=[b])
            for b in range(len(x))
        ]
        counts = [record.all_spikes[0, output].sum(axis=1).tolist() for record in alone]
        decided.append([count.index(max(count)) for count in counts])
        right.append(sum(a == b for a, b in zip(decided[-1], labels, strict=True)))
        spikes.append(sum(int(record.all_spikes.sum()) for record in alone))
    assert found.predictions.tolist() == decided
    assert found.accuracy.tolist() == [count / len(x) for count in right]
    assert found.spikes_per_sample.tolist() == [total / len(x) for total in spikes]
    worst = right.index(min(right))
    assert found.worst.schedule is orders[worst]
    assert found.worst.accuracy == right[worst] / len(x)
    for i, j in itertools.product(range(len(orders)), repeat=2):
        equal = sum(a == b for a, b in zip(decided[i], decided[j], strict=True))
        assert found.agreement[i, j] == equal / len(x)
