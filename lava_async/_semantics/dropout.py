"""Regularization during training: which spikes are dropped, and which neurons stay awake.

All draws are counter-based, keyed by what they decide, so they do not depend on how the
samples are batched. Inference uses none of this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import random
from lava_async._semantics.random import Purpose
from lava_async.errors import ValidationError


@dataclass(frozen=True)
class Dropout:
    """Probabilities in [0, 1) and the seed of the draws.

    Attributes
    ----------
    input : float
        An input spike (sample, time step, input) is lost.
    spike : float, or tuple of float
        A fired spike is lost: the neuron resets and turns refractory, but nothing is
        released or counted. Of all neurons, or of each.
    refractory : float
        A neuron that fired stays non-refractory. A neuron that fires again while its spike
        still waits keeps one place in the pool: the spike's multiplicity grows, and its
        momentum becomes the latest.
    """

    input: float = 0.0
    spike: float | tuple[float, ...] = 0.0
    refractory: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("input", "spike", "refractory"):
            given = getattr(self, name)
            for p in given if name == "spike" and isinstance(given, tuple) else (given,):
                if not isinstance(p, (int, float, np.integer, np.floating)) or not 0 <= p < 1:
                    raise ValidationError("Dropout", name, "0 <= p < 1", p)
        object.__setattr__(self, "seed", random.check_seed("Dropout", self.seed))

    @property
    def drops_spikes(self) -> bool:
        """Whether any fired spike may be lost."""
        return bool(np.any(self.spike))

    def _draw(self, p, purpose, sample, time_step, forward_step, index) -> npt.NDArray[np.bool_]:
        word, _ = random.words(self.seed, purpose, sample, time_step, forward_step, index)
        return random.uniform24(word) < p

    def input_lost(self, sample, time_step, index) -> npt.NDArray[np.bool_]:
        """Which input spikes are lost (arguments broadcast)."""
        return self._draw(self.input, Purpose.INPUT_DROPOUT, sample, time_step, 0, index)

    def spike_lost(self, sample, time_step, forward_step, neuron) -> npt.NDArray[np.bool_]:
        """Which fired spikes are lost; ``forward_step`` counts the steps run so far."""
        p = np.asarray(self.spike)[neuron] if isinstance(self.spike, tuple) else self.spike
        return self._draw(
            p, Purpose.SPIKE_DROPOUT, sample, time_step, forward_step, neuron
        )

    def stays_awake(self, sample, time_step, forward_step, neuron) -> npt.NDArray[np.bool_]:
        """Which neurons that fired stay non-refractory."""
        return self._draw(
            self.refractory, Purpose.REFRACTORY_DROPOUT, sample, time_step, forward_step, neuron
        )
