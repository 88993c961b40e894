"""Graphs with all that a file must hold, and how to compare them."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

import lava_async as la
from random_networks import graphs, schedules


@st.composite
def file_graphs(draw):
    """Any topology, kinds and delays, any names, with a schedule or without."""
    graph = draw(graphs())
    populations = [dataclasses.replace(p, name=draw(st.text())) for p in graph.populations]
    schedule = draw(st.none() | schedules())
    return graph.replace(populations=tuple(populations), schedule=schedule)


def as_held(graph: la.Graph) -> la.Graph:
    """The same network, with what no file knows as what it comes back as."""

    def delay(given):
        return given if np.any(given) else 0

    def connection(c):
        late = delay(c.delay)
        if type(c) in (la.Dense, la.Conv, la.OneToOne, la.Sparse):
            return dataclasses.replace(c, delay=late)
        return la.Sparse(c.source, c.target, c.synapses(graph.source_shape(c)), delay=late)

    return graph.replace(
        connections=tuple(connection(c) for c in graph.connections),
        output_delay=delay(graph.output_delay),
    )


def assert_same(got, want) -> None:
    """Values of dataclasses: same types, same arrays of the same type, same texts."""
    assert type(got) is type(want)
    if dataclasses.is_dataclass(want):
        for field in dataclasses.fields(want):
            assert_same(getattr(got, field.name), getattr(want, field.name))
    elif isinstance(want, tuple):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            assert_same(a, b)
    elif isinstance(want, np.ndarray):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_array_equal(got, want)
    else:
        assert got == want
