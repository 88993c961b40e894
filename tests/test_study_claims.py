"""The claims, decided from rows made by hand; half and three points exactly on the border."""

import pytest

from lava_async.study.claims import evaluate
from lava_async.study.results import Results
from study_rows import realistic, row

LOSES, SPARSER, SPARSER_LAYERED, SPARSER_CONTROL, SOONER, SOONER_LAYERED, SOONER_CONTROL, ANY = (
    range(8)
)
DECISIVE = dict(method="decisive", trained_with="momentum:8")
MIXTURE = dict(method="decisive, mixture", trained_with="mixture")


def claim(which, rows):
    return evaluate(Results(rows))[which]


def verdicts(which, rows):
    found = claim(which, rows)
    return [found.verdict, *((each.verdict, each.seeds_holding, each.seeds)
                             for each in found.comparisons)]  # fmt: skip


def numbers(which, rows):
    (comparison,) = claim(which, rows).comparisons
    return comparison.cells


class TestLayeredLoses:
    def rows(self, *correct, method="layered", **fields):
        """A seed each: right layer by layer, and with momentum, of 1,000."""
        return [
            row(method, run, samples=1000, correct=right, seed=seed, **fields)
            for seed, both in enumerate(correct)
            for run, right in zip(("layer:8", "momentum:8"), both, strict=True)
        ]

    @pytest.mark.parametrize(
        ("correct", "expected"),
        [
            ([(900, 899)], ("holds", 1, 1)),
            ([(900, 900)], ("holds", 1, 1)),  # gains nothing
            ([(900, 901)], ("does not hold", 0, 1)),
            ([(900, 903), (900, 897)], ("holds", 1, 2)),  # 0 in the mean, exactly
            ([(900, 903), (900, 898)], ("does not hold", 1, 2)),
            ([(900, 880), (900, 901), (900, 901)], ("holds", 1, 3)),
        ],
    )
    def test_border(self, correct, expected):
        assert verdicts(LOSES, self.rows(*correct)) == [expected[0], expected]

    def test_numbers(self):
        rows = self.rows((900, 880), (910, 870))
        assert numbers(LOSES, rows)[:2] == ("layered", "momentum, F = 8")
        # Differences of -2 and -4 points: the mean, and their sample standard deviation.
        assert numbers(LOSES, rows)[4] == "−3.00 ± 1.41"
        assert numbers(LOSES, rows)[2].startswith("87.5 [")
        assert claim(LOSES, rows).note == (
            "The largest loss is 3.0 points: layered, run momentum, F = 8."
        )

    def test_at_which_group_size(self):
        rows = [row(run=run, accuracy=accuracy) for run, accuracy in (
            ("layer:8", 0.9), ("momentum:8", 0.85), ("momentum:1", 0.5), ("random:1", 0.95)
        )]  # fmt: skip
        found = claim(LOSES, rows)
        assert found.verdict == "holds in 2 of 3 comparisons"
        assert found.note == "The largest loss is 40.0 points: layered, run momentum, F = 1."

    def test_nobody_loses(self):
        assert claim(LOSES, self.rows((900, 900))).note == "No network loses."

    @pytest.mark.parametrize("method", ["layered + penalty", "given"])
    def test_of_all_layered_networks(self, method):
        assert verdicts(LOSES, self.rows((900, 899), method=method)) == ["holds", ("holds", 1, 1)]

    @pytest.mark.parametrize("run", ["layer:8", "momentum:8"])
    def test_needs_both_runs(self, run):
        rows = [each for each in self.rows((900, 899)) if each.run == run]
        assert verdicts(LOSES, rows) == ["not tested here"]

    def test_layer_by_layer_with_another_group_size_is_not_asynchronous(self):
        runs = ("layer:8", "layer:2", "momentum:2")
        rows = [each for run in runs for each in (row(run=run), row(**DECISIVE, run=run))]
        assert len(claim(LOSES, rows).comparisons) == 1

    def test_unlayered_networks_do_not_count(self):
        rows = self.rows((900, 899), method="decisive", trained_with="momentum:8")
        assert verdicts(LOSES, rows) == ["not tested here"]

    def test_neither_do_runs_with_early_decision(self):
        rows = self.rows((900, 899), stop_after=1)
        assert verdicts(LOSES, rows) == ["not tested here"]


class TestFewerSpikes:
    def rows(self, ours, theirs, penalty=None, baseline="layered", run="momentum:8"):
        """A seed each: spikes and right ones of 1,000."""
        made = [(DECISIVE, "momentum:8", ours), (dict(method=baseline), run, theirs)]
        return [
            row(**way, run=at, spikes_per_sample=spikes, samples=1000, correct=correct, seed=seed,
                penalty=penalty)
            for way, at, seeds in made
            for seed, (spikes, correct) in enumerate(seeds)
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("ours", "theirs", "expected"),
        [
            ([(50, 900)], [(100, 900)], ("holds", 1, 1)),
            ([(50.001, 900)], [(100, 900)], ("does not hold", 0, 1)),
            ([(50, 899)], [(100, 900)], ("does not hold", 0, 1)),
            ([(10, 901)], [(100, 900)], ("holds", 1, 1)),
            ([(0, 900)], [(0, 900)], ("does not hold", 0, 1)),
            # Of the mean, 100 of 200; of the first seed not.
            ([(60, 900), (40, 900)], [(100, 900), (100, 900)], ("holds", 1, 2)),
            ([(40, 899), (40, 901)], [(100, 900), (100, 900)], ("holds", 1, 2)),
        ],
    )
    def test_border(self, ours, theirs, expected):
        assert verdicts(SPARSER, self.rows(ours, theirs)) == [expected[0], expected]

    def test_numbers(self):
        cells = numbers(SPARSER, self.rows([(30, 910)], [(120, 900)]))
        assert cells[:5] == ("decisive, momentum F = 8", "momentum, F = 8", "30", "120", "75")
        assert cells[5].startswith("91.0 [") and cells[6].startswith("90.0 [")
        assert cells[7] == "+1.00"
        more = numbers(SPARSER, self.rows([(150, 890)], [(100, 900)]))
        assert (more[4], more[7]) == ("−50", "−1.00")

    def test_layer_by_layer_is_a_baseline_of_its_own(self):
        rows = self.rows([(50, 900)], [(100, 900)], run="layer:8")
        assert verdicts(SPARSER, rows) == ["not tested here"]
        assert verdicts(SPARSER_LAYERED, rows) == ["holds", ("holds", 1, 1)]

    def test_control_has_the_same_penalty(self):
        spikes = ([(50, 900)], [(100, 900)])
        rows = self.rows(*spikes, penalty=0.01, baseline="layered + penalty")
        assert verdicts(SPARSER_CONTROL, rows) == ["holds", ("holds", 1, 1)]
        assert verdicts(SPARSER, rows) == ["not tested here"]
        other = self.rows(*spikes, penalty=0.02, baseline="layered + penalty")
        mixed = [each for each in rows if each.method == "decisive"]
        mixed += [each for each in other if each.method == "layered + penalty"]
        assert verdicts(SPARSER_CONTROL, mixed) == ["not tested here"]

    def test_seeds_and_epochs_must_be_the_same(self):
        ours = row(**DECISIVE, run="momentum:8", spikes_per_sample=10, seed=0)
        for theirs in (dict(seed=1), dict(seed=0, epochs=3)):
            rows = [ours, row(run="momentum:8", **theirs)]
            assert verdicts(SPARSER, rows) == ["not tested here"]

    def test_only_the_seeds_of_both_count(self):
        rows = [row(**DECISIVE, run="momentum:8", spikes_per_sample=50, seed=0)]
        rows += [row(run="momentum:8", spikes_per_sample=spikes, seed=seed)
                 for seed, spikes in enumerate((100, 1))]  # fmt: skip
        assert verdicts(SPARSER, rows) == ["holds", ("holds", 1, 1)]

    def test_given_networks_are_of_no_known_training(self):
        given = dict(method="given", run="momentum:8")
        rows = [row(trained_with="momentum:8", name="a", **given),
                row(trained_with="", name="b", **given)]  # fmt: skip
        assert {each.verdict for each in evaluate(Results(rows))[1:]} == {"not tested here"}


class TestSooner:
    def rows(self, ours, theirs, baseline="layered", **fields):
        made = [(DECISIVE, ours), (dict(method=baseline), theirs)]
        return [
            row(**way, run=fields.get("run", "momentum:8"), decision_step=step, seed=seed,
                penalty=0.01)
            for way, steps in made
            for seed, step in enumerate(steps)
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("ours", "theirs", "expected"),
        [
            ([5.0], [10.0], ("holds", 1, 1)),
            ([5.01], [10.0], ("does not hold", 0, 1)),
            ([0.0], [10.0], ("holds", 1, 1)),
            ([0.0], [0.0], ("does not hold", 0, 1)),
            ([4.0, 6.0], [10.0, 10.0], ("holds", 1, 2)),
            ([5.0, None, 9.0], [10.0, 10.0, None], ("holds", 1, 1)),
        ],
    )
    def test_border(self, ours, theirs, expected):
        assert verdicts(SOONER, self.rows(ours, theirs)) == [expected[0], expected]
        control = self.rows(ours, theirs, "layered + penalty")
        assert verdicts(SOONER_CONTROL, control) == [expected[0], expected]

    def test_numbers(self):
        rows = self.rows([4.0], [10.0])
        assert numbers(SOONER, rows)[2:5] == ("4.0", "10.0", "2.50")
        assert claim(SOONER, rows).note == "Forward steps to decision are divided by 2.50."
        assert numbers(SOONER, self.rows([0.0], [10.0]))[4] == "—"

    def test_nobody_decides(self):
        assert verdicts(SOONER, self.rows([None], [10.0])) == ["not tested here"]

    def test_forward_steps_of_another_group_size_are_no_measure(self):
        ours = row(**DECISIVE, run="momentum:8", decision_step=1.0)
        for run, expected in (("layer:1", "not tested here"), ("layer:8", "holds")):
            rows = [ours, row(run=run, decision_step=10.0)]
            assert claim(SOONER_LAYERED, rows).verdict == expected
            assert claim(SPARSER_LAYERED, rows).verdict != "not tested here"


class TestAnyOrder:
    def rows(self, *correct, way=MIXTURE):
        runs = ("layer:8", "momentum:8", "random:1")
        return [
            row(**way, run=run, samples=1000, correct=right, seed=seed)
            for seed, each in enumerate(correct)
            for run, right in zip(runs, each, strict=True)
        ]

    @pytest.mark.parametrize(
        ("correct", "expected"),
        [
            ([(930, 920, 900)], ("holds", 1, 1)),
            ([(931, 920, 900)], ("does not hold", 0, 1)),
            ([(900, 900, 900)], ("holds", 1, 1)),
            ([(940, 920, 900), (920, 900, 900)], ("holds", 1, 2)),
            ([(940, 920, 900), (921, 900, 900)], ("does not hold", 1, 2)),
            # The best order is another one in each seed: networks do not make up for each other.
            ([(940, 920, 900), (900, 920, 940)], ("does not hold", 0, 2)),
        ],
    )
    def test_border(self, correct, expected):
        assert verdicts(ANY, self.rows(*correct)) == [expected[0], expected]

    def test_numbers(self):
        cells = numbers(ANY, self.rows((930, 920, 900)))
        assert cells[:2] == ("decisive, mixture", "3 orders")
        assert cells[2].startswith("93.0 [") and cells[2].endswith(", layer by layer")
        assert cells[3].startswith("90.0 [") and cells[3].endswith(", random, F = 1")
        assert cells[4] == "3.00"

    def test_other_training_is_not_meant(self):
        assert verdicts(ANY, self.rows((900, 900, 900), way=DECISIVE)) == ["not tested here"]

    def test_one_order_is_no_test(self):
        assert verdicts(ANY, [row(**MIXTURE, run="momentum:8")]) == ["not tested here"]

    def test_a_seed_that_lacks_an_order_does_not_count(self):
        rows = self.rows((930, 920, 900), (999, 920, 100))[:-1]
        assert verdicts(ANY, rows) == ["holds", ("holds", 1, 1)]


def test_claims_of_a_whole_study():
    found = [each.verdict for each in evaluate(Results(realistic()[0]))]
    assert found == [
        "holds",
        "holds in 5 of 6 comparisons",
        "holds in 1 of 6 comparisons",
        "does not hold",
        "holds in 4 of 6 comparisons",
        "holds in 3 of 5 comparisons",
        "does not hold",
        "holds",
    ]


def test_every_claim_says_what_it_lacks():
    for each in evaluate(Results([row()])):
        assert (each.verdict, bool(each.missing)) == ("not tested here", True)
