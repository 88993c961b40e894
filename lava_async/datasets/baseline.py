"""What a linear model makes of a data set: the least that a network should beat.

It sees how many events each input has in a sample, summed over time. Where it does well, time
tells little that the counts do not; on `motion` it can do no better than guess.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._parts import parts
from lava_async.datasets import registry


@dataclass(frozen=True)
class Baseline:
    """Accuracy of a linear model on event counts.

    Attributes
    ----------
    name : str
        Of the data set.
    train_accuracy, test_accuracy : float
    train_samples, test_samples : int
    events_per_sample : float
        Mean of the test split.
    """

    name: str
    train_accuracy: float
    test_accuracy: float
    train_samples: int
    test_samples: int
    events_per_sample: float


def event_counts(x: registry.Frames) -> npt.NDArray[np.int64]:
    """(M, inputs) events of each input in the whole of a sample, from frames (M, ..., T)."""
    inputs = math.prod(x.shape[1:-1])
    counts = [x[part].sum(axis=-1, dtype=np.int64).reshape(-1, inputs) for part in parts(x)]
    return np.concatenate(counts)


def linear_on_counts(name: str, root: str | os.PathLike[str] | None = None) -> Baseline:
    """Fit logistic regression to the event counts of the training split, and test it.

    Deterministic, but for the last bits of sums, which differ from machine to machine.

    Parameters
    ----------
    name : str
        A data set of the registry.
    root : path, optional
        As `registry.load_frames` takes it.

    Raises
    ------
    ValidationError
        As `registry.load_frames` does.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    (x, labels), (x_test, labels_test) = (
        registry.load_frames(name, train, root) for train in (True, False)
    )
    counts, counts_test = event_counts(x), event_counts(x_test)
    # The regularisation is scikit-learn's default: nothing is chosen on the test split.
    classifier = LogisticRegression(tol=1e-3, max_iter=1000)
    model = make_pipeline(MaxAbsScaler(), classifier).fit(counts, labels)
    return Baseline(
        name,
        float(model.score(counts, labels)),
        float(model.score(counts_test, labels_test)),
        len(labels),
        len(labels_test),
        float(counts_test.sum() / len(labels_test)),
    )
