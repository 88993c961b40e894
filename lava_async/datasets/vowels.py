"""Real speech: who of nine speakers says the vowels?

JapaneseVowels is 640 utterances of /ae/ by nine men (M. Kudo, J. Toyama, M. Shimbo,
*Multidimensional curve classification using passing-through regions*, Pattern Recognition Letters
1999). Despite its name the task is **speaker recognition**, and what there is of the speech are 12
coefficients of a linear prediction (LPC cepstrum), one frame each 6.4 ms, 7 to 29 frames long: no
sound, and no cochlea. The split is the data set's own: 30 utterances of each speaker for training,
24 to 88 for testing.

A coefficient becomes events by send-on-delta: each channel follows its coefficient, and sends an
event whenever it has gone by `DELTA` from where the last one left it, of polarity 1 upwards and 0
downwards (M. Miskowicz, *Send-on-delta concept*, Sensors 2006). Before an utterance all are at 0,
and after it nothing is sent. `DELTA` is about what a coefficient changes from one frame to the
next (0.03 to 0.08 in the mean), so that channels send in every second frame or so.

The data come in the wheel of *aeon*: ``pip install 'lava-async[vowels]'``. Only its data files are
read; aeon itself is never imported. aeon asks for a numba below 0.62 that this package does not
need: pip installs that older one, which is fine here too, and uv in this project keeps to ours, by
``override-dependencies`` in ``pyproject.toml``.
"""

from __future__ import annotations

import functools
import importlib.metadata
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lava_async.datasets.frames import EVENT_DTYPE, to_frames
from lava_async.datasets.samples import EventSamples, TargetTransform, Transform
from lava_async.errors import FileFormatError, ValidationError

FRAME_US = 6_400
"""From one frame of coefficients to the next in µs: one time step."""

NUM_STEPS = 29
"""Frames of the longest utterance."""

CHANNELS = 12
"""Coefficients; each has events of two polarities."""

DELTA = Decimal("0.05")

_UNIT = 10**6  # coefficients have six decimals, so they are integers of this unit
_LARGEST = 100  # of a coefficient; speech has a few units
_SPEAKERS = [str(n) for n in range(1, 10)]
_FILES = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"


def _path(train: bool) -> Path:
    """Of the data file in the installed wheel."""
    try:
        wheel = importlib.metadata.distribution("aeon")
    except importlib.metadata.PackageNotFoundError:
        raise ValidationError(
            "data set vowels", "package aeon", "it installed (pip install 'lava-async[vowels]')",
            "none",
        ) from None  # fmt: skip
    return Path(str(wheel.locate_file(_FILES.format("TRAIN" if train else "TEST"))))


def read_utterances(path: Path) -> tuple[list[npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """Utterances (12, frames) in millionths, and speakers 0 to 8, of a file in the .ts format.

    A line is an utterance: coefficients apart by colons, frames by commas, the speaker from 1 on
    at the end. Lines with # or @ at their beginning are about the data.

    Raises
    ------
    FileFormatError
        There is no file, or it holds something else.
    """
    if not path.is_file():
        raise FileFormatError(str(path), "file", "one with the wheel of aeon", "none")
    utterances, speakers = [], []
    try:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.strip() and line[0] not in "#@":
                utterance, speaker = _parse(line, f"{path}: line {number}")
                utterances.append(utterance)
                speakers.append(speaker)
    except UnicodeDecodeError as error:
        raise FileFormatError(str(path), "file", "text", error.reason) from error
    if not utterances:
        raise FileFormatError(str(path), "utterances", "one or more", 0)
    return utterances, np.array(speakers, np.int64)


def _parse(line: str, where: str) -> tuple[npt.NDArray[np.int64], int]:
    """An utterance and its speaker."""
    *series, speaker = line.split(":")
    if len(series) != CHANNELS:
        raise FileFormatError(where, "coefficients", CHANNELS, len(series))
    lengths = sorted({one.count(",") + 1 for one in series})
    if len(lengths) > 1 or lengths[0] > NUM_STEPS:
        wanted = f"1 to {NUM_STEPS}, the same for each coefficient"
        raise FileFormatError(where, "frames", wanted, lengths)
    if speaker.strip() not in _SPEAKERS:
        wanted = f"{_SPEAKERS[0]} to {_SPEAKERS[-1]}"
        raise FileFormatError(where, "speaker", wanted, repr(speaker))
    try:
        exact = [[Decimal(value) for value in one.split(",")] for one in series]
        within = all(abs(value) <= _LARGEST for one in exact for value in one)  # nan raises
    except InvalidOperation:
        within = False
    if not within:
        wanted = f"numbers in -{_LARGEST}..{_LARGEST}"
        raise FileFormatError(where, "coefficients", wanted, "another value")
    values = np.array([[int(value * _UNIT) for value in one] for one in exact], np.int64)
    return values, int(speaker) - 1


def send_on_delta(values: npt.NDArray[np.int64], delta: int) -> npt.NDArray:
    """Events of channels that start at 0 and follow these values.

    Parameters
    ----------
    values : (C, T) array of int
        A value of each channel in each time step.
    delta : int
        Change that an event stands for.

    Returns
    -------
    structured array with fields x (channel), y (0), t (time step), p (1: upwards), ordered by t, x
    """
    at = np.zeros(len(values), np.int64)
    parts = []
    for t, now in enumerate(values.T):
        # Whole deltas only: the rest stays until it has become one.
        sent = np.sign(now - at) * (np.abs(now - at) // delta)
        at += sent * delta
        events = np.zeros(int(np.abs(sent).sum()), EVENT_DTYPE)
        events["x"] = np.repeat(np.arange(len(values)), np.abs(sent))
        events["p"] = np.repeat(sent > 0, np.abs(sent))
        events["t"] = t
        parts.append(events)
    return np.concatenate(parts)


@functools.cache
def _samples(train: bool) -> tuple[tuple[npt.NDArray, ...], npt.NDArray[np.int64]]:
    """Events of each utterance, and the speakers."""
    utterances, speakers = read_utterances(_path(train))
    samples = []
    for values in utterances:
        events = send_on_delta(values, int(DELTA * _UNIT))
        events["t"] *= FRAME_US
        events.setflags(write=False)
        samples.append(events)
    return tuple(samples), speakers


class Vowels(EventSamples):
    """JapaneseVowels as events by send-on-delta, in the style of tonic's data sets.

    Samples are ``(events, label)``: a structured array with fields x (coefficient), y (0), t (µs,
    where the frame begins) and p (1: upwards, 0: downwards), ordered by time, and an int, the
    speaker. They are the same bits on every machine.

    Parameters
    ----------
    train : bool
        The training split (270 utterances) or the test split (370), the data set's own.
    transform : callable, optional
        Applied to the events of a sample.
    target_transform : callable, optional
        Applied to the label.

    Attributes
    ----------
    targets : (M,) int64
        Speakers of all samples.

    Raises
    ------
    ValidationError
        The wheel that holds the data is not installed, or holds something else.
    """

    classes: ClassVar[list[str]] = [f"speaker {n}" for n in _SPEAKERS]
    sensor_size: ClassVar[tuple[int, int, int]] = (CHANNELS, 1, 2)

    def __init__(
        self,
        train: bool = True,
        *,
        transform: Transform | None = None,
        target_transform: TargetTransform | None = None,
    ) -> None:
        super().__init__(train, transform, target_transform)
        self._events, speakers = _samples(train)
        self.targets = speakers.copy()

    def _events_of(self, index):
        return self._events[index].copy()


def load_frames(train: bool = True) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A whole split of `Vowels` as frames (see `to_frames`).

    Returns
    -------
    x : (M, 2, 1, 12, 29) uint8
        Event counts per polarity, coefficient and time step of 6.4 ms.
    labels : (M,) int64
    """
    data = Vowels(train)
    x = np.stack(
        [to_frames(data[i][0], data.sensor_size, FRAME_US, NUM_STEPS) for i in range(len(data))]
    )
    return x, data.targets
