"""What this package adds to a network file: the root group `GROUP`, which netx ignores.

Attributes: ``format_version``; ``schedule``, ``names`` of the populations, ``decoding`` and what
only training needs, ``surrogate`` and ``tied``, as JSON; ``digest``.
Data set ``input_shape``. A graph that is no chain of layers is in there too (`hdf5_graph`).
0.1.0 wrote version 1: the schedule in attributes of its own, and no names and no digest.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from lava_async._files.digest import digest
from lava_async._files.hdf5_fields import Fields, attribute, graph_errors, hdf5_errors
from lava_async._semantics import checks
from lava_async._semantics import schedule as schedules
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import Schedule
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

if TYPE_CHECKING:
    from lava_async._files.nir.report import Rounding

GROUP = "lava_async"
INPUT_SHAPE = "input_shape"
FORMAT_VERSION = 2

_LARGEST = np.finfo(np.float64).max

_RULES_OF_VERSION_1 = {"input_rule": "whole_frame", "refractory_rule": "time_step"}
"""The rules of execution that it recorded with the schedule; there were no others."""


@dataclass(frozen=True)
class Surrogate:
    """SLAYER's parameters of the neurons' surrogate derivatives, a number for each population."""

    tau_grad: Sequence[float]
    scale_grad: Sequence[float]


Tied = Sequence[Sequence[int]]
"""Connections that share their weights, as their sources are added."""


@dataclass(frozen=True)
class Own:
    """What a file records about its network. None: it does not."""

    schedule: Schedule | None = None
    input_shape: tuple[int, ...] | None = None
    names: list[str] | None = None
    surrogate: Surrogate | None = None
    tied: Tied = ()
    digest: str | None = None
    rounding: Rounding | None = None
    """What it cost to make integers of it, where it is NIR."""
    decoding: Decoding | None = None


def read(path: str, file: h5py.File) -> Own:
    """What is recorded, of any version.

    Raises
    ------
    FileFormatError
        The record is damaged.
    UnsupportedError
        It was written in a later format.
    """
    where = f"{path}: {GROUP}"
    with hdf5_errors(where, "attributes", "a readable group"):
        if GROUP not in file:
            return Own()
        attributes = file[GROUP].attrs
        found = {name: attribute(where, attributes, name) for name in attributes}
    known = f"1 or {FORMAT_VERSION}"
    if "format_version" not in found:
        raise FileFormatError(where, "format_version", known, "nothing")
    version = found.pop("format_version")
    if version not in (1, FORMAT_VERSION):
        wanted = f"{known}; upgrade lava_async for later ones"
        raise UnsupportedError(where, "format_version", wanted, ascii(version))
    shape = _input_shape(path, file)
    if version == 1:
        return Own(_schedule(path, _settings_of_version_1(where, found)), shape)
    return Own(
        _schedule(path, _json(where, "schedule", found)),
        shape,
        _names(where, _json(where, "names", found)),
        _surrogate(where, _json(where, "surrogate", found)),
        _tied(where, _json(where, "tied", found)),
        str(found["digest"]) if "digest" in found else None,
        decoding=_decoding(where, _json(where, "decoding", found)),
    )


def write_schedule(
    file: h5py.File, schedule: Schedule | None, input_shape: tuple[int, ...] | None = None
) -> h5py.Group:
    """Record a schedule in a file, and the shape of its input, which not all layers tell.

    Raises
    ------
    UnsupportedError
        It is one of the user's own.
    """
    group = file.create_group(GROUP)
    group.attrs["format_version"] = FORMAT_VERSION
    if schedule is not None:
        group.attrs["schedule"] = _text(schedule.to_dict())
    if input_shape is not None:
        group[INPUT_SHAPE] = np.asarray(input_shape)
    return group


def write(
    file: h5py.File, graph: Graph, surrogate: Surrogate | None = None, tied: Tied = ()
) -> h5py.Group:
    """Record what `Own` has, of a graph and of what was trained."""
    group = write_schedule(file, graph.schedule, graph.input_shape)
    group.attrs["names"] = _text([population.name for population in graph.populations])
    if surrogate is not None:
        group.attrs["surrogate"] = _text(dataclasses.asdict(surrogate))
    if tied:
        group.attrs["tied"] = _text(tied)
    if graph.decoding is not None:
        group.attrs["decoding"] = _text(dataclasses.asdict(graph.decoding))
    group.attrs["digest"] = np.bytes_(digest(graph).encode())
    return group


def _text(value: object) -> np.bytes_:
    """JSON in ASCII, of fixed length: such a text lies where HDF5 has a checksum."""
    return np.bytes_(json.dumps(value).encode())


def _json(where: str, name: str, found: dict[str, Any]) -> Any:
    if name not in found:
        return None
    with hdf5_errors(where, name, "JSON"):
        return json.loads(found[name])


def _names(where: str, names: Any) -> list[str] | None:
    if names is None or (isinstance(names, list) and all(isinstance(n, str) for n in names)):
        return names
    raise FileFormatError(where, "names", "a list of names", ascii(names)[:80])


def _decoding(where: str, recorded: Any) -> Decoding | None:
    if recorded is None:
        return None
    fields = {field.name for field in dataclasses.fields(Decoding)}
    if not isinstance(recorded, dict) or recorded.keys() != fields:
        wanted = f"its {' and '.join(sorted(fields))}"
        raise FileFormatError(where, "decoding", wanted, ascii(recorded)[:80])
    with graph_errors(f"{where}: decoding"):
        return Decoding(**recorded)


def _surrogate(where: str, recorded: Any) -> Surrogate | None:
    if recorded is None:
        return None
    fields = [field.name for field in dataclasses.fields(Surrogate)]
    if not isinstance(recorded, dict) or recorded.keys() != set(fields):
        wanted = f"{' and '.join(fields)} of each population"
        raise FileFormatError(where, "surrogate", wanted, ascii(recorded)[:80])
    return Surrogate(**{name: _numbers(where, name, recorded[name]) for name in fields})


def _tied(where: str, recorded: Any) -> Tied:
    if recorded is None:
        return ()
    fits = isinstance(recorded, list) and all(
        isinstance(numbers, list) and len(numbers) > 1 and all(type(n) is int for n in numbers)
        for numbers in recorded
    )
    if not fits:
        wanted = "lists of connections' numbers"
        raise FileFormatError(where, "tied", wanted, ascii(recorded)[:80])
    return recorded


def _numbers(where: str, name: str, given: Any) -> list[float]:
    if not isinstance(given, list):
        raise FileFormatError(where, name, "a list of numbers", ascii(given)[:80])
    for place, value in enumerate(given):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= _LARGEST:
            wanted = "a finite number >= 0"
            raise FileFormatError(where, f"{name}[{place}]", wanted, ascii(value)[:80])
    return [float(value) for value in given]


def _input_shape(path: str, file: h5py.File) -> tuple[int, ...] | None:
    fields = Fields(path, file).below(GROUP)
    if INPUT_SHAPE not in fields:
        return None
    with graph_errors(f"{path}: {GROUP}/{INPUT_SHAPE}"):
        return checks.shape("", fields.numbers(INPUT_SHAPE))  # type: ignore[arg-type]


def _settings_of_version_1(where: str, found: dict[str, Any]) -> dict[str, Any]:
    settings = dict(found)
    for rule, known in _RULES_OF_VERSION_1.items():
        if rule not in settings:
            raise FileFormatError(where, rule, known, "nothing")
        got = settings.pop(rule)
        if got != known:
            raise UnsupportedError(where, rule, known, ascii(got))
    return settings


def _schedule(path: str, description: Any) -> Schedule | None:
    if description is None:
        return None
    where = f"{path}: {GROUP}"
    if not isinstance(description, dict):
        raise FileFormatError(where, "schedule", "its settings", ascii(description)[:80])
    try:
        with hdf5_errors(where, "schedule", "its settings"):
            return schedules.from_dict(description, GROUP)
    except ValidationError as error:
        raise error.at(f"{path}: {error.where}", FileFormatError) from error
