"""Linear models on event counts: what the counts alone tell of each offline data set."""

import numpy as np
import pytest

from lava_async import _parts
from lava_async.datasets import baseline, packed, registry


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [("digits", (0.99, 1.0), (0.96, 0.99)), ("motion", (0.25, 0.4), (0.2, 0.33)),
     ("vowels", (0.92, 0.97), (0.92, 0.97))],
)  # fmt: skip
def test_what_the_counts_tell(name, train, test):
    found = baseline.linear_on_counts(name)
    assert train[0] <= found.train_accuracy <= train[1]
    assert test[0] <= found.test_accuracy <= test[1]
    x, labels = registry.load_frames(name, False)
    assert (found.name, found.test_samples) == (name, len(labels))
    assert found.train_samples == len(registry.load_frames(name, True)[1])
    assert found.events_per_sample == pytest.approx(x.sum() / len(x))


def test_counts_are_the_same_in_parts_and_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(_parts, "HELD", 300)  # two samples and a half
    x = (np.random.default_rng(0).random((9, 2, 3, 4, 5)) < 0.1).astype(np.uint8)
    x[3] = 255
    wanted = x.sum(axis=-1, dtype=np.int64).reshape(9, -1)
    assert np.array_equal(baseline.event_counts(x), wanted)
    places = [np.repeat(np.flatnonzero(s), s[s > 0]) for s in x[:3].reshape(3, -1)]
    packed.write(tmp_path / "a.h5", ((p, 0) for p in places), x.shape[1:], {})
    frames, _ = packed.read(tmp_path / "a.h5", x.shape[1:], {})
    assert np.array_equal(baseline.event_counts(frames), wanted[:3])
