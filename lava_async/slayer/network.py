"""`Network`: SLAYER blocks, trained for and run under any schedule."""

from __future__ import annotations

import copy
import dataclasses
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed

from lava_async._semantics import checks, random
from lava_async._semantics.decisive import Reset
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.graph import Graph, check_early_decision
from lava_async._semantics.schedule import Momentum, Schedule, check_schedule, check_stop_after
from lava_async.errors import TrainingWarning, UnsupportedError, ValidationError
from lava_async.slayer import decays, hdf5, norms
from lava_async.slayer import surrogate as surrogates
from lava_async.slayer.autocast import no_autocast
from lava_async.slayer.delays import delay_of, delayed_output, is_undrawn, make_room
from lava_async.slayer.devices import check_devices
from lava_async.slayer.from_graph import PerPopulation, describe
from lava_async.slayer.gradients import Ran, Unrolled, choose
from lava_async.slayer.inputs import check_ids, check_shape
from lava_async.slayer.integers import Integers
from lava_async.slayer.layers import Layer, SpikingLayer, persists
from lava_async.slayer.learning import Learning
from lava_async.slayer.persistent import Stream
from lava_async.slayer.rules import Carried
from lava_async.slayer.settings import Settings
from lava_async.slayer.structure import Structure
from lava_async.slayer.transforms import refuse_transforms, unsupported
from lava_async.slayer.weights import unchanged
from lava_async.slayer.wiring import Wiring


class Network(torch.nn.Module):
    """SLAYER's CUBA blocks with asynchronous execution and unlayered backprop.

    A chain of blocks, or any directed graph of them. The forward pass runs the very integers
    that `graph` gives and `export_hdf5` writes, as `lava_async.simulate` would. Under `LayerSync`
    it gives SLAYER's own spikes with ``delay_shift=False``, wherever states stay within the 24
    bits that a chip has. `Random` and momentum noise draw by sample: pass ``sample_ids`` for an
    evaluation that can be repeated.

    There are two gradients of the same spikes (see the documentation, *Semantics*).
    ``"decisive"`` goes through the one outcome that each neuron has in a time step; it is compiled,
    costs about as much as the forward pass, and is SLAYER's own under `LayerSync`. It runs on the
    CPU: tensors elsewhere go there and back. ``"unrolled"`` is the published method, autograd
    through every forward step in PyTorch.

    Each call begins at zero; if the blocks' neurons have ``persistent_state=True``, where the last
    one ended: then ``net(x1)`` and ``net(x2)`` are one call with both, one after the other in
    time, cut in two, but no gradient goes from one to the other. `reset_state` begins anew.

    Blocks are not called: their weights, by whatever reparametrisation (weight norm, pruning,
    …), and neurons are read. What a block does beyond these is refused by name.

    Parameters
    ----------
    blocks : iterable of torch.nn.Module
        ``slayer.block.cuba``'s `Input`, `Flatten`, `Dense`, `Conv`, `ConvT`, `Pool`, `Unpool`,
        `Recurrent` and `KWTA`, as for a sequential network; at its end `Affine`, or a `Dense` or
        `Conv` without neurons, then `Average` and `TimeDecimation`, each of which may be left
        out. Axonal delays of blocks, if they have such, delay all that leaves them, and learn.
    schedule : Schedule
        Any; can be set later too.
    sources : dict of int to list, optional
        What a block sees, by its index, where that is not just the block before: a list of
        blocks' indices, ``la.INPUT``, or pairs (one of these, delay in time steps); sources are
        concatenated along their channels in this order. ``{2: [1, 0], 1: [0, (2, 3)]}`` lets
        block 2 see block 0 beside block 1 (a skip connection), and block 1 see block 2 beside
        block 0, three time steps late (a recurrent one). ``{2: [Sum(0, 1)]}`` adds the two, as
        ``a(x) + b(x)`` does (a residual connection; see `Sum`). A delay may also be one for each
        neuron of the source. Blocks without neurons pass on what they see.
    output : int or (int, delay)
        Index of the block whose spikes are returned, the last by default, and how many time
        steps late.
    input_shape : tuple of int, optional
        (C,) or (C, H, W); taken from the first forward pass if not given.
    gradient : "decisive" or "unrolled"
    reset : "through", "detached" or "full", optional
        What the reset of a neuron that fired does to the gradient of its voltage: passes it on as
        if there were none, which is SLAYER's way and the default of ``"decisive"``; ends it; or
        is differentiated in full, the default of ``"unrolled"``, which has no ``"through"``.
    surrogate : str or callable
        ``"slayer"``, ``"arctan"``, ``"fast_sigmoid"``, or a callable (see
        `lava_async.slayer.surrogate`). ``"unrolled"`` under `LayerSync` has SLAYER's own.
    stop_after : int, optional
        Early decision, as in `lava_async.simulate`; ``"decisive"`` only. Can be set later too.
    penalty : callable, optional
        Of the spikes (N, neurons, T) of all neurons, a number to add to the loss; such as
        `SpikePenalty`. With it the network returns it after the spikes.
    input_dropout, spike_dropout : float
        Probabilities in [0, 1), in training mode only: that an input is lost, that a fired spike
        is lost.
    refractory_dropout : float
        That a neuron that fired may fire again in the same time step; ``"unrolled"`` only, as all
        that follows but the seed.
    credit : Carried, optional
        Which evaluations share the credit of a released spike.
    detach_reset : bool
        The same as ``reset="detached"``.
    max_forward_steps : int, optional
        Cap on the forward steps of a time step, which refractory dropout leaves unbounded; 1,000
        by default.
    seed : int
        Key of the dropout draws, 0 <= seed < 2**64.
    num_threads : int, optional
        Of the kernel; as many as PyTorch has by default. Results do not depend on it. Can be set
        later too.

    Attributes
    ----------
    blocks : torch.nn.ModuleList
        The SLAYER blocks themselves; those of `from_graph` may be `Population`.
    schedule : Schedule
    stop_after : int or None
    num_threads : int or None
    gradient : str
    input_shape : tuple of int or None

    Raises
    ------
    UnsupportedError
        A block asks for something that is not run: graded spikes, resonators, …
    ValidationError
        An argument is outside what is described here.
    """

    samples_seen: Tensor

    def __init__(
        self,
        blocks: Iterable[torch.nn.Module],
        schedule: Schedule | None = None,
        *,
        sources: Mapping[int, list[Any]] | None = None,
        output: int | tuple[int, npt.ArrayLike] = -1,
        input_shape: Sequence[int] | None = None,
        gradient: Literal["decisive", "unrolled"] = "decisive",
        reset: Reset | None = None,
        surrogate: str | surrogates.Surrogate = "slayer",
        stop_after: int | None = None,
        penalty: Callable[[Tensor], Tensor] | None = None,
        refractory_dropout: float = 0.0,
        spike_dropout: float = 0.0,
        input_dropout: float = 0.0,
        credit: Carried | None = None,
        detach_reset: bool = False,
        max_forward_steps: int | None = None,
        seed: int = 0,
        num_threads: int | None = None,
    ):
        super().__init__()
        self.blocks = torch.nn.ModuleList(blocks)
        self._known = Structure(self.blocks, sources, output)
        self.dropout = Dropout(input_dropout, spike_dropout, refractory_dropout, seed)
        self._gradient = choose(
            gradient, reset, surrogate, refractory_dropout, credit, detach_reset,
            max_forward_steps,
        )  # fmt: skip
        self.schedule = Momentum() if schedule is None else schedule
        self.stop_after = stop_after
        if penalty is not None and not callable(penalty):
            raise ValidationError("Network", "penalty", "a callable of spikes", repr(penalty))
        self.penalty = penalty
        if num_threads is not None:
            num_threads = checks.integer("Network", "num_threads", num_threads, 1, 1 << 16)
        self.num_threads = num_threads
        # Training samples are numbered on and on, also over checkpoints.
        self.register_buffer("samples_seen", torch.zeros((), dtype=torch.int64))
        self._evaluated = 0
        self._learning = Learning()
        self._stream: Stream | None = None  # no buffer, which several processes would share
        if input_shape is not None:
            self._structure.wire(checks.shape("Network: input_shape", input_shape))
        _warn_of_shift(self._layers)

    @classmethod
    def from_graph(
        cls,
        graph: Graph,
        *,
        tau_grad: PerPopulation = 1,
        scale_grad: PerPopulation = 1,
        **settings: Any,
    ) -> Network:
        """A trainable network that starts as the graph.

        `graph` gives it back, number for number; connections of a kind of your own as
        `Sparse`. Populations that a block of SLAYER can say are such blocks, others a
        `Population`. Delays that a block's own can say are one, and stay until it is told to learn,
        ``block.delay.requires_grad_()``.

        Parameters
        ----------
        graph : Graph
        tau_grad, scale_grad : float or sequence of float
            Of SLAYER's neurons, for all populations or for each.
        settings
            Further arguments of `Network`; the schedule is the graph's by default.

        Raises
        ------
        ValidationError
            An argument is outside what is described here.
        """
        return cls._of(graph, (), tau_grad, scale_grad, **settings)

    @classmethod
    def _of(
        cls,
        graph: Graph,
        tied: Sequence[Sequence[int]],
        tau_grad: PerPopulation,
        scale_grad: PerPopulation,
        **settings: Any,
    ) -> Network:
        """`from_graph`, where connections may share their weights."""
        if not isinstance(graph, Graph):
            raise ValidationError("Network", "graph", "a Graph", type(graph).__name__)
        for name in ("sources", "output", "input_shape"):
            if name in settings:
                raise ValidationError("Network", name, "what the graph says", settings[name])
        described = describe(graph, tau_grad, scale_grad, tied)
        settings.setdefault("schedule", graph.schedule)
        net = cls(
            described.blocks, sources=described.sources, output=described.output, **settings
        )
        net._structure.keep([p.name for p in graph.populations], described.order)
        net._structure.wire(graph.input_shape)
        return net

    @classmethod
    def from_hdf5(
        cls,
        path: str | os.PathLike[str],
        *,
        input_shape: Sequence[int] | None = None,
        tau_grad: PerPopulation | None = None,
        scale_grad: PerPopulation | None = None,
        **settings: Any,
    ) -> Network:
        """A trainable network from a file: `from_graph` of what `lava_async.load` reads.

        Weights, neurons and schedule are the file's, and so are the parameters of the surrogate
        derivatives, if `export_hdf5` wrote it; exported again it has the same integers. What a
        file does not hold is given here.

        Parameters
        ----------
        path : path
        input_shape : tuple of int, optional
            For files of SLAYER without an input layer.
        tau_grad, scale_grad : float or sequence of float, optional
            Of SLAYER's neurons, for all populations or for each, whatever the file records; 1,
            with a warning, where it records none.
        settings
            Further arguments of `Network`.

        Raises
        ------
        FileFormatError
            The file is not valid.
        UnsupportedError
            It holds something valid that is not run here.
        """
        graph, neurons, tied = hdf5.read(
            path, input_shape, tau_grad=tau_grad, scale_grad=scale_grad
        )
        return cls._of(graph, tied, **neurons, **settings)

    # ------------------------------------------------------------ settings

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        self._schedule = check_schedule("Network", schedule)

    @property
    def stop_after(self) -> int | None:
        return self._stop_after

    @stop_after.setter
    def stop_after(self, stop_after: int | None) -> None:
        if stop_after is not None and isinstance(self._gradient, Unrolled):
            raise UnsupportedError(
                "Network", "stop_after", 'None, or gradient="decisive"', stop_after
            )
        self._stop_after = check_stop_after(self.schedule, stop_after)

    @property
    def gradient(self) -> str:
        return self._gradient.name

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        return self._structure.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one frame of the output, known with `input_shape`."""
        wiring = self._structure.wired("output_shape")
        return wiring.tail.output_shape(wiring.output_shape)

    @property
    def _structure(self) -> Structure:
        self._known.blocks = self.blocks  # which may be another list by now
        return self._known

    @property
    def _layers(self) -> list[Layer]:
        return self._structure.layers

    @property
    def device(self) -> torch.device:
        return self.samples_seen.device

    def train(self, mode: bool = True) -> Network:
        """As `torch.nn.Module.train`; evaluation after training numbers its samples from 0."""
        if self.training and not mode:
            self._evaluated = 0
        return super().train(mode)

    # ------------------------------------------------------------ forward

    @torch.compiler.disable
    def forward(
        self,
        x: Tensor,
        sample_ids: npt.ArrayLike | None = None,
        return_spikes: bool = False,
    ) -> Any:
        """Spikes of the output population.

        Parameters
        ----------
        x : (N, C, T) or (N, C, H, W, T)
            Input spikes, whole numbers >= 0; a value of n counts as n spikes.
        sample_ids : (N,) array of int, optional
            Each sample's own index, the key of its random draws. By default samples are
            numbered in the order in which they come: on and on in training (the count is
            part of ``state_dict``), and from 0 in each evaluation that follows training. Where
            neurons persist, the samples are those of the last call. Under
            `torch.distributed` no two ranks share an index: of a batch of N on each of R ranks
            sample i of rank r is number i R + r, as ``DistributedSampler`` deals them out, and
            the count goes on by N R.
        return_spikes : bool
            Whether the spikes of all neurons are returned, too.

        Returns
        -------
        y : (N, C, T) or (N, C, H, W, T)
            How often each output neuron fired: 0 or 1, and more only under refractory
            dropout. Of a network that ends in a readout its current or voltage in each time step,
            in SLAYER's units, in which an integer weight of 64 is 1. `Average` and
            `TimeDecimation` at the end leave their own C and T. Exact under autocast, too.
        spikes : (N, neurons, T), with ``return_spikes``
            The same of every neuron, as `lava_async.Record.all_spikes`; differentiable.
        penalty : tensor of one number, with ``Network(penalty=…)``
        counts : (1, blocks), if blocks have ``count_log=True``
            The share of neurons and time steps in which these blocks, in their order, spiked;
            those that are read out are left out, as SLAYER does.

        Raises
        ------
        ValidationError
            Wrong shape, values that are not whole numbers >= 0, or other samples than those of the
            last call, where neurons persist.
        UnsupportedError
            A block asks for something that is not run.
        ForwardStepLimitError
            ``"unrolled"`` only: a time step did not come to rest within ``max_forward_steps``.
        """
        refuse_transforms()
        check_shape(x, self.input_shape)
        if torch.is_grad_enabled() and _rank()[1] > 1:
            self._refuse_undrawn()
        wiring = self._structure.wire(tuple(x.shape[1:-1]))
        for layer in self._layers:
            layer.check()
        stream = self._goes_on(wiring, sample_ids, len(x))
        ids = self._ids(sample_ids, len(x)) if stream is None else stream.ids
        logged = [
            p for p, own in enumerate(wiring.layers) if own.can_fire and own.block.count_log
        ]
        everyone = return_spikes or self.penalty is not None or bool(logged)
        pattern = wiring.pattern
        returned = next(self.parameters()).dtype  # SLAYER's neurons have some
        with no_autocast(x.device):
            dtype = torch.float64 if returned == torch.float64 else torch.float32
            check_early_decision("Network", self.stop_after, wiring.output.can_fire)
            settings = Settings(
                self.schedule, check_stop_after(self.schedule, self.stop_after),
                self._dropout(wiring), self.num_threads or torch.get_num_threads(),
                kept=None if stream is None else stream.kept,
            )  # fmt: skip
            learning = [own for own in wiring.layers if norms.learns(own.neuron.norm)]
            if learning:
                settings = dataclasses.replace(settings, with_currents=True)
                learning = self._begin_statistics(learning, wiring, settings, dtype, x, ids)
            integers = Integers(wiring, dtype)
            check_devices(x, wiring, integers)
            learns = self.training and torch.is_grad_enabled()
            for remark in self._gradient.remarks(settings, x.device, learns):
                self._learning.once(remark)
            ran = self._gradient.run(wiring, integers, settings, x, ids, everyone)
            outcome = ran.spikes if ran.readout is None else ran.readout
            if learns and ran.fired is not None:
                self._learning.watch(wiring, integers, ran.fired, outcome, ran.execution)
            _see_statistics(learning, wiring, ran, first=False)
            spikes = ran.spikes.to(x.device, returned)
            if ran.readout is not None:
                output = ran.readout.to(x.device, returned)
            else:
                output = spikes[:, pattern.slice(pattern.output)] if everyone else spikes
            late = delayed_output(output, pattern.output_delay, integers.delays[pattern.output])
            if stream is not None and ran.left is not None:
                late = stream.let_out(late)
                stream = stream.after(ran.left, output, pattern.output_delay)
            result: list[Any] = [wiring.tail.decode(late.unflatten(1, wiring.output_shape))]
            if return_spikes:
                result.append(spikes)
            if self.penalty is not None:
                result.append(self.penalty(spikes))
            if logged:
                rates = [spikes[:, pattern.slice(p)].detach().mean() for p in logged]
                result.append(torch.stack(rates).reshape(1, -1))
        if stream is not None:
            self._stream = stream
        return result[0] if len(result) == 1 else tuple(result)

    def _refuse_undrawn(self) -> None:
        """Raise `ValidationError` if each of several processes would draw numbers of its own."""
        for layer in self._layers:
            if not isinstance(layer, SpikingLayer):
                continue
            found = {
                "delay": is_undrawn(delay_of(layer.block)), "decays": decays.wait(layer.neuron),
            }
            for what, undrawn in found.items():
                if undrawn:
                    wanted = "one, by a forward pass in torch.no_grad(), before several processes"
                    raise ValidationError(layer.where, what, wanted, "none yet")

    def _dropout(self, wiring: Wiring) -> Dropout:
        """That of this pass: the network's, with that of neurons of their own."""
        dropout = self.dropout if self.training else Dropout()
        own = [layer.dropout for layer in wiring.layers]
        if not any(own):
            return dropout
        lost = [1 - (1 - float(dropout.spike)) * (1 - p) for p in own]  # type: ignore[arg-type]
        each = np.repeat(lost, [layer.size for layer in wiring.layers])
        return dataclasses.replace(dropout, spike=tuple(each.tolist()))

    def _begin_statistics(
        self, learning: Sequence[SpikingLayer], wiring: Wiring, settings: Settings,
        dtype: torch.dtype, x: Tensor, ids: npt.NDArray[np.int64],
    ) -> Sequence[SpikingLayer]:  # fmt: skip
        """Those of norms that have none, from a pass without norms; the layers that are left."""
        new = [layer for layer in learning if norms.is_new(layer.neuron.norm)]
        if not new:
            return learning
        for layer in new:
            norms.prepare(layer.neuron.norm)
        with torch.no_grad():
            integers = Integers(wiring, dtype)
            check_devices(x, wiring, integers)
            ran = self._gradient.run(wiring, integers, settings, x, ids, everyone=False)
        _see_statistics(new, wiring, ran, first=True)
        return [layer for layer in learning if layer not in new]

    def reset_state(self) -> None:
        """Let the next call begin anew: at zero, with nothing under way, and new samples.

        Of neurons with ``persistent_state=True``; others do so at each call.
        """
        self._stream = None

    def _goes_on(
        self, wiring: Wiring, sample_ids: npt.ArrayLike | None, count: int
    ) -> Stream | None:
        """Where this call begins, if neurons persist."""
        if not persists(wiring.layers):
            if self._stream is not None:
                self._stream = None
            return None
        if self._stream is None:
            return Stream.begin(self._ids(sample_ids, count), wiring)
        self._stream.check(wiring, count, sample_ids)
        return self._stream

    def _ids(self, sample_ids: npt.ArrayLike | None, count: int) -> npt.NDArray[np.int64]:
        if sample_ids is not None:
            return check_ids(sample_ids, count)
        rank, ranks = _rank()
        if self.training:
            first = int(self.samples_seen)
            self.samples_seen.add_(ranks * count)
        else:
            first = self._evaluated
            self._evaluated += ranks * count
        ids = np.arange(first + rank, first + ranks * count, ranks)
        return ids % (random.MAX_INDEX + 1) if ids[-1] > random.MAX_INDEX else ids

    # ------------------------------------------------------------ the integers

    def graph(self) -> Graph:
        """The current integers as a graph, for `lava_async.simulate`; schedule included.

        They are those of evaluation, and nothing about the network changes.

        Raises
        ------
        ValidationError
            The input shape is not known yet.
        """
        wiring = self._structure.wired("graph()")
        layers, names = wiring.layers, self._structure.names()
        with unchanged(self.blocks):
            for layer in layers:
                layer.check()
            weights = [layer.whole_weights() for layer in layers]
            return wiring.pattern.replace(
                populations=tuple(
                    layer.population(name, own.shape)
                    for layer, name, own in zip(
                        layers, names, wiring.pattern.populations, strict=True
                    )
                ),
                connections=tuple(
                    edge.weighted(edge.pick(weights[edge.target])) for edge in wiring.edges
                ),
                decoding=wiring.tail.decoding(),
                schedule=self.schedule,
            )

    def export_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Write the network.

        A chain of SLAYER's blocks as SLAYER does, plus the schedule and the parameters of the
        surrogate derivatives, so that stock netx loads the file; any other graph as
        `lava_async.save` does, with these, too. The network stays as it is, weight normalization
        included. The file appears whole or not at all.

        Raises
        ------
        ValidationError
            The input shape is not known yet, or the folder cannot be written.
        """
        wiring = self._structure.wired("export_hdf5()")
        chain = self._layers if wiring.is_chain else None
        hdf5.write(path, self.graph(), wiring.layers, chain, wiring.tied)

    def __prepare_scriptable__(self) -> NoReturn:
        raise unsupported("torch.jit.script")

    # ------------------------------------------------------------ copies and checkpoints

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        # The weights that old-style weight norm and pruning leave on a module are no leaves,
        # which PyTorch does not copy.
        for module in self.modules():
            for value in vars(module).values():
                if isinstance(value, Tensor) and not value.is_leaf:
                    memo[id(value)] = value.detach().clone()
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(vars(self), memo))
        return twin

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        """As `torch.nn.Module` does, from plain modules of SLAYER's blocks, too."""
        own = [key for key in state_dict if key.startswith(prefix)]
        if not any(key.startswith(f"{prefix}blocks.") for key in own):
            for key in own:  # of a Sequential
                if key[len(prefix) :].split(".")[0].isdecimal():
                    state_dict[f"{prefix}blocks.{key[len(prefix) :]}"] = state_dict.pop(key)
        for index, block in enumerate(self.blocks):
            _make_room(block, state_dict, f"{prefix}blocks.{index}.")
        state_dict.setdefault(f"{prefix}samples_seen", self.samples_seen)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _make_room(block: torch.nn.Module, state_dict: Mapping[str, Tensor], prefix: str) -> None:
    """For what SLAYER's blocks have one of until their first forward, and then many."""
    values = state_dict.get(f"{prefix}delay.delay")
    if values is not None and (delay := delay_of(block)) is not None:
        make_room(delay, values)
    neuron: Any = getattr(block, "neuron", None)
    for name in decays.NAMES if neuron is not None else ():
        values = state_dict.get(f"{prefix}neuron.{name}")
        if values is not None:
            decays.make_room(neuron, name, values)
    norm, values = getattr(neuron, "norm", None), f"{prefix}neuron.norm.running_mean"
    if norm is not None and values in state_dict:
        norms.make_room(norm, state_dict[values])


def _see_statistics(
    learning: Sequence[SpikingLayer], wiring: Wiring, ran: Ran, first: bool
) -> None:
    """The norms of layers take up the statistics of a batch that has run."""
    if ran.current is None:
        return
    for layer in learning:
        neuron, here = layer.neuron, wiring.pattern.slice(wiring.layers.index(layer))
        norms.see(neuron.norm, ran.current[:, :, here], neuron.shape[0], neuron.s_scale, first)


def _rank() -> tuple[int, int]:
    """Of this process, and how many processes train together."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def _warn_of_shift(layers: list[Layer]) -> None:
    shifted = [layer.where for layer in layers if getattr(layer.block, "delay_shift", False)]
    if shifted:
        warnings.warn(
            f"{', '.join(shifted)}: delay_shift=True has no effect: asynchronous execution has "
            "no shift by one time step per layer, nor has this network under LayerSync. "
            "Pass delay_shift=False to the blocks.",
            TrainingWarning, stacklevel=3,
        )
