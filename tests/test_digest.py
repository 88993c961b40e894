"""The digest of a network: of all that runs, and of nothing else."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest

import lava_async as la
from lava_async._files.digest import digest
from lava_async.errors import FileFormatError
from own_kinds import valid_graph


def of_population(index, **changes):
    def change(graph):
        populations = list(graph.populations)
        populations[index] = dataclasses.replace(populations[index], **changes)
        return graph.replace(populations=tuple(populations))

    return change


def of_connection(index, **changes):
    def change(graph):
        connections = list(graph.connections)
        connections[index] = dataclasses.replace(connections[index], **changes)
        return graph.replace(connections=tuple(connections))

    return change


def of_graph(**changes):
    return lambda graph: graph.replace(**changes)


def weight(index, by):
    """One weight or one bias more."""

    def change(graph):
        given = np.array(graph.connections[index].weight)
        given.flat[0] += by
        return of_connection(index, weight=given)(graph)

    return change


def synapses(entries):
    return of_connection(3, weight=la.Synapses.from_entries("", (5, 5), *entries))


BIAS = valid_graph().populations[1].bias

CHANGES = {
    "schedule": of_graph(schedule=la.Mixture([la.Fifo(2), la.LayerSync()], (0.5, 2.5))),
    "no schedule": of_graph(schedule=None),
    "output delay": of_graph(output_delay=7),
    "no output delay": of_graph(output_delay=0),
    "another output": of_graph(output=1, output_delay=0),
    "current decay": of_population(0, i_decay=4095),
    "voltage decay": of_population(1, v_decay=101),
    "threshold": of_population(2, threshold=31),
    "bias": of_population(1, bias=BIAS + (np.arange(27) == 3).reshape(3, 3, 3)),
    "no bias": of_population(1, bias=None),
    "shared weight": of_connection(0, weight=35),
    "weight of a kernel": weight(1, 1),
    "weight": weight(2, 2),
    "kernel's places": of_connection(1, padding=(1, 0), stride=(2, 1)),
    "delay": of_connection(3, delay=4),
    "no delay": of_connection(2, delay=0),
    "one delay of many": of_connection(2, delay=np.arange(27)),
    "source": of_connection(1, source=la.INPUT),
    "synapse elsewhere": synapses(([0, 4, 2], [1, 1, 4], [9, -9, 0])),
    "synapse of another weight": synapses(([0, 4, 2], [1, 1, 3], [9, -9, 1])),
    "one synapse less": synapses(([0, 4], [1, 1], [9, -9])),
    "one connection less": lambda graph: graph.replace(connections=graph.connections[:3]),
}


def test_everything_that_runs_counts():
    found = [digest(change(valid_graph())) for change in CHANGES.values()]
    assert len({digest(valid_graph()), *found}) == len(found) + 1


@pytest.mark.parametrize(
    "change",
    [
        of_population(0, name="another"),
        of_population(0, bias=np.zeros((2, 4, 4), int)),
        of_connection(0, delay=np.zeros(32, int)),
        of_connection(3, delay=np.full(5, 3)),
        synapses(([2, 4, 0], [3, 1, 1], [0, -9, 9])),
    ],
    ids=["name", "bias of 0", "delays of 0", "delays alike", "order of synapses"],
)
def test_what_runs_alike_is_alike(change):
    assert digest(change(valid_graph())) == digest(valid_graph())


def test_a_kind_of_ones_own_is_its_synapses():
    synapses = la.Dense(la.INPUT, 0, np.arange(6).reshape(3, 2)).synapses((2,))

    class Mine(la.Connection):
        def synapses(self, source_shape):
            return synapses

    graphs = [
        la.Graph((2,), (la.Population("a", (3,), 1, 2, 3),), (connection,))
        for connection in (Mine(la.INPUT, 0), la.Sparse(la.INPUT, 0, synapses))
    ]
    assert digest(graphs[0]) == digest(graphs[1])


def test_it_stays_what_it_is():
    """Or the files of before would be refused."""
    assert digest(valid_graph()) == (
        "664521ab672a0d422966535ce974dd14f6deb4bff766d1306a3fe0fc493e05c9"
    )


def rewrite(file: h5py.File, name: str, **how) -> None:
    value = file[name][()]
    del file[name]
    file.create_dataset(name, data=value, **how)


class TestInAFile:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "network.net"
        la.save(valid_graph(), path)
        return path

    def test_is_the_graph_s(self, path):
        with h5py.File(path, "r") as file:
            assert file["lava_async"].attrs["digest"].decode() == digest(valid_graph())

    def test_types_and_layouts_do_not_matter(self, path):
        with h5py.File(path, "r+") as file:
            rewrite(file, "lava_async/connection/2/weight", dtype=np.float64)
            rewrite(file, "lava_async/connection/1/weight", compression="gzip")
            rewrite(file, "lava_async/population/1/bias", dtype=">i2")
        assert digest(la.load(path)) == digest(valid_graph())

    def test_a_change_is_noticed_and_can_be_meant(self, path):
        with h5py.File(path, "r+") as file:
            file["lava_async/population/2/vThMant"][()] = 31
        says = r"digest: expected the network that was written \(was it changed on purpose\? then"
        with pytest.raises(FileFormatError, match=says):
            la.load(path)
        with h5py.File(path, "r+") as file:
            del file["lava_async"].attrs["digest"]
        graph = la.load(path)
        assert graph.populations[2].threshold == 31
        la.save(graph, path)
        with h5py.File(path, "r") as file:
            assert file["lava_async"].attrs["digest"].decode() == digest(graph)

    def test_names_may_be_changed(self, path):
        with h5py.File(path, "r+") as file:
            file["lava_async"].attrs["names"] = '["a", "b", "c"]'
        assert [p.name for p in la.load(path).populations] == ["a", "b", "c"]
