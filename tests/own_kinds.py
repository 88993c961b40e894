"""Damage to what this package adds to a network file, and to a graph that it wrote whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from corrupt_kinds import Kind, in_file, replaced, valid_layers
from lava_async._files.save import save
from lava_async._semantics.connections import INPUT, Conv, Dense, OneToOne, Sparse, Synapses
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.schedule import Fifo, LayerSync, Mixture, Momentum
from net_files import write_net


def _attribute(name: str, value: object) -> Callable[[Path], object]:
    return in_file(lambda file: file["lava_async"].attrs.__setitem__(name, value))


def _schedule(**changes: object) -> Callable[[Path], object]:
    """Settings of the recorded momentum schedule."""
    settings = {**Momentum(4, 0.5, 7).to_dict(), **changes}
    return _attribute("schedule", json.dumps(settings))


def _version_1(**changes: object) -> Callable[[Path], object]:
    """Attributes as 0.1.0 recorded the schedule; None takes one away."""

    def write(path: Path) -> None:
        write_net(path, valid_layers())
        attributes = {
            "format_version": 1, "scheduler": "momentum", "group_size": 8, "noise": 0.5,
            "seed": np.uint64(2**64 - 1), "input_rule": "whole_frame",
            "refractory_rule": "time_step", **changes,
        }
        with h5py.File(path, "r+") as file:
            group = file.create_group("lava_async")
            for name, value in attributes.items():
                if value is not None:
                    group.attrs[name] = value

    return write


def valid_graph() -> Graph:
    """A graph that is no chain, with a connection of each kind."""

    def weight(*shape):
        return (np.arange(np.prod(shape)) * 7 % 41 - 20).reshape(shape)

    entries = Synapses.from_entries("", (5, 5), [0, 4, 2], [1, 1, 3], [9, -9, 0])
    return Graph(
        input_shape=(2, 4, 4),
        populations=(
            Population("same", (2, 4, 4), 4096, 100, 9),
            Population("kernels", (3, 3, 3), 1000, 100, 20, weight(3, 3, 3)),
            Population("all", (5,), 100, 2000, 30),
        ),
        connections=(
            OneToOne(INPUT, 0, 36),
            Conv(0, 1, weight(3, 2, 2, 2)),
            Dense(1, 2, weight(5, 27), delay=np.arange(27) * 5 % 63),
            Sparse(2, 2, entries, delay=3),
        ),
        output_delay=np.arange(5) * 13,
        schedule=Mixture([Fifo(2), LayerSync()], (0.5, 2)),
    )


def _in_graph(change: Callable[[h5py.Group], object]) -> Callable[[Path], object]:
    """Change the group of the written graph through h5py, on purpose."""

    def write(path: Path) -> None:
        save(valid_graph(), path)
        with h5py.File(path, "r+") as file:
            del file["lava_async"].attrs["digest"]
            change(file["lava_async"])

    return write


def _graph_field(name: str, value: object) -> Callable[[Path], object]:
    def change(group: h5py.Group) -> None:
        if name in group:
            del group[name]
        if value is not None:
            group[name] = value

    return _in_graph(change)


def _changed(name: str, index: tuple[int, ...], by: int) -> Callable[[Path], object]:
    """Another number in a data set of the written graph, by accident."""

    def write(path: Path) -> None:
        save(valid_graph(), path)
        with h5py.File(path, "r+") as file:
            file["lava_async"][name][index] += by

    return write


def corrupt_own_kinds() -> dict[str, Kind]:
    """Files that raise `FileFormatError`."""
    nan = float("nan")
    kinds = {
        # our group
        "group is a data set": (replaced("lava_async", data=1), "lava_async: format_version"),
        "no version": (
            in_file(lambda file: file["lava_async"].attrs.__delitem__("format_version")),
            "lava_async: format_version: expected 1 or 2 (got nothing)",
        ),
        "schedule is a number": (_attribute("schedule", 1), "lava_async: schedule: expected JSON"),
        "schedule is no JSON": (_attribute("schedule", "{"), "lava_async: schedule: expected JSON"),
        "schedule is deep": (_attribute("schedule", "[" * 9999), "schedule: expected JSON (got ma"),
        "schedule is a list": (_attribute("schedule", "[]"), "schedule: expected its settings (go"),
        "scheduler unknown": (_schedule(scheduler="lifo"), "lava_async: scheduler: expected"),
        "scheduler of no name": (_schedule(scheduler=[]), "lava_async: schedule: expected its set"),
        "group size 0": (_schedule(group_size=0), "group_size: expected an integer >= 1"),
        "group size array": (_schedule(group_size=[8]), "group_size: expected an integer >= 1"),
        "noise NaN": (_schedule(noise=nan), "noise: expected a number"),
        "seed negative": (_schedule(seed=-1), "seed: expected 0 <= seed"),
        "schedule setting unknown": (_schedule(depth=1), "settings of momentum"),
        "mixture of nothing": (
            _attribute("schedule", '{"scheduler": "mixture"}'), "schedules: expected a list"
        ),
        "names of too few": (_attribute("names", '["a"]'), "names: expected 4, one for each popu"),
        "names are numbers": (_attribute("names", "[1, 2, 3, 4]"), "names: expected a list of nam"),
        "input shape of zero": (
            in_file(lambda file: file.__setitem__("lava_async/input_shape", [2, 0, 5])),
            "lava_async/input_shape: shape: expected an integer in 1..2147483647 (got 0)",
        ),
        "input shape of text": (
            in_file(lambda file: file.__setitem__("lava_async/input_shape", b"2, 6, 5")),
            "lava_async/input_shape: expected numbers",
        ),
        # our group, as 0.1.0 wrote it
        "0.1.0: scheduler unknown": (_version_1(scheduler="lifo"), "lava_async: scheduler: exp"),
        "0.1.0: group size 0": (_version_1(group_size=0), "group_size: expected an integer >= 1"),
        "0.1.0: group size array": (_version_1(group_size=np.ones(3)), "group_size: expected one"),
        "0.1.0: noise NaN": (_version_1(noise=nan), "noise: expected a number"),
        "0.1.0: setting unknown": (_version_1(digest="00"), "settings of momentum"),
        "0.1.0: no input rule": (_version_1(input_rule=None), "input_rule: expected whole_frame"),
        # a graph in a layout of its own
        "graph without input shape": (_graph_field("input_shape", None), "input_shape: expected i"),
        "graph without output": (_graph_field("output", None), "lava_async/output: expected numbe"),
        "graph's output of 3": (_graph_field("output", 3), "output: expected an integer in 0..2"),
        "graph's output delay": (_graph_field("output_delay", [1, 2]), "output_delay: expected on"),
        "graph's output delay of 63": (_graph_field("output_delay", 63), "output_delay: expected"),
        "graph without connections": (
            _graph_field("connection", None), "lava_async/connection: expected a group (got nothing"
        ),
        "population missing": (
            _in_graph(lambda group: group["population"].move("1", "7")),
            "lava_async/population: expected populations 0 to 2",
        ),
        "population is a data set": (_graph_field("population/1", 5), "population/1: expected a g"),
        **{
            f"population without {name}": (
                _graph_field(f"population/1/{name}", None),
                f"population 1: {name}: expected numbers (got nothing)",
            )
            for name in ("shape", "iDecay", "vDecay", "vThMant")
        },
        "population of other shape": (_graph_field("population/1/shape", [3, 9, 1]), "bias shape"),
        "population's decay": (_graph_field("population/2/iDecay", 5000), "population 2: iDecay:"),
        "population's bias": (_graph_field("population/2/bias", [0.5] * 5), "population 2: bias[0"),
        "no type of connection": (_graph_field("connection/1/type", None), "connection 1: type: e"),
        "source of 3": (_graph_field("connection/2/source", 3), "connection 2: source: expected a"),
        "source of -2": (_graph_field("connection/2/source", -2), "connection 2: source: expected"),
        "target of -1": (_graph_field("connection/2/target", -1), "connection 2: target: expected"),
        "target is text": (_graph_field("connection/2/target", b"1"), "connection 2: target: expe"),
        "delays of too few": (_graph_field("connection/2/delay", [1]), "delay: expected one, or 2"),
        "connection without delay": (_graph_field("connection/2/delay", None), "2: delay: expecte"),
        "weight of too few": (_graph_field("connection/2/weight", np.ones((5, 3))), "dense weight"),
        "weight of a graph too large": (_graph_field("connection/0/weight", 300), "-256..254 (got"),
        "conv without stride": (_graph_field("connection/1/stride", None), "connection 1: stride:"),
        "conv does not fit": (_graph_field("connection/1/padding", [1, 0]), "conv target shape: e"),
        "synapses of two lengths": (
            _graph_field("connection/3/weight", [1, 2]), "connection 3: target, source and weight:"
        ),
        "synapse to nowhere": (
            _graph_field("connection/3/target_neuron", [0, 4, 5]), "3: target[2]: expected an integ"
        ),
        "synapse twice": (
            _graph_field("connection/3/target_neuron", [4, 4, 2]), "3: synapses: expected at most"
        ),
        # another network than was written
        "a weight changed": (_changed("connection/2/weight", (0, 0), 1), "lava_async: digest: exp"),
        "a decay changed": (_changed("population/0/vDecay", (), 1), "lava_async: digest: expected"),
        "a synapse moved": (_changed("connection/3/target_neuron", (0,), 1), "digest: expected th"),
    }
    return {name: Kind(*kind) for name, kind in kinds.items()}


def unsupported_own_kinds() -> dict[str, Kind]:
    """Valid files that raise `UnsupportedError`."""
    kinds = {
        "group of a later version": (_attribute("format_version", 3), "format_version: expected 1"),
        "other input rule": (_version_1(input_rule="spike_by_spike"), "input_rule: expected"),
        "other refractory rule": (_version_1(refractory_rule="none"), "refractory_rule: exp"),
        "connection of a later kind": (
            _graph_field("connection/2/type", b"lateral"), "type: expected one of dense, conv, one_"
        ),
    }
    return {name: Kind(*kind) for name, kind in kinds.items()}
