"""Graphs, and what they are made of, are equal where they hold the same."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings

import lava_async as la
from own_kinds import valid_graph
from random_networks import graphs

WEIGHTS = (np.arange(16) * 7 % 41 - 20).reshape(2, 2, 2, 2)

PARTS = {
    "graph": valid_graph().replace(decoding=la.Decoding(1)),
    "population": la.Population("one", (2, 3), np.arange(6).reshape(2, 3), 7, 8, np.ones((2, 3))),
    "synapses": la.Synapses.from_entries("", (5, 5), [0, 4, 2], [1, 1, 3], [9, -9, 0]),
    "dense": la.Dense(0, 1, WEIGHTS.reshape(4, 4), delay=[1, 2, 3, 4]),
    "one-to-one": la.OneToOne(0, 1, 3),
    "conv": la.Conv(0, 1, WEIGHTS),
    "convT": la.ConvTranspose(0, 1, WEIGHTS),
    "pool": la.Pool(0, 1, WEIGHTS[0, 0], (2, 2)),
    "unpool": la.Unpool(0, 1, WEIGHTS[0, 0], (2, 2)),
    "sparse": la.Sparse(0, 1, scipy.sparse.csr_array(np.eye(3, dtype=int))),
}


def another(value):
    """Of the same type, where that has others."""
    match value:
        case int():
            return value + 1
        case str():
            return f"{value}, or another"
        case tuple():
            return value[:-1]
        case np.ndarray():
            changed = value.copy()
            changed.flat[-1] += 1
            return changed
        case la.Synapses():
            return dataclasses.replace(value, weight=another(value.weight))
    return 1 if value is None else None


@pytest.mark.parametrize("name", PARTS)
def test_every_field_counts(name):
    part = PARTS[name]
    for field in dataclasses.fields(part):
        changed = copy.copy(part)
        object.__setattr__(changed, field.name, another(getattr(part, field.name)))
        assert part != changed and changed != part, field.name


@pytest.mark.parametrize("name", PARTS)
def test_copies_are_equal_and_one_key(name):
    part = PARTS[name]
    for other in (copy.copy(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        assert part == other
        assert len({part, other}) == 1


@pytest.mark.parametrize("name", PARTS)
def test_nothing_else_is_equal(name):
    part = PARTS[name]
    assert [other for other in PARTS.values() if other == part] == [part]
    assert part != dataclasses.astuple(part) and part != None  # noqa: E711


@settings(max_examples=25, deadline=None)
@given(graphs())
def test_what_is_made_of_a_graph_does_not_count(graph):
    twin = pickle.loads(pickle.dumps(graph))
    for connection in graph.connections:
        connection.all_synapses(graph.source_shape(connection))
    assert len(graph.order) and graph.max_input
    assert graph == twin and hash(graph) == hash(twin)
    late = dataclasses.replace(graph.connections[-1], delay=(graph.connections[-1].max_delay + 1))
    assert graph != graph.replace(connections=(*graph.connections[:-1], late))


def test_a_file_holds_an_equal_graph(tmp_path):
    la.save(valid_graph(), tmp_path / "network.net")
    assert la.load(tmp_path / "network.net") == valid_graph()


# ---------------------------------------------------------------- kinds of one's own


class Own(la.Connection):
    """A ring, whatever else it holds."""

    def synapses(self, source_shape):
        n = source_shape[0]
        return la.Synapses.from_entries("own", (n, n), np.arange(n), np.roll(range(n), 1), [1] * n)


@dataclasses.dataclass(frozen=True)
class Compared(Own):
    """With the equality of dataclasses, which takes an array for one truth value."""

    held: object = None


@dataclasses.dataclass(frozen=True, eq=False)
class Held(Own):
    held: object = None


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOtherwise(Own):
    held: object = None


def around(connection):
    return la.Graph((3,), [la.Population("ring", (3,), 1, 2, 3)], [connection])


@pytest.mark.parametrize("kind", [Compared, Held])
def test_kinds_of_ones_own_are_equal_by_their_attributes(kind):
    def graph(held, delay):
        return around(kind(la.INPUT, 0, held, delay=delay))

    delays = np.arange(3)
    assert graph(np.arange(4), delays) == graph(np.arange(4), delays)
    assert graph({"a": 1}, 0) == graph({"a": 1}, 0)
    assert graph([1, np.ones(2)], 0) == graph([1, np.ones(2)], 0)
    assert graph({"a": np.ones(2)}, 0) == graph({"a": np.ones(2)}, 0)
    assert graph({"a": np.ones(2)}, 0) != graph({"a": np.zeros(2)}, 0)
    assert graph({"a": np.ones(2)}, 0) != graph({"b": np.ones(2)}, 0)
    assert graph(np.arange(4), delays) != graph(np.arange(4), delays + 1)
    assert graph(np.arange(4), 0) != graph(np.arange(5), 0)
    assert graph([1, np.ones(2)], 0) != graph([1, np.ones(3)], 0)
    assert around(Held(la.INPUT, 0, 1)) != around(HeldOtherwise(la.INPUT, 0, 1))


class Undecided:
    """As sparse matrices and tensors have it: equal here and there."""

    def __init__(self, error):
        self.error = error

    def __eq__(self, other):
        raise self.error

    __hash__ = None


@pytest.mark.parametrize("error", [ValueError, RuntimeError, TypeError])
def test_what_cannot_be_compared_is_equal_to_itself_only(error):
    held = Undecided(error)
    ring = Held(la.INPUT, 0, held)
    assert around(ring) == around(Held(la.INPUT, 0, held))
    assert around(ring) != around(Held(la.INPUT, 0, Undecided(error)))
