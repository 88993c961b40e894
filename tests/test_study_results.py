"""Rows put together: means and spreads over seeds, orders, labels."""

from fractions import Fraction

import pytest

from lava_async.study.results import Results, Variant, order_text
from study_rows import realistic, row

DECISIVE = dict(method="decisive", trained_with="momentum:8")


def only(results):
    (cell,) = results.cells
    return cell


class TestCell:
    def test_mean_and_sample_standard_deviation(self):
        rows = [row(seed=seed, spikes_per_sample=spikes) for seed, spikes in enumerate((1, 2, 6))]
        cell = only(Results(rows))
        assert cell.mean("spikes_per_sample") == 3
        assert cell.spread("spikes_per_sample") == 7**0.5  # (4 + 1 + 9) / 2

    def test_accuracy_is_exact(self):
        cell = only(Results([row(seed=i, correct=i + 1, samples=3) for i in range(3)]))
        assert cell.accuracy == Fraction(2, 3)

    def test_one_seed_has_no_spread(self):
        assert only(Results([row()])).spread("accuracy") is None

    def test_values_that_are_not_there_do_not_count(self):
        rows = [row(seed=0, decision_step=None), row(seed=1, decision_step=4.0)]
        cell = only(Results(rows))
        assert (cell.mean("decision_step"), cell.spread("decision_step")) == (4, None)
        none = only(Results([row(decision_step=None)]))
        assert (none.mean("decision_step"), none.spread("decision_step")) == (None, None)

    def test_rows_stand_by_seed(self):
        rows = [row(seed=seed) for seed in (2, None, 0)]
        assert [each.seed for each in only(Results(rows)).rows] == [None, 0, 2]

    def test_pairs_are_of_the_same_seed(self):
        rows = [row(seed=seed) for seed in (0, 1)]
        rows += [row(seed=seed, **DECISIVE) for seed in (1, 2)]
        layered, decisive = Results(rows).cells
        assert [(a.seed, b.seed) for a, b in decisive.pairs(layered)] == [(1, 1)]


class TestOrders:
    def test_layered_first_and_once_then_by_scheduler_and_falling_group_size(self):
        runs = ("fifo:8", "random:1", "momentum:1", "layer:1", "momentum:16", "layer:8", "random:8")
        results = Results([row(run=run) for run in runs])
        assert results.orders == [
            "layer:8", "momentum:16", "momentum:1", "random:8", "random:1", "fifo:8"
        ]  # fmt: skip

    def test_layered_with_the_group_size_of_the_reference(self):
        runs = ("layer:8", "layer:2", "layer:1", "momentum:2", "momentum:4")
        rows = [row(run=run) for run in runs]
        assert Results(rows).orders == ["layer:8", "momentum:4", "momentum:2"]
        rows += [row("decisive", run, trained_with="momentum:2") for run in runs]
        assert Results(rows).orders == ["layer:2", "momentum:4", "momentum:2"]

    def test_early_decision_is_no_order_of_its_own(self):
        results = Results([row(), row(run="fifo:8", stop_after=1)])
        assert results.orders == ["layer:8"] and results.reference is None

    def test_the_reference_is_what_most_were_trained_for(self):
        runs = ("momentum:8", "random:8", "fifo:8")
        rows = [row(run=run, **DECISIVE) for run in runs]
        rows += [row("unrolled", run, trained_with="random:8") for run in runs]
        assert Results(rows).reference == "momentum:8"  # the first of equals
        rows += [row("decisive", run, trained_with="random:8") for run in runs]
        assert Results(rows).reference == "random:8"

    @pytest.mark.parametrize(
        ("schedule", "text"),
        [("layer:8", "layer by layer"), ("momentum:1", "momentum, F = 1"), ("mixture", "mixture"),
         ("momentum:8,random:1", "momentum:8,random:1")],
    )  # fmt: skip
    def test_in_words(self, schedule, text):
        assert order_text(schedule) == text


class TestRuns:
    RUNS = ("layer:8", "momentum:8", "momentum:1")

    def cells(self, method, trained_with):
        runs = [row(method, run, trained_with=trained_with) for run in self.RUNS]
        runs += [row("decisive", run, trained_with="momentum:8", seed=9) for run in self.RUNS]
        results = Results(runs)
        variant = results.variants[0]
        as_trained, asynchronous = results.as_trained(variant), results.asynchronous(variant)
        return (as_trained and as_trained.run), (asynchronous and asynchronous.run)

    @pytest.mark.parametrize(
        ("method", "trained_with", "expected"),
        [
            ("layered", "layer:8", ("layer:8", "momentum:8")),
            ("layered", "layer:3", ("layer:8", "momentum:8")),
            ("decisive", "momentum:1", ("momentum:1", "momentum:1")),
            ("decisive", "random:8", (None, None)),
            ("decisive, mixture", "mixture", ("momentum:8", "momentum:8")),
            ("given", "", ("momentum:8", "momentum:8")),
            ("given", "layer:8", ("layer:8", "momentum:8")),
            ("given", "momentum:1", ("momentum:1", "momentum:1")),
            ("given", "momentum:1,random:1", ("momentum:8", "momentum:8")),
        ],
    )
    def test_as_trained_and_asynchronous(self, method, trained_with, expected):
        assert self.cells(method, trained_with) == expected

    def test_layer_by_layer_of_a_group_size(self):
        results = Results([row(run=run) for run in ("momentum:1", "layer:8", "layer:1")])
        (variant,) = results.variants
        found = [results.layer_by_layer(variant, size) for size in (None, 8, 1, 2)]
        assert [cell and cell.run for cell in found] == ["layer:8", "layer:8", "layer:1", None]

    def test_stopped_by_rising_k(self):
        rows = [row(run="momentum:8", stop_after=stop) for stop in (4, None, 0)]
        results = Results(rows)
        found = results.stopped(results.variants[0], "momentum:8")
        assert [cell.stop_after for cell in found] == [0, 4]


class TestLabels:
    def labels(self, rows):
        results = Results(rows)
        return [results.label(variant) for variant in results.variants]

    def test_only_what_tells_apart(self):
        assert self.labels([row(), row(**DECISIVE), row("decisive, mixture", trained_with="mixture",
                                                        penalty=0.01)]) == [
            "layered", "decisive, momentum F = 8", "decisive, mixture"
        ]  # fmt: skip

    def test_penalties_and_epochs(self):
        rows = [row("layered + penalty", penalty=penalty) for penalty in (0.01, 0.0025)]
        assert self.labels(rows) == ["layered + penalty 0.01", "layered + penalty 0.0025"]
        rows = [row(penalty=penalty, **DECISIVE) for penalty in (0.0, 0.5)]
        assert self.labels(rows) == [
            "decisive, momentum F = 8, penalty 0", "decisive, momentum F = 8, penalty 0.5"
        ]  # fmt: skip
        rows = [row(epochs=epochs) for epochs in (1, 2)]
        assert self.labels(rows) == ["layered, 1 epochs", "layered, 2 epochs"]

    def test_given_files_by_their_names_and_content(self):
        given = dict(method="given", trained_with="", seed=None, epochs=None)
        files = [("a.net", "0" * 16), ("b.net", "1" * 16), ("a.net", "2" * 16)]
        rows = [row(name=name, network=network, **given) for name, network in files]
        assert self.labels(rows) == ["a.net (00000000)", "b.net", "a.net (22222222)"]

    def test_every_label_of_a_study_is_another(self):
        labels = self.labels(realistic(1)[0])
        assert len(labels) == len(set(labels)) == 10


def test_main_variants_have_the_penalty_that_most_have():
    results = Results(realistic(1)[0])
    found = [(variant.method, variant.trained_with, variant.penalty)
             for variant in results.main_variants()]  # fmt: skip
    assert found == [
        ("layered", "layer:8", 0.0),
        ("layered + penalty", "layer:8", 0.005),
        ("unrolled", "momentum:8", 0.0),
        ("decisive", "momentum:8", 0.005),
        ("decisive", "momentum:1", 0.005),
        ("decisive, mixture", "mixture", 0.005),
    ]


@pytest.mark.parametrize(
    ("method", "trained_with", "is_layered"),
    [("layered", "layer:8", True), ("layered + penalty", "layer:8", True), ("given", "", True),
     ("given", "layer:8", True), ("given", "momentum:8", False),
     ("decisive", "momentum:8", False), ("decisive, mixture", "mixture", False)],
)  # fmt: skip
def test_what_counts_as_layered(method, trained_with, is_layered):
    assert Variant.of(row(method, trained_with=trained_with)).is_layered == is_layered
