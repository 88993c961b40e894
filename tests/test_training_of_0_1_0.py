"""A folder that `train` of version 0.1.0 wrote: two epochs, without its network.net."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from lava_async._files.hdf5 import load
from lava_async.study import checkpoint
from lava_async.study.settings import OF_0_1_0
from lava_async.study.training import Training
from training_folders import TRAINED, assert_same, contents, refused, run

WRITTEN_BY_0_1_0 = Path(__file__).parent / "written_by_0_1_0" / "run"


@pytest.fixture
def out(few_digits, tmp_path):
    return Path(shutil.copytree(WRITTEN_BY_0_1_0, tmp_path / "out"))


def test_the_checkpoint_is_read_as_it_was_written(out):
    stored = torch.load(out / "network.pt")
    assert "digest" not in stored
    training = Training.resume(out)
    assert training.epoch == 2
    assert_same(training.history, stored["history"])
    assert_same(training.settings.to_dict(), stored["settings"])
    assert_same(dict(training.network.state_dict()), dict(stored["network"]))
    assert_same(training.optimizer.state_dict(), stored["optimizer"])


def test_training_goes_on(out, capsys):
    before = json.loads((out / "metrics.json").read_text())
    assert "unlayered, epoch 3" in run(
        capsys, "train", "--out", "out", "--resume", "--epochs", "3"
    )
    assert sorted(contents(out)) == sorted(TRAINED)
    after = json.loads((out / "metrics.json").read_text())
    assert after["epochs"][:2] == before["epochs"] and len(after["epochs"]) == 3
    assert {**after, "epochs": None} == {**before, "epochs": None}  # still without a recipe
    assert "digest" in torch.load(out / "network.pt")
    assert checkpoint.read(out / "network.pt")["history"] == after["epochs"]


def test_it_goes_on_by_the_recipe_of_then(out):
    training = Training.resume(out)
    assert training.settings.recipe == OF_0_1_0
    network = training.network
    assert (network.gradient, network.penalty) == ("unrolled", None)
    group = training.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (training_rate(), 1e-5)


def training_rate():
    """After the last batch of the second epoch."""
    return OF_0_1_0.rate_at(1 + 22 * 64 / 1438)


def test_options_that_contradict_the_recipe_of_then_are_refused(out, capsys):
    before = contents(out)
    for option in (["--gradient", "decisive"], ["--penalty", "0.005"], ["--layers", "64,64"],
                   ["--neuron", "tutorial"]):
        line = refused(capsys, "train", "--out", "out", "--resume", *option)
        assert f"--resume: {option[0][2:]}: expected" in line and "as in the checkpoint" in line
    assert contents(out) == before


def test_its_network_is_made_again(out, capsys):
    before = contents(out)
    run(capsys, "train", "--out", "out", "--resume", "--epochs", "2")
    assert (out / "metrics.json").read_bytes() == before["metrics.json"]
    graph, trained = load(out / "network.net"), Training.resume(out).network.graph()
    assert len(graph.connections) == len(trained.connections) == 4
    for a, b in zip(graph.connections, trained.connections, strict=True):
        assert (a.weight == b.weight).all()
