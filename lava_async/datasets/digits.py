"""Handwritten digits as events: scikit-learn's 1,797 digits before an event camera.

The data set comes with scikit-learn, so nothing is downloaded. Geometry and motion are
those of N-MNIST (G. Orchard, A. Jayawant, G. K. Cohen, N. Thakor, *Converting static image
datasets to spiking neuromorphic datasets using saccades*, Front. Neurosci. 2015): a sensor
of 34 x 34 pixels and 2 polarities, and three saccades that move the image along a triangle.
The 8 x 8 digits appear 24 pixels wide.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lava_async._semantics import random
from lava_async.datasets import _dvs
from lava_async.datasets.frames import to_frames
from lava_async.datasets.samples import EventSamples, TargetTransform, Transform
from lava_async.errors import ValidationError

SACCADE_US = 100_000
"""Duration of one saccade in µs."""

_INTERVAL_US = 2_000
_RUN_IN = 15  # samples: the image already moves when the recording begins
WHITE = 16  # scikit-learn's digits have 17 shades

# The threshold is coarse on purpose: a few tens of events in 10 ms keep networks sparse.
_CAMERA = _dvs.Camera(
    width=34, height=34, magnification=3, contrast=9, threshold=_dvs.OCTAVE * 9 // 8
)

# Corners of the image's way over the sensor, in 1/SUBPIXEL pixels: N-MNIST's triangle at
# half its size (3.5 px wide and high), because the digits fill more of the sensor.
_TRIANGLE = np.array([(208, 208), (320, 432), (432, 208), (208, 208)])


def _path(saccades: int) -> npt.NDArray[np.int64]:
    """(K, 2) image position at each sample: constant speed from corner to corner."""
    steps = SACCADE_US // _INTERVAL_US
    k = np.arange(-_RUN_IN, saccades * steps + 1)
    leg = np.clip(k // steps, 0, saccades - 1)
    way = (k - leg * steps)[:, None]
    return _TRIANGLE[leg] + (_TRIANGLE[leg + 1] - _TRIANGLE[leg]) * way // steps


@functools.cache
def images_and_labels() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Images (1797, 8, 8) of 0..16 and labels (1797,)."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels, np.int64).reshape(-1, 8, 8), np.asarray(labels, np.int64)


@functools.cache
def _events(saccades: int) -> tuple[npt.NDArray, npt.NDArray[np.int64]]:
    """Events of all digits and where each digit's begin."""
    images, _ = images_and_labels()
    events, offsets = _dvs.watch(
        images, WHITE, _CAMERA, _path(saccades), _INTERVAL_US, run_in=_RUN_IN
    )
    events.setflags(write=False)
    return events, offsets


def _split(labels: npt.NDArray[np.int64], train: bool, seed: int) -> npt.NDArray[np.int64]:
    """Indices of the train or the test digits, ascending; a fifth of each class is for test."""
    index = np.arange(len(labels), dtype=np.uint64)
    zero = np.uint64(0)
    word = random.philox4x32(index, zero, zero, zero, *random.split_seed(seed))[0]
    in_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        shuffled = members[np.argsort(word[members], kind="stable")]
        in_test[shuffled[: (len(members) + 2) // 5]] = True
    return np.flatnonzero(in_test != train)


class DigitsDVS(EventSamples):
    """scikit-learn's handwritten digits as events, in the style of tonic's data sets.

    Samples are ``(events, label)``: a structured array with fields x, y, t (µs) and p (1:
    brighter, 0: darker), ordered by time, and an int. They are the same bits on every
    machine. tonic's transforms, caches and collation functions apply unchanged.

    Parameters
    ----------
    train : bool
        The training split (1,438 digits) or the test split (359); stratified by class.
    split_seed : int
        Decides which digits are for testing, 0 <= split_seed < 2**64.
    saccades : int
        How many of N-MNIST's three saccades, 1 to 3; each lasts 100 ms.
    transform : callable, optional
        Applied to the events of a sample, e.g. a ``tonic.transforms.ToFrame``.
    target_transform : callable, optional
        Applied to the label.

    Attributes
    ----------
    targets : (M,) int64
        Labels of all samples.
    indices : (M,) int64
        Place of each sample in scikit-learn's data set.

    Raises
    ------
    ValidationError
        If `split_seed` or `saccades` is out of range.
    """

    classes: ClassVar[list[str]] = [
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]
    sensor_size: ClassVar[tuple[int, int, int]] = (_CAMERA.width, _CAMERA.height, 2)

    def __init__(
        self,
        train: bool = True,
        *,
        split_seed: int = 0,
        saccades: int = 1,
        transform: Transform | None = None,
        target_transform: TargetTransform | None = None,
    ) -> None:
        if saccades not in (1, 2, 3):
            raise ValidationError("DigitsDVS", "saccades", "1, 2 or 3", repr(saccades))
        super().__init__(train, transform, target_transform)
        self.split_seed = random.check_seed("DigitsDVS", split_seed)
        self.saccades = saccades
        labels = images_and_labels()[1]
        self.indices = _split(labels, train, self.split_seed)
        self.targets = labels[self.indices]

    def _events_of(self, index):
        digit = self.indices[index]
        events, offsets = _events(self.saccades)
        return events[offsets[digit] : offsets[digit + 1]].copy()


def load_frames(
    train: bool = True,
    *,
    split_seed: int = 0,
    time_window_us: int = 10_000,
    num_steps: int = 10,
    binary: bool = False,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A whole split of `DigitsDVS`, first saccade, as frames (see `to_frames`).

    Returns
    -------
    x : (M, 2, 34, 34, T) uint8
        Event counts per polarity, pixel and time step.
    labels : (M,) int64
    """
    data = DigitsDVS(train, split_seed=split_seed)
    x = np.stack(
        [
            to_frames(data[i][0], data.sensor_size, time_window_us, num_steps, binary=binary)
            for i in range(len(data))
        ]
    )
    return x, data.targets.copy()
