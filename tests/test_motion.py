"""Motion: only the order of the frames tells the class."""

import hashlib

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lava_async.datasets import DigitsDVS, MotionDVS, motion, to_frames
from lava_async.errors import ValidationError

# sha256 of x, y, t, p of both splits as little-endian int64, by whether they are shuffled.
GOLDEN = {
    False: (1_016_088, "7593d9da7df27e6e97e5612355bddfdd148c997dc820a998c73602b8b4aed88c"),
    True: (1_016_088, "84e17eee77e9d0742a3132a5bfaed474b77941a0dc9e743b41580ea0e9b004ba"),
}


@pytest.fixture(scope="module")
def splits():
    """(train, test) by whether they are shuffled in time."""
    return {
        shuffled: [motion.load_frames(t, shuffled_in_time=shuffled) for t in (True, False)]
        for shuffled in (False, True)
    }


@pytest.mark.parametrize("shuffled", GOLDEN)
def test_events_are_the_same_bits_everywhere(shuffled):
    data = [MotionDVS(train, shuffled_in_time=shuffled) for train in (True, False)]
    events = np.concatenate([d[i][0] for d in data for i in range(len(d))])
    fixed = events.astype([(name, "<i8") for name in "xytp"])
    assert (len(fixed), hashlib.sha256(fixed.tobytes()).hexdigest()) == GOLDEN[shuffled]


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_splits_are_those_of_the_digits_and_directions_balanced(seed):
    for train in (True, False):
        data = MotionDVS(train, seed=seed)
        assert np.array_equal(data.indices, DigitsDVS(train, split_seed=seed).indices)
        counts = np.bincount(data.targets, minlength=4)
        assert counts.max() - counts.min() <= 1
        labels = [data[i][1] for i in range(len(data))]
        assert labels == data.targets.tolist() and isinstance(labels[0], int)


def test_the_seed_decides_on_directions_and_starts():
    first, other = MotionDVS(False), MotionDVS(False, seed=1)
    assert not np.array_equal(first.targets, other.targets)
    assert not np.array_equal(first._starts, other._starts)
    with pytest.raises(ValidationError, match="MotionDVS: seed: expected"):
        MotionDVS(seed=-1)


def test_samples_are_well_formed():
    for shuffled in (False, True):
        data = MotionDVS(False, shuffled_in_time=shuffled)
        for i in range(0, len(data), 20):
            events, _ = data[i]
            assert events.dtype == data.dtype and (np.diff(events["t"]) >= 0).all()
            assert events["t"].min() >= 0
            assert events["t"].max() < motion.NUM_STEPS * motion.FLASH_US
            for field, size in zip("xyp", data.sensor_size, strict=True):
                assert events[field].min() >= 0 and events[field].max() < size


def test_changing_a_sample_changes_no_other():
    data = MotionDVS()
    before = data[0][0]
    data[0][0]["x"] = -1
    assert np.array_equal(data[0][0], before)


def test_transforms():
    data = MotionDVS(transform=len, target_transform=str)
    events, label = MotionDVS()[5]
    assert data[5] == (len(events), str(label))


def places(frames):
    """(T, 2) middle of the events of each frame, x before y."""
    counts = frames.sum(axis=0, dtype=np.int64)
    total = counts.sum(axis=(0, 1))
    x = (counts.sum(axis=0) * np.arange(34)[:, None]).sum(axis=0) / total
    y = (counts.sum(axis=1) * np.arange(34)[:, None]).sum(axis=0) / total
    return np.stack([x, y], axis=1)


def test_the_digit_goes_where_the_class_says(splits):
    (x, labels), _ = splits[False]
    for frames, label in zip(x[:100], labels[:100], strict=True):
        steps = np.round(np.diff(places(frames), axis=0) / motion.STEP_PIXELS).astype(int)
        for axis, size in enumerate(motion.GRID):
            direction = motion.DIRECTIONS[label][axis]
            assert set(steps[:, axis]) == {direction, -direction * (size - 1)}
    names = {(1, 1): "down right", (-1, 1): "down left", (-1, -1): "up left", (1, -1): "up right"}
    assert [names[d] for d in motion.DIRECTIONS] == MotionDVS.classes


@pytest.mark.parametrize("digit", [0, 17, 1796])
def test_every_direction_has_the_same_frames_in_another_order(digit):
    order = np.arange(motion.NUM_STEPS)
    found = set()
    for direction in range(4):
        for start in range(motion.NUM_STEPS):
            events = motion._sample(digit, direction, start, order)
            frames = to_frames(events, MotionDVS.sensor_size, motion.FLASH_US, motion.NUM_STEPS)
            found.add(tuple(sorted(frames[..., t].tobytes() for t in order)))
    assert len(found) == 1 and len(set(next(iter(found)))) == motion.NUM_STEPS


def test_the_control_has_the_same_frames_in_orders_of_their_own(splits):
    for (x, labels), (control, same_labels) in zip(splits[False], splits[True], strict=True):
        assert np.array_equal(labels, same_labels)
        steps = range(motion.NUM_STEPS)
        for a, b in zip(x[:40], control[:40], strict=True):
            assert sorted(a[..., t].tobytes() for t in steps) == sorted(
                b[..., t].tobytes() for t in steps
            )
    orders = MotionDVS(shuffled_in_time=True)._orders
    assert len(np.unique(orders, axis=0)) > 0.99 * len(orders)
    assert np.array_equal(np.sort(orders), np.tile(np.arange(motion.NUM_STEPS), (len(orders), 1)))


def counts(x):
    return x.sum(axis=-1, dtype=np.int64).reshape(len(x), -1)


def every_frame(x):
    return x.reshape(len(x), -1)


def succession(x):
    """Events that are followed a time step later by one a step further, for each direction."""
    frames = x.sum(axis=1, dtype=np.int64)
    before, after = frames[..., :-1], frames[..., 1:]
    moved = [
        np.roll(before, (dy * motion.STEP_PIXELS, dx * motion.STEP_PIXELS), axis=(1, 2))
        for dx, dy in motion.DIRECTIONS
    ]
    return np.stack([(m * after).sum(axis=(1, 2, 3)) for m in moved], axis=1) / 1000


@pytest.mark.parametrize(
    ("features", "shuffled", "low", "high"),
    [
        (counts, False, 0.15, 0.35),
        (counts, True, 0.15, 0.35),
        (every_frame, True, 0.15, 0.35),
        (succession, False, 1.0, 1.0),
        (succession, True, 0.15, 0.35),
    ],
)
def test_what_tells_the_direction(splits, features, shuffled, low, high):
    (x, labels), (x_test, labels_test) = splits[shuffled]
    model = LogisticRegression(C=0.1, max_iter=60, tol=1e-2).fit(features(x), labels)
    assert low <= model.score(features(x_test), labels_test) <= high
