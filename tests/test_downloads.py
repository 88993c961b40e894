"""N-MNIST, SHD and DVS Gesture in miniature, through tonic: from their own files to frames."""

import dataclasses
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
import tonic

from event_files import md5, nmnist_bytes, write_dvsgesture, write_nmnist, write_shd
from lava_async._cli import main
from lava_async.datasets import downloads, events, registry
from lava_async.errors import ValidationError

NAMES = list(downloads.SOURCES)
WRITERS = {"nmnist": write_nmnist, "shd": write_shd, "dvsgesture": write_dvsgesture}
CLASSES = {"nmnist": tonic.datasets.NMNIST, "shd": tonic.datasets.SHD,
           "dvsgesture": tonic.datasets.DVSGesture}  # fmt: skip


def samples_of(name, count, seed=0):
    """Random samples in time, as rows of the files, with labels; the first has an event at 0."""
    rng = np.random.default_rng([seed, count])
    samples = []
    for i in range(count):
        n = int(rng.integers(20, 60))
        if name == "nmnist":
            times = np.sort(rng.integers(0, 300_000, n))
            rows = [(*rng.integers(0, 34, 2).tolist(), int(t), int(rng.integers(2)))
                    for t in times]  # fmt: skip
            rows += [rows[-1]] * 3
        elif name == "shd":
            times = np.sort(rng.integers(0, 1500, n)) / 1024  # in float16, too
            rows = [(int(rng.integers(700)), float(np.float16(t))) for t in times]
        else:
            times = np.sort(rng.integers(700, 3000, n))
            rows = [(*rng.integers(0, 128, 2).tolist(), int(rng.integers(2)), int(t))
                    for t in times]  # fmt: skip
        samples.append((rows, i % 4))
    return samples


def frames_by_hand(name, rows):
    """One sample's frames, event by event."""
    described = registry.describe(name)
    frames = np.zeros((*described.input_shape, described.num_steps), int)
    for row in rows:
        if name == "nmnist":
            x, y, t, p = row
            place = (p, y, x, t // 10_000)
        elif name == "shd":
            place = (0, 0, row[0], int(row[1] * 1e6) // 14_000)
        else:
            x, y, p, t = row
            place = (p, y // 4, x // 4, (t - rows[0][3]) // 25)
        if place[-1] < described.num_steps:
            frames[place] += 1
    return frames


@pytest.fixture
def offline(monkeypatch):
    """No network, and data sets that may be small."""
    asked = []

    def refuse(request, *args, **kwargs):
        asked.append(request.full_url)
        raise URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    for name, source in downloads.SOURCES.items():
        monkeypatch.setitem(downloads.SOURCES, name, dataclasses.replace(source, least=(5, 3)))
    return asked


@pytest.fixture
def put(tmp_path, offline, monkeypatch):
    """Put a split where a user is told to put it."""

    def put(name, train, samples):
        file = WRITERS[name](tmp_path, train, samples)
        monkeypatch.setattr(CLASSES[name], f"{'train' if train else 'test'}_md5", md5(file))
        return file

    return put


@pytest.mark.parametrize("name", NAMES)
def test_from_its_own_files_to_frames(name, put, tmp_path, offline):
    for train, count in ((True, 7), (False, 4)):
        samples = samples_of(name, count)
        put(name, train, samples)
        x, labels = registry.load_frames(name, train, tmp_path)
        described = registry.describe(name)
        assert x.shape == (count, *described.input_shape, described.num_steps)
        # Where each class has a folder, the samples come by class.
        if name == "nmnist":
            samples = sorted(samples, key=lambda sample: sample[1])
        assert labels.tolist() == [label for _, label in samples]
        wanted = np.stack([frames_by_hand(name, rows) for rows, _ in samples])
        assert np.array_equal(np.asarray(x), wanted) and wanted.any(axis=(1, 2, 3, 4)).all()
        assert np.array_equal(x[[2, 0]], wanted[[2, 0]])
    assert offline == []


def test_nmnist_s_clock_overflows(put, tmp_path):
    # y = 240: 2**13 µs more for all that follow.
    rows = [(1, 2, 5, 1), (0, 240, 0, 0), (3, 4, 5, 0), (0, 240, 0, 0), (5, 6, 90_000, 0)]
    put("nmnist", True, [(rows, 0)] * 5)
    x, _ = registry.load_frames("nmnist", True, tmp_path)
    wanted = np.zeros((2, 34, 34, 10), int)
    wanted[1, 2, 1, 0] = wanted[0, 4, 3, 0] = 1  # at 5 and 8197 µs, but not at 106,384
    assert np.array_equal(x[0], wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_may_have_no_events(name, put, tmp_path):
    samples = samples_of(name, 6)
    rows = np.zeros((0, 4), int) if name == "dvsgesture" else []
    put(name, True, [(rows, 0), *samples[1:]])
    x, labels = registry.load_frames(name, True, tmp_path)
    assert not x[0].any() and x[1].any() and labels[0] == 0


# ---------------------------------------------------------------- the second time


@pytest.mark.parametrize("name", NAMES)
def test_the_second_time_needs_neither_files_nor_tonic_nor_network(name, put, tmp_path):
    file = put(name, False, samples_of(name, 4))
    before = np.asarray(registry.load_frames(name, False, tmp_path)[0])
    np.save(tmp_path / "before.npy", before)
    os.rename(file.parent, tmp_path / "gone")
    code = f"""
import sys
sys.modules["tonic"] = None
import numpy as np
from lava_async.datasets import registry
x, labels = registry.load_frames({name!r}, False)
assert np.array_equal(np.asarray(x), np.load("before.npy")) and len(labels) == 4
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "LAVA_ASYNC_DATA": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "packed").iterdir()] == [
        f"{name}-test-{registry.describe(name).num_steps}x{registry.describe(name).bin_us}us.h5"
    ]


def test_a_damaged_cache_is_refused_and_made_anew(put, tmp_path):
    put("shd", True, samples_of("shd", 5))
    x, _ = registry.load_frames("shd", True, tmp_path)
    before = np.asarray(x)
    x.path.write_bytes(x.path.read_bytes()[:900])
    with pytest.raises(ValidationError, match=r"packed/shd-.*removed, it is made anew"):
        registry.load_frames("shd", True, tmp_path)
    x.path.unlink()
    assert np.array_equal(np.asarray(registry.load_frames("shd", True, tmp_path)[0]), before)


def test_commands_train_on_them_and_results_stay_off_stdout(put, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put("shd", True, samples_of("shd", 6))
    put("shd", False, samples_of("shd", 4))
    args = ["--data", "shd", "--data-root", str(tmp_path)]
    assert main(["train", "--out", "out", "--epochs", "1", "--layers", "8", *args]) == 0
    out, err = capsys.readouterr()
    assert "Extracting" in err and "Extracting" not in out
    assert main(["evaluate", "out/network.net", *args]) == 0
    assert "samples" in capsys.readouterr().out


# ---------------------------------------------------------------- what cannot be had


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("train", [True, False])
def test_without_network_it_says_what_to_fetch_and_where_to_put_it(
    name, train, offline, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError) as caught:
        registry.load_frames(name, train, tmp_path / "data")
    split = "train" if train else "test"
    file = {"nmnist": f"{split}.zip", "shd": f"shd_{split}.h5.zip",
            "dvsgesture": f"ibmGesture{split.title()}.tar.gz"}[name]  # fmt: skip
    folder = tmp_path / "data" / CLASSES[name].__name__
    url = offline[0]
    assert url.startswith("https://")
    assert str(caught.value) == (
        f"data set {name}: download: expected {file} in {folder}: fetch it from {url} "
        "(got URLError: <urlopen error no network>)"
    )
    assert not (tmp_path / "data" / "packed").exists()
    if train:
        args = ["train", "--out", "out", "--data", name, "--data-root", str(tmp_path / "data")]
        assert main(args) == 2
        out, err = capsys.readouterr()
        assert out == "" and "expected" in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_broken_download_is_not_taken(name, damage, put, tmp_path):
    file = put(name, True, samples_of(name, 7))
    good = file.read_bytes()
    file.write_bytes({"cut": good[:-100], "other": b"<html>", "empty": b""}[damage])
    with pytest.raises(ValidationError, match=f"data set {name}: download: expected {file.name}"):
        registry.load_frames(name, True, tmp_path)
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("name", NAMES)
def test_files_that_were_not_all_extracted_are_refused(name, put, tmp_path):
    put(name, True, samples_of(name, 4))
    with pytest.raises(ValidationError) as caught:
        registry.load_frames(name, True, tmp_path)
    assert str(caught.value).startswith(f"data set {name}: samples: expected at least 5; remove ")
    assert not (tmp_path / "packed").exists()


def test_a_server_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    before = socket.getdefaulttimeout()
    monkeypatch.setattr(downloads, "SILENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr(CLASSES["nmnist"], "train_url", address)
        with pytest.raises(ValidationError, match=r"train\.zip in .*: fetch it from http://127"):
            registry.load_frames("nmnist", True, tmp_path)
    assert socket.getdefaulttimeout() == before


def test_a_server_that_stops_in_the_middle_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "SILENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            open_connections = []
            for _ in range(2):  # where it redirects to, and the file
                connection, _ = server.accept()
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 99999\r\n\r\nsome")
                open_connections.append(connection)
            done.wait()
            for connection in open_connections:
                connection.close()

        done = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/shd/"
        monkeypatch.setattr(CLASSES["shd"], "base_url", address)
        try:
            with pytest.raises(ValidationError, match=r"shd_test\.h5\.zip in .*: fetch it from"):
                registry.load_frames("shd", False, tmp_path)
        finally:
            done.set()
            thread.join()


def test_without_tonic_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(ValidationError) as caught:
        registry.load_frames("nmnist", True, tmp_path)
    assert str(caught.value) == (
        "data set nmnist: package tonic: expected it installed "
        "(pip install 'lava-async[datasets]') (got none)"
    )


# ---------------------------------------------------------------- what is in the files


def replaced(name, **fields):
    """Samples of which the third has another event in the middle."""
    samples = samples_of(name, 6)
    rows = [list(row) for row in samples[2][0]]
    columns = {"nmnist": "xytp", "shd": "xt", "dvsgesture": "xypt"}[name]
    for field, value in fields.items():
        rows[10][columns.index(field)] = value
    samples[2] = (rows, samples[2][1])
    return samples


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("nmnist", {"x": 34}, "x: expected 0 <= x < 34 (got 34)"),
        ("nmnist", {"y": 239}, "y: expected 0 <= y < 34 (got 239)"),
        ("nmnist", {"t": 0}, "t: expected at least "),
        ("shd", {"x": 700}, "x: expected 0 <= x < 700 (got 700)"),
        ("shd", {"t": -0.5}, "t: expected at least 0 (got -500000)"),
        ("shd", {"t": 0.0}, "t: expected at least "),
        ("dvsgesture", {"x": 128}, "x: expected 0 <= x < 128 (got 128)"),
        ("dvsgesture", {"y": -1}, "y: expected 0 <= y < 128 (got -1)"),
        ("dvsgesture", {"t": -1}, "t: expected at least 0 (got -1000)"),
        ("dvsgesture", {"t": 0}, "t: expected at least "),
    ],
)
def test_events_are_checked_by_field(name, fields, says, put, tmp_path):
    put(name, True, replaced(name, **fields))
    with pytest.raises(ValidationError) as caught:
        registry.load_frames(name, True, tmp_path)
    assert str(caught.value).startswith(f"data set {name}: ") and says in str(caught.value)
    assert list((tmp_path / "packed").iterdir()) == []


@pytest.mark.parametrize(("name", "label", "classes"), [("shd", 20, 20), ("dvsgesture", 11, 11)])
def test_labels_are_checked(name, label, classes, put, tmp_path):
    samples = samples_of(name, 6)
    put(name, True, [*samples[1:], (samples[0][0], label)])
    with pytest.raises(ValidationError) as caught:
        registry.load_frames(name, True, tmp_path)
    assert str(caught.value) == (
        f"data set {name}: labels: expected 0 <= label < {classes} (got {label})"
    )


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_cut_file_of_nmnist_is_refused_by_name(cut, put, tmp_path):
    samples = samples_of("nmnist", 6)
    samples[5] = (nmnist_bytes(samples[5][0])[:-cut], 9)
    put("nmnist", True, samples)
    with pytest.raises(ValidationError, match=r"Train/9/00005\.bin: file: expected one as it was"):
        registry.load_frames("nmnist", True, tmp_path)


def test_a_file_of_dvsgesture_with_other_columns_is_refused_by_name(put, tmp_path):
    samples = samples_of("dvsgesture", 6)
    samples[3] = (np.zeros((5, 3), int), 7)
    put("dvsgesture", True, samples)
    with pytest.raises(ValidationError, match=r"user04_led/7\.npy: file: expected one as it was"):
        registry.load_frames("dvsgesture", True, tmp_path)


# ---------------------------------------------------------------- events

SENSOR = events.Sensor(3, 2, (0, 1))


def table(*rows, names="xytp"):
    return np.array([row[: len(names)] for row in rows], [(n, np.int64) for n in names])


def test_well_formed_events_pass_in_any_order_of_fields():
    events.check(table((2, 1, 0, 1), (0, 0, 0, 0)), SENSOR, "here")
    events.check(table((0, 1, 2, 1), (4, 0, 0, 0), names="tpxy"), SENSOR, "here")
    events.check(table(), SENSOR, "here")
    polarity = np.array([(1, 1, 3, True)], [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", bool)])
    events.check(polarity, SENSOR, "here")
    unsigned = np.array([(1, 1, 3, 1)], [(n, np.uint8) for n in "xytp"])
    events.check(unsigned, SENSOR, "here")


@pytest.mark.parametrize("missing", "xytp")
def test_missing_fields_are_named(missing):
    names = "xytp".replace(missing, "")
    with pytest.raises(ValidationError) as caught:
        events.check(table((0, 0, 0), names=names), SENSOR, "here")
    assert str(caught.value) == f"here: fields: expected x, y, t, p (got no {missing})"
    with pytest.raises(ValidationError, match="fields: expected x, y, t, p"):
        events.check(np.zeros((3, 4)), SENSOR, "here")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((3, 0, 9, 0), "x: expected 0 <= x < 3 (got 3)"),
        ((-1, 0, 9, 0), "x: expected 0 <= x < 3 (got -1)"),
        ((0, 2, 9, 0), "y: expected 0 <= y < 2 (got 2)"),
        ((0, 0, 9, 2), "p: expected 0 or 1 (got 2)"),
        ((0, 0, 9, -1), "p: expected 0 or 1 (got -1)"),
        ((0, 0, -1, 0), "t: expected at least 0 (got -1)"),
        ((0, 0, 4, 0), "t: expected at least 5, as before (got 4)"),
    ],
)
def test_what_no_such_sensor_sends_is_refused(row, says):
    with pytest.raises(ValidationError) as caught:
        events.check(table((0, 0, 5, 0), row, (0, 0, 10, 1)), SENSOR, "here")
    assert str(caught.value) == f"here: {says}"


def test_places_by_hand():
    given = table((2, 1, 0, 1), (0, 0, 9, 0), (1, 1, 10, 0), (1, 1, 20, 0))
    found = events.places(given, SENSOR, bin_us=10, num_steps=2)
    frames = np.zeros((2, 2, 3, 2), int)
    frames[1, 1, 2, 0] = frames[0, 0, 0, 0] = frames[0, 1, 1, 1] = 1
    assert np.array_equal(np.bincount(found, minlength=24).reshape(2, 2, 3, 2), frames)
    # Three pixels pooled by two are two inputs.
    pooled = dataclasses.replace(SENSOR, pool=2)
    assert pooled.frame_shape == (2, 1, 2)
    places = events.places(given, pooled, bin_us=10, num_steps=2)
    assert places.tolist() == [6, 0, 1]
