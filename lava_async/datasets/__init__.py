"""Event data sets, tonic-style: samples are ``(events, label)``, made for tonic's transforms.

All of them by name, as frames, and one's own: `registry`. Importing this package loads neither
tonic nor torch; scikit-learn is loaded with the first sample of the digits.
"""

from lava_async.datasets import registry
from lava_async.datasets.digits import DigitsDVS, load_frames
from lava_async.datasets.frames import to_frames
from lava_async.datasets.motion import MotionDVS
from lava_async.datasets.vowels import Vowels

__all__ = ["DigitsDVS", "MotionDVS", "Vowels", "load_frames", "registry", "to_frames"]
