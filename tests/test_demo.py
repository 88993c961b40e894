"""``lava-async train``, ``evaluate`` and ``demo`` on a few digits."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch

import lava_async as la
import own_halves
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
        ["--schedule", "momentum:8,random:1", "--neuron", "tutorial", "--layers", "20,20"],
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


def examples(command, capsys) -> list[list[str]]:
    """Arguments of the examples that a command's help shows."""
    text = run(capsys, command, "--help")
    lines = re.findall(rf"^ +lava-async ({command} .*)$", text, re.MULTILINE)
    assert lines and not any(line.endswith("…") for line in lines)
    return [line.split() for line in lines]


def test_examples_of_training_run(capsys):
    shutil.copy(own_halves.__file__, "own.py")
    for args in examples("train", capsys):
        epochs = "2" if "--resume" in args else "1"
        document = json.loads(run(capsys, *args, "--epochs", epochs, "--json"))
        assert document["epoch"] == int(epochs)


def test_without_a_number_of_epochs_it_is_the_recipe_s(capsys, monkeypatch):
    from lava_async.study import settings, training

    ran = []
    monkeypatch.setattr(training.Training, "run", lambda self, epochs, *_, **__: ran.append(epochs))
    for name, recipe in settings.RECIPES.items():
        with pytest.raises(IndexError):  # no history
            main(["train", "--out", name, "--neuron", name])
        assert ran.pop() == recipe.epochs


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ([], {}),
        (["--gradient", "unrolled", "--penalty", "0"], {"gradient": "unrolled", "penalty": 0.0}),
        (["--layers", "30,20"], {"sizes": [30, 20, 10]}),
        (["--conv", "3,4", "--batch-size", "16"],
         {"channels": [3, 4], "sizes": [10], "batch_size": 16}),
        (["--conv", "3", "--layers", "12"], {"channels": [3], "sizes": [12, 10]}),
        (["--neuron", "tutorial", "--learning-rate", "0.002"], {"learning_rate": 0.002}),
    ],
)
def test_training_goes_by_the_recipe_asked_for_and_records_it(options, changed, capsys, tmp_path):
    from lava_async.study.settings import RECIPES
    from lava_async.study.training import Training

    base = RECIPES["tutorial" if "tutorial" in options else "default"].to_dict()
    run(capsys, "train", "--out", "out", "--epochs", "1", *options)
    course = json.loads((tmp_path / "out/metrics.json").read_text())
    assert course["recipe"] == {**base, **changed}
    training = Training.resume(tmp_path / "out")
    assert training.settings.recipe.to_dict() == course["recipe"]
    network = training.network
    assert network.gradient == course["recipe"]["gradient"]
    assert (network.penalty is None) == (course["recipe"]["penalty"] == 0)
    sizes = [p.shape for p in load("out/network.net").populations]
    assert [shape[0] for shape in sizes] == [
        *course["recipe"]["channels"], *course["recipe"]["sizes"]
    ]
    before = contents(tmp_path / "out")
    run(capsys, "train", "--out", "out", "--epochs", "1", "--resume", *options)
    assert contents(tmp_path / "out") == before


def test_the_table_says_how_training_does_in_any_order(capsys, tmp_path):
    args = ["train", "--out", "out", "--epochs", "1", "--schedule", "momentum:8,random:3"]
    by_order = json.loads(run(capsys, *args, "--json"))["by_order"]
    graph = load("out/network.net")
    orders = [la.LayerSync(8), la.Momentum(8), la.Momentum(1), la.Random(8), la.Random(1),
              la.Fifo(8), la.Mixture([la.Momentum(8), la.Random(3)])]  # fmt: skip
    assert [entry["schedule"] for entry in by_order] == [order.to_dict() for order in orders]
    for entry, order in zip(by_order, orders, strict=True):
        options = [f"{order.name}:{order.group_size}"] if order != orders[-1] else args[-1:]
        measured = json.loads(
            run(capsys, "evaluate", "out/network.net", "--schedule", *options, "--json")
        )
        for key in ("accuracy", "spikes_per_sample"):
            assert entry[key] == measured[key], order
    accuracy = [entry["accuracy"] for entry in by_order]
    assert [e["best"] for e in by_order].index(True) == accuracy.index(max(accuracy))
    assert [e["worst"] for e in by_order].index(True) == accuracy.index(min(accuracy))
    assert [e["trained"] for e in by_order] == [False] * 6 + [True]
    assert graph.schedule == orders[-1]

    text = run(capsys, "train", "--out", "out", "--epochs", "1", "--resume")
    for entry in by_order:
        assert f"{entry['accuracy']:.3f}" in text
    for words in ("layer, F = 8", "momentum, F = 1", "fifo, F = 8", "best", "worst",
                  "mixture of 2", "trained"):
        assert words in text
    run(capsys, "train", "--out", "in", "--epochs", "1")
    by_order = json.loads(
        run(capsys, "train", "--out", "in", "--epochs", "1", "--resume", "--json")
    )["by_order"]
    assert [entry["trained"] for entry in by_order] == [False, True, *[False] * 4]


def test_history_says_how_healthy_the_network_is(capsys, tmp_path, digits):
    run(capsys, "train", "--out", "out", "--epochs", "1")
    entry = json.loads((tmp_path / "out/metrics.json").read_text())["epochs"][0]
    record = la.simulate(load("out/network.net"), digits[1][0])
    dead = record.all_spikes.sum(axis=(0, 2)) == 0
    assert entry["dead_neurons"] == dead.mean()
    assert (entry["silent_layers"], entry["skipped_steps"]) == ([], 0)
    assert 0 <= entry["weights_at_limit"] < 0.1 and entry["gradient_norm"] > 0


def test_training_warns_once_and_names_layer_and_remedy(capsys, monkeypatch, tmp_path):
    from lava_async.study import recipe

    build = recipe.build_network

    def spoilt(*args):
        network = build(*args)
        with torch.no_grad():
            network.blocks[3].synapse.weight.fill_(-9)  # the second layer: nothing gets through
        return network

    monkeypatch.setattr(recipe, "build_network", spoilt)
    assert main(["train", "--out", "out", "--epochs", "2", "--learning-rate", "1e-6"]) == 0
    err = capsys.readouterr().err
    lines = err.splitlines()
    assert all(line.startswith("warning: ") for line in lines)
    for name, cause, remedy in (
        ("blocks[3] (Dense)", "no spike in the whole evaluation", "lower its threshold"),
        ("blocks[4] (Dense)", "no spike in the whole evaluation", "weight_scale"),
        ("blocks[3] (Dense)", "100% of its weights are at -256 or 254", "the learning rate"),
    ):
        told = [line for line in lines if f"epoch 1: {name}: {cause}" in line]
        assert len(told) == 1 and remedy in told[0], err
    assert "epoch 2: " not in err
    history = json.loads((tmp_path / "out/metrics.json").read_text())["epochs"]
    assert [entry["silent_layers"] for entry in history] == [
        [f"blocks[{i}] (Dense)" for i in (3, 4, 5)]
    ] * 2
    assert history[0]["weights_at_limit"] >= 64 * 64 / (2312 * 64 + 2 * 64 * 64 + 640)
    assert history[0]["dead_neurons"] > 138 / 202


def test_warnings_of_the_libraries_below_are_not_shown(capsys):
    assert main(["train", "--out", "out", "--epochs", "1", "--neuron", "tutorial"]) == 0
    err = capsys.readouterr().err  # PyTorch's is of weight norm
    assert "deprecated" not in err
    assert all(line.startswith("warning: ") and "blocks[" in line for line in err.splitlines())


def test_training_warns_of_gradients_that_are_not_finite(capsys, monkeypatch, tmp_path):
    from lava_async.study import recipe

    build = recipe.build_network

    def spoilt(*args):
        network = build(*args)
        network.blocks[2].synapse.weight.register_hook(lambda gradient: gradient * float("inf"))
        return network

    monkeypatch.setattr(recipe, "build_network", spoilt)
    assert main(["train", "--out", "out", "--epochs", "2"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "not finite" in line]
    assert len(told) == 1 and "blocks.2.synapse.weight" in told[0]
    assert "lower the learning rate" in told[0]
    history = json.loads((tmp_path / "out/metrics.json").read_text())["epochs"]
    assert all((e["gradient_norm"], e["skipped_steps"]) == (None, 1) for e in history)


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


def test_evaluate_decides_by_the_voltages_of_a_network_that_is_read_out(capsys, tmp_path, digits):
    from net_files import dense, neuron, write_net

    rng = np.random.default_rng(0)
    hidden = dense(rng.integers(-9, 20, (20, 2312)), neuron())
    last = dense(rng.integers(-9, 20, (10, 20)))  # without neurons
    write_net(tmp_path / "voltages.net", [hidden, last])
    graph = la.load(tmp_path / "voltages.net")
    x, labels = digits[1]
    record = la.simulate(graph, x.reshape(len(x), -1, x.shape[-1]))
    wanted = float((record.readout.sum(-1).argmax(1) == labels).mean())
    for options in ([], ["--backend", "reference"]):
        found = json.loads(run(capsys, "evaluate", "voltages.net", "--json", *options))
        assert found["accuracy"] == wanted and found["decision_latency"] > 0
    assert refused(capsys, "evaluate", "voltages.net", "--stop-after", "1").count("readout") == 1


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
        (["--out", "out", "--neuron", "other"], "expected one of default, tutorial"),
        (["--out", "out", "--gradient", "other"], "expected one of decisive, unrolled"),
        (["--out", "out", "--penalty", "-1"], "recipe: penalty: expected a number in [0,"),
        (["--out", "out", "--penalty", "nan"], "recipe: penalty: expected a number"),
        (["--out", "out", "--penalty", "x"], "--penalty"),
        (["--out", "out", "--layers", "64,x"], "--layers: value: expected integers"),
        (["--out", "out", "--layers", ""], "--layers: value: expected integers"),
        (["--out", "out", "--layers", "0"], "recipe: sizes: expected one or more integers >= 1"),
        (["--out", "out", "--layers", "10000000"], "recipe: weights: expected at most"),
        (["--out", "out", "--conv", "8;16"], "--conv: value: expected integers"),
        (["--out", "out", "--conv", "8,-1"], "recipe: channels: expected any number of integers"),
        (["--out", "out", "--conv", "8,8,8,8,8"], "recipe: channels: expected so few"),
        (["--out", "out", "--batch-size", "0"], "recipe: batch_size: expected an integer >= 1"),
        (["--out", "out", "--learning-rate", "0"], "recipe: learning_rate: expected a number"),
        (["--out", "out", "--learning-rate", "inf"], "recipe: learning_rate: expected a number"),
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
                    ["--seed", "1"], ["--noise", "1"], ["--schedule", "momentum:4"],
                    ["--schedule", "momentum,layer"], ["--neuron", "tutorial"],
                    ["--gradient", "unrolled"], ["--penalty", "0"], ["--layers", "64"],
                    ["--conv", "4"], ["--batch-size", "4"], ["--learning-rate", "1"]):
        line = refused(capsys, "train", "--out", "out", "--resume", *options)
        assert "as in the checkpoint" in line
        assert f"--resume: {options[0][2:]}: expected " in line
    same = ["--group-size", "8", "--schedule", "momentum", "--layers", "64,64,64"]
    run(capsys, "train", "--out", "out", "--resume", "--epochs", "1", *same)
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


METHODS = ("layered", "layered + penalty", "unlayered")
WAYS = ("layer by layer", "asynchronously")


@pytest.mark.parametrize("seeds", [(0,), (3, 4)])
def test_demo_writes_the_whole_report(seeds, capsys, tmp_path):
    args = ["--seed", str(seeds[0]), "--seeds", str(len(seeds))]
    out = run(capsys, "demo", "--epochs", "1", *args)
    folder = tmp_path / "lava-async-demo"
    names = [m.replace(' + ', '-with-') for m in METHODS]
    names += [f"{name}-seed-{seed}" for seed in seeds[1:] for name in names]
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {
        "report.md", "accuracy.png", "spikes.png", "raster.png", "metrics.json",
        *(f"{name}/{file}" for name in names for file in TRAINED),
    }
    document = json.loads((folder / "metrics.json").read_text())
    assert document["seeds"] == list(seeds)
    runs = {(r["trained"], r["run"], r["seed"]): r for r in document["runs"]}
    assert list(runs) == [
        (method, way, seed) for seed in seeds for method in METHODS for way in WAYS
    ]
    report = (folder / "report.md").read_text()
    table = [line.strip("| ").split(" | ") for line in report.splitlines() if line[:1] == "|"]
    assert table[0] == [
        "trained", "run", "accuracy", "spikes a sample", "forward steps to decision"
    ]
    assert [row[:2] for row in table[2:]] == [[m, way] for m in METHODS for way in WAYS]
    for row in table[2:]:
        own = [runs[row[0], row[1], seed] for seed in seeds]
        for cell, key, digits in (
            (row[2], "accuracy", 3), (row[3], "spikes_per_sample", 0)
        ):
            values = [measured[key] for measured in own]
            spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(seeds) > 1 else ""
            assert cell == f"{np.mean(values):.{digits}f}{spread}"
    for cell in (cell for row in table[2:] for cell in row):
        assert cell in out
    for image in re.findall(r"!\[.*\]\((.*)\)", report):
        assert (folder / image).read_bytes().startswith(b"\x89PNG")
    assert "Trainer and Lava give the same spikes" in report
    assert "Trainer and Lava give the same spikes" in out

    # The exported networks are what the table is about.
    for method in METHODS:
        path = f"lava-async-demo/{method.replace(' + ', '-with-')}"
        course = json.loads((tmp_path / path / "metrics.json").read_text())
        assert (course["recipe"]["penalty"] == 0) == (method == "layered")
        assert course["method"] == method.split()[0]
        evaluated = json.loads(
            run(capsys, "evaluate", f"{path}/network.net", "--schedule", "momentum",
                "--seed", str(seeds[0]), "--json")
        )  # fmt: skip
        measured = runs[method, "asynchronously", seeds[0]]
        assert evaluated["accuracy"] == measured["accuracy"]
        assert evaluated["spikes_per_sample"] == measured["spikes_per_sample"]


def test_demo_overwrites_nothing(capsys, tmp_path, monkeypatch):
    (tmp_path / "lava-async-demo").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("precious")
    assert "new or empty folder" in refused(capsys, "demo", "--out", "full")
    monkeypatch.setattr("lava_async.study.comparison.check_lava", lambda *args: None)
    document = json.loads(run(capsys, "demo", "--epochs", "1", "--seeds", "1", "--json"))
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
    assert main(["demo", "--epochs", "1", "--seeds", "1", "--out", "out"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("lava-async: layered: ")
    place = "sample 2, time step 4" if flipped == "lava" else "[2, 3, 4]"
    assert place in err
