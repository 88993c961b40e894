"""Apparent motion: in which of four directions does a digit move?

One of scikit-learn's handwritten digits is lit by a strobe light before the event camera of the
digits (`lava_async.datasets.digits`): once every 10 ms it shines up for 5 ms, each time a step
further, and the camera sees it appear and vanish. The class is the direction; which digit it is,
and where it starts, is at random.

Nothing but the order of the flashes tells the direction. A camera that saw the digit move all the
time would give it away in every single frame, by the polarity of the leading edge and by the edges
that stay silent; and an area that depends on the direction would give it away in the sum of the
frames. Here a flash begins and ends in the dark, so a frame tells its place only, and places are
those of a torus of 4 x 3 on which each step goes along both axes, to the neighbour or from one
end to the other. As 4 and 3 have no common divisor, each of the four diagonal directions comes to
each of the 12 places exactly once. **The frames of a digit are the same for every direction, but
for their order**, and so is what any sum over time of them tells: nothing. Along the axes, or with
eight directions, this cannot be.

`shuffled_in_time` is the control: the same frames, each sample's in an order of its own. There,
nothing tells the direction.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lava_async._semantics import random
from lava_async.datasets import _dvs, digits
from lava_async.datasets.frames import to_frames
from lava_async.datasets.samples import EventSamples, TargetTransform, Transform

FLASH_US = 10_000
"""From one flash to the next in µs: one time step."""

GRID = (4, 3)
"""Places of the digit across and down."""

NUM_STEPS = GRID[0] * GRID[1]
"""Flashes of a sample: one at each place."""

STEP_PIXELS = 8
"""From a place to the next: as wide as the digit, so that flashes do not overlap."""

DIRECTIONS = ((1, 1), (-1, 1), (-1, -1), (1, -1))
"""(x, y) steps of each class; y points down."""

# Coarse: a pixel gives one event at most when the light comes, one when it goes.
_CAMERA = _dvs.Camera(width=34, height=34, magnification=1, contrast=9, threshold=_dvs.OCTAVE * 2)
_CORNER = (1, 5)  # of the first place in pixels, so that all of them are in the middle
_DARK = (-_CAMERA.width * _dvs.SUBPIXEL,) * 2  # out of sight is as good as without light


@functools.cache
def _flashes() -> tuple[npt.NDArray, npt.NDArray[np.int64]]:
    """Events of one flash of each digit in the corner, and where each digit's begin."""
    images, _ = digits.images_and_labels()
    path = np.array([_DARK, (0, 0), _DARK])
    return _dvs.watch(images, digits.WHITE, _CAMERA, path, FLASH_US // 2)


def _sample(digit: int, direction: int, start: int, order: npt.NDArray) -> npt.NDArray:
    """Events of a digit on its way from a place, with its flashes at the times of ``order``."""
    events, offsets = _flashes()
    flash = events[offsets[digit] : offsets[digit + 1]]
    along = np.arange(NUM_STEPS)
    way = []
    for axis in (0, 1):
        first = start % GRID[0] if axis == 0 else start // GRID[0]
        place = (first + DIRECTIONS[direction][axis] * along) % GRID[axis]
        way.append(_CORNER[axis] + STEP_PIXELS * place)
    sample = np.tile(flash, (NUM_STEPS, 1))
    for t, which in enumerate(order):
        sample[t]["x"] += way[0][which]
        sample[t]["y"] += way[1][which]
        sample[t]["t"] += t * FLASH_US
    return sample.reshape(-1)


def _draw(indices: npt.NDArray[np.int64], count: int, seed: int, what: int) -> npt.NDArray:
    """(M, count) words of 32 bits, those of a digit by its place in scikit-learn's data set."""
    index, column = np.meshgrid(indices.astype(np.uint64), np.arange(count, dtype=np.uint64))
    words = random.philox4x32(
        index, column, np.uint64(what), np.uint64(0), *random.split_seed(seed)
    )
    return words[0].T


_DIRECTION, _START, _ORDER = 1, 2, 3  # what is drawn


class MotionDVS(EventSamples):
    """Digits in apparent motion as events, in the style of tonic's data sets.

    Samples are ``(events, label)``: a structured array with fields x, y, t (µs) and p (1:
    brighter, 0: darker), ordered by time, and an int, the direction. They are the same bits on
    every machine.

    Parameters
    ----------
    train : bool
        The training split (1,438 digits) or the test split (359), those of `DigitsDVS`, each digit
        once; directions are equally often in each split, but for one.
    seed : int
        Decides on the split, directions, starts and orders; 0 <= seed < 2**64.
    shuffled_in_time : bool
        The control: the frames of each sample in an order drawn for it.
    transform : callable, optional
        Applied to the events of a sample.
    target_transform : callable, optional
        Applied to the label.

    Attributes
    ----------
    targets : (M,) int64
        Directions of all samples.
    indices : (M,) int64
        Place of each sample's digit in scikit-learn's data set.

    Raises
    ------
    ValidationError
        If `seed` is out of range.
    """

    classes: ClassVar[list[str]] = ["down right", "down left", "up left", "up right"]
    sensor_size: ClassVar[tuple[int, int, int]] = (_CAMERA.width, _CAMERA.height, 2)

    def __init__(
        self,
        train: bool = True,
        *,
        seed: int = 0,
        shuffled_in_time: bool = False,
        transform: Transform | None = None,
        target_transform: TargetTransform | None = None,
    ) -> None:
        super().__init__(train, transform, target_transform)
        self.seed = random.check_seed("MotionDVS", seed)
        self.shuffled_in_time = shuffled_in_time
        self.indices = digits.DigitsDVS(train, split_seed=seed).indices
        turns = np.argsort(_draw(self.indices, 1, seed, _DIRECTION)[:, 0], kind="stable")
        self.targets = np.empty(len(turns), np.int64)
        self.targets[turns] = np.arange(len(turns)) % len(DIRECTIONS)
        self._starts = _draw(self.indices, 1, seed, _START)[:, 0] % NUM_STEPS
        self._orders = np.tile(np.arange(NUM_STEPS), (len(turns), 1))
        if shuffled_in_time:
            words = _draw(self.indices, NUM_STEPS, seed, _ORDER)
            self._orders = np.argsort(words, axis=1, kind="stable")

    def _events_of(self, index):
        return _sample(
            int(self.indices[index]), int(self.targets[index]), int(self._starts[index]),
            self._orders[index],
        )  # fmt: skip


def load_frames(
    train: bool = True, *, seed: int = 0, shuffled_in_time: bool = False
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A whole split of `MotionDVS` as frames (see `to_frames`), one a flash.

    Returns
    -------
    x : (M, 2, 34, 34, 12) uint8
        Event counts per polarity, pixel and time step of 10 ms.
    labels : (M,) int64
    """
    data = MotionDVS(train, seed=seed, shuffled_in_time=shuffled_in_time)
    x = np.stack(
        [to_frames(data[i][0], data.sensor_size, FLASH_US, NUM_STEPS) for i in range(len(data))]
    )
    return x, data.targets.copy()


def load_shuffled_frames(
    train: bool = True,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """`load_frames` of the control."""
    return load_frames(train, shuffled_in_time=True)
