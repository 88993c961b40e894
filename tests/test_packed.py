"""Frames on the disk: what an array of them would give, one sample at a time."""

import pickle

import h5py
import numpy as np
import pytest

import lava_async as la
from lava_async.datasets import packed
from lava_async.errors import FileFormatError, ValidationError
from lava_async.study.data import fit_to
from net_files import dense, neuron, write_net

SHAPE, SETTING = (2, 3, 4, 5), {"data": "none", "seed": 1}


def places_of(seed=0, count=9):
    rng = np.random.default_rng(seed)
    sizes = [0, 40, 1, 700, *rng.integers(0, 60, count - 4)]
    return [rng.integers(0, np.prod(SHAPE), n) for n in sizes]


def frames_of(places):
    counts = [np.bincount(p, minlength=np.prod(SHAPE)) for p in places]
    return np.minimum(np.stack(counts), 255).astype(np.uint8).reshape(-1, *SHAPE)


@pytest.fixture
def written(tmp_path):
    path, places = tmp_path / "a.h5", places_of()
    places[3][:400] = 7  # more than fit
    packed.write(path, ((p, i % 4) for i, p in enumerate(places)), SHAPE, SETTING)
    return path, frames_of(places)


@pytest.mark.parametrize(
    "index",
    [0, -1, np.int64(3), slice(None), slice(2, 7, 2), slice(5, 5), [3, 1, 1], np.array([8, 0]),
     np.arange(9) % 2 == 0, np.array([[1, 2], [3, 4]])],
)  # fmt: skip
def test_indexes_as_an_array(written, index):
    frames, labels = packed.read(written[0], SHAPE, SETTING)
    found = frames[index]
    assert found.dtype == np.uint8 and np.array_equal(found, written[1][index])
    assert found.shape == written[1][index].shape
    assert labels.tolist() == [i % 4 for i in range(9)]


def test_looks_like_an_array(written):
    frames, _ = packed.read(written[0], SHAPE, SETTING)
    assert (frames.shape, frames.ndim, frames.dtype, len(frames)) == ((9, *SHAPE), 5, np.uint8, 9)
    assert np.array_equal(np.asarray(frames), written[1])
    assert np.array_equal(np.asarray(frames, np.int32), written[1]) and written[1].max() == 255
    assert np.array_equal(frames.reshape(9, 24, 5)[2:4], written[1].reshape(9, 24, 5)[2:4])
    for shape in ((9, 24, 4), (8, 24, 5), (9,)):
        with pytest.raises(ValidationError, match=r"reshape: shape: expected 9 samples of 120"):
            frames.reshape(*shape)
    for index in (9, -10, [9]):
        with pytest.raises(IndexError):
            frames[index]


def test_goes_to_other_processes(written):
    frames, _ = packed.read(written[0], SHAPE, SETTING)
    assert np.array_equal(pickle.loads(pickle.dumps(frames))[4], written[1][4])


def test_runs_as_an_array_does(written, tmp_path):
    write_net(tmp_path / "a.net", [dense(np.full((4, 120 // 5), 60), neuron())])
    graph = la.load(tmp_path / "a.net")
    frames, labels = packed.read(written[0], SHAPE, SETTING)
    fitted = [fit_to(graph, x, labels, "a.net") for x in (frames, written[1])]
    assert np.array_equal(*fitted)


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    def samples():
        yield np.arange(3), 0
        raise ValidationError("sample 1", "x", "0", 1)

    with pytest.raises(ValidationError, match="sample 1"):
        packed.write(tmp_path / "a.h5", samples(), SHAPE, SETTING)
    assert list(tmp_path.iterdir()) == []


def test_only_some_samples_are_in_memory_while_writing(tmp_path):
    import tracemalloc

    def samples(count):
        for i in range(count):
            yield np.full(20_000, i % 120), 0

    peaks = []
    for count in (20, 200):
        tracemalloc.start()
        packed.write(tmp_path / f"{count}.h5", samples(count), SHAPE, SETTING)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


@pytest.mark.parametrize("size", [0, 1, 100, 2000, -1])
def test_cut_files_are_refused(written, size):
    path = written[0]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FileFormatError, match="expected one that was written whole; removed"):
        packed.read(path, SHAPE, SETTING)


def change(name, value):
    def changed(file):
        if name in file:
            del file[name]
            if value is not None:
                file[name] = value
        elif value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value

    return changed


@pytest.mark.parametrize(
    "changed",
    [
        *(change(n, None) for n in
          ("events", "offsets", "labels", "format_version", "shape", "setting")),
        change("offsets", np.arange(10)),
        change("offsets", np.zeros(3, int)),
        change("labels", np.zeros(3, int)),
        change("format_version", 2),
        change("shape", (2, 3, 5, 4)),
        change("setting", "{}"),
    ],
)  # fmt: skip
def test_other_files_are_refused(written, changed):
    with h5py.File(written[0], "r+") as file:
        changed(file)
    with pytest.raises(FileFormatError, match=r"a\.h5: .*removed, it is made anew"):
        packed.read(written[0], SHAPE, SETTING)


def test_settings_are_told_apart(written):
    for shape, setting in (((2, 3, 4, 6), SETTING), (SHAPE, {**SETTING, "seed": 2})):
        with pytest.raises(FileFormatError, match="removed, it is made anew"):
            packed.read(written[0], shape, setting)


def test_events_outside_of_a_frame_are_refused(written):
    with h5py.File(written[0], "r+") as file:
        file["events"][5] = 120
    frames, _ = packed.read(written[0], SHAPE, SETTING)
    with pytest.raises(FileFormatError, match="events: expected places below 120"):
        frames[:]
