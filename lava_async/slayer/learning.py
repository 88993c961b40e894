"""Training that goes wrong: warnings that name the block and the remedy, each said once."""

from __future__ import annotations

import math
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async.errors import TrainingWarning
from lava_async.slayer.decisive import Execution
from lava_async.slayer.integers import Integers
from lava_async.slayer.wiring import Wiring

_IN_A_ROW = 3
"""Training passes: one batch without a spike may be chance."""
_DEAD_PASSES, _DEAD_SAMPLES = 20, 1000
"""In none of which a dead neuron fired: others fire for few samples only."""
_DEAD_SHARE = 0.5
_LIMITS_EVERY = 10  # training passes: weights move slowly, and looking at them all takes time
_LIMITS_SHARE = 0.05
_NOT_THE_USERS = ("lava_async", "torch", "lava")  # whose lines a warning is not about


class Learning:
    """Watches the training passes of a network."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()
        self._silent: Counter[str] = Counter()
        self._without: Counter[str] = Counter()
        self._passes = 0
        self._fired = np.zeros(0, np.bool_)  # which neurons did, since as many as follow
        self._fired_passes = self._fired_samples = 0

    def once(self, remark: str) -> None:
        """Warn, but not twice of the same."""
        if ("", remark) not in self._said:
            self._said.add(("", remark))
            _warn(remark)

    def watch(
        self, wiring: Wiring, integers: Integers, fired: npt.NDArray[np.bool_], spikes: Tensor,
        execution: Execution | None,
    ) -> None:  # fmt: skip
        """See a training pass, whose input was not empty.

        Parameters
        ----------
        wiring : Wiring
        integers : Integers
            As they ran.
        fired : (N,) bool
            Which neurons did at all.
        spikes : (B, neurons, T)
            What the gradient comes back through; a readout, where there is one.
        execution : Execution, optional
            Which brings the gradients of all integers, if `decisive.outcome` made the spikes.
        """
        names = [layer.where for layer in wiring.layers]
        offsets = wiring.pattern.offsets
        active = np.logical_or.reduceat(fired, offsets[:-1])
        if integers.reads_out:  # whose neurons never fire
            active[wiring.pattern.output] = True
        silent = [name for name, fires in zip(names, active, strict=True) if not fires]
        self._warn_of(
            "silent", self._often(self._silent, names, silent),
            f"no spike in {_IN_A_ROW} training passes in a row; a silent block passes nothing on "
            "and hardly learns: scale its weights up (weight_scale), lower its threshold, or "
            "weaken a penalty on spikes.",
        )  # fmt: skip
        self._see_dead(names, offsets, fired, len(spikes))
        if self._passes % _LIMITS_EVERY == 0:
            self._see_limits(names, wiring, integers)
        self._passes += 1
        # Behind a silent block none gets a gradient, of which that was said.
        self._watch_gradients(names, wiring, integers, spikes, execution, vanishing=not silent)

    def _see_dead(
        self, names: Sequence[str], offsets: npt.NDArray[np.integer],
        fired: npt.NDArray[np.bool_], samples: int,
    ) -> None:  # fmt: skip
        if self._fired.shape != fired.shape:
            self._fired = np.zeros_like(fired)
        self._fired |= fired
        self._fired_passes += 1
        self._fired_samples += samples
        if self._fired_passes < _DEAD_PASSES or self._fired_samples < _DEAD_SAMPLES:
            return
        sizes = np.diff(offsets)
        dead = sizes - np.add.reduceat(self._fired, offsets[:-1], dtype=np.int64)
        for name, count, size in zip(names, dead.tolist(), sizes.tolist(), strict=True):
            if _DEAD_SHARE * size <= count < size:  # all of them: silent
                self._warn_of(
                    "dead", [name],
                    f"{count} of {size} neurons fired in none of {self._fired_passes} training "
                    "passes: scale its weights up (weight_scale), lower its threshold, weaken a "
                    "penalty on spikes, or do with fewer neurons.",
                )  # fmt: skip
        self._fired = np.zeros_like(fired)
        self._fired_passes = self._fired_samples = 0

    def _see_limits(self, names: Sequence[str], wiring: Wiring, integers: Integers) -> None:
        reached, sizes = [0] * len(names), [0] * len(names)
        for edge, weight in zip(wiring.edges, integers.by_edge, strict=True):
            if not weight.requires_grad:
                continue
            now = weight.detach()
            sizes[edge.target] += now.numel()
            reached[edge.target] += int(
                torch.count_nonzero((now <= dyn.WEIGHT_MIN) | (now >= dyn.WEIGHT_MAX))
            )
        for name, count, size in zip(names, reached, sizes, strict=True):
            if count > _LIMITS_SHARE * size:
                self._warn_of(
                    "limits", [name],
                    f"{count} of {size} weights are at the limits, {dyn.WEIGHT_MIN} and "
                    f"{dyn.WEIGHT_MAX}, beyond which they get no gradient: scale weights "
                    "(weight_scale) and threshold of the block down together, or let the weights "
                    "decay.",
                )  # fmt: skip

    def _watch_gradients(
        self, names: Sequence[str], wiring: Wiring, integers: Integers, spikes: Tensor,
        execution: Execution | None, vanishing: bool,
    ) -> None:  # fmt: skip
        if spikes.grad_fn is None:
            return
        if execution is not None:
            targets = [edge.target for edge in wiring.edges]
            targets += [p for p, bias in enumerate(integers.biases) if bias is not None]
            targets += [p for p, _, _ in integers.learned_decays]
            execution.watcher = _AtOnce(self, [names[p] for p in targets], vanishing)
            return
        trained = {
            name: found
            for name, own in zip(names, integers.weights, strict=True)
            if (found := [w for w in own if w.requires_grad and w.numel()])
        }
        if not trained:
            return
        loss = _Loss(self, list(trained))
        spikes.grad_fn.register_prehook(loss)
        for name, own in trained.items():
            block = _Block(self, loss, name, len(own), vanishing)
            for weight in own:
                weight.register_hook(block)

    def saw_loss(self, names: Sequence[str]) -> None:
        """See that a backward pass began with numbers that are none."""
        self._warn_of(
            "loss", names,
            "gradients that are not finite (nan or inf), for the loss's own by the spikes is not; "
            "an optimizer that takes them ruins the weights: see what the loss divides by or takes "
            "a logarithm of, and skip such steps, as loss scaling does.",
        )  # fmt: skip

    def saw_block(self, name: str, finite: bool, vanished: bool, vanishing: bool) -> None:
        """See the gradient that a backward pass brought a block, from a finite one of the loss.

        ``vanishing`` is whether it says anything that there is none.
        """
        if not finite:
            self._warn_of(
                "finite", [name],
                "the gradient of its weights is not finite (nan or inf); an optimizer that takes "
                "it ruins them: scale the surrogate derivative down (scale_grad), or clip the "
                "gradient of the loss by the spikes.",
            )  # fmt: skip
        if vanishing:
            due = self._often(self._without, [name], [name] if vanished else [])
            self._warn_of(
                "vanished", due,
                f"the gradient of its weights was 0 in {_IN_A_ROW} training passes in a row: widen "
                "the surrogate derivative (tau_grad) or scale it up (scale_grad), and see whether "
                "the loss depends on the spikes.",
            )  # fmt: skip

    def _often(self, counts: Counter[str], names: Sequence[str], found: Sequence[str]) -> list[str]:
        """Those that were found often enough in a row."""
        for name in names:
            counts[name] = counts[name] + 1 if name in found else 0
        return [name for name in names if counts[name] >= _IN_A_ROW]

    def _warn_of(self, cause: str, names: Sequence[str], text: str) -> None:
        """Warn of blocks, but not twice of one for the same cause."""
        due = [name for name in names if (cause, name) not in self._said]
        if due:
            self._said.update((cause, name) for name in due)
            _warn(f"{', '.join(due)}: {text}")


def _warn(text: str) -> None:
    """Warn at the line of the user's that called the network, or its gradient."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, TrainingWarning, stacklevel=level)


class _AtOnce:
    """Sees all gradients of one pass together, which takes less than hooks."""

    def __init__(self, learning: Learning, of: Sequence[str], vanishing: bool):
        self.learning, self.of, self.vanishing = learning, of, vanishing

    def __call__(self, loss: npt.NDArray, found: Sequence[npt.NDArray | None]) -> None:
        blocks: dict[str, list[npt.NDArray]] = {}
        for name, gradient in zip(self.of, found, strict=True):
            if gradient is not None and gradient.size:
                blocks.setdefault(name, []).append(gradient)
        if blocks and not _extremes(loss)[0]:
            self.learning.saw_loss(list(blocks))
            return
        for name, gradients in blocks.items():
            finite, vanished = zip(*map(_extremes, gradients), strict=True)
            self.learning.saw_block(name, all(finite), all(vanished), self.vanishing)


class _Loss:
    """Hook of the gradient by the spikes, for one pass."""

    def __init__(self, learning: Learning, names: Sequence[str]):
        self.learning, self.names = learning, names
        self.finite = True

    def __call__(self, gradients: tuple[Tensor | None, ...]) -> None:
        self.finite = all(g is None or _extremes(g.detach())[0] for g in gradients)
        if not self.finite:
            self.learning.saw_loss(self.names)


class _Block:
    """Hook of the gradients by all weights of a block, for one pass."""

    def __init__(self, learning: Learning, loss: _Loss, name: str, count: int, vanishing: bool):
        self.learning, self.loss, self.name, self.left = learning, loss, name, count
        self.vanishing = vanishing
        self.finite = self.vanished = True

    def __call__(self, gradient: Tensor) -> None:
        finite, vanished = _extremes(gradient.detach())
        self.left -= 1
        self.finite = self.finite and finite
        self.vanished = self.vanished and vanished
        if self.left == 0 and self.loss.finite:
            self.learning.saw_block(self.name, self.finite, self.vanished, self.vanishing)


def _extremes(gradient: Any) -> tuple[bool, bool]:
    """Whether all numbers of a tensor or an array are finite, and whether all are 0."""
    flat = gradient.reshape(-1)
    square = float((np if isinstance(gradient, np.ndarray) else torch).dot(flat, flat))
    if 0 < square < math.inf:  # in half the time; else they may be too small, or large, for it
        return True, False
    low, high = float(gradient.min()), float(gradient.max())
    return math.isfinite(low + high), low == high == 0
