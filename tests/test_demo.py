"""``lava-async train``, ``evaluate`` and ``demo`` on a few digits."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

import lava_async as la
from lava_async._cli import main
from lava_async._files.hdf5 import load
from training_folders import TRAINED, assert_same, contents, refused, run

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("few_digits")]


# ---------------------------------------------------------------- train


@pytest.mark.parametrize(
    "options",
    [
        ["--method", "layered"],
        ["--schedule", "momentum", "--noise", "0.5", "--seed", "3"],
    ],
)
def test_resumed_training_gives_the_bits_of_an_unbroken_one(options, capsys, tmp_path):
    run(capsys, "train", "--out", "whole", "--epochs", "2", *options)
    run(capsys, "train", "--out", "parts", "--epochs", "1", *options)
    first = contents(tmp_path / "parts")
    run(capsys, "train", "--out", "parts", "--epochs", "2", "--resume")

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert sorted(contents(whole)) == sorted(contents(parts)) == sorted(TRAINED)
    assert_same(torch.load(whole / "network.pt"), torch.load(parts / "network.pt"))
    assert (whole / "metrics.json").read_text() == (parts / "metrics.json").read_text()
    x = np.random.default_rng(0).integers(0, 2, (4, *load(whole / "network.net").input_shape, 5))
    records = [la.simulate(load(f / "network.net"), x) for f in (whole, parts)]
    assert np.array_equal(records[0].all_spikes, records[1].all_spikes)
    # Otherwise the second epoch would prove little.
    assert first["network.net"] != (parts / "network.net").read_bytes()


def test_default_is_the_recipe_s_number_of_epochs():
    from lava_async._cli.train import DEFAULT_EPOCHS
    from lava_async.study.recipe import DIGITS

    assert DIGITS.epochs == DEFAULT_EPOCHS


def test_training_records_its_schedule_and_course(capsys, tmp_path):
    args = ["--schedule", "random", "--group-size", "5", "--seed", "2", "--epochs", "1"]
    document = json.loads(run(capsys, "train", "--out", "out", *args, "--json"))
    assert load("out/network.net").schedule == la.Random(5, seed=2)
    course = json.loads((tmp_path / "out/metrics.json").read_text())
    assert course["schedule"] == {"scheduler": "random", "group_size": 5, "seed": 2}
    assert (course["method"], course["seed"], len(course["epochs"])) == ("unlayered", 2, 1)
    assert document.items() >= course["epochs"][0].items()
    assert (document["epoch"], document["samples"]) == (1, 48)


def test_evaluate_measures_what_training_did(capsys, tmp_path):
    run(capsys, "train", "--out", "out", "--epochs", "1")
    course = json.loads((tmp_path / "out/metrics.json").read_text())["epochs"][0]
    document = json.loads(run(capsys, "evaluate", "out/network.net", "--json"))
    shared = set(document) & set(course)
    assert {"accuracy", "spikes_per_sample", "decision_latency"} <= shared
    assert {key: document[key] for key in shared} == {key: course[key] for key in shared}
    text = run(capsys, "evaluate", "out/network.net", "--schedule", "layer")
    assert re.search(r"^accuracy +[01]\.\d{3}$", text, re.MULTILINE)


def test_evaluate_refuses_a_network_of_another_shape(capsys, tmp_path):
    from net_files import dense, neuron, write_net

    write_net(tmp_path / "small.net", [dense(np.ones((10, 7)), neuron())])
    assert "input shape: expected (2, 34, 34)" in refused(capsys, "evaluate", "small.net")
    write_net(tmp_path / "few.net", [dense(np.ones((3, 2312)), neuron())])
    assert "outputs: expected at least 10" in refused(capsys, "evaluate", "few.net")


def test_evaluate_refuses_a_network_that_is_read_out_as_voltages(capsys, tmp_path):
    from net_files import dense, neuron, write_net

    hidden = dense(np.ones((20, 2312)), neuron())
    write_net(tmp_path / "voltages.net", [hidden, dense(np.ones((10, 20)))])  # no neurons last
    for options in ([], ["--json"], ["--backend", "reference", "--schedule", "layer"]):
        line = refused(capsys, "evaluate", "voltages.net", *options)
        assert "voltages.net: output population: threshold: expected one that can fire" in line
        assert "decide by voltages" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--out", "none/out"], "folder: expected an existing folder"),
        (["--out", "file"], "path: expected a folder"),
        (["--out", "full"], "expected a new or empty folder"),
        (["--out", "out", "--epochs", "0"], "--epochs"),
        (["--out", "out", "--method", "other"], "--method"),
        (["--out", "out", "--data", "cats"], "--data"),
        (["--out", "out", "--method", "layered", "--schedule", "random"], "expected layer"),
        (["--out", "out", "--method", "unlayered", "--schedule", "layer"],
         "one of random, momentum, fifo"),
        (["--out", "out", "--method", "layered", "--noise", "1"], "none for the layer schedule"),
        (["--out", "out", "--group-size", "0"], "group_size"),
        (["--out", "out", "--seed", "-1"], "seed: expected 0 <= seed"),
        (["--out", "out", "--method", "layered", "--seed", "-1"], "seed: expected 0 <= seed"),
        (["--out", "out", "--resume"], "folder to resume: expected an existing folder"),
        (["--out", "full", "--resume"], "network.pt: checkpoint: expected a file (got none)"),
    ],
)
def test_bad_training_is_refused(options, says, capsys, tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("precious")
    assert says in refused(capsys, "train", *options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "full"]
    assert contents(tmp_path / "full") == {"notes.txt": b"precious"}


def test_resume_refuses_other_settings_and_knows_the_end(capsys, tmp_path):
    run(capsys, "train", "--out", "out", "--epochs", "1")
    before = contents(tmp_path / "out")
    for options in (["--method", "layered"], ["--schedule", "random"], ["--group-size", "4"],
                    ["--seed", "1"], ["--noise", "1"]):
        line = refused(capsys, "train", "--out", "out", "--resume", *options)
        assert "as in the checkpoint" in line
    run(capsys, "train", "--out", "out", "--resume", "--epochs", "1", "--group-size", "8")
    assert contents(tmp_path / "out") == before


def test_interrupted_training_keeps_the_last_checkpoint(capsys, tmp_path, monkeypatch):
    from lava_async.study import recipe

    train_epoch = recipe.train_epoch

    def interrupted(*args, epoch, **options):
        if epoch == 1:
            raise KeyboardInterrupt
        return train_epoch(*args, epoch=epoch, **options)

    monkeypatch.setattr(recipe, "train_epoch", interrupted)
    assert main(["train", "--out", "out", "--epochs", "3"]) == 130
    assert capsys.readouterr().err == "lava-async: interrupted\n"
    assert sorted(contents(tmp_path / "out")) == sorted(TRAINED)

    monkeypatch.setattr(recipe, "train_epoch", lambda *args, **options: interrupted(epoch=1))
    assert main(["train", "--out", "none", "--epochs", "3"]) == 130
    assert not (tmp_path / "none").exists()


# ---------------------------------------------------------------- demo


def test_demo_writes_the_whole_report(capsys, tmp_path):
    out = run(capsys, "demo", "--epochs", "1")
    folder = tmp_path / "lava-async-demo"
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {
        "report.md", "accuracy.png", "spikes.png", "raster.png", "metrics.json",
        *(f"{method}/{name}" for method in ("layered", "unlayered") for name in TRAINED),
    }
    document = json.loads((folder / "metrics.json").read_text())
    ways = [(run["trained"], run["run"]) for run in document["runs"]]
    assert ways == [
        (trained, run)
        for trained in ("layered", "unlayered")
        for run in ("layer by layer", "asynchronously")
    ]
    report = (folder / "report.md").read_text()
    table = [line.strip("| ").split(" | ") for line in report.splitlines() if line[:1] == "|"]
    assert table[0] == [
        "trained", "run", "accuracy", "spikes a sample", "forward steps to decision"
    ]
    for row, measured in zip(table[2:], document["runs"], strict=True):
        assert row[:2] == [measured["trained"], measured["run"]]
        assert row[2] == f"{measured['accuracy']:.3f}"
        assert row[3] == f"{measured['spikes_per_sample']:.0f}"
    for cell in (cell for row in table[2:] for cell in row):
        assert cell in out
    for image in re.findall(r"!\[.*\]\((.*)\)", report):
        assert (folder / image).read_bytes().startswith(b"\x89PNG")
    assert "Trainer and Lava give the same spikes" in report
    assert "Trainer and Lava give the same spikes" in out

    # The exported networks are what the table is about.
    evaluated = json.loads(
        run(capsys, "evaluate", "lava-async-demo/unlayered/network.net", "--json")
    )
    assert evaluated["accuracy"] == document["runs"][3]["accuracy"]
    assert evaluated["spikes_per_sample"] == document["runs"][3]["spikes_per_sample"]


def test_demo_overwrites_nothing(capsys, tmp_path, monkeypatch):
    (tmp_path / "lava-async-demo").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("precious")
    assert "new or empty folder" in refused(capsys, "demo", "--out", "full")
    monkeypatch.setattr("lava_async.study.comparison.check_lava", lambda *args: None)
    document = json.loads(run(capsys, "demo", "--epochs", "1", "--json"))
    assert document["out"] == "lava-async-demo-2"
    assert contents(tmp_path / "lava-async-demo") == {}


@pytest.mark.parametrize("flipped", ["lava", "trainer"])
def test_demo_fails_if_lava_differs(flipped, capsys, monkeypatch):
    from lava_async.study import comparison

    def simulate(graph, x, schedule, backend="kernel", **options):
        record = la.simulate(graph, x, schedule, **options)
        if backend == "lava" or (flipped == "trainer" and len(x) == comparison.CHECKED_SAMPLES):
            record.spikes[2, 3, 4] ^= 1
        return record

    monkeypatch.setattr(comparison, "simulate", simulate)
    assert main(["demo", "--epochs", "1", "--out", "out"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("lava-async: layered: ")
    place = "sample 2, time step 4" if flipped == "lava" else "[2, 3, 4]"
    assert place in err
