"""Networks from HDF5 files: the fields that SLAYER writes and netx reads.

A file has a group ``layer/<i>`` per layer; ours adds the root group `SCHEDULE_GROUP`, which
records the schedule and which netx ignores. Shapes are in (C, H, W) order, convolution
weights in PyTorch's cross-correlation order. What the format allows and this package does
not run raises `UnsupportedError`, everything else that is wrong `FileFormatError`; the
message starts with the path and names the layer.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lava_async._files import hdf5_heap
from lava_async._semantics import schedule as schedules
from lava_async._semantics.connections import INPUT, Connection, Conv, Dense, OneToOne
from lava_async._semantics.dynamics import DECAY_ONE
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.schedule import Schedule
from lava_async.errors import (
    FileFormatError,
    GraphError,
    LavaAsyncError,
    UnsupportedError,
    ValidationError,
)

SCHEDULE_GROUP = "lava_async"
INPUT_SHAPE = "input_shape"
FORMAT_VERSION = 1
RULES = {"input_rule": "whole_frame", "refractory_rule": "time_step"}
"""The rules of execution that a recorded schedule relies on; there are no others yet."""

_MAX_ELEMENTS = 1 << 27
"""A field that claims more is taken for damage and not read: it could claim 2**60."""

_MAX_NAME = 64

_NEURON_TYPES = ("CUBA", "LOIHI")
_ONLY_VALUE = {"refDelay": 1, "gradedSpike": 0, "wgtExp": 0, "weight_exp": 0, "messageBits": 0}
"""Neuron fields of which one value is run."""

_NETX_DEFAULT_NEURON = {"i_decay": 0, "v_decay": DECAY_ONE, "threshold": 1 << 17}
_NETX_DEFAULT_INPUT_WEIGHT = 64


def load(path: str | os.PathLike[str], input_shape: Sequence[int] | None = None) -> Graph:
    """Read a network that SLAYER exported.

    Parameters
    ----------
    path : path
        HDF5 file in SLAYER's (netx's) layout.
    input_shape : tuple of int, optional
        Shape of one input frame, (C,) or (C, H, W). Needed where the file does not say:
        when its first layer is a convolution and it was not exported by this package.
        Otherwise it must agree with the file.

    Returns
    -------
    Graph
        One population per layer with neurons; `Graph.schedule` is the schedule that the file
        records, or None.

    Raises
    ------
    FileFormatError
        The file is missing, unreadable, truncated or foreign, lacks a field, contradicts
        itself, or holds values outside Loihi's ranges.
    UnsupportedError
        The file holds something valid that is not run here, such as delays.
    """
    name = os.fsdecode(path)
    given = None if input_shape is None else _check_input_shape(input_shape)
    with _open(name) as file:
        recorded = _recorded_input_shape(file)
        if given is not None and recorded is not None and given != recorded:
            raise FileFormatError(name, "input_shape", f"{recorded}, as the file records", given)
        given = given or recorded
        network = _Network(shape=given, input_shape=given)
        for layer in _layers(name, file):
            _READERS[layer.type](layer, network)
        if network.input_shape is None or not network.populations:
            raise FileFormatError(name, "layer", "a layer with neurons", "none")
        with _graph_errors(name):
            return Graph(
                input_shape=network.input_shape,
                populations=tuple(network.populations),
                connections=tuple(network.connections),
                schedule=read_schedule(file),
            )


def read_schedule(file: h5py.File) -> Schedule | None:
    """The schedule that a file records, or None.

    Raises
    ------
    FileFormatError
        The record is damaged.
    UnsupportedError
        It was written in a later format or relies on other rules of execution.
    """
    where = f"{file.filename}: {SCHEDULE_GROUP}"
    with _hdf5_errors(where, "schedule", "a readable group"):
        if SCHEDULE_GROUP not in file:
            return None
        attributes = file[SCHEDULE_GROUP].attrs
        settings = {key: _attribute(where, attributes, key) for key in attributes}
    for key, known in {"format_version": FORMAT_VERSION, **RULES}.items():
        if key not in settings:
            raise FileFormatError(where, key, known, "nothing")
        got = settings.pop(key)
        if got != known:
            raise UnsupportedError(where, key, known, ascii(got))
    try:
        return schedules.from_dict(settings, SCHEDULE_GROUP)
    except ValidationError as error:
        raise error.at(f"{file.filename}: {error.where}", FileFormatError) from error


def _recorded_input_shape(file: h5py.File) -> tuple[int, ...] | None:
    """Shape of one input frame, if our group in the file tells."""
    where = f"{file.filename}: {SCHEDULE_GROUP}"
    wanted = "(C,) or (C, H, W), integers >= 1"
    with _hdf5_errors(where, INPUT_SHAPE, wanted):
        dataset = file.get(f"{SCHEDULE_GROUP}/{INPUT_SHAPE}")
        if dataset is None:
            return None
        if (
            not isinstance(dataset, h5py.Dataset)
            or dataset.dtype.kind not in "iu"
            or dataset.shape not in ((1,), (3,))
        ):
            raise FileFormatError(where, INPUT_SHAPE, wanted, dataset)
        shape = tuple(int(n) for n in dataset[()])
    if min(shape) < 1:
        raise FileFormatError(where, INPUT_SHAPE, wanted, shape)
    return shape


def write_schedule(
    file: h5py.File, schedule: Schedule, input_shape: Sequence[int] | None = None
) -> None:
    """Record a schedule in a file, in place of one that is there.

    ``input_shape`` is recorded too, for networks whose first layer does not tell it.
    """
    if SCHEDULE_GROUP in file:
        del file[SCHEDULE_GROUP]
    attributes = file.create_group(SCHEDULE_GROUP).attrs
    for key, value in {"format_version": FORMAT_VERSION, **schedule.to_dict(), **RULES}.items():
        # A seed may need all 64 bits.
        attributes[key] = np.uint64(value) if key == "seed" else value
    if input_shape is not None:
        file[f"{SCHEDULE_GROUP}/{INPUT_SHAPE}"] = np.asarray(input_shape)


# Messages


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextlib.contextmanager
def _hdf5_errors(where: str, what: str, wanted: str) -> Iterator[None]:
    """Turn whatever h5py raises into a `FileFormatError`.

    On damaged files that is OSError, RuntimeError, KeyError, ValueError, TypeError,
    UnicodeDecodeError, MemoryError and more, hence every `Exception`.
    """
    try:
        yield
    except LavaAsyncError:
        raise
    except Exception as error:
        raise FileFormatError(where, what, wanted, _one_line(error)) from error


@contextlib.contextmanager
def _graph_errors(where: str) -> Iterator[None]:
    """Say where in the file a `GraphError` comes from, in place of where in the graph."""
    try:
        yield
    except GraphError as error:
        raise error.at(where, FileFormatError) from error


# Files, groups and fields


def _check_input_shape(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = np.asarray(shape).reshape(-1)
    if sizes.dtype.kind not in "iu" or sizes.size not in (1, 3) or sizes.min() < 1:
        raise ValidationError("load", "input_shape", "(C,) or (C, H, W), integers >= 1", shape)
    return tuple(sizes.tolist())


def _open(path: str) -> h5py.File:
    """Open for reading, after the checks for which h5py has no clear answer."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileFormatError(path, "file", "an HDF5 file", reason) from error
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        kind = "a directory" if stat.S_ISDIR(mode) else "a device or pipe"
        raise FileFormatError(path, "file", "an HDF5 file", kind)
    if not os.access(path, os.R_OK):
        raise FileFormatError(path, "file", "a readable file", "no permission to read")
    with _hdf5_errors(path, "file", "an HDF5 file"):
        file = h5py.File(path, "r")
        if not hdf5_heap.is_sound(path):
            file.close()
            raise FileFormatError(path, "file", "an undamaged HDF5 file", "a damaged global heap")
        return file


def _is_number(dtype: np.dtype) -> bool:
    return dtype.kind in "biuf"


def _is_text(dtype: np.dtype) -> bool:
    """Not so for the other types that NumPy holds as objects, some of which crash h5py."""
    return h5py.check_string_dtype(dtype) is not None


def _attribute(
    where: str, attributes: h5py.AttributeManager, name: str
) -> bool | int | float | str:
    """One number or text."""
    stored = attributes.get_id(name)
    if stored.shape != () or not (_is_number(stored.dtype) or _is_text(stored.dtype)):
        got = f"dtype {stored.dtype}, shape {stored.shape}"
        raise FileFormatError(where, name, "one number or text", got)
    value: Any = attributes[name]
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value.item() if isinstance(value, np.generic) else value


@dataclass
class _Fields:
    """The fields of one HDF5 group; knows path and layer for messages."""

    where: str
    group: h5py.Group
    prefix: str = ""

    def malformed(self, name: str, wanted: object, got: object) -> FileFormatError:
        return FileFormatError(self.where, self.prefix + name, wanted, got)

    def unsupported(self, name: str, wanted: object, got: object) -> UnsupportedError:
        return UnsupportedError(self.where, self.prefix + name, wanted, got)

    def _reading(self, name: str) -> contextlib.AbstractContextManager[None]:
        return _hdf5_errors(self.where, self.prefix + name, "a readable field")

    def __contains__(self, name: str) -> bool:
        with self._reading(name):
            return name in self.group

    def names(self) -> list[str]:
        with self._reading("names"):
            return list(self.group)

    def below(self, name: str) -> _Fields:
        """The fields of a group inside this one."""
        with self._reading(name):
            item = self.group.get(name)
        if not isinstance(item, h5py.Group):
            raise self.malformed(name, "a group", "nothing" if item is None else "a data set")
        return _Fields(self.where, item, f"{self.prefix}{name}/")

    def _data_set(
        self, name: str, wanted: str, is_wanted: Callable[[np.dtype], bool]
    ) -> h5py.Dataset:
        item = self.group.get(name)
        if not isinstance(item, h5py.Dataset):
            raise self.malformed(name, wanted, "nothing" if item is None else "a group")
        if not is_wanted(item.dtype):
            raise self.malformed(name, wanted, f"dtype {item.dtype}")
        # Before reading: the size that a damaged field claims may exceed any memory.
        if item.shape is None or not 1 <= math.prod(item.shape) <= _MAX_ELEMENTS:
            raise self.malformed(name, f"1 to {_MAX_ELEMENTS} values", f"shape {item.shape}")
        return item

    def numbers(self, name: str) -> npt.NDArray:
        """The numbers of a field, in the shape that they have in the file."""
        with self._reading(name):
            return np.asarray(self._data_set(name, "numbers", _is_number)[()])

    def integers(self, name: str, low: int, *counts: int) -> tuple[int, ...]:
        """As many integers >= ``low`` as one of ``counts`` says."""
        values = self.numbers(name).reshape(-1)
        got = values[:4].tolist()
        if values.size not in counts or not all(n >= low and float(n).is_integer() for n in got):
            count = " or ".join(map(str, counts))
            raise self.malformed(name, f"{count} integers >= {low}", got)
        return tuple(int(n) for n in got)

    def text(self, name: str) -> str:
        """A name: letters, digits and underscores."""
        with self._reading(name):
            item = self._data_set(name, "text", _is_text)
            if item.size != 1:
                raise self.malformed(name, "one name", f"{item.size} values")
            fixed = item.dtype.kind == "S"
            length = item.dtype.itemsize if fixed else hdf5_heap.claimed_length(item)
            if length > _MAX_NAME:
                raise self.malformed(name, "one name", f"a text of length {length}")
            text = np.asarray(item[()]).reshape(-1)[0]
        if isinstance(text, bytes):
            text = text.decode("ascii", "replace")
        if not (isinstance(text, str) and text.isidentifier()):
            raise self.malformed(name, "one name", ascii(text))
        return text

    def check_equal(self, name: str, *wanted: int) -> None:
        """Refuse a field that repeats what the weight or the shape says, but differs."""
        if name in self:
            got = self.numbers(name).reshape(-1)
            if not np.array_equal(got, wanted):
                values = wanted[0] if len(wanted) == 1 else list(wanted)
                raise self.malformed(name, f"{values} as in weight and shape", got[:4].tolist())


@dataclass
class _Layer(_Fields):
    """The fields of ``layer/<i>``."""

    index: int = 0
    type: str = ""

    @property
    def name(self) -> str:
        return f"layer {self.index} ({self.type})"

    def shape(self) -> tuple[int, ...]:
        """(C,) or (C, H, W)."""
        shape = self.integers("shape", 1, 1, 3)
        if math.prod(shape) > _MAX_ELEMENTS:
            raise self.malformed("shape", f"at most {_MAX_ELEMENTS} neurons", shape)
        return shape

    def weight(self) -> npt.NDArray:
        if "weight/imag" in self:
            raise self.unsupported("weight", "real numbers", "complex numbers")
        return self.numbers("weight")

    def bias(self, shape: tuple[int, ...]) -> npt.NDArray | None:
        """One bias, or one per channel, for each neuron."""
        if "bias" not in self:
            return None
        bias = self.numbers("bias").reshape(-1)
        if bias.size not in (1, shape[0]):
            raise self.malformed("bias", f"1 or {shape[0]} values", f"{bias.size} values")
        return np.broadcast_to(bias.reshape(-1, *[1] * (len(shape) - 1)), shape)

    def neuron(self) -> dict[str, Any]:
        """The neuron parameters of `Population`; their ranges are checked there."""
        fields = self.below("neuron")
        kind = fields.text("type")
        if kind not in _NEURON_TYPES:
            raise fields.unsupported("type", " or ".join(_NEURON_TYPES), kind)
        for name, only in _ONLY_VALUE.items():
            if name in fields and (got := fields.numbers(name).reshape(-1) != only).any():
                raise fields.unsupported(name, only, fields.numbers(name).reshape(-1)[got][0])
        parameters = {}
        for key, name in {"i_decay": "iDecay", "v_decay": "vDecay", "threshold": "vThMant"}.items():
            values = fields.numbers(name).reshape(-1)
            if values.size != 1:
                raise fields.unsupported(name, "one value per layer", f"{values.size} values")
            parameters[key] = values[0]
        return parameters


def _layers(path: str, file: h5py.File) -> Iterator[_Layer]:
    """The layers in order, each of a type that is run and without delays."""
    root = _Fields(path, file).below("layer")
    names = root.names()
    if not names:
        raise FileFormatError(path, "layer", "at least one layer", "none")
    for index in range(len(names)):
        if str(index) not in names:
            got = ascii(names)[:80]
            raise FileFormatError(path, "layer", f"layers 0 to {len(names) - 1}", got)
    for index in range(len(names)):
        where = f"{path}: layer {index}"
        kind = _Fields(where, root.below(str(index)).group).text("type")
        layer = _Layer(f"{where} ({kind})", root.below(str(index)).group, index=index, type=kind)
        if kind not in _READERS:
            raise layer.unsupported("type", f"one of {', '.join(_READERS)}", kind)
        if "delay" in layer and layer.numbers("delay").any():
            raise layer.unsupported("delay", "no delays", "delays other than 0")
        yield layer


# Layer types


@dataclass
class _Network:
    """What the layers read so far have built.

    ``shape`` is what the next layer sees: None while unknown, flat after a flatten layer.
    """

    shape: tuple[int, ...] | None
    input_shape: tuple[int, ...] | None
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    @property
    def source(self) -> int:
        """Index of the population that feeds the next layer."""
        return len(self.populations) - 1 if self.populations else INPUT

    @property
    def target(self) -> int:
        """Index of the next population."""
        return len(self.populations)

    def add(self, population: Population, connection: Connection) -> None:
        self.populations.append(population)
        self.connections.append(connection)
        self.shape = population.shape


def _read_input(layer: _Layer, network: _Network) -> None:
    """Only a shape, or neurons that see each input through one shared weight."""
    if layer.index != 0:
        raise layer.malformed("type", "an input layer as layer 0 only", f"layer {layer.index}")
    shape = layer.shape()
    if network.shape is not None and network.shape != shape:
        raise layer.malformed("shape", f"{network.shape}, the given input_shape", shape)
    network.shape = network.input_shape = shape
    if "neuron" not in layer:
        return
    neuron = layer.neuron()
    bias = layer.bias(shape)
    # SLAYER adds this bias to the current, netx to the voltage: the same without memory only.
    if bias is not None and bias.any() and neuron["i_decay"] != DECAY_ONE:
        raise layer.unsupported("bias", f"0, or iDecay {DECAY_ONE}", f"iDecay {neuron['i_decay']}")
    weight = _NETX_DEFAULT_INPUT_WEIGHT
    with _graph_errors(layer.where):
        if "weight" in layer:
            weight = layer.numbers("weight")
        one_to_one = OneToOne(network.source, network.target, weight)  # type: ignore[arg-type]
        network.add(Population(layer.name, shape, bias=bias, **neuron), one_to_one)


def _read_flatten(layer: _Layer, network: _Network) -> None:
    """A pure reshape, in C order."""
    if network.shape is None:
        return
    network.shape = (math.prod(network.shape),)
    if "shape" in layer and math.prod(shape := layer.shape()) != network.shape[0]:
        raise layer.malformed("shape", f"{network.shape[0]} values", shape)


def _read_dense(layer: _Layer, network: _Network) -> None:
    """All-to-all synapses; without neurons, netx's default for them."""
    shape = (math.prod(layer.shape()),)
    weight = layer.weight()
    if weight.ndim == 1 and weight.size % shape[0] == 0:
        weight = weight.reshape(*shape, -1)
    if weight.ndim != 2 or len(weight) != shape[0]:
        raise layer.malformed("weight shape", f"({shape[0]}, inputs)", weight.shape)
    layer.check_equal("outFeatures", weight.shape[0])
    layer.check_equal("inFeatures", weight.shape[1])
    if network.shape is None:
        network.shape = network.input_shape = (weight.shape[1],)
    with _graph_errors(layer.where):
        dense = Dense(network.source, network.target, weight)
        dense.check(layer.name, network.shape, shape)
        neuron = layer.neuron() if "neuron" in layer else _NETX_DEFAULT_NEURON
        network.add(Population(layer.name, shape, bias=layer.bias(shape), **neuron), dense)


def _read_conv(layer: _Layer, network: _Network) -> None:
    shape = layer.shape()
    weight = layer.weight()
    if weight.ndim == 5 and weight.shape[4] == 1:  # SLAYER's kernels have a time axis
        weight = weight[..., 0]
    if network.shape is None:
        raise layer.malformed(
            "input shape", "an input layer, or the argument input_shape=(C, H, W)", "neither"
        )
    stride, padding, dilation = (
        (values[0], values[-1])
        for values in (
            layer.integers("stride", 1, 1, 2),
            layer.integers("padding", 0, 1, 2),
            layer.integers("dilation", 1, 1, 2),
        )
    )
    (groups,) = layer.integers("groups", 1, 1)
    with _graph_errors(layer.where):
        conv = Conv(network.source, network.target, weight, stride, padding, dilation, groups)
        layer.check_equal("outChannels", weight.shape[0])
        layer.check_equal("inChannels", weight.shape[1] * groups)
        layer.check_equal("kernelSize", *weight.shape[2:])
        conv.check(layer.name, network.shape, shape)
        population = Population(layer.name, shape, bias=layer.bias(shape), **layer.neuron())
    network.add(population, conv)


_READERS: dict[str, Callable[[_Layer, _Network], None]] = {
    "input": _read_input,
    "flatten": _read_flatten,
    "dense": _read_dense,
    "conv": _read_conv,
}
