"""`Network`: SLAYER blocks, trained for and run under any schedule."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async._semantics import random
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import AsyncSchedule, Momentum, Schedule
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer import hdf5
from lava_async.slayer import surrogate as surrogates
from lava_async.slayer.layers import Layer, layers_of
from lava_async.slayer.unrolled import Carried, Inexact, Neurons, Rules, unlayered

# Whole numbers up to here are exact in float32, in any order of summation.
_FLOAT32_EXACT = 1 << 24

# SLAYER tells "exceeds" from "reaches" the threshold by an epsilon that float32 loses beyond.
_SLAYER_EXACT_THRESHOLD = (1 << 12) - 1


class Network(torch.nn.Module):
    """A chain of SLAYER's CUBA blocks with asynchronous execution and unlayered backprop.

    The forward pass runs the very integers that `export_hdf5` writes. Under `LayerSync` it
    is SLAYER's own forward with ``delay_shift=False`` (thresholds up to a mantissa of 4095,
    which SLAYER tells apart); under the other schedules it is the asynchronous execution that
    `lava_async.simulate` runs, unrolled for autograd. `Random` and momentum noise draw by
    sample: pass ``sample_ids`` for an evaluation that can be repeated.

    Parameters
    ----------
    blocks : iterable of torch.nn.Module
        ``slayer.block.cuba``'s `Input`, `Flatten`, `Dense` and `Conv`, as for a sequential
        network.
    schedule : Schedule
        `LayerSync`, `Random` or `Momentum`; can be set later too.
    input_shape : tuple of int, optional
        (C,) or (C, H, W); taken from the first forward pass if not given.
    refractory_dropout, spike_dropout, input_dropout : float
        Probabilities in [0, 1), in training mode only: that a neuron that fired may fire
        again in the same time step, that a fired spike is lost, that an input is lost.
    credit : Carried
        Which evaluations share the credit of a released spike.
    surrogate : str or callable
        ``"slayer"``, ``"arctan"``, ``"fast_sigmoid"``, or a callable (see
        `lava_async.slayer.surrogate`).
    detach_reset : bool
        Whether the reset of a neuron that fired is left out of the gradient.
    max_forward_steps : int
        Cap on the forward steps of a time step, which refractory dropout leaves unbounded.
    seed : int
        Key of the dropout draws, 0 <= seed < 2**64.

    Attributes
    ----------
    blocks : torch.nn.ModuleList
        The SLAYER blocks themselves.
    schedule : Schedule
    input_shape : tuple of int or None

    Raises
    ------
    UnsupportedError
        A block asks for something that is not run: delay, norm, learnable decays, …
    ValidationError
        An argument is outside what is described here.
    """

    samples_seen: Tensor

    def __init__(
        self,
        blocks: Iterable[torch.nn.Module],
        schedule: Schedule | None = None,
        *,
        input_shape: Sequence[int] | None = None,
        refractory_dropout: float = 0.0,
        spike_dropout: float = 0.0,
        input_dropout: float = 0.0,
        credit: Carried | None = None,
        surrogate: str | surrogates.Surrogate = "slayer",
        detach_reset: bool = False,
        max_forward_steps: int = 1000,
        seed: int = 0,
    ):
        super().__init__()
        self.blocks = torch.nn.ModuleList(blocks)
        self.input_shape: tuple[int, ...] | None = None
        self._known_layers = layers_of(list(self.blocks))
        self.schedule = Momentum() if schedule is None else schedule
        self.dropout = Dropout(input_dropout, spike_dropout, refractory_dropout, seed)
        self._rules = Rules(
            Carried() if credit is None else credit,
            surrogates.resolve(surrogate),
            bool(detach_reset),
        )
        if credit is not None and not isinstance(credit, Carried):
            raise ValidationError("Network", "credit", "a Carried", repr(credit))
        if (
            not isinstance(max_forward_steps, int)
            or not 1 <= max_forward_steps <= random.MAX_FORWARD_STEP
        ):
            raise ValidationError(
                "Network", "max_forward_steps", f"an integer in 1..{random.MAX_FORWARD_STEP}",
                repr(max_forward_steps),
            )
        self.max_forward_steps = max_forward_steps
        # Training samples are numbered on and on, also over checkpoints.
        self.register_buffer("samples_seen", torch.zeros((), dtype=torch.int64))
        self._evaluated = 0
        if input_shape is not None:
            self._resolve(tuple(int(n) for n in input_shape))
        _warn_of_shift(self._layers)

    # ------------------------------------------------------------ settings

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        if not isinstance(schedule, Schedule):
            raise ValidationError(
                "Network", "schedule", "LayerSync, Random or Momentum", repr(schedule)
            )
        self._schedule = schedule

    @property
    def _layers(self) -> list[Layer]:
        """What we know about the blocks, anew if one was replaced."""
        known = [layer.block for layer in self._known_layers]
        if len(known) != len(self.blocks) or any(
            a is not b for a, b in zip(known, self.blocks, strict=True)
        ):
            self._known_layers = layers_of(list(self.blocks))
            if self.input_shape is not None:
                shape = self.input_shape
                for layer in self._known_layers:
                    shape = layer.resolve(shape)
        return self._known_layers

    @property
    def device(self) -> torch.device:
        return self.samples_seen.device

    def train(self, mode: bool = True) -> Network:
        """As `torch.nn.Module.train`; evaluation that follows training starts a new stream."""
        if self.training and not mode:
            self._evaluated = 0
        return super().train(mode)

    def _resolve(self, shape: tuple[int, ...]) -> None:
        """Fix the shapes of all layers by the shape of one input frame."""
        if self.input_shape is not None and shape != self.input_shape:
            raise ValidationError("Network", "input shape", self.input_shape, shape)
        if len(shape) not in (1, 3):
            raise ValidationError("Network", "input shape", "(C,) or (C, H, W)", shape)
        now = shape
        for layer in self._layers:
            now = layer.resolve(now)
        self.input_shape, self.output_shape = shape, now

    def _require_shape(self, what: str) -> tuple[int, ...]:
        if self.input_shape is None:
            raise ValidationError(
                "Network", f"input shape, before {what}",
                "a first forward pass, or Network(…, input_shape=(C, H, W))", None,
            )
        return self.input_shape

    # ------------------------------------------------------------ forward

    def forward(self, x: Tensor, sample_ids: npt.ArrayLike | None = None) -> Tensor:
        """Spikes of the output population.

        Parameters
        ----------
        x : (N, C, T) or (N, C, H, W, T)
            Input spikes, whole numbers >= 0; a value of n counts as n spikes.
        sample_ids : (N,) array of int, optional
            Each sample's own index, the key of its random draws. By default samples are
            numbered in the order in which they come: on and on in training (the count is
            part of ``state_dict``), and from 0 in each evaluation that follows training.

        Returns
        -------
        (N, C, T) or (N, C, H, W, T)
            How often each output neuron fired: 0 or 1, and more only under refractory
            dropout.

        Raises
        ------
        ValidationError
            Wrong shape, or values that are not whole numbers >= 0.
        ForwardStepLimitError
            A time step did not come to rest within ``max_forward_steps``.
        """
        x = self._check_input(x)
        ids = self._ids(sample_ids, len(x))
        dropout = self.dropout if self.training else Dropout()
        if dropout.input:
            x = x * self._input_mask(x, ids, dropout)
        if isinstance(self.schedule, AsyncSchedule):
            return self._asynchronous(x, ids, dropout, self.schedule)
        return self._layered(x, ids, dropout)

    def _check_input(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or x.dim() not in (3, 5) or 0 in x.shape:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValidationError(
                "Network", "input", "(N, C, T) or (N, C, H, W, T), none of them 0", got
            )
        self._resolve(tuple(x.shape[1:-1]))
        with torch.no_grad():
            low, high = (float(extreme) for extreme in torch.aminmax(x))
            whole = not x.is_floating_point() or torch.equal(x, x.trunc())
            if not (low >= 0 and high < _FLOAT32_EXACT and whole):
                got = f"values in {low}..{high}"
                raise ValidationError("Network", "input", "whole numbers >= 0", got)
        return x.to(torch.float32)

    def _ids(self, sample_ids: npt.ArrayLike | None, count: int) -> npt.NDArray[np.int64]:
        if sample_ids is not None:
            ids = np.asarray(sample_ids)
            if ids.shape != (count,) or ids.dtype.kind not in "iu":
                got = f"{ids.dtype}{ids.shape}"
                raise ValidationError("Network", "sample_ids", f"{count} integers", got)
            if ids.min() < 0 or ids.max() > random.MAX_INDEX:
                raise ValidationError(
                    "Network", "sample_ids", "0 <= id < 2**32", (ids.min(), ids.max())
                )
            return ids.astype(np.int64)
        if self.training:
            first = int(self.samples_seen)
            self.samples_seen += count
        else:
            first = self._evaluated
            self._evaluated += count
        return (first + np.arange(count)) % (random.MAX_INDEX + 1)

    def _input_mask(self, x: Tensor, ids: npt.NDArray[np.int64], dropout: Dropout) -> Tensor:
        """(N, ..., T), 0 where an input is lost. Draws only where there is one."""
        frames = x.flatten(1, -2).cpu().numpy()
        sample, index, time_step = np.nonzero(frames)
        lost = dropout.input_lost(ids[sample], time_step, index)
        mask = np.ones_like(frames)
        mask[sample[lost], index[lost], time_step[lost]] = 0
        return torch.from_numpy(mask).to(x.device).reshape(x.shape)

    def _layered(self, x: Tensor, ids: npt.NDArray[np.int64], dropout: Dropout) -> Tensor:
        first_neuron = 0
        for layer in self._layers:
            if layer.spiking and layer.block.neuron.v_th_mant > _SLAYER_EXACT_THRESHOLD:
                raise UnsupportedError(
                    layer.where, "threshold under LayerSync, which SLAYER computes",
                    f"a mantissa up to {_SLAYER_EXACT_THRESHOLD}", layer.block.neuron.v_th_mant,
                )
            x = layer.layered(x)
            if layer.spiking and dropout.spike:
                flat = x.flatten(1, -2)
                lost = dropout.spike_lost(
                    ids[:, None, None],
                    np.arange(flat.shape[2]),
                    0,
                    first_neuron + np.arange(flat.shape[1])[:, None],
                )
                x = x * torch.from_numpy(~lost).to(flat).reshape(x.shape)
                first_neuron += flat.shape[1]
        return x

    def _asynchronous(
        self, x: Tensor, ids: npt.NDArray[np.int64], dropout: Dropout, schedule: AsyncSchedule
    ) -> Tensor:
        layers = [layer for layer in self._layers if layer.spiking]
        weights = [layer.weight() for layer in layers]
        neurons = self._neurons(layers)
        frames = x.flatten(1, -2).permute(2, 0, 1)  # (T, N, inputs)
        batch = frames.flatten(0, 1)
        for dtype in self._dtypes(layers, weights, x, dropout, schedule):
            scaled = [(weight * (1 << dyn.STATE_SHIFT)).to(dtype) for weight in weights]
            currents = layers[0].deliver(scaled[0], batch.to(dtype))
            deliver = [partial(f.deliver, w) for f, w in zip(layers[1:], scaled[1:], strict=True)]
            try:
                spikes = unlayered(
                    currents.unflatten(0, frames.shape[:2]), deliver, neurons, schedule,
                    self._rules, ids, dropout, self.max_forward_steps,
                )
                break
            except Inexact:
                continue
        output = spikes[..., -neurons.sizes[-1] :]  # (T, N, outputs)
        return output.permute(1, 2, 0).unflatten(1, self.output_shape).to(x.dtype)

    def _dtypes(
        self,
        layers: list[Layer],
        weights: list[Tensor],
        x: Tensor,
        dropout: Dropout,
        schedule: AsyncSchedule,
    ) -> Iterator[torch.dtype]:
        """Float types to try: all weighted sums are exact in each, in any order of summation."""
        most = self.max_forward_steps + 1 if dropout.refractory else 1  # spikes of one place
        bounds = [layers[0].fan_in_l1(weights[0]) * float(x.max())]
        for layer, weight in zip(layers[1:], weights[1:], strict=True):
            group = schedule.group_size * float(weight.detach().abs().max())
            bounds.append(min(layer.fan_in_l1(weight), group) * most)
        if max(bounds) < _FLOAT32_EXACT:
            yield torch.float32
        yield torch.float64

    def _neurons(self, layers: list[Layer]) -> Neurons:
        """Parameters of all neurons, spread over the populations."""
        sizes = [layer.block.neuron.num_neurons for layer in layers]
        models = [layer.block.neuron for layer in layers]
        repeats = torch.tensor(sizes, device=self.device)

        def spread(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=self.device).repeat_interleave(
                repeats
            )

        bias = layers[0].bias()  # only input layers have one
        if bias is not None:
            bias = torch.cat(
                [bias.expand(sizes[0]), torch.zeros(sum(sizes[1:]), device=self.device)]
            ) * (1 << dyn.STATE_SHIFT)
        return Neurons(
            sizes=sizes,
            i_decay=spread([int(m.cx_current_decay) for m in models]),
            v_decay=spread([int(m.cx_voltage_decay) for m in models]),
            threshold=spread([m.v_th_mant << dyn.STATE_SHIFT for m in models]),
            unit=spread([m.s_scale for m in models]),
            tau=spread([m.tau_rho for m in models]),
            scale=spread([m.scale_rho for m in models]),
            bias=bias,
        )

    # ------------------------------------------------------------ the integers

    @torch.no_grad()
    def graph(self) -> Graph:
        """The current integers as a graph, for `lava_async.simulate`; schedule included.

        Raises
        ------
        ValidationError
            The input shape is not known yet.
        """
        shape = self._require_shape("graph()")
        layers = [layer for layer in self._layers if layer.spiking]
        return Graph(
            shape,
            tuple(layer.population() for layer in layers),
            tuple(layer.connection(i - 1, i) for i, layer in enumerate(layers)),
            schedule=self.schedule,
        )

    def export_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Write the network as SLAYER does, plus the schedule; stock netx loads the file.

        The network stays as it is, weight normalization included. The file appears whole
        or not at all.

        Raises
        ------
        ValidationError
            The input shape is not known yet, or the folder cannot be written.
        """
        shape = self._require_shape("export_hdf5()")
        hdf5.write(path, self._layers, self.schedule, shape)

    @classmethod
    def from_hdf5(
        cls,
        path: str | os.PathLike[str],
        *,
        input_shape: Sequence[int] | None = None,
        tau_grad: float = 1,
        scale_grad: float = 1,
        **settings: Any,
    ) -> Network:
        """A trainable network from a file of `export_hdf5`, SLAYER or netx.

        Weights, neurons and schedule are the file's; exported again it has the same
        integers. What a file does not hold is given here.

        Parameters
        ----------
        path : path
        input_shape : tuple of int, optional
            For files of SLAYER without an input layer.
        tau_grad, scale_grad : float
            Of SLAYER's neurons.
        settings
            Further arguments of `Network`.

        Raises
        ------
        FileFormatError
            The file is not valid.
        UnsupportedError
            It holds a network that SLAYER cannot train: odd weights, or a bias.
        """
        blocks, schedule, shape = hdf5.read(path, input_shape, tau_grad, scale_grad)
        settings.setdefault("schedule", schedule)
        return cls(blocks, input_shape=shape, **settings)


def _warn_of_shift(layers: list[Layer]) -> None:
    shifted = [layer.where for layer in layers if getattr(layer.block, "delay_shift", False)]
    if shifted:
        warnings.warn(
            f"{', '.join(shifted)}: delay_shift=True has no effect: asynchronous execution has "
            "no shift by one time step per layer, nor has this network under LayerSync. "
            "Pass delay_shift=False to the blocks.",
            stacklevel=3,
        )
