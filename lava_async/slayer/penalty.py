"""Penalties on spikes, to be added to a loss."""

from __future__ import annotations

from torch import Tensor

from lava_async.errors import ValidationError


class SpikePenalty:
    """Spikes a sample, on average over a batch; with a target, those beyond it.

    The fewer spikes wait, the less their order matters: a penalty on spikes belongs to training
    for asynchronous execution. Its strength, the factor with which it is added to the loss, is a
    matter of the task: `lava-async train` documents where that of its recipes comes from.

    Parameters
    ----------
    target_density : float, optional
        Spikes / (neurons x time steps), in 0..1, that cost nothing: of each sample the spikes
        beyond this density count.

    Raises
    ------
    ValidationError
        A target outside of 0..1.
    """

    def __init__(self, target_density: float | None = None):
        if target_density is not None and not 0 <= target_density <= 1:
            wanted = "a number in [0, 1]"
            raise ValidationError("SpikePenalty", "target_density", wanted, target_density)
        self.target_density = target_density

    def __call__(self, spikes: Tensor) -> Tensor:
        """The penalty, a tensor of one number, of spikes (N, neurons, T)."""
        count = spikes.sum((1, 2))
        if self.target_density is not None:
            most = self.target_density * spikes.shape[1] * spikes.shape[2]
            count = (count - most).clamp(min=0)
        return count.mean()

    def __repr__(self) -> str:
        given = "" if self.target_density is None else f"target_density={self.target_density}"
        return f"SpikePenalty({given})"
