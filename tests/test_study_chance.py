"""Networks that learned nothing: warned of, marked in the report, and decisive of no claim."""

import dataclasses

import pytest

from lava_async._cli import main
from lava_async.study import charts
from lava_async.study.chance import warnings_of, what_mark_says
from lava_async.study.claims import evaluate
from lava_async.study.engine import Outcome
from lava_async.study.pages import write_pages
from lava_async.study.results import Results
from lava_async.study.table import read_rows, write_tables
from study_rows import SAMPLES, realistic, row

DECISIVE = dict(method="decisive", trained_with="momentum:8")
MIXTURE = dict(method="decisive, mixture", trained_with="mixture")
LOSES, SPARSER, SOONER, ANY = 0, 1, 4, 7
RUNS = ("layer:8", "momentum:8", "fifo:1")


def binary(run="layer:8", accuracy=0.5, **fields):
    """A row of two classes of 200 and 160 samples: chance is 55.6%."""
    return row(run=run, accuracy=accuracy, commonest=200, **fields)


def claim(which, rows):
    return evaluate(Results(rows))[which]


class TestWarnings:
    def test_networks_that_learned_are_not_named(self):
        rows = [dataclasses.replace(each, commonest=37) for each in realistic()[0]]
        assert warnings_of(rows) == []

    @pytest.mark.parametrize("accuracy", [0.0, 0.4, 0.5, 0.555, 0.6])
    def test_a_network_within_the_interval_of_chance_is_named_once(self, accuracy):
        (told,) = warnings_of([binary(run, accuracy, seed=1) for run in RUNS])
        assert told.startswith(
            "layered, layer:8, seed 1: no better than chance (the commonest class, 55.6% of the "
            "samples) in any order"
        )
        assert "tutorial" in told

    def test_one_order_that_works_is_enough(self):
        assert warnings_of([binary(accuracy=0.9), binary("fifo:1")]) == []

    def test_each_seed_and_given_networks_stand_for_themselves(self):
        rows = [binary(seed=0, accuracy=0.9), binary(seed=1), binary(method="given", seed=None)]
        told = [text.partition(":8")[2].partition(":")[0] for text in warnings_of(rows)]
        assert told == [", seed 1", ""]

    def test_chance_is_the_commonest_class_and_not_one_of_so_many(self):
        """Of nine speakers who do not speak equally often, one fourth is one of them's."""
        rows = [row(accuracy=0.25, commonest=commonest) for commonest in (40, 86)]
        assert [len(warnings_of([each])) for each in rows] == [0, 1]

    def test_of_a_table_that_does_not_tell_nothing_is_said(self):
        assert warnings_of([row(accuracy=0.0)]) == []


class TestWhatMarkSays:
    @pytest.mark.parametrize(
        ("others", "chance"),
        [
            ([], "55.6%"),
            ([binary(seed=1)], "55.6%"),
            ([binary(seed=1, samples=300)], "55.6% to 66.7%"),
            ([binary(data="vowels")], "55.6%"),
            ([binary(data="vowels", samples=400)], "55.6% (digits), 50.0% (vowels)"),
            (
                [binary(data="vowels", samples=400), binary(seed=1, samples=300)],
                "55.6% to 66.7% (digits), 50.0% (vowels)",
            ),
            ([binary(accuracy=0.9, samples=400)], "55.6%"),  # has no mark
        ],
    )
    def test_chance_of_all_rows_that_have_the_mark(self, others, chance):
        told = what_mark_says([binary(), *others])
        assert told.endswith(f"no higher than the share of the commonest class, {chance}.")

    def test_no_mark(self):
        assert what_mark_says([]) == what_mark_says([binary(accuracy=0.9)]) == ""


class TestClaims:
    def layered(self, *fields):
        """A seed each: accuracies layer by layer and with momentum."""
        return [
            binary(run, accuracy, seed=seed, spikes_per_sample=200.0)
            for seed, both in enumerate(fields)
            for run, accuracy in zip(RUNS[:2], both, strict=True)
        ]

    def ours(self, *accuracies, way=DECISIVE, **fields):
        return [
            binary("momentum:8", accuracy, seed=seed, **way, **fields)
            for seed, accuracy in enumerate(accuracies)
        ]

    @pytest.mark.parametrize(
        ("accuracies", "verdict"),
        [
            ([(0.9, 0.8)], "holds"),
            ([(0.9, 0.5)], "holds"),  # to lose all is a loss
            ([(0.5, 0.5)], "not decided (chance)"),
            ([(0.5, 0.6)], "not decided (chance)"),  # and does not hold, else
            ([(0.9, 0.8), (0.5, 0.5)], "not decided (chance)"),
        ],
    )
    def test_what_never_learned_loses_nothing(self, accuracies, verdict):
        found = claim(LOSES, self.layered(*accuracies))
        assert (found.verdict, found.comparisons[0].verdict) == (verdict, verdict)
        assert bool(found.note) == (verdict == "holds")

    @pytest.mark.parametrize("which", [SPARSER, SOONER])
    @pytest.mark.parametrize(
        ("layered", "ours", "verdict"),
        [
            ((0.9, 0.9), 0.95, "holds"),
            ((0.9, 0.5), 0.95, "holds"),  # the baseline loses what it learned
            ((0.5, 0.5), 0.95, "not decided (chance)"),
            ((0.9, 0.4), 0.5, "not decided (chance)"),
            ((0.5, 0.5), 0.5, "not decided (chance)"),
        ],
    )
    def test_neither_side_may_be_at_chance(self, which, layered, ours, verdict):
        fast = dict(spikes_per_sample=10.0, decision_step=1.0)
        found = claim(which, [*self.layered(layered), *self.ours(ours, **fast)])
        assert found.verdict == verdict
        assert bool(found.note) == (verdict == "holds")

    @pytest.mark.parametrize("accuracy", [0.5, 0.9])
    def test_guesses_are_the_same_in_any_order(self, accuracy):
        rows = [binary(run, accuracy, **MIXTURE) for run in RUNS]
        expected = "holds" if accuracy > 0.6 else "not decided (chance)"
        assert claim(ANY, rows).verdict == expected

    def test_seeds_at_chance_are_counted(self):
        rows = [*self.layered((0.9, 0.9), (0.5, 0.5), (0.9, 0.9)), *self.ours(0.9, 0.9, 0.5)]
        (comparison,) = claim(SPARSER, rows).comparisons
        assert (comparison.seeds, comparison.seeds_at_chance) == (3, 2)

    def test_other_comparisons_decide(self):
        good = self.layered((0.9, 0.8))
        other = dict(network="b", name="b", method="layered + penalty", penalty=0.1)
        bad = [dataclasses.replace(each, **other) for each in self.layered((0.5, 0.5))]
        found = claim(LOSES, [*good, *bad])
        assert found.verdict == "holds in 1 of 2 comparisons, 1 not decided (chance)"
        assert found.note.startswith("The largest loss is 10.0 points: layered, run")
        gains = [*self.layered((0.8, 0.9)), *bad]
        assert claim(LOSES, gains).verdict == (
            "does not hold in 1 of 2 comparisons, 1 not decided (chance)"
        )

    def test_a_table_that_does_not_tell_is_decided_as_before(self):
        rows = [dataclasses.replace(each, commonest=None) for each in self.layered((0.5, 0.5))]
        assert claim(LOSES, rows).verdict == "holds"


class TestReport:
    def report(self, rows, folder):
        write_pages(rows, [], folder)
        text = (folder / "report.md").read_text(encoding="utf-8")
        html = (folder / "report.html").read_text(encoding="utf-8")
        assert text.count("†") == html.count("†")
        return text

    def test_a_network_at_chance_is_named_and_its_accuracies_are_marked(self, tmp_path):
        rows = [binary(run, 0.5, seed=seed) for run in RUNS for seed in (0, 1)]
        rows += [binary(run, 0.9, **DECISIVE) for run in RUNS]
        text = self.report(rows, tmp_path)
        assert "**No better than chance in any order:** layered (seeds 0, 1). Chance is" in text
        lines = [line for line in text.splitlines() if line.startswith("| layered |")]
        assert lines and all("†" in line for line in lines)
        decisive = [line for line in text.splitlines() if line.startswith("| decisive")]
        # Beside its own accuracies there are those that it is held to.
        assert not [line for line in decisive if "†" in line and "not decided" not in line]
        assert text.count("2 of 2 at chance") == 2 and text.count("1 of 1 at chance") == 4

    def test_chance_of_all_networks_at_chance(self, tmp_path):
        rows = [binary(run, seed=seed, samples=360 - 60 * seed) for run in RUNS for seed in (0, 1)]
        rows += [binary(run, 0.9, samples=400, **DECISIVE) for run in RUNS]
        text = self.report(rows, tmp_path)
        assert "of the commonest class among the samples, 55.6% to 66.7%, and the" in text

    def test_an_order_alone_may_take_a_network_to_chance(self, tmp_path):
        text = self.report([binary(accuracy=0.9), binary("fifo:1")], tmp_path)
        assert "in any order:" not in text and "not decided" not in text
        assert "| 50.0 † |" in text and "| 90.0 |" in text
        assert text.count("† marks an accuracy that is no better than chance") == 2

    @pytest.mark.parametrize("fields", [dict(commonest=None), dict(commonest=100)])
    def test_nothing_to_mark(self, fields, tmp_path):
        rows = [row(run=run, accuracy=0.5, **fields) for run in RUNS]
        text = self.report(rows, tmp_path)
        assert "†" not in text and "chance in any" not in text

    def test_of_early_decision_the_tables_alone_have_marks(self, tmp_path):
        rows = [binary(accuracy=0.9), binary("fifo:1", 0.9), binary("fifo:1", stop_after=0)]
        text = self.report(rows, tmp_path)
        figures, _, tables = text.partition("## All numbers")
        assert "†" not in figures and "| 50.0 † |" in tables
        assert tables.count("† marks an accuracy") == 1

    def test_figures_mark_what_they_write(self):
        results = Results([binary(accuracy=0.9), binary("fifo:1")])
        for draw, texts in (
            (charts.accuracy_by_order, {"90.0", "50.0 †"}),
            (charts.worst_order, {"fifo, F = 1: 50.0 †"}),
        ):
            axes = draw(results).axes[0]
            assert {text.get_text() for text in axes.texts} == texts


def test_tables_of_earlier_versions_are_read_and_reported(tmp_path):
    rows = [row(run=run, accuracy=0.5) for run in RUNS]
    write_tables(tmp_path, rows, [], {})
    table = tmp_path / "table.json"
    told = table.read_text()
    assert told.count(',\n      "commonest": null') == len(rows)
    table.write_text(told.replace(',\n      "commonest": null', ""))
    assert read_rows(tmp_path) == rows
    write_pages(read_rows(tmp_path), [], tmp_path)
    assert "†" not in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("order", [0.5, 0.9])
def test_the_command_line_marks_what_it_prints(order, tmp_path, monkeypatch, capsys):
    rows = [binary(accuracy=0.9), binary("fifo:1", order), binary("fifo:1", stop_after=0)]
    monkeypatch.setattr(
        "lava_async.study.engine.run_study", lambda *args, **options: Outcome(rows, [], 2, [])
    )
    assert main(["study", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert text.count("†") == (2 if order == 0.5 else 0)
    assert ("0.500 †" in text) == ("† marks an accuracy" in text) == (order == 0.5)


def test_the_table_tells_the_commonest_class(tmp_path):
    rows = [binary(accuracy=0.9)]
    write_tables(tmp_path, rows, [], {})
    assert read_rows(tmp_path)[0].commonest == 200 < SAMPLES
    heading, line = (tmp_path / "table.csv").read_text().splitlines()
    assert (heading.rpartition(",")[2], line.rpartition(",")[2]) == ("commonest", "200")
