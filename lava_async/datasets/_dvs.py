"""A small model of an event camera (DVS) that looks at an image in motion.

The image is magnified bilinearly and moves over the sensor on a given path. Each pixel
follows the logarithm of the intensity it sees and emits an event whenever that has changed
by the contrast threshold since its last event: polarity 1 when it became brighter, 0 when
darker. The intensity is sampled at equal intervals; an event's time stamp is where the
straight line between two samples crosses the threshold. There is no noise.

Everything is integer arithmetic, so the events are the same bits on every machine: the
interpolation is a product of integer matrices (below 2**24, which float32 multiplies and
adds without rounding, in any order), the logarithm is a table of integers.

The model follows H. Rebecq, D. Gehrig, D. Scaramuzza, *ESIM: an open event camera
simulator*, CoRL 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async.datasets.frames import EVENT_DTYPE

SUBPIXEL = 64
"""Positions are in 1/64 of a sensor pixel."""

OCTAVE = 1 << 12
"""Unit of the logarithm: 4096 for a doubling of the intensity."""

_MANTISSA = 62  # fraction bits while a logarithm is computed
_INTENSITY_SHIFT = 8  # keeps the table of logarithms short
_CHUNK = 64  # images at a time, so that the working set stays in the cache


@dataclass(frozen=True)
class Camera:
    """Sensor and optics.

    Attributes
    ----------
    width, height : int
        Sensor size in pixels.
    magnification : int
        Sensor pixels per image pixel.
    contrast : int
        Ratio of the intensities of a white and a black image pixel, at least 2.
    threshold : int
        Contrast threshold of a sensor pixel, in 1/`OCTAVE` octaves.
    """

    width: int
    height: int
    magnification: int
    contrast: int
    threshold: int


def log2_fixed(value: int) -> int:
    """Base-2 logarithm of an integer >= 1, in 1/`OCTAVE`, rounded down.

    Each squaring of the mantissa brings out the next binary digit of the logarithm.
    """
    result = value.bit_length() - 1
    mantissa = (value << _MANTISSA) >> result
    for _ in range(OCTAVE.bit_length() - 1):
        mantissa = (mantissa * mantissa) >> _MANTISSA
        digit = mantissa >> (_MANTISSA + 1)
        mantissa >>= digit
        result = 2 * result + digit
    return result


def _interpolation(pixels: int, size: int, pitch: int, place: int) -> npt.NDArray[np.float32]:
    """(pixels, size) bilinear weights, in 1/pitch, for an image that begins at `place`."""
    sensor = np.arange(pixels)[:, None] * SUBPIXEL + SUBPIXEL // 2
    image = np.arange(size) * pitch + pitch // 2 + place
    return np.maximum(0, pitch - np.abs(sensor - image)).astype(np.float32)


def _crossings(
    before: npt.NDArray[np.int32],
    now: npt.NDArray[np.int32],
    reference: npt.NDArray[np.int32],
    camera: Camera,
) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
    """Events between two samples of the logarithm; moves `reference` along.

    Yields pixels, polarities, and how far each event is on the way from `before` to `now`:
    (E,) each, no pixel twice.
    """
    place = np.flatnonzero(np.abs(now - reference) >= camera.threshold)
    while place.size:
        brighter = now[place] > reference[place]
        reference[place] += np.where(brighter, camera.threshold, -camera.threshold)
        way = np.abs(reference[place] - before[place])
        whole = np.abs(now[place] - before[place])
        yield place, brighter.astype(np.int64), way.astype(np.int64), whole.astype(np.int64)
        place = place[np.abs(now[place] - reference[place]) >= camera.threshold]


def watch(
    images: npt.NDArray[np.integer],
    white: int,
    camera: Camera,
    path: npt.NDArray[np.integer],
    interval_us: int,
    run_in: int = 0,
) -> tuple[npt.NDArray, npt.NDArray[np.int64]]:
    """Events of a camera that sees each of the images move along the path.

    Parameters
    ----------
    images : (M, H, W) array of int
        Intensities from 0 (black) to `white`; black all around.
    white : int
        Intensity of a white pixel.
    camera : Camera
    path : (K, 2) array of int
        Place (x, y) on the sensor of the image's corner at each sample, in 1/`SUBPIXEL`
        sensor pixels.
    interval_us : int
        Time between two samples of the intensity, in µs.
    run_in : int
        Samples before the recording begins: their events are not recorded, but at time 0
        the pixels are as the motion before has left them.

    Returns
    -------
    events : structured array with fields x, y, t (µs), p
        The events of all images one after the other, each image's in order of time (equal
        times: by y, x). Times are in 0..(K - 1 - run_in) * interval_us - 1.
    offsets : (M + 1,) int64
        Image i has ``events[offsets[i]:offsets[i + 1]]``.
    """
    pitch = camera.magnification * SUBPIXEL
    brightest = (white * pitch * pitch) >> _INTENSITY_SHIFT
    background = brightest // (camera.contrast - 1)
    log2 = np.array([log2_fixed(background + i) for i in range(brightest + 1)], np.int32)
    across = [_interpolation(camera.width, images.shape[2], pitch, x).T for x, _ in path]
    down = [_interpolation(camera.height, images.shape[1], pitch, y) for _, y in path]

    pixels = camera.width * camera.height
    parts: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK].astype(np.float32)
        before = reference = np.empty(0, np.int32)
        for k, (a, d) in enumerate(zip(across, down, strict=True)):
            intensity = np.matmul(d, chunk @ a).astype(np.int32) >> _INTENSITY_SHIFT
            now = log2[intensity].reshape(-1)
            if k == 0:
                before, reference = now, now.copy()
                continue
            begin = (k - 1 - run_in) * interval_us
            for place, polarity, way, whole in _crossings(before, now, reference, camera):
                if begin >= 0:
                    # An event at the very end of an interval still belongs to it.
                    time = begin + (way * interval_us - 1) // whole
                    parts.append(np.stack([place + start * pixels, time, polarity]))
            before = now

    pixel, time, polarity = np.concatenate([np.empty((3, 0), np.int64), *parts], axis=1)
    image = pixel // pixels
    order = np.lexsort((pixel, time, image))
    events = np.empty(len(order), EVENT_DTYPE)
    events["y"], events["x"] = np.divmod(pixel[order] % pixels, camera.width)
    events["t"], events["p"] = time[order], polarity[order]
    return events, np.searchsorted(image[order], np.arange(len(images) + 1))
