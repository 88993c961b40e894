"""`run_study`: what is in its tables, whatever computes them, and what it refuses."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import math

import h5py
import pytest

import lava_async as la
import slayer_blocks as sb
from lava_async import metrics
from lava_async.errors import LavaAsyncError, ValidationError
from lava_async.study import METHODS, PRESETS, Study, run_study
from lava_async.study.chance import warnings_of
from lava_async.study.data import fit_to, load_split
from lava_async.study.table import Point, Row, read_rows
from studies import TINY, cell_files, tables

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("undrawn")]

ORDERS = {
    "layer:8": lambda seed: la.LayerSync(8),
    "momentum:8": lambda seed: la.Momentum(8, seed=seed),
    "random:2": lambda seed: la.Random(2, seed=seed),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with the tiny study, and what it found."""
    folder = tmp_path_factory.mktemp("study") / "tiny"
    return folder, run_study(TINY, folder, jobs=1)


def test_networks_at_chance_are_told(done):
    _, outcome = done
    expected = warnings_of(outcome.rows)
    assert expected  # an epoch of 24 samples teaches nothing
    assert outcome.warnings[-len(expected) :] == expected


def test_rows_say_how_many_samples_are_of_the_commonest_class(done):
    folder, outcome = done
    _, labels = load_split("digits", train=False)
    labels = labels[:24].tolist()
    assert {row.commonest for row in outcome.rows} == {max(map(labels.count, labels))}
    # They follow from the data, so neither cells nor the description know of them.
    for path in (folder / "description.json", *(folder / "cells").glob("*.json")):
        assert "commonest" not in path.read_text()
    assert "No better than chance in any order" in (folder / "report.md").read_text()


def run_by_hand(file, row):
    """Graph, record and labels of a row, by the readable definition."""
    x, labels = (array[: row.samples] for array in load_split("digits", train=False))
    graph = la.load(file)
    record = la.simulate(
        graph, fit_to(graph, x, labels, "network"), ORDERS[row.run](row.seed or 0),
        backend="reference", stop_after=row.stop_after,
    )  # fmt: skip
    return graph, record, labels


def check_row(row, file):
    graph, record, labels = run_by_hand(file, row)
    found = metrics.evaluate(graph, record, labels)
    assert row.correct == (metrics.predict(record) == labels).sum()
    assert (row.samples, row.accuracy) == (found.samples, found.accuracy)
    assert 0 <= row.accuracy_low <= row.accuracy <= row.accuracy_high <= 1
    assert row.spikes_per_sample == found.spikes_per_sample
    assert row.density == found.spike_density
    assert row.synops_per_sample == found.synops_per_sample
    assert row.forward_steps_per_sample == found.forward_steps_per_sample
    assert row.decision_step == found.decision_latency
    assert row.decision_time_step == time_steps_by_hand(record)
    return metrics.accuracy_curve(record, labels)[1].tolist()


def time_steps_by_hand(record):
    """Mean time steps until the prediction stands, over the samples that have one."""
    standing = []
    for sample in record.output_steps >= 0:
        predictions = []
        for t in range(sample.shape[1]):
            counts = sample[:, : t + 1].sum(axis=1)
            predictions.append(int(counts.argmax()) if counts.any() else None)
        if predictions[-1] is not None:
            others = [t for t, found in enumerate(predictions) if found != predictions[-1]]
            standing.append(2 + max(others, default=-1))
    return sum(standing) / len(standing) if standing else None


def test_rows_and_points_say_what_running_their_networks_by_hand_gives(done):
    folder, outcome = done
    networks = {sha256(path)[:16]: path for path in (folder / "cells").glob("*.net")}
    assert len(networks) == 4
    assert any(row.spikes_per_sample for row in outcome.rows)
    for row in outcome.rows:
        curve = check_row(row, networks[row.network])
        points = [
            point for point in outcome.points
            if (point.network, point.run) == (row.network, row.run)
        ]
        if row.stop_after is None:
            assert [point.accuracy for point in points] == curve
            assert [point.forward_step for point in points] == list(range(len(curve)))
            assert {(point.name, point.seed) for point in points} == {(row.name, row.seed)}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_rows_are_in_the_order_of_the_description(done):
    _, outcome = done
    seen = [(row.method, row.seed, row.run, row.stop_after) for row in outcome.rows]
    runs = [
        ("layer:8", None), *((run, k) for run in ("momentum:8", "random:2") for k in (None, 0, 2))
    ]
    assert seen == [
        (method, seed, *run) for method in TINY.methods for seed in (0, 1) for run in runs
    ]
    assert {(row.method, row.trained_with, row.group_size, row.penalty) for row in outcome.rows} \
        == {("layered", "layer:8", 8, 0.0), ("decisive", "momentum:8", 8, 0.003)}  # fmt: skip
    assert {(row.data, row.epochs, row.name == row.method) for row in outcome.rows} \
        == {("digits", 1, True)}  # fmt: skip
    assert {(row.run, row.scheduler, row.run_group_size) for row in outcome.rows} == {
        ("layer:8", "layer", 8), ("momentum:8", "momentum", 8), ("random:2", "random", 2)
    }  # fmt: skip


def test_files_say_what_the_outcome_does(done):
    folder, outcome = done
    assert read_rows(folder) == outcome.rows
    for name, kind, items in (
        ("table.csv", Row, outcome.rows), ("curves.csv", Point, outcome.points)
    ):  # fmt: skip
        with (folder / name).open(newline="") as file:
            found = list(csv.DictReader(file))
        assert list(found[0]) == [field.name for field in dataclasses.fields(kind)]
        wanted = [
            {k: "" if v is None else str(v) for k, v in dataclasses.asdict(item).items()}
            for item in items
        ]
        assert found == wanted
    document = json.loads((folder / "table.json").read_text())
    assert document["study"]["recipe"] == TINY.recipe.to_dict()
    assert document["code"]["version"] == la.__version__
    summary = json.loads((folder / "study.json").read_text())
    assert summary["study"] == document["study"]
    assert summary["versions"]["lava-async"] == la.__version__ and summary["machine"]["cores"]


@pytest.mark.parametrize("value", ["time", "host", "date"])
def test_cells_hold_nothing_of_the_machine(value, done):
    folder, _ = done
    for path in (folder / "cells").glob("*.json"):
        names = json.loads(path.read_text())
        keys = {*names, *names["configuration"], *names["result"]}
        assert not {key for key in keys if key.startswith(value) and key != "time_steps"}


def test_a_finished_study_computes_nothing_and_writes_the_same(done):
    folder, outcome = done
    before, written = tables(folder), cell_files(folder)
    again = run_study(TINY, folder, jobs=1)
    assert (again.computed, again.rows, again.points) == (0, outcome.rows, outcome.points)
    assert tables(folder) == before and cell_files(folder) == written


def test_two_processes_give_the_bytes_of_one(done, tmp_path):
    folder, outcome = done
    assert run_study(TINY, tmp_path / "two", jobs=2).computed == outcome.computed
    assert tables(tmp_path / "two") == tables(folder)
    assert sorted(cell_files(tmp_path / "two")) == sorted(cell_files(folder))
    for name in cell_files(folder):
        assert (tmp_path / "two/cells" / name).read_bytes() == (
            folder / "cells" / name
        ).read_bytes()


# ---------------------------------------------------------------- damage


def damage(path, how):
    content = path.read_bytes()
    path.write_bytes({
        "empty": b"",
        "cut": content[: len(content) // 2],
        "a bit": content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
        "no JSON": b"\xff\x00",
        "another's": b'{"digest": 1}',
        "a list": b"[]",
        "deep": b"[" * 100_000,
    }[how])  # fmt: skip


@pytest.mark.parametrize(
    "how", ["empty", "cut", "a bit", "no JSON", "another's", "a list", "deep"]
)
@pytest.mark.parametrize("kind", ["train", "network", "run"])
def test_a_damaged_file_is_computed_again_and_told_of_once(kind, how, done):
    folder, _ = done
    before, written = tables(folder), cell_files(folder)
    paths = [
        path for path in sorted((folder / "cells").iterdir())
        if (path.suffix == ".net") == (kind == "network")
        and (kind == "network" or f'"cell":"{kind}"' in path.read_text())
    ]  # fmt: skip
    damage(paths[0], how)
    again = run_study(TINY, folder, jobs=1)
    assert again.computed == 1
    told = [text for text in again.warnings if "damaged" in text]
    assert len(told) == 1 and told[0].endswith(f"damaged, and computed again: {paths[0].name}")
    assert tables(folder) == before
    assert cell_files(folder).keys() == written.keys()
    assert not [text for text in run_study(TINY, folder, jobs=1).warnings if "damaged" in text]


def test_cells_of_another_study_do_not_pass_for_ones_own(done):
    folder, _ = done
    before = tables(folder)
    first, second = sorted(
        path for path in (folder / "cells").glob("*.json") if '"cell":"run"' in path.read_text()
    )[:2]
    first.write_bytes(second.read_bytes())
    assert run_study(TINY, folder, jobs=1).computed == 1
    assert tables(folder) == before


# ---------------------------------------------------------------- the description


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seeds": 3}, "seeds: expected 2, as in the study that it holds (got 3)"),
        ({"methods": ("layered",)}, "methods: expected ['layered', 'decisive'], as"),
        ({"recipe": dataclasses.replace(TINY.recipe, epochs=2)}, "recipe.epochs: expected 1, as"),
        ({"samples": None}, "samples: expected 24, as in the study that it holds (got None)"),
    ],
)
def test_a_folder_with_another_study_is_refused_by_name(change, says, done):
    folder, _ = done
    before, written = tables(folder), cell_files(folder)
    with pytest.raises(ValidationError) as error:
        run_study(dataclasses.replace(TINY, **change), folder)
    assert str(error.value).startswith(f"output {folder}: {says}")
    assert tables(folder) == before and cell_files(folder) == written


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValidationError, match="expected a new or empty folder"):
        run_study(TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_description_is_refused(content, tmp_path):
    (tmp_path / "description.json").write_text(content)
    with pytest.raises(LavaAsyncError, match=r"description.json: description: expected"):
        run_study(TINY, tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"data": "moons"}, "data"),
        ({"methods": ()}, "methods"),
        ({"methods": ("by heart",)}, "methods"),
        ({"methods": ["layered"]}, "methods"),
        ({"methods": ("layered", "layered")}, "methods"),
        ({"train_schedules": ("layer",)}, "train_schedules"),
        ({"group_sizes": ()}, "group_sizes"),
        ({"group_sizes": (0,)}, "group_sizes"),
        ({"group_sizes": (True,)}, "group_sizes"),
        ({"penalties": (-1.0,)}, "penalties"),
        ({"penalties": ("1",)}, "penalties"),
        ({"penalties": (0.0,), "methods": ("layered + penalty",)}, "penalties"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": 1.5}, "seeds"),
        ({"schedules": ("sorted",)}, "schedules"),
        ({"schedules": ("momentum:0",)}, "schedules"),
        ({"schedules": ("momentum:",)}, "schedules"),
        ({"schedules": ("mixture",)}, "schedules"),
        ({"stop_after": (-1,)}, "stop_after"),
        ({"stop_after": (1,), "schedules": ("layer",)}, "stop_after"),
        ({"samples": 0}, "samples"),
    ],
)
def test_what_no_study_can_be_is_refused(change, what):
    with pytest.raises(ValidationError, match=f"^study: {what}: expected "):
        Study(**change)


@pytest.mark.parametrize("jobs", [0, -1, True, 1.5])
def test_numbers_of_processes_that_are_none_are_refused(jobs, tmp_path):
    with pytest.raises(ValidationError, match="study: jobs: expected None or an integer >= 1"):
        run_study(TINY, tmp_path / "out", jobs=jobs)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_each_training_once_and_tell_their_names_apart(preset):
    trainings = PRESETS[preset].trainings()
    assert list(dict.fromkeys(each.method for each in trainings)) == list(METHODS)
    assert len({str(each.settings.to_dict()) for each in trainings}) == len(trainings)
    assert len({(each.name, each.settings.seed) for each in trainings}) == len(trainings)
    runs = PRESETS[preset].runs(0)
    assert len({(run.spec, run.stop_after) for run in runs}) == len(runs)


def test_a_mixture_has_all_group_sizes_and_one_under_momentum_and_random_order():
    study = Study(methods=("decisive, mixture",), group_sizes=(8, 4), seeds=1)
    (training,) = study.trainings()
    assert training.settings.schedule == la.Mixture((
        la.Momentum(8), la.Momentum(4), la.Momentum(1),
        la.Random(8), la.Random(4), la.Random(1),
    ))  # fmt: skip


# ---------------------------------------------------------------- given networks


def slayers_own(path, *, convolution=False):
    """A network that stock lava-dl code trained and exported, nothing of this package between."""
    import torch
    from lava.lib.dl.slayer.block import cuba

    def build():
        neuron = {"threshold": 1.25, "current_decay": 0.4, "voltage_decay": 0.2}
        first = (
            [cuba.Conv(neuron, 2, 3, 5, stride=4, weight_scale=6, delay_shift=False),
             cuba.Flatten()]
            if convolution else
            [cuba.Dense(neuron, 2312, 16, weight_scale=6, delay_shift=False)]
        )  # fmt: skip
        size = 3 * 8 * 8 if convolution else 16
        return [*first, cuba.Dense(neuron, size, 10, weight_scale=8, delay_shift=False)]

    blocks = torch.nn.ModuleList(sb.seeded(build))
    optimizer = torch.optim.Adam(blocks.parameters(), lr=0.01)
    frames, labels = load_split("digits", train=True)
    spikes = torch.from_numpy(frames[:32]).float()
    if not convolution:
        spikes = spikes.reshape(32, -1, frames.shape[-1])
    for block in blocks:
        spikes = block(spikes)
    loss = torch.nn.functional.cross_entropy(spikes.sum(-1), torch.from_numpy(labels[:32]))
    loss.backward()
    optimizer.step()
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        for index, block in enumerate(blocks):
            block.export_hdf5(layers.create_group(str(index)))


@pytest.mark.parametrize("convolution", [False, True])
def test_a_network_that_stock_lava_dl_exported_goes_through_unchanged(convolution, tmp_path):
    path = tmp_path / "slayers.net"
    slayers_own(path, convolution=convolution)
    content = path.read_bytes()
    study = dataclasses.replace(TINY, methods=(), given=(path,))
    outcome = run_study(study, tmp_path / "out", jobs=1)
    assert path.read_bytes() == content
    assert not list((tmp_path / "out/cells").glob("*.net"))
    assert len(outcome.rows) == 7 and any(row.spikes_per_sample for row in outcome.rows)
    for row in outcome.rows:
        assert (row.method, row.name, row.trained_with) == ("given", "slayers.net", "")
        assert row.network == hashlib.sha256(content).hexdigest()[:16]
        assert (row.group_size, row.penalty, row.epochs, row.seed) == (None,) * 4
        if not convolution:  # else `check_row` would have to know the shape of the input
            check_row(row, path)
    assert all(map(math.isfinite, (row.density for row in outcome.rows)))

    slayers_own(path, convolution=not convolution)
    with pytest.raises(ValidationError, match=r"given: expected .*as in the study that it holds"):
        run_study(study, tmp_path / "out", jobs=1)


def test_given_networks_stand_beside_trained_ones_under_names_that_tell_them_apart(
    done, tmp_path
):
    folder, outcome = done
    trained = sorted((folder / "cells").glob("*.net"))[:2]
    files = [tmp_path / name / "network.net" for name in "ab"]
    for file, source in zip(files, trained, strict=True):
        file.parent.mkdir()
        file.write_bytes(source.read_bytes())
    study = dataclasses.replace(TINY, methods=("layered",), seeds=1, given=tuple(files))
    rows = run_study(study, tmp_path / "out", jobs=1).rows
    assert list(dict.fromkeys(row.name for row in rows)) == ["layered", *map(str, files)]
    by_digest = {row.network: row.trained_with for row in outcome.rows}
    for row in rows[7:]:
        assert row.trained_with == by_digest[row.network]


def test_given_networks_that_cannot_be_run_are_refused_before_anything_is_written(tmp_path):
    for name, content in (("none.net", None), ("text.net", b"text")):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ValidationError, match=name):
            run_study(dataclasses.replace(TINY, given=(tmp_path / name,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
