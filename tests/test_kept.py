"""Batches that go on where others ended: the definition's and the kernel's are whole ones, cut."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async._semantics import reference
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.kept import Kept
from random_networks import graphs, inputs, single_schedules
from records import assert_equal_records
from training_passes import explained, run, tape_of


def joined(parts):
    """Records or tapes one after another, along time; of a tape time steps come second."""
    found = {}
    for field in dataclasses.fields(parts[0]):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], np.ndarray):
            axis = -1 if isinstance(parts[0], la.Record) else 1
            found[field.name] = np.concatenate(values, axis)
    return found


def assert_kept(got, want):
    """The same place; rows of time steps in which nothing arrives may be missing."""
    ahead = max(got.ahead, want.ahead)
    assert got.time_step == want.time_step
    np.testing.assert_array_equal(got.copy(ahead).rows, want.copy(ahead).rows)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), schedule=single_schedules(), drops=st.booleans())
def test_a_cut_batch_is_the_whole_one(data, schedule, drops):
    graph = data.draw(graphs()).replace(output_delay=0)
    x = data.draw(inputs(graph))
    x = np.concatenate([x, x[..., ::-1]], -1)
    cut = data.draw(st.integers(1, x.shape[-1] - 1))
    ids = np.arange(5, 5 + len(x))
    dropout = Dropout(spike=0.3 if drops else 0, seed=1)

    record, tape = reference.run_with_tape(graph, x, schedule, None, ids, dropout=dropout)
    kept, records, tapes, left = None, [], [], Kept.nothing(len(x), graph.num_neurons)
    layered = isinstance(schedule, la.LayerSync)
    for part in (x[..., :cut], x[..., cut:]):
        own, own_tape = reference.run_with_tape(
            graph, part, schedule, None, ids, dropout=dropout, kept=kept
        )
        done = run(graph, part, schedule, ids=ids, dropout=dropout, kept=left, dtype=np.int32)
        np.testing.assert_array_equal(done.spikes, own.all_spikes)
        for got, want in zip(tape_of(done), explained(own_tape, layered), strict=True):
            np.testing.assert_array_equal(got, want)
        kept, left = own_tape.left, done.left
        assert_kept(left, kept)
        records.append(own)
        tapes.append(own_tape)
    whole = run(
        graph, x, schedule, ids=ids, dropout=dropout, dtype=np.int32,
        kept=Kept.nothing(len(x), graph.num_neurons),
    )  # fmt: skip
    assert_kept(whole.left, tape.left)
    assert_kept(left, tape.left)
    assert_equal_records(dataclasses.replace(record, **joined(records)), record)
    for name, value in joined(tapes).items():
        np.testing.assert_array_equal(value, getattr(tape, name))
