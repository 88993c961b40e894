"""Vowels: events by send-on-delta of the utterances that the wheel of aeon holds."""

import hashlib
import importlib.metadata
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lava_async._cli import main
from lava_async.datasets import Vowels, to_frames, vowels
from lava_async.errors import FileFormatError, ValidationError

# sha256 of x, y, t, p of all utterances as little-endian int64.
GOLDEN = {
    True: (51_626, "8f080906975eae4f0310185a371630da331a7c31df0a20096054aabf6dbdae29"),
    False: (69_177, "f6a879134d6a55255b0a3ae058a4aa1fb554f45ca87d194ef074eef13966cc31"),
}
GOOD = ":".join(["0.5,-0.25,1"] * 12 + ["3"])


@pytest.mark.parametrize("train", GOLDEN)
def test_events_are_the_same_bits_everywhere(train):
    data = Vowels(train)
    events = np.concatenate([data[i][0] for i in range(len(data))])
    fixed = events.astype([(name, "<i8") for name in "xytp"])
    assert (len(fixed), hashlib.sha256(fixed.tobytes()).hexdigest()) == GOLDEN[train]


def test_splits_are_those_of_the_data_set():
    assert np.bincount(Vowels(True).targets).tolist() == [30] * 9
    assert np.bincount(Vowels(False).targets).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    data = Vowels(False)
    assert [data[i][1] for i in range(len(data))] == data.targets.tolist()


def test_samples_are_well_formed():
    lengths = set()
    for train in (True, False):
        for events, label in (data := Vowels(train)):
            assert events.dtype == data.dtype and isinstance(label, int)
            assert (np.diff(events["t"]) >= 0).all() and (events["t"] % 6400 == 0).all()
            lengths.add(int(events["t"].max()) // 6400 + 1)
            for field, size in zip("xyp", data.sensor_size, strict=True):
                assert events[field].min() >= 0 and events[field].max() < size
    assert max(lengths) == 29


def test_frames_follow_the_coefficients():
    utterances, _ = vowels.read_utterances(vowels._path(False))
    x, labels = vowels.load_frames(False)
    assert x.shape == (370, 2, 1, 12, 29) and np.array_equal(labels, Vowels(False).targets)
    delta = int(vowels.DELTA * 10**6)
    for frames, values in zip(x[:50], utterances[:50], strict=True):
        up, down = frames[1, 0].astype(int), frames[0, 0].astype(int)
        followed = np.cumsum(up - down, axis=1) * delta
        frames_of_speech = values.shape[1]
        assert (np.abs(values - followed[:, :frames_of_speech]) < delta).all()
        assert not (up & down).any() and not frames[..., frames_of_speech:].any()
    assert x.max() < 255, "counts do not saturate"


def test_changing_a_sample_changes_no_other():
    data = Vowels()
    before = data[0][0]
    data[0][0]["x"] = -1
    data.targets[0] = 5
    assert np.array_equal(data[0][0], before) and Vowels().targets[0] == 0


def test_transforms():
    data = Vowels(transform=len, target_transform=str)
    events, label = Vowels()[5]
    assert data[5] == (len(events), str(label))


def test_tonic_s_transforms_apply():
    from tonic import transforms

    transform = transforms.ToFrame(
        Vowels.sensor_size, time_window=6400, start_time=0, end_time=29 * 6400
    )
    plain, transformed = Vowels(False), Vowels(False, transform=transform)
    for i in range(0, len(plain), 30):
        ours = to_frames(plain[i][0], plain.sensor_size, 6400, 29)
        assert np.array_equal(np.moveaxis(transformed[i][0], 0, -1), ours)


# ---------------------------------------------------------------- send on delta


def test_send_on_delta_by_hand():
    values = np.array([[9, 10, 35, 20, 19], [-10, -10, -10, 0, 0]])
    rows = vowels.send_on_delta(values, 10).tolist()
    assert rows == [
        (1, 0, 0, 0),
        (0, 0, 1, 1),
        (0, 0, 2, 1), (0, 0, 2, 1),
        (0, 0, 3, 0),
        (1, 0, 3, 1),
    ]  # fmt: skip


@given(arrays.arrays(np.int64, (2, 6), elements=st.integers(-200, 200)), st.integers(1, 60))
def test_send_on_delta_is_never_a_delta_behind(values, delta):
    events = vowels.send_on_delta(values, delta)
    at = np.zeros(2, int)
    for t in range(6):
        now = events[events["t"] == t]
        assert (np.diff(now["x"]) >= 0).all()
        for channel in (0, 1):
            polarities = now["p"][now["x"] == channel]
            assert len(set(polarities.tolist())) <= 1, "one way at a time"
            # No event more than it takes.
            ahead = abs(Fraction(int(values[channel, t] - at[channel]), delta))
            assert len(polarities) == int(ahead)
            at[channel] += delta * (2 * polarities - 1).sum()
        assert (np.abs(values[:, t] - at) < delta).all()


# ---------------------------------------------------------------- where they come from


def test_aeon_is_never_imported():
    code = (
        "import sys; from lava_async.datasets import vowels; vowels.load_frames(True);"
        "print([m for m in ('aeon', 'pandas', 'sklearn', 'tonic', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.fixture
def fresh():
    vowels._samples.cache_clear()
    yield
    vowels._samples.cache_clear()


def test_without_the_wheel_it_says_what_to_install(fresh, monkeypatch, capsys, tmp_path):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    says = (
        "data set vowels: package aeon: expected it installed "
        "(pip install 'lava-async[vowels]') (got none)"
    )
    with pytest.raises(ValidationError) as caught:
        Vowels()
    assert str(caught.value) == says
    assert main(["train", "--out", "out", "--data", "vowels"]) == 2
    assert capsys.readouterr() == ("", f"lava-async: {says}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_without_the_data_is_refused(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(vowels, "_path", lambda train: tmp_path / "none.ts")
    with pytest.raises(FileFormatError, match=r"none\.ts: file: expected one with the wheel"):
        Vowels()


def test_reads_the_format(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(f"# about\n@data\n{GOOD}\n\n{GOOD.replace('0.5', '1e-1')}\n")
    utterances, speakers = vowels.read_utterances(path)
    assert speakers.tolist() == [2, 2]
    assert utterances[0][11].tolist() == [500_000, -250_000, 1_000_000]
    assert utterances[1][0, 0] == 100_000


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("@data\n", "utterances: expected one or more (got 0)"),
        (GOOD.replace("0.5,-0.25,1:", "", 1), "line 1: coefficients: expected 12 (got 11)"),
        (f"@data\n1:{GOOD}", "line 2: coefficients: expected 12 (got 13)"),
        (GOOD.replace(",1:", ":", 1), "frames: expected 1 to 29, the same for each"),
        (":".join([",".join(["1"] * 30)] * 12 + ["1"]), "frames: expected 1 to 29"),
        (GOOD[:-1] + "0", "speaker: expected 1 to 9 (got '0')"),
        (GOOD[:-1] + "10", "speaker: expected 1 to 9 (got '10')"),
        (GOOD[:-1] + "²", "speaker: expected 1 to 9"),
        (GOOD[:-1], "speaker: expected 1 to 9 (got '')"),
        *(
            (GOOD.replace("0.5", value, 1), "coefficients: expected numbers in -100..100")
            for value in ("", "x", "nan", "inf", "1e400", "500000", "-100.1")
        ),
        (b"\xff\xfe", "file: expected text"),
    ],
)
def test_other_files_are_refused(content, says, tmp_path):
    path = tmp_path / "a.ts"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FileFormatError) as caught:
        vowels.read_utterances(path)
    assert str(caught.value).startswith(f"{path}: ") and says in str(caught.value)
