"""Splits of any size: a part at a time is in memory, and no result depends on the parts."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lava_async as la
from lava_async import _parts, metrics
from lava_async.datasets import baseline, packed, registry
from lava_async.errors import ValidationError
from lava_async.study import Study, cells, run_study
from lava_async.study.data import first, fit_to
from lava_async.study.orders import accuracy_by_order
from lava_async.study.runs import run_split
from lava_async.study.settings import DIGITS
from net_files import dense, neuron, write_net
from studies import small, tables
from test_metrics_of_networks import SETTINGS, runs
from training_folders import assert_same_training, run

pytestmark = pytest.mark.timeout(240)

SHAPE, CLASSES, SAMPLES = (2, 3, 4, 5), 3, 40  # 120 bytes a sample
MOST = 16  # samples at once, as many as a batch of training
HELD = 120 * MOST  # of frames as many, and fewer of a run


class Reluctant:
    """Frames of which one can have some, but not all."""

    def __init__(self, frames):
        self.frames, self.shape, self.dtype = frames, frames.shape, frames.dtype

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        samples = np.arange(len(self))[index]
        if samples.size > MOST:
            raise MemoryError(f"{samples.size} samples at once")
        return self.frames[samples]

    def __array__(self, dtype=None, copy=None):
        raise MemoryError("all samples at once")


def blobs(train):
    """Classes that differ in where there are more events."""
    rng = np.random.default_rng(train)
    labels = rng.integers(0, CLASSES, SAMPLES)
    x = rng.random((SAMPLES, *SHAPE)) < 0.15
    x[np.arange(SAMPLES), :, labels] |= rng.random((SAMPLES, 2, 4, 5)) < 0.5
    return x.astype(np.uint8), labels


@pytest.fixture
def blobs_are(monkeypatch):
    """Makes the data set of that name an array and the parts large, or the opposite of both."""

    def become(whole):
        def load(train):
            x, labels = blobs(train)
            return (x if whole else Reluctant(x)), labels

        monkeypatch.setattr(_parts, "HELD", 1 << 26 if whole else HELD)
        monkeypatch.setitem(
            registry._BY_NAME, "blobs",
            registry.DataSet("blobs", "blobs", SHAPE[:3], CLASSES, SHAPE[3], 1000, load),
        )  # fmt: skip
        cells.load.cache_clear()

    yield become
    cells.load.cache_clear()


@pytest.fixture
def network(tmp_path):
    rng = np.random.default_rng(3)
    layers = [
        dense(rng.integers(-60, 80, (12, 24)), neuron()),
        dense(rng.integers(-60, 90, (CLASSES, 12)), neuron()),
    ]
    write_net(tmp_path / "a.net", layers)
    return tmp_path / "a.net"


# ---------------------------------------------------------------- parts


def test_parts_follow_each_other_and_fit(monkeypatch):
    monkeypatch.setattr(_parts, "HELD", 1000)
    for count, entries in ((1, 10), (10, 99), (10, 100), (10, 101), (10, 500), (7, 501), (3, 5000)):
        x = np.zeros((count, entries), np.uint8)
        found = list(_parts.parts(x))
        covered = np.concatenate([np.arange(count)[part] for part in found])
        assert covered.tolist() == list(range(count))
        sizes = [x[part].nbytes for part in found]
        assert max(sizes) <= max(1000, entries)
        assert all(size + entries > 1000 for size in sizes[:-1])


def test_a_part_has_room_for_frames_and_record(network, monkeypatch):
    graph, (x, _) = la.load(network), blobs(True)
    frames = fit_to(graph, x, np.arange(CLASSES), "a.net")
    record = la.simulate(graph, frames)
    arrays = [getattr(record, field.name) for field in dataclasses.fields(record)]
    held = frames.nbytes + sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
    monkeypatch.setattr(_parts, "HELD", held)
    assert list(_parts.parts(frames, graph)) == [slice(0, SAMPLES)]
    monkeypatch.setattr(_parts, "HELD", held - 1)
    assert list(_parts.parts(frames, graph)) == [slice(0, SAMPLES - 1), slice(SAMPLES - 1, SAMPLES)]


@SETTINGS
@given(runs(), st.data())
def test_totals_of_parts_add_up_to_those_of_all(ran, data):
    graph, _, record, labels = ran
    whole = metrics.Totals.of(record, labels)
    cut = data.draw(st.integers(1, max(1, len(labels) - 1)))
    if cut < len(labels):
        one, other = (
            metrics.Totals.of(cut_out(record, part), labels[part])
            for part in (slice(0, cut), slice(cut, None))
        )
        for added in (one + other, other + one):
            assert plain(added) == plain(whole)
    assert whole.evaluation() == metrics.evaluate(graph, record, labels)
    for mine, theirs in zip(
        whole.accuracy_curve(), metrics.accuracy_curve(record, labels), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert whole.correct == (metrics.predict(record) == labels).sum()
    per_population = np.add.reduceat(whole.spikes, graph.offsets[:-1]).tolist()
    assert per_population == metrics.spikes_per_population(graph, record).sum(axis=0).tolist()


def cut_out(record, samples):
    """The record of some samples."""
    arrays = {
        field.name: value[samples]
        for field in dataclasses.fields(record)
        if isinstance(value := getattr(record, field.name), np.ndarray)
    }
    return dataclasses.replace(record, **arrays)


def plain(totals):
    return {
        field.name: np.asarray(getattr(totals, field.name)).tolist()
        for field in dataclasses.fields(totals)
    }


def test_totals_of_other_networks_or_lengths_do_not_add_up(network):
    graph = la.load(network)
    x, labels = np.ones((2, 24, 5), np.uint8), [0, 1]
    one = metrics.Totals.of(la.simulate(graph, x), labels)
    longer = metrics.Totals.of(la.simulate(graph, np.repeat(x, 2, axis=-1)), labels)
    with pytest.raises(ValidationError, match=r"Totals: neurons and time steps: .*\(15, 5\)"):
        one + longer


# ---------------------------------------------------------------- splits


@pytest.mark.parametrize(
    "index", [0, -1, slice(None), slice(9, 1, -3), [3, 1, 1], np.array([[1, 2], [3, 4]])]
)
def test_views_are_indexed_as_arrays(index):
    x, labels = blobs(True)
    wanted = x[:11].reshape(11, 24, 5)
    graph = la.Graph((24,), (la.Population("p", (CLASSES,), 0, 0, 1),),
                     (la.Dense(la.INPUT, 0, np.ones((CLASSES, 24), int)),))  # fmt: skip
    view = fit_to(graph, *first(11, (Reluctant(x), labels)), where="net")
    assert (view.shape, view.dtype, len(view)) == (wanted.shape, wanted.dtype, 11)
    np.testing.assert_array_equal(view[index], wanted[index])
    np.testing.assert_array_equal(np.asarray(view), wanted)  # 11 samples may be had at once
    assert np.asarray(view, np.int32).dtype == np.int32
    with pytest.raises(IndexError):
        view[11]


def test_of_a_split_the_first_samples_or_all():
    for samples, wanted in ((None, SAMPLES), (SAMPLES + 1, SAMPLES), (3, 3)):
        x, labels = blobs(False)
        for frames in (x, Reluctant(x)):
            found, of_these = first(samples, (frames, labels))
            assert len(found) == len(of_these) == wanted


@pytest.mark.parametrize("samples", [None, 1, 21, 1000])
def test_the_digest_is_of_the_samples_alone(samples, blobs_are, monkeypatch):
    found = set()
    for whole, held in ((True, 1 << 26), (True, 7), (False, HELD), (False, 500), (False, 1)):
        blobs_are(whole)
        monkeypatch.setattr(_parts, "HELD", held)
        (x, labels), digest = cells.load("blobs", samples, False, None, "")
        assert len(x) == len(labels) == min(samples or SAMPLES, SAMPLES)
        found.add(digest)
    assert len(found) == 1
    assert cells.load("blobs", samples, True, None, "")[1] not in found
    assert cells.load("blobs", 20, False, None, "")[1] not in found


def test_the_linear_baseline_counts_in_parts(monkeypatch):
    x, _ = blobs(True)
    monkeypatch.setattr(_parts, "HELD", HELD)
    wanted = x.sum(axis=-1).reshape(SAMPLES, 24)
    np.testing.assert_array_equal(baseline.event_counts(Reluctant(x)), wanted)


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize("backend", ["kernel", "reference", "lava"])
def test_runs_in_parts_tell_how_far_they_are(backend, network, monkeypatch):
    graph, (x, labels) = la.load(network), blobs(False)
    frames, labels = first(9, (fit_to(graph, x, labels, "a.net"), labels))
    order = la.Random(1, seed=3)
    wanted = metrics.Totals.of(la.simulate(graph, frames, order), labels)
    monkeypatch.setattr(_parts, "HELD", HELD)
    done = []
    found = run_split(graph, frames, labels, order, backend=backend, progress=done.append)
    assert plain(found) == plain(wanted)
    assert sum(done) == 9 and len(done) == len(list(_parts.parts(frames, graph))) > 1


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--schedule", "layer"],
        ["--schedule", "random", "--group-size", "1", "--seed", "5"],
        ["--schedule", "momentum:2", "--noise", "0.5", "--seed", "5", "--stop-after", "1"],
        ["--schedule", "momentum:8,random:1,layer:2", "--seed", "7"],
        ["--schedule", "random:2,fifo:1", "--stop-after", "0", "--backend", "reference"],
    ],
)
def test_evaluate(options, network, blobs_are, capsys):
    found = []
    for whole in (True, False):
        blobs_are(whole)
        found.append(run(capsys, "evaluate", str(network), "--data", "blobs", *options, "--json"))
    assert found[0] == found[1]
    document = json.loads(found[0])
    assert document["samples"] == SAMPLES and document["spikes_per_sample"] > 0


def test_train(blobs_are, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    for whole in (True, False):
        blobs_are(whole)
        text = run(
            capsys, "train", "--out", f"{whole}", "--data", "blobs", "--layers", "12",
            "--epochs", "2", "--batch-size", str(MOST), "--schedule", "momentum:4,random:1",
            "--json",
        )  # fmt: skip
        found.append({**json.loads(text), "out": None})
    assert found[0] == found[1] and len(found[0]["by_order"]) == 7
    assert any(entry["spikes_per_sample"] for entry in found[0]["by_order"])
    assert_same_training(tmp_path / "True", tmp_path / "False")


def test_study(network, blobs_are, tmp_path):
    recipe = dataclasses.replace(small(DIGITS).for_data("digits"), input_shape=SHAPE[:3],
                                 sizes=(12, CLASSES), batch_size=MOST)  # fmt: skip
    found = []
    for whole in (True, False):
        blobs_are(whole)
        study = Study(
            data="blobs", methods=("layered", "decisive, mixture"), seeds=1,
            schedules=("layer", "momentum", "random:1"), stop_after=(0,), given=(network,),
            recipe=recipe, unrolled_recipe=recipe, samples=SAMPLES - 3,
        )  # fmt: skip
        outcome = run_study(study, tmp_path / f"{whole}", jobs=1)
        assert all(row.samples == SAMPLES - 3 for row in outcome.rows)
        assert any(row.spikes_per_sample for row in outcome.rows)
        found.append(tables(tmp_path / f"{whole}"))
    assert found[0] == found[1]


def test_a_table_by_order_of_less_than_a_split(network):
    """What is no array is asked for in parts; of another shape it is refused as an array is."""
    graph, (x, labels) = la.load(network), blobs(False)
    orders = [la.Random(1, seed=4), la.LayerSync()]
    wanted = metrics.accuracy_by_schedule(graph, x.reshape(SAMPLES, 24, 5), labels, orders)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_parts, "HELD", HELD)
        frames = fit_to(graph, Reluctant(x), labels, "a.net")
        found = metrics.accuracy_by_schedule(graph, frames, labels, orders)
    np.testing.assert_array_equal(found.predictions, wanted.predictions)
    np.testing.assert_array_equal(found.accuracy, wanted.accuracy)
    np.testing.assert_array_equal(found.spikes_per_sample, wanted.spikes_per_sample)
    few = Reluctant(x[:5])
    with pytest.raises(ValidationError, match="input: shape"):
        metrics.accuracy_by_schedule(graph, first(5, (few, labels))[0], labels[:5], orders)


def test_memory_is_bounded_whatever_the_size_of_a_split(network, tmp_path, monkeypatch):
    held, count, shape = 1 << 20, 600, (24, 1, 1, 1000)  # 24 kB a sample, 14 MB in all
    rng = np.random.default_rng(0)
    places = (rng.integers(0, 24_000, 40) for _ in range(count))
    labels = np.arange(count) % CLASSES
    packed.write(tmp_path / "a.h5", zip(places, labels.tolist(), strict=True), shape, {})
    x, _ = packed.read(tmp_path / "a.h5", shape, {})
    monkeypatch.setattr(_parts, "HELD", held)
    monkeypatch.setattr(cells, "load_split", lambda name, train, root: (x, labels))
    graph = la.load(network)
    frames = fit_to(graph, x, labels, "a.net")

    for work in (
        lambda: cells.load("large", None, False, None, ""),
        lambda: run_split(graph, frames, labels, la.Mixture([la.Random(2), la.LayerSync()])),
        lambda: accuracy_by_order(graph, frames, labels),
    ):
        peaks = []
        for _ in range(4):
            cells.load.cache_clear()
            tracemalloc.start()
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        # Whatever is imported first, or other threads allocate meanwhile, is no part of it.
        assert min(peaks) < 4 * held
    cells.load.cache_clear()
