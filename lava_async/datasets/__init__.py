"""Event data sets, tonic-style: samples are ``(events, label)``, made for tonic's transforms.

Importing this package loads neither tonic nor torch; scikit-learn is loaded with the first
sample of the digits.
"""

from lava_async.datasets.digits import DigitsDVS, load_frames
from lava_async.datasets.frames import to_frames

__all__ = ["DigitsDVS", "load_frames", "to_frames"]
