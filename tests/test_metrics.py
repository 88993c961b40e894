import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

import lava_async as la
from lava_async import _parts, metrics
from lava_async._semantics.connections import Dense
from lava_async._semantics.graph import Graph, Population
from lava_async.errors import ValidationError
from lava_async.metrics import _decisions
from lava_async.study.data import fit_to
from records import CLASSES, HIDDEN, make_record, part, with_fields


@pytest.fixture
def graph():
    return Graph(
        (4,),
        (Population("hidden", (HIDDEN,), 0, 0, 1), Population("output", (CLASSES,), 0, 0, 1)),
        (Dense(-1, 0, np.ones((HIDDEN, 4))), Dense(0, 1, np.ones((CLASSES, HIDDEN)))),
    )


@pytest.fixture
def record():
    """Three samples of two time steps.

    Sample 0 (4 + 3 steps): class 2 after step 3, class 1 after 4 + 0 (tie, 1 wins) and, in
    the same time step, class 2 again after 4 + 2. Predictions: none, 2 at 3, 1 at 4, 2 at 6.
    Sample 1 (2 + 2 steps): no output spike. Sample 2 (1 + 1 steps): class 0 after 1 + 1.
    """
    return make_record(
        [
            [[-1, -1], [-1, 0], [3, 2]],
            [[-1, -1], [-1, -1], [-1, -1]],
            [[-1, 1], [-1, -1], [-1, -1]],
        ],
        [[4, 3], [2, 2], [1, 1]],
        hidden=[[[1, 1], [0, 1]], [[1, 0], [0, 0]], [[0, 0], [0, 0]]],
        synops=[[10, 5], [3, 0], [0, 0]],
        overflows=[[0, 1], [0, 0], [2, 0]],
    )


class TestByHand:
    def test_predict(self, record):
        assert metrics.predict(record).tolist() == [2, 0, 0]

    def test_predict_takes_the_lowest_class_on_a_tie(self):
        record = make_record([[[-1, -1], [1, -1], [0, -1]]], [[2, 2]])
        assert metrics.predict(record).tolist() == [1]

    def test_accuracy(self, record):
        assert metrics.accuracy(record, [2, 0, 1]) == 2 / 3

    def test_spikes(self, graph, record):
        assert metrics.spikes_per_sample(record).tolist() == [6, 1, 1]
        assert metrics.spikes_per_population(graph, record).tolist() == [[3, 3], [1, 0], [0, 1]]
        assert metrics.spike_density(record).tolist() == [6 / 10, 1 / 10, 1 / 10]

    def test_decision_latency(self, record):
        assert metrics.decision_latency(record).tolist() == [6, -1, 2]

    def test_unchanged_prediction_is_decided_at_its_first_spike(self):
        record = make_record([[[1, 0], [-1, -1], [-1, -1]]], [[3, 3]])
        assert metrics.decision_latency(record).tolist() == [1]

    def test_decision_latency_in_time_steps(self, record):
        # Sample 0: class 2 after the first time step; 1 and 2 after the second: 2 has 2 spikes.
        assert metrics.decision_latency(record, "time_steps").tolist() == [1, -1, 2]
        assert metrics.first_correct_latency(record, [2, 0, 0], "time_steps").tolist() == [1, -1, 2]
        # What class 1 leads by within the second time step is nothing that a whole one shows.
        assert metrics.first_correct_latency(record, [1, 1, 1], "time_steps").tolist() == [-1] * 3
        steps, accuracy = metrics.accuracy_curve(record, [2, 0, 0], "time_steps")
        assert steps.tolist() == [0, 1, 2] and (accuracy * 3).tolist() == [0, 1, 2]

    def test_time_steps_without_forward_steps_are_told_apart(self):
        # As after an early decision at once: every spike falls on forward step 0.
        record = make_record([[[0, -1, -1], [-1, 0, 0], [-1, -1, -1]]], [[0, 0, 0]])
        assert metrics.decision_latency(record).tolist() == [0]
        assert metrics.decision_latency(record, "time_steps").tolist() == [3]

    def test_synops(self, record):
        assert metrics.synops_per_sample(record).tolist() == [15, 3, 0]

    def test_confusion_matrix(self, record):
        matrix = metrics.confusion_matrix(record, [1, 0, 2])
        assert matrix.tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]

    @pytest.mark.parametrize(
        ("labels", "latency"),
        [([2, 0, 0], [3, -1, 2]), ([1, 1, 1], [4, -1, -1]), ([0, 2, 2], [-1, -1, -1])],
    )
    def test_first_correct_latency(self, record, labels, latency):
        assert metrics.first_correct_latency(record, labels).tolist() == latency

    def test_accuracy_curve(self, record):
        steps, accuracy = metrics.accuracy_curve(record, [2, 0, 0])
        assert steps.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
        assert (accuracy * 3).tolist() == [0, 0, 1, 2, 1, 1, 2, 2]

    def test_spikes_of_one_forward_step_count_together(self):
        # Class 2 and class 0 after the same step: a tie, never a prediction of class 2.
        record = make_record([[[1], [-1], [1]]], [[2]])
        assert metrics.first_correct_latency(record, [2]).tolist() == [-1]
        assert metrics.first_correct_latency(record, [0]).tolist() == [1]

    def test_output_of_more_dimensions_is_read_flat(self):
        steps = np.full((1, 3, 2, 2, 1), -1)
        steps[0, 2, 0, 1, 0] = 5
        record = make_record(steps, [[6]])
        assert metrics.predict(record).tolist() == [9]
        assert metrics.first_correct_latency(record, [9]).tolist() == [5]

    def test_no_forward_steps_at_all(self):
        record = make_record([[[-1], [-1], [-1]]], [[0]])
        steps, accuracy = metrics.accuracy_curve(record, [1])
        assert (steps.tolist(), accuracy.tolist()) == ([0], [0.0])

    def test_evaluate(self, graph, record):
        evaluation = metrics.evaluate(graph, record, [2, 0, 0])
        assert evaluation == metrics.Evaluation(
            samples=3,
            accuracy=1.0,
            spikes_per_sample=8 / 3,
            spike_density=8 / 30,
            forward_steps_per_sample=13 / 3,
            decision_latency=4.0,
            decision_time_steps=1.5,
            first_correct_latency=2.5,
            synops_per_sample=6.0,
            overflows=3,
        )
        assert evaluation.accuracy_interval == metrics.wilson_interval(3, 3)
        json.dumps(dataclasses.asdict(evaluation), allow_nan=False)

    def test_evaluate_without_any_decision(self, graph):
        record = make_record(np.full((2, CLASSES, 1), -1), [[1], [2]])
        evaluation = metrics.evaluate(graph, record, [1, 1])
        assert evaluation.decision_latency is None and evaluation.decision_time_steps is None
        assert evaluation.first_correct_latency is None
        assert evaluation.accuracy == 0.0


UNITS = ("forward_steps", "time_steps")


class TestValidation:
    @pytest.mark.parametrize("unit", ["forward_step", None, 3, "seconds"])
    def test_unit(self, record, unit):
        for function in (
            lambda: metrics.decision_latency(record, unit),
            lambda: metrics.first_correct_latency(record, [0, 0, 0], unit),
            lambda: metrics.accuracy_curve(record, [0, 0, 0], unit),
        ):
            with pytest.raises(ValidationError, match=r"unit: expected one of .*time_steps"):
                function()

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda r: None, r"type: expected a Record \(got NoneType\)"),
            (lambda r: r.all_spikes, "type: expected a Record"),
            (lambda r: part(r, slice(0)), r"all_spikes shape: expected .* at least one sample"),
            (lambda r: part(r, ..., slice(0)), r"all_spikes shape: expected .* time step"),
            (lambda r: with_fields(r, all_spikes=r.all_spikes[0]), "all_spikes shape"),
            (lambda r: with_fields(r, spikes=r.spikes[:2]), r"spikes shape: expected \(3, 3, 2\)"),
            (lambda r: with_fields(r, output_steps=r.output_steps[:, :1]), "output_steps"),
            (lambda r: with_fields(r, forward_steps=r.forward_steps[:, :1]), "forward_steps"),
            (lambda r: with_fields(r, synops=r.synops.T), r"synops shape: expected \(3, 2\)"),
            (lambda r: with_fields(r, overflows=r.overflows[0]), "overflows"),
        ],
    )
    def test_records_that_are_none(self, graph, record, change, text):
        bad = change(record)
        for function in (
            lambda: metrics.predict(bad),
            lambda: metrics.accuracy(bad, [0, 0, 0]),
            lambda: metrics.confusion_matrix(bad, [0, 0, 0]),
            lambda: metrics.decision_latency(bad),
            lambda: metrics.first_correct_latency(bad, [0, 0, 0]),
            lambda: metrics.accuracy_curve(bad, [0, 0, 0]),
            lambda: metrics.spikes_per_sample(bad),
            lambda: metrics.spikes_per_population(graph, bad),
            lambda: metrics.spike_density(bad),
            lambda: metrics.synops_per_sample(bad),
            lambda: metrics.evaluate(graph, bad, [0, 0, 0]),
            lambda: metrics.agreement(bad, record),
            lambda: metrics.agreement(record, bad),
            lambda: metrics.first_difference(record, bad),
            lambda: metrics.first_difference(bad, record),
            lambda: metrics.van_rossum_distance(record, bad, 1.0),
            lambda: metrics.van_rossum_distance(bad, record, 1.0),
        ):
            with pytest.raises(ValidationError, match=text):
                function()

    def test_what_is_no_graph(self, record):
        with pytest.raises(ValidationError, match=r"graph: type: expected a Graph \(got str\)"):
            metrics.spikes_per_population("network.net", record)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([0, 1], r"labels: shape: expected \(3,\) \(got \(2,\)\)"),
            ([[0, 1, 2]], r"labels: shape: expected \(3,\)"),
            ([0.0, 1.0, 2.0], "labels: dtype: expected integers"),
            ([0, 3, 0], r"labels: value at \[1\]: expected 0 <= label < 3 \(got 3\)"),
            ([0, 0, -1], r"labels: value at \[2\]: expected 0 <= label < 3 \(got -1\)"),
        ],
    )
    def test_labels(self, graph, record, labels, message):
        functions = (
            lambda: metrics.accuracy(record, labels),
            lambda: metrics.first_correct_latency(record, labels),
            lambda: metrics.accuracy_curve(record, labels),
            lambda: metrics.confusion_matrix(record, labels),
            lambda: metrics.evaluate(graph, record, labels),
        )
        for function in functions:
            with pytest.raises(ValidationError, match=message):
                function()

    def test_graph(self, graph, record):
        other = Graph((4,), graph.populations[:1], graph.connections[:1])
        for function in (
            lambda: metrics.spikes_per_population(other, record),
            lambda: metrics.evaluate(other, record, [0, 0, 0]),
        ):
            with pytest.raises(ValidationError, match="neurons: expected 2, as in the graph"):
                function()


@st.composite
def records(draw):
    samples, steps = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    total = draw(
        st.lists(st.integers(0, 5), min_size=samples * steps, max_size=samples * steps)
    )
    forward_steps = np.reshape(total, (samples, steps))
    output_steps = np.empty((samples, CLASSES, steps), int)
    for place in np.ndindex(output_steps.shape):
        output_steps[place] = draw(st.integers(-1, forward_steps[place[0], place[2]]))
    labels = draw(st.lists(st.integers(0, CLASSES - 1), min_size=samples, max_size=samples))
    return make_record(output_steps, forward_steps), labels


def predictions_at_every_step(record, sample, unit):
    """Straight from the definition: prediction, or None, after 0, 1, … steps."""
    passed = np.concatenate([[0], np.cumsum(record.forward_steps[sample])])
    last = passed[-1] if unit == "forward_steps" else len(passed) - 1
    result = []
    for j in range(last + 1):
        counts = [
            sum(
                fired >= 0 and (passed[t] + fired if unit == "forward_steps" else t + 1) <= j
                for t, fired in enumerate(record.output_steps[sample, c])
            )
            for c in range(CLASSES)
        ]
        result.append(counts.index(max(counts)) if any(counts) else None)
    return result


class TestAgainstTheDefinition:
    @given(records(), st.sampled_from([1, 4, 1 << 22]), st.sampled_from(UNITS))
    def test_latencies_and_curve(self, case, block, unit):
        record, labels = case
        paths = [predictions_at_every_step(record, b, unit) for b in range(len(labels))]
        decided, correct = [], []
        for path, label in zip(paths, labels, strict=True):
            last = path[-1]
            stays = [j for j in range(len(path)) if all(p == last for p in path[j:])]
            decided.append(-1 if last is None else stays[0])
            correct.append(path.index(label) if label in path else -1)
        longest = max(map(len, paths))
        curve = [
            np.mean([path[min(j, len(path) - 1)] == label for path, label in
                     zip(paths, labels, strict=True)])
            for j in range(longest)
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_decisions, "_BLOCK", block)
            assert metrics.decision_latency(record, unit).tolist() == decided
            assert metrics.first_correct_latency(record, labels, unit).tolist() == correct
            steps, accuracy = metrics.accuracy_curve(record, labels, unit)
        assert steps.tolist() == list(range(longest))
        assert accuracy.tolist() == curve

    @settings(deadline=None)
    @given(records())
    def test_confusion_matrix_as_scikit_learn_has_it(self, case):
        record, labels = case
        matrix = metrics.confusion_matrix(record, labels)
        wanted = confusion_matrix(labels, metrics.predict(record), labels=range(CLASSES))
        np.testing.assert_array_equal(matrix, wanted)
        assert matrix.trace() / matrix.sum() == metrics.accuracy(record, labels)

    @given(records())
    def test_curve_ends_at_the_accuracy(self, case):
        record, labels = case
        silent = ~record.spikes.any(axis=(1, 2))
        given_away = np.count_nonzero(silent & (np.array(labels) == 0))
        end = metrics.accuracy_curve(record, labels)[1][-1]
        accuracy = metrics.accuracy(record, labels)
        assert round(end * len(labels)) == round(accuracy * len(labels)) - given_away

    @pytest.mark.timeout(120)
    def test_predicts_as_slayers_classifier(self):
        import torch
        from lava.lib.dl import slayer

        # Few time steps, so that many samples are tied and some are silent.
        spikes = np.random.default_rng(1).integers(0, 2, (64, CLASSES, 3)).astype(np.int8)
        spikes[:4] = 0
        record = make_record(np.where(spikes, 0, -1), np.ones((64, 3)))
        expected = slayer.classifier.Rate.predict(torch.from_numpy(spikes).float())
        assert metrics.predict(record).tolist() == expected.tolist()


@pytest.mark.parametrize("threshold", [1 << 17, (1 << 18) - 1])
def test_an_output_that_cannot_fire_decides_by_its_voltage(threshold):
    """netx's thresholds for layers that are read out as voltages."""
    rng = np.random.default_rng(0)
    hidden = Population("hidden", (15,), 4096, 4096, 40)
    output = Population("output", (CLASSES,), 0, 4096, threshold)
    rows = np.tile(rng.integers(-40, 40, 15), (CLASSES, 1))  # alike, so that no class is favoured
    weights = rng.integers(-20, 40, (15, 20)), rng.permuted(rows, axis=1)
    dense = tuple(Dense(i - 1, i, weight) for i, weight in enumerate(weights))
    graph = Graph((20,), (hidden, output), dense)
    x, labels = rng.integers(0, 2, (16, 20, 5)), rng.integers(0, CLASSES, 16)
    orders = [la.LayerSync(), la.Momentum(4), la.Mixture([la.Fifo(1), la.LayerSync(1)])]
    by_schedule = metrics.accuracy_by_schedule(graph, x, labels, orders)
    for schedule, accuracy in zip(orders, by_schedule.accuracy, strict=True):
        for progress in (None, lambda done: None):
            record = la.simulate(graph, x, schedule, progress=progress)
            assert record.all_spikes.any() and not record.spikes.any()
            fired = record.all_spikes[:, :15].astype(int)
            total = np.einsum("ij,bjt->bit", weights[1], fired).cumsum(-1).cumsum(-1)[..., -1]
            assert metrics.predict(record).tolist() == total.argmax(1).tolist()
            assert metrics.accuracy(record, labels) == accuracy
            assert metrics.agreement(record, record) == 1
            found = metrics.evaluate(graph, record, labels)
            assert found.accuracy == accuracy and 0 < found.decision_time_steps <= 5
            assert metrics.accuracy_curve(record, labels)[1][-1] == accuracy
    assert len(set(by_schedule.predictions[0])) > 1
    np.testing.assert_array_equal(fit_to(graph, x, labels, "net"), x)


def test_what_a_network_decides_does_not_depend_on_the_delay_of_its_output():
    rng = np.random.default_rng(1)
    population = Population("p", (CLASSES,), 4096, 4096, 20)
    graph = Graph((6,), (population,), (Dense(-1, 0, rng.integers(-20, 40, (CLASSES, 6))),))
    x, labels = rng.integers(0, 2, (9, 6, 4)), rng.integers(0, CLASSES, 9)
    late = la.simulate(graph.replace(output_delay=9), x)
    assert not late.spikes.any()
    want = metrics.evaluate(graph, la.simulate(graph, x), labels)
    assert want.accuracy > 0 and metrics.evaluate(graph, late, labels) == want


class TestSchedules:
    """Two hidden neurons that fire on the input; each drives its own class and forbids the other.

    Together they cancel out, so that under layer synchronization no output neuron fires: class 0.
    One by one, the first to be released decides. By momentum that is the one that the input
    drives more, by age the one of the lower index.
    """

    graph = la.Graph(
        (2,),
        (la.Population("hidden", (2,), 4096, 4096, 5), la.Population("out", (2,), 4096, 4096, 5)),
        (la.Dense(-1, 0, [[20, 10], [10, 20]]), la.Dense(0, 1, [[10, -10], [-10, 10]])),
    )
    x = np.array([[1, 0], [0, 1], [0, 1], [0, 1]])[..., None]
    labels = (0, 1, 1, 0)
    orders = (la.Momentum(1), la.LayerSync(), la.Fifo(1))

    @pytest.mark.parametrize("backend", ["kernel", "reference"])
    @pytest.mark.parametrize("held", [1, 2 * 40, 1 << 26])  # parts of 1, 2 and all samples
    def test_by_hand(self, backend, held, monkeypatch):
        monkeypatch.setattr(_parts, "HELD", held)
        done = []
        found = metrics.accuracy_by_schedule(
            self.graph, self.x, self.labels, iter(self.orders), backend=backend,
            progress=done.append,
        )  # fmt: skip
        assert found.schedules == self.orders and sum(done) == 3 * 4
        assert found.predictions.tolist() == [[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
        assert found.accuracy.tolist() == [0.75, 0.5, 0.5]
        assert found.accuracy_intervals == tuple(
            metrics.wilson_interval(right, 4) for right in (3, 2, 2)
        )
        assert found.spikes_per_sample.tolist() == [3, 2, 3]
        assert found.best == (0.75, la.Momentum(1)) and found.best.schedule is self.orders[0]
        assert found.worst == (0.5, la.LayerSync())  # of equal ones the first
        assert found.agreement.tolist() == [[1, 0.25, 0.25], [0.25, 1, 1], [0.25, 1, 1]]

    def test_agreement_by_hand(self):
        one, layered, _ = (la.simulate(self.graph, self.x, order) for order in self.orders)
        assert metrics.agreement(one, layered) == metrics.agreement(layered, one) == 0.25
        assert metrics.agreement(one, one) == 1
        # Whatever else differs, as the number of time steps does here.
        longer = la.simulate(self.graph, np.repeat(self.x, 3, axis=-1), la.Momentum(1))
        assert metrics.agreement(one, longer) == 1

    def test_parts_draw_as_the_whole(self, monkeypatch):
        """By the samples' own ids, mixtures too."""
        rng = np.random.default_rng(0)
        x, labels = rng.integers(0, 2, (40, 2, 5)), rng.integers(0, 2, 40)
        orders = [la.Random(1, 3), la.Mixture([la.Momentum(1), la.LayerSync()], seed=1)]
        for ids in (None, rng.permutation(1000)[:40]):
            records = [la.simulate(self.graph, x, order, sample_ids=ids) for order in orders]
            monkeypatch.setattr(_parts, "HELD", 7 * 5 * 40)
            found = metrics.accuracy_by_schedule(self.graph, x, labels, orders, sample_ids=ids)
            for i, record in enumerate(records):
                np.testing.assert_array_equal(found.predictions[i], metrics.predict(record))
                assert found.accuracy[i] == metrics.accuracy(record, labels)
                assert found.spikes_per_sample[i] == metrics.spikes_per_sample(record).mean()
            assert found.agreement[0, 1] == metrics.agreement(*records)

    def test_early_decision(self):
        orders = [la.Momentum(1), la.Fifo(1)]
        found = metrics.accuracy_by_schedule(
            self.graph, self.x, self.labels, orders, stop_after=0
        )
        assert found.accuracy.tolist() == [0.75, 0.5]
        with pytest.raises(ValidationError, match="LayerSync: stop_after"):
            metrics.accuracy_by_schedule(
                self.graph, self.x, self.labels, self.orders, stop_after=0
            )

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"graph": "network.net"}, "graph: expected a Graph"),
            ({"schedules": []}, "schedules: expected one or more"),
            ({"schedules": la.Fifo()}, "schedules: expected one or more"),
            ({"schedules": None}, "schedules: expected one or more"),
            ({"schedules": "fifo"}, "schedule: expected one of"),
            ({"schedules": [la.Fifo(), la.Fifo]}, "schedule: expected one of"),
            ({"labels": [0, 1]}, "labels: shape"),
            ({"labels": [[0], [1, 1]]}, "labels: shape"),
            ({"labels": [0, 1, 1, 2]}, r"labels: value at \[3\]: expected 0 <= label < 2"),
            ({"labels": [0, 1, 1, -1]}, r"labels: value at \[3\]"),
            ({"labels": [0.0, 1.0, 1.0, 0.0]}, "labels: dtype"),
            ({"labels": None}, "labels: dtype"),
            ({"x": np.zeros((4, 3, 1), int)}, "input: shape"),
            ({"x": np.zeros((0, 2, 1), int)}, "input: shape"),
            ({"x": np.full((4, 2, 1), -1)}, "input: value"),
            ({"sample_ids": [1, 2]}, "accuracy_by_schedule: sample_ids"),
            ({"sample_ids": [1, 2, 3, -4]}, "accuracy_by_schedule: sample_ids"),
            ({"backend": "gpu"}, "backend"),
            ({"num_threads": 0}, "num_threads"),
            ({"progress": 3}, "progress"),
            ({"stop_after": -1}, "stop_after"),
        ],
    )
    def test_bad_input(self, changes, text):
        arguments = {
            "graph": self.graph, "x": self.x, "labels": self.labels, "schedules": self.orders
        }
        with pytest.raises(ValidationError, match=text):
            metrics.accuracy_by_schedule(**arguments | changes)

    def test_records_of_other_samples_do_not_agree(self):
        record = la.simulate(self.graph, self.x, la.Fifo(1))
        fewer = la.simulate(self.graph, self.x[1:], la.Fifo(1))
        with pytest.raises(ValidationError, match=r"samples: expected 4, as .* \(got 3\)"):
            metrics.agreement(record, fewer)
        other = make_record(np.full((4, CLASSES, 1), -1), np.zeros((4, 1)))
        with pytest.raises(ValidationError, match=r"output neurons: expected 2, as .* \(got 3\)"):
            metrics.agreement(record, other)
