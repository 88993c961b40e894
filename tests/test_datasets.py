import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_async.datasets import DigitsDVS, _dvs, load_frames, to_frames
from lava_async.errors import ValidationError

# sha256 of x, y, t, p of all 1,797 digits as little-endian int64, by number of saccades.
GOLDEN = {
    1: (644_510, "86b08230036c0b2e4cf226db3cacbebb6e719c99a19838ffedef6853683e254e"),
    3: (1_402_860, "82a78a7a7daeb5688a509781cd1b2ef94ebae14758a3da933e9ff7e007dd188b"),
}


def events_of(*rows):
    return np.array(list(rows), DigitsDVS.dtype)


class TestDigits:
    @pytest.mark.parametrize("saccades", GOLDEN)
    def test_events_are_the_same_bits_everywhere(self, saccades):
        splits = [DigitsDVS(train, saccades=saccades) for train in (True, False)]
        samples = {
            int(digit): data[i][0] for data in splits for i, digit in enumerate(data.indices)
        }
        events = np.concatenate([samples[digit] for digit in sorted(samples)])
        fixed = events.astype([(name, "<i8") for name in "xytp"])
        assert (len(fixed), hashlib.sha256(fixed.tobytes()).hexdigest()) == GOLDEN[saccades]

    def test_split_is_disjoint_stratified_and_complete(self):
        train, test = DigitsDVS(True), DigitsDVS(False)
        assert (len(train), len(test)) == (1438, 359)
        together = np.concatenate([train.indices, test.indices])
        assert np.array_equal(np.sort(together), np.arange(1797))
        in_train = np.bincount(train.targets)
        in_test = np.bincount(test.targets)
        assert np.array_equal(in_test, (in_train + in_test + 2) // 5)

    def test_split_is_fixed_by_its_seed(self):
        assert DigitsDVS(False).indices[:8].tolist() == [2, 14, 18, 25, 29, 37, 40, 42]
        assert np.array_equal(DigitsDVS(split_seed=7).indices, DigitsDVS(split_seed=7).indices)
        assert not np.array_equal(DigitsDVS(split_seed=7).indices, DigitsDVS().indices)

    def test_labels_are_those_of_the_digits(self):
        from sklearn.datasets import load_digits

        data = DigitsDVS(False)
        labels = [data[i][1] for i in range(len(data))]
        assert labels == load_digits().target[data.indices].tolist()
        assert all(isinstance(label, int) for label in labels)

    def test_samples_are_well_formed(self):
        data = DigitsDVS(False)
        for i in range(0, len(data), 20):
            events, _ = data[i]
            assert events.dtype == data.dtype
            assert (np.diff(events["t"]) >= 0).all()
            assert events["t"].min() >= 0 and events["t"].max() < 100_000
            for field, size in zip("xyp", data.sensor_size, strict=True):
                assert events[field].min() >= 0 and events[field].max() < size

    def test_changing_a_sample_changes_no_other(self):
        data = DigitsDVS()
        before = data[0][0]
        data[0][0]["x"] = -1
        assert np.array_equal(data[0][0], before)

    def test_iterates_and_indexes_like_a_sequence(self):
        data = DigitsDVS(False)
        assert sum(1 for _ in data) == len(data)
        assert np.array_equal(data[-1][0], data[len(data) - 1][0])

    def test_transforms(self):
        data = DigitsDVS(transform=len, target_transform=str)
        events, label = DigitsDVS()[5]
        assert data[5] == (len(events), str(label))

    @pytest.mark.parametrize("saccades", [0, 4, "1"])
    def test_refuses_other_numbers_of_saccades(self, saccades):
        with pytest.raises(ValidationError, match="saccades: expected 1, 2 or 3"):
            DigitsDVS(saccades=saccades)

    @pytest.mark.parametrize("seed", [-1, 1 << 64, 0.5])
    def test_refuses_bad_seeds(self, seed):
        with pytest.raises(ValidationError, match="seed"):
            DigitsDVS(split_seed=seed)

    def test_import_loads_neither_tonic_nor_torch(self):
        code = (
            "import sys, lava_async.datasets as d; d.DigitsDVS();"
            "print([m for m in ('tonic', 'torch', 'matplotlib') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


class TestFrames:
    def test_counts_by_hand(self):
        events = events_of((1, 0, 0, 1), (1, 0, 9, 1), (0, 1, 10, 0), (2, 1, 20, 0))
        frames = to_frames(events, (3, 2, 2), time_window_us=10, num_steps=2)
        want = np.zeros((2, 2, 3, 2), np.uint8)
        want[1, 0, 1, 0] = 2
        want[0, 1, 0, 1] = 1
        assert frames.dtype == np.uint8 and np.array_equal(frames, want)
        binary = to_frames(events, (3, 2, 2), 10, 2, binary=True)
        assert np.array_equal(binary, np.minimum(want, 1))

    def test_counts_saturate(self):
        events = events_of(*[(0, 0, 0, 0)] * 300)
        assert to_frames(events, (1, 1, 1), num_steps=1).tolist() == [[[[255]]]]

    def test_no_events(self):
        assert not to_frames(events_of(), (3, 2, 2)).any()

    @pytest.mark.parametrize(
        ("event", "message"),
        [
            ((3, 0, 0, 0), "x: expected 0 <= x < 3 (got 3)"),
            ((0, -1, 0, 0), "y: expected 0 <= y < 2 (got -1)"),
            ((0, 0, 0, 2), "p: expected 0 <= p < 2 (got 2)"),
            ((0, 0, -5, 0), "t: expected at least 0 (got -5)"),
        ],
    )
    def test_refuses_events_outside(self, event, message):
        with pytest.raises(ValidationError) as caught:
            to_frames(events_of((0, 0, 0, 0), event), (3, 2, 2))
        assert str(caught.value) == f"to_frames: {message}"

    @pytest.mark.parametrize("setting", ["time_window_us", "num_steps"])
    def test_refuses_empty_windows(self, setting):
        with pytest.raises(ValidationError, match=f"{setting}: expected at least 1"):
            to_frames(events_of(), (3, 2, 2), **{setting: 0})

    def test_whole_split(self):
        x, labels = load_frames(False)
        data = DigitsDVS(False)
        assert x.shape == (359, 2, 34, 34, 10) and x.dtype == np.uint8
        assert np.array_equal(labels, data.targets) and labels.dtype == np.int64
        for i in (0, 100, 358):
            assert np.array_equal(x[i], to_frames(data[i][0], data.sensor_size))
        # Every time step of every sample has something to work on.
        assert x.sum(axis=(1, 2, 3)).min() >= 5
        assert 300 < x.sum() / len(x) < 400

    def test_a_linear_classifier_can_tell_the_digits(self):
        from sklearn.linear_model import LogisticRegression

        def features(x):
            return x.sum(axis=-1).reshape(len(x), -1)

        (x, labels), (x_test, labels_test) = load_frames(True), load_frames(False)
        model = LogisticRegression(C=0.1, max_iter=60, tol=1e-2).fit(features(x), labels)
        assert model.score(features(x_test), labels_test) >= 0.95


class TestTonic:
    def test_to_frame_gives_the_same(self):
        from tonic import transforms

        transform = transforms.Compose(
            [
                transforms.ToFrame(
                    DigitsDVS.sensor_size, time_window=10_000, start_time=0, end_time=100_000
                ),
                lambda frames: np.moveaxis(frames, 0, -1),
            ]
        )
        plain, transformed = DigitsDVS(False), DigitsDVS(False, transform=transform)
        for i in range(0, len(plain), 30):
            ours = to_frames(plain[i][0], plain.sensor_size)
            assert np.array_equal(transformed[i][0], ours)

    def test_event_transforms_apply(self):
        from tonic import transforms

        flip = transforms.RandomFlipLR(DigitsDVS.sensor_size, p=1.0)
        events, flipped = DigitsDVS()[0][0], DigitsDVS(transform=flip)[0][0]
        assert np.array_equal(flipped["x"], 33 - events["x"])

    def test_same_format_as_nmnist(self):
        from tonic.datasets import NMNIST

        for name in ("sensor_size", "dtype", "ordering", "classes"):
            assert getattr(DigitsDVS, name) == getattr(NMNIST, name)

    def test_data_loader_with_padding(self):
        import torch
        from tonic import transforms
        from tonic.collation import PadTensors

        torch.set_num_threads(1)
        to_frame = transforms.ToFrame(DigitsDVS.sensor_size, time_window=10_000)
        data = DigitsDVS(False, transform=to_frame)
        loader = torch.utils.data.DataLoader(data, batch_size=4, collate_fn=PadTensors())
        frames, labels = next(iter(loader))
        assert frames.shape[0] == 4 and frames.shape[2:] == (2, 34, 34)
        assert labels.tolist() == data.targets[:4].tolist()
        for i in range(4):
            frame = data[i][0]
            assert np.array_equal(frames[i, : len(frame)].numpy(), frame)


class TestEventCamera:
    # One white pixel, one sensor pixel wide; 9:1 is log2(9) = 3.17 octaves.
    CAMERA = _dvs.Camera(width=4, height=1, magnification=1, contrast=9, threshold=_dvs.OCTAVE)

    def watch(self, *places, run_in=0):
        path = np.array([(_dvs.SUBPIXEL * x, 0) for x in places])
        events, offsets = _dvs.watch(
            np.full((1, 1, 1), 16), 16, self.CAMERA, path, 1000, run_in=run_in
        )
        assert offsets.tolist() == [0, len(events)]
        return events.tolist()

    def test_still_image_is_silent(self):
        assert self.watch(1, 1, 1) == []

    def test_each_octave_is_an_event_on_the_straight_line(self):
        octaves = math.log2(9)
        at = [math.ceil(1000 * k / octaves) - 1 for k in (1, 2, 3)]
        assert self.watch(0, 1) == [(x, 0, t, x) for t in at for x in (0, 1)]

    def test_the_rest_of_a_change_is_kept(self):
        # Back again: 3 octaves up from black, 0.17 left over, so the way down starts higher.
        events = self.watch(0, 1, 0)
        octaves = math.log2(9)
        at = [1000 + math.ceil(1000 * (octaves - 3 + k) / octaves) - 1 for k in (1, 2)] + [1999]
        assert [e[2] for e in events if e[0] == 1 and e[3] == 0] == at

    def test_run_in_is_not_recorded(self):
        first, second = self.watch(0, 1), self.watch(0, 1, 2)
        later = [(x, y, t - 1000, p) for x, y, t, p in second if t >= 1000]
        assert second[: len(first)] == first
        assert self.watch(0, 1, 2, run_in=1) == later

    def test_images_do_not_affect_each_other(self):
        images = np.random.default_rng(0).integers(0, 17, (_dvs._CHUNK + 3, 2, 2))
        path = np.array([(0, 0), (64, 30), (100, 64)])
        camera = _dvs.Camera(width=5, height=4, magnification=1, contrast=9, threshold=2000)
        events, offsets = _dvs.watch(images, 16, camera, path, 1000)
        for i in (0, 1, _dvs._CHUNK, len(images) - 1):
            alone, _ = _dvs.watch(images[i : i + 1], 16, camera, path, 1000)
            assert len(alone) > 0
            assert np.array_equal(events[offsets[i] : offsets[i + 1]], alone)

    @given(st.integers(1, 1 << 40))
    def test_logarithm(self, value):
        assert _dvs.log2_fixed(value) == pytest.approx(_dvs.OCTAVE * math.log2(value), abs=1.001)

    @given(st.integers(0, 60))
    def test_logarithm_of_powers_is_exact(self, power):
        assert _dvs.log2_fixed(1 << power) == _dvs.OCTAVE * power
