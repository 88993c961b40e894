"""Before the workers start: compile the kernels into the cache on disk, once.

Otherwise each worker of a fresh clone would compile them within some test's time limit.
"""

import numpy as np
import pytest

import lava_async as la


def pytest_configure(config):
    if hasattr(config, "workerinput"):  # in a worker: the cache is there by now
        return
    from lava_async._kernel import Stepper, training
    from training_passes import run

    graph = la.Graph(
        (1,), (la.Population("p", (1,), 0, 0, 1),), (la.Dense(la.INPUT, 0, np.ones((1, 1))),)
    )
    for top in (1, 1000):  # events as bytes and as 32-bit numbers
        la.simulate(graph, np.full((1, 1, 1), top))
    Stepper(graph, la.Momentum()).step(np.ones(1, np.int64))
    for dtype in (np.uint8, np.int32, np.float32):
        done = run(graph, np.ones((1, 1, 1)), la.Momentum(), dtype=dtype)
    done.backward(np.ones((1, 1, 1), np.float32), training.Surrogate())


def few(name, train):
    """The first samples of a split."""
    from lava_async.study import data

    x, labels = data.load_split(name, train)
    return x[:48], labels[:48]


@pytest.fixture(scope="session")
def digits():
    """A few samples of each split."""
    return [few("digits", train) for train in (True, False)]


@pytest.fixture
def few_digits(digits, monkeypatch, tmp_path):
    """Commands see a few digits only, or of other data, and an empty working directory."""

    def load_split(name, train, root=None):
        return digits[not train] if name == "digits" else few(name, train)

    monkeypatch.chdir(tmp_path)
    for module in ("study.training", "study.comparison", "_cli.evaluate"):
        monkeypatch.setattr(f"lava_async.{module}.load_split", load_split)
