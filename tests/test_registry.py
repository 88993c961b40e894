"""Data sets by name: described once, checked when loaded, known to every command."""

import doctest
import json
from pathlib import Path

import numpy as np
import pytest

import lava_async as la
from lava_async._cli import main
from lava_async.datasets import digits, motion, registry, vowels
from lava_async.errors import ValidationError
from lava_async.study.settings import DIGITS, RECIPES, Settings
from training_folders import refused, run

OFFLINE = [name for name in registry.NAMES if registry.describe(name).download is None]


@pytest.fixture(autouse=True)
def own_names(monkeypatch):
    """What a test registers is forgotten after it."""
    before = dict(registry._BY_NAME)
    yield
    for name in set(registry._BY_NAME) - set(before):
        del registry._BY_NAME[name]


def stripes(train):
    """Two classes that differ in which of two rows has events."""
    count = 24 if train else 12
    x, labels = np.zeros((count, 1, 2, 5, 4), np.uint8), np.arange(count) % 2
    x[np.arange(count), 0, labels] = 1
    return x, labels


def described(**changes):
    fields = {
        "name": "stripes", "about": "rows", "input_shape": (1, 2, 5), "num_classes": 2,
        "num_steps": 4, "bin_us": 1000, "loader": stripes,
    }  # fmt: skip
    return registry.DataSet(**{**fields, **changes})


def test_the_example_of_the_documentation_runs():
    assert doctest.testmod(registry).attempted > 4
    assert doctest.testmod(registry).failed > 0, "registered twice"


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize("train", [True, False])
def test_data_sets_are_as_described(name, train):
    data_set = registry.describe(name)
    x, labels = registry.load_frames(name, train)
    assert data_set.name == name and data_set.about
    assert x.shape == (len(labels), *data_set.input_shape, data_set.num_steps)
    assert (x.dtype, labels.dtype) == (np.uint8, np.int64)
    assert sorted(set(labels.tolist())) == list(range(data_set.num_classes))
    again, labels_again = registry.load_frames(name, train)
    assert np.array_equal(x, again) and np.array_equal(labels, labels_again)


def test_time_steps_are_those_of_the_events():
    steps = {name: registry.describe(name).bin_us for name in OFFLINE}
    assert steps == {
        "digits": digits.SACCADE_US // 10,
        "motion": motion.FLASH_US,
        "motion-shuffled": motion.FLASH_US,
        "vowels": vowels.FRAME_US,
    }


@pytest.mark.parametrize("name", registry.NAMES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_fit_every_data_set(name, recipe):
    data_set, fitted = registry.describe(name), RECIPES[recipe].for_data(name)
    assert fitted.input_shape == data_set.input_shape
    assert fitted.sizes == (*RECIPES[recipe].sizes[:-1], data_set.num_classes)
    Settings(name, la.Momentum(), 0, fitted)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "motion"}, "recipe: outputs: expected 4, as of motion (got 10)"),
        ({"name": "none"}, "data none: name: expected one of digits, motion"),
    ],
)
def test_settings_refuse_recipes_of_other_data(change, says):
    with pytest.raises(ValidationError) as caught:
        Settings(change["name"], la.Momentum(), 0, DIGITS)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", ["", "Upper", "a b", "1st", "../up", "ä", 3, None]),
        ("input_shape", [(), (1, 2), (1, 2, 0), (1, 2, 3, 4), [1, 2, 5], (1, 2, 2.5), None]),
        ("num_classes", [0, -1, 1.5, True, None]),
        ("num_steps", [0, -1, 1.5, True, None]),
        ("bin_us", [0, -1, 1.5, True, None]),
        ("loader", ["", "module", "module:", ":function", "a b:c", None, 3]),
    ],
)
def test_descriptions_are_checked(field, values):
    for value in values:
        with pytest.raises(ValidationError, match=f": {field}: expected"):
            described(**{field: value})


def test_names_are_registered_once():
    for name in registry.NAMES:
        with pytest.raises(ValidationError, match="register: name: expected one that is not taken"):
            registry.register(described(name=name))
    assert registry.register(described()) is registry.describe("stripes")
    assert list(registry.NAMES)[-1] == "stripes"
    with pytest.raises(ValidationError, match="not taken"):
        registry.register(described())


def changed(x=None, labels=None):
    def load(train):
        given = stripes(train)
        return (given[0] if x is None else x), (given[1] if labels is None else labels)

    return load


@pytest.mark.parametrize(
    ("loader", "says"),
    [
        (changed(x=np.zeros((12, 1, 5, 2, 4), np.uint8)), "frames: expected (12, 1, 2, 5, 4)"),
        (changed(x=np.zeros((12, 1, 2, 5, 3), np.uint8)), "frames: expected (12, 1, 2, 5, 4)"),
        (changed(x=np.zeros((11, 1, 2, 5, 4), np.uint8)), "frames: expected (12, 1, 2, 5, 4)"),
        (changed(x=np.zeros((12, 1, 2, 5, 4))), "of uint8 (got (12, 1, 2, 5, 4) of float64)"),
        (changed(labels=np.full(12, 2)), "labels: expected 0 <= label < 2 (got 2)"),
        (changed(labels=np.full(12, -1)), "labels: expected 0 <= label < 2 (got -1)"),
        (changed(labels=np.full(12, 0.5)), "labels: expected one or more integers"),
        (changed(labels=np.zeros((12, 1), int)), "labels: expected one or more integers"),
        (
            lambda train: (np.zeros((0, 1, 2, 5, 4), np.uint8), np.zeros(0, int)),
            "labels: expected one or more",
        ),
    ],
)
def test_what_a_loader_gives_is_checked(loader, says):
    registry.register(described(loader=loader))
    with pytest.raises(ValidationError) as caught:
        registry.load_frames("stripes", False)
    assert str(caught.value).startswith("data set stripes: ") and says in str(caught.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("None", "TypeError: cannot unpack non-iterable NoneType object"),
        ("[[0]], [0]", "AttributeError: 'list' object has no attribute 'shape'"),
    ],
)
def test_a_loader_that_fails_is_named(source, says, tmp_path, capsys):
    registry.register(described(loader=lambda train: eval(source)))
    wanted = f"data set stripes: loader: expected frames and labels of it (got {says})"
    with pytest.raises(ValidationError) as caught:
        registry.load_frames("stripes", True)
    assert str(caught.value) == wanted
    err = refused(capsys, "train", "--out", str(tmp_path / "out"), "--data", "stripes")
    assert err == f"lava-async: {wanted}\n" and not (tmp_path / "out").exists()


def test_only_those_that_download_get_a_folder(tmp_path):
    seen = []

    def load(train, root):
        seen.append(root)
        return stripes(train)

    registry.register(described(loader=load, download="from afar"))
    registry.load_frames("stripes", True, tmp_path)
    assert seen == [tmp_path]


def test_where_downloads_lie(monkeypatch, tmp_path):
    monkeypatch.delenv("LAVA_ASYNC_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry.data_root() == tmp_path / ".cache" / "lava_async" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert registry.data_root() == tmp_path / "cache" / "lava_async" / "data"
    monkeypatch.setenv("LAVA_ASYNC_DATA", "~/data")
    assert registry.data_root() == tmp_path / "data"
    assert registry.data_root("here") == Path("here")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- commands


def test_commands_take_one_s_own(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    registry.register(described())
    train = ["train", "--out", "out", "--data", "stripes", "--layers", "12"]
    run(capsys, *train, "--epochs", "1")
    recorded = json.loads(Path("out/metrics.json").read_text())
    assert (recorded["data"], recorded["recipe"]["input_shape"]) == ("stripes", [1, 2, 5])
    assert recorded["recipe"]["sizes"] == [12, 2]
    assert la.load("out/network.net").input_shape == (1, 2, 5)
    # The checkpoint says which data they are.
    run(capsys, "train", "--out", "out", "--resume", "--epochs", "2")
    result = json.loads(run(capsys, "evaluate", "out/network.net", "--data", "stripes", "--json"))
    assert (result["data"], result["samples"]) == ("stripes", 12)
    err = refused(capsys, "train", "--out", "out", "--resume", "--data", "digits")
    assert "data: expected stripes, as in the checkpoint (got digits)" in err
    err = refused(capsys, "evaluate", "out/network.net")
    assert "input shape: expected (2, 34, 34), that of the data (got (1, 2, 5))" in err


@pytest.mark.parametrize("command", ["train --out out", "evaluate network.net"])
def test_commands_pass_the_folder_on(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []

    def load(train, root):
        seen.append(root)
        raise ValidationError("data set stripes", "files", "some", "none")

    registry.register(described(loader=load, download="from afar"))
    from lava_async.study import recipe

    fitted = DIGITS.for_data("stripes")
    recipe.build_network(la.Momentum(), recipe=fitted).export_hdf5("network.net")
    args = [*command.split(), "--data", "stripes", "--data-root", "there"]
    assert "files: expected some (got none)" in refused(capsys, *args)
    assert seen == [Path("there")]


def test_unknown_names_are_refused_with_those_known(capsys):
    registry.register(described())
    assert main(["train", "--out", "out", "--data", "cats"]) == 2
    err = capsys.readouterr().err
    known = f"{', '.join(registry.NAMES)}, or your own as MODULE:NAME or FILE.py:NAME"
    assert f"--data cats: name: expected one of {known} (got 'cats')" in err
