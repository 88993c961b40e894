"""``lava-async study``: its options, what it prints, and what it refuses."""

from __future__ import annotations

import csv
import dataclasses
import json

import pytest

from lava_async._cli import main
from lava_async.errors import ValidationError
from lava_async.study import PRESETS
from studies import tables
from training_folders import refused, run

pytestmark = pytest.mark.timeout(240)

FEW = ("--samples", "16", "--epochs", "1", "--jobs", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_options_make_the_study_and_the_same_command_goes_on(folder, capsys):
    args = [
        "study", "--out", "out", "--preset", "paper", "--data", "digits", "--methods", "unrolled",
        "--methods", "decisive, mixture", "--train-schedules", "random", "--group-size", "8,2",
        "--schedules", "layer:8,momentum,fifo:3", "--stop-after", "0,1", "--penalty", "0,0.01",
        "--seeds", "1", *FEW,
    ]  # fmt: skip
    document = json.loads(run(capsys, *args, "--json"))
    rows = document["rows"]
    assert document["computed"] == 4 + len(rows) == 4 + 4 * (1 + 3 * 3)
    assert [row["trained_with"] for row in rows[::10]] == [
        "random:8", "random:2", "mixture", "mixture"
    ]  # fmt: skip
    assert list(dict.fromkeys(row["name"] for row in rows)) == [
        "unrolled, random:8", "unrolled, random:2",
        "decisive, mixture, penalty 0", "decisive, mixture, penalty 0.01",
    ]  # fmt: skip
    assert [(row["run"], row["stop_after"]) for row in rows[:10]] == [
        ("layer:8", None),
        *((spec, k) for spec in ("momentum:8", "momentum:2", "fifo:3") for k in (None, 0, 1)),
    ]
    assert {row["samples"] for row in rows} == {16} and {row["epochs"] for row in rows} == {1}
    with open("out/table.csv", newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == [row["run"] for row in rows]

    before = tables(folder / "out")
    again = json.loads(run(capsys, *args, "--json"))
    assert (again["computed"], again["rows"]) == (0, rows)
    assert tables(folder / "out") == before

    line = refused(capsys, *args, "--stop-after", "3")
    assert "output out: stop_after: expected [0, 1], as in the study that it holds" in line


@pytest.mark.parametrize(
    ("text", "stops"),
    [("none", ()), (" none ", ()), ("", ()), ("none,0,2", (0, 2)), ("2,none", (2,)), ("0", (0,)),
     (None, PRESETS["quick"].stop_after)],
)  # fmt: skip
def test_none_is_a_word_for_no_early_decision(text, stops, monkeypatch):
    """The same configuration as that of Python's (): the folder goes on whatever spelled it."""
    asked = []

    def keep(study, *args, **options):
        asked.append(study)
        raise ValidationError("study", "enough", "no more", "this")

    monkeypatch.setattr("lava_async.study.engine.run_study", keep)
    assert main(["study", "--out", "out", *(() if text is None else ("--stop-after", text))]) == 2
    (study,) = asked
    assert study == dataclasses.replace(PRESETS["quick"], stop_after=stops)
    assert study.to_dict()["stop_after"] == list(stops)


def test_given_networks_are_run_without_training_and_printed_as_a_table(folder, capsys):
    args = ["--schedules", "momentum:4,layer", *FEW]
    run(capsys, "study", "--out", "first", "--methods", "decisive", "--seeds", "1", *args)
    (trained,) = (folder / "first/cells").glob("*.net")
    trained.rename("mine.net")
    text = run(capsys, "study", "--out", "second", "--given", "mine.net", *args)
    assert "mine.net" in text and "decisive" not in text
    assert text.splitlines()[-1] == "table: second/table.csv, report: second/report.html"
    assert not list((folder / "second/cells").glob("*.net"))
    rows = json.loads((folder / "second/table.json").read_text())["rows"]
    assert {(row["method"], row["trained_with"]) for row in rows} == {("given", "momentum:8")}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--preset", "slow"], "expected one of quick, paper, full"),
        (["--data", "moons"], "expected one of digits"),
        (["--methods", "magic"], "study: methods: expected one of layered; "),
        (["--group-size", "few"], "--group-size: value: expected integers such as 1,8"),
        (["--group-size", "0"], "study: group_sizes: expected an integer >= 1"),
        *(
            (["--stop-after", text], "--stop-after: value: expected integers such as 1,8, or none")
            for text in ("1.5", "never", "None", "none,soon", "nonesuch")
        ),
        (["--stop-after", "none,-1"], "study: stop_after: expected an integer >= 0 (got -1)"),
        (["--stop-after", "0,none,0"], "study: stop_after: expected each once"),
        (["--group-size", "none"], "--group-size: value: expected integers such as 1,8 ("),
        (["--penalty", "high"], "--penalty: value: expected numbers such as 0,0.003"),
        (["--penalty", "nan"], "study: penalties: expected a number in"),
        (["--schedules", "sorted"], "study: schedules: expected one of layer, "),
        (["--train-schedules", "layer"], "study: train_schedules: expected one of random; "),
        (["--seeds", "0"], "study: seeds: expected an integer >= 1"),
        (["--epochs", "0"], "recipe: epochs: expected an integer >= 1"),
        (["--samples", "0"], "study: samples: expected an integer >= 1"),
        (["--jobs", "0"], "study: jobs: expected None or an integer >= 1"),
        (["--given", "none.net"], "none.net: file: expected"),
    ],
)
def test_bad_options_are_refused_in_one_line(args, says, folder, capsys):
    assert says in refused(capsys, "study", "--out", "out", *args)
    assert list(folder.iterdir()) == []


def test_without_a_folder_it_says_so(capsys):
    assert main(["study"]) == 2
    assert "--out" in capsys.readouterr().err


def test_warnings_of_trainings_are_said(folder, capsys, monkeypatch):
    from lava_async.study import cells

    train = cells.train

    def complaining(configuration, root):
        [(result, file)] = train(configuration, root)
        return [({**result, "warnings": ["it went wrong"]}, file)]

    monkeypatch.setattr(cells, "train", complaining)
    args = ["study", "--out", "out", "--methods", "decisive", "--seeds", "1",
            "--schedules", "fifo", "--stop-after", "none", *FEW]  # fmt: skip
    assert main(args) == 0
    assert "warning: decisive, seed 0: it went wrong\n" in capsys.readouterr().err


def test_a_cost_model_goes_into_the_report_of_a_study_that_is_done(folder, capsys):
    args = ["study", "--out", "out", "--methods", "decisive", "--seeds", "1",
            "--schedules", "fifo", "--stop-after", "none", *FEW]  # fmt: skip
    run(capsys, *args)
    assert "µJ" not in (folder / "out/report.md").read_text()
    assert json.loads(run(capsys, *args, "--cost-model", "loihi", "--json"))["computed"] == 0
    assert "energy (µJ)" in (folder / "out/report.md").read_text()
    assert "cost model" in refused(capsys, *args, "--cost-model", "none-such")


def test_neurons_with_memory_train_by_their_own_recipe(folder, capsys):
    args = ["study", "--out", "out", "--data", "motion", "--neuron", "tutorial", "--methods",
            "layered + penalty", "--seeds", "1", "--schedules", "fifo", "--stop-after", "none",
            *FEW]
    run(capsys, *args)  # fmt: skip
    recipe = json.loads((folder / "out/description.json").read_text())["recipe"]
    assert recipe["loss"] == "spike_rate"
    [row] = json.loads((folder / "out/table.json").read_text())["rows"]
    assert row["penalty"] == 5e-6 and row["data"] == "motion" and row["time_steps"] == 12
