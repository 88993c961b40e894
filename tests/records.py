"""Records of runs: comparing two, and making some by hand."""

import dataclasses

import numpy as np

import lava_async as la


def assert_equal_records(got: la.Record, want: la.Record) -> None:
    """Every field: same type, same shape, same bits."""
    for field in dataclasses.fields(la.Record):
        a, b = getattr(got, field.name), getattr(want, field.name)
        if not isinstance(b, np.ndarray):
            assert a is b, field.name
        else:
            assert a.dtype == b.dtype and a.shape == b.shape, field.name
            np.testing.assert_array_equal(a, b, err_msg=field.name)


HIDDEN, CLASSES = 2, 3


def make_record(output_steps, forward_steps, hidden=None, synops=None, overflows=None):
    """A record from when the output neurons fired, (B, *out_shape, T), -1 for never."""
    output_steps = np.asarray(output_steps, np.int32)
    forward_steps = np.asarray(forward_steps, np.int64)
    spikes = (output_steps >= 0).astype(np.int8)
    samples, steps = forward_steps.shape
    if hidden is None:
        hidden = np.zeros((samples, HIDDEN, steps), np.int8)
    flat = spikes.reshape(samples, -1, steps)
    zeros = np.zeros((samples, steps), np.int64)
    return la.Record(
        spikes=spikes,
        all_spikes=np.concatenate([np.asarray(hidden, np.int8), flat], axis=1),
        forward_steps=forward_steps,
        synops=zeros if synops is None else np.asarray(synops),
        output_steps=output_steps,
        overflows=zeros if overflows is None else np.asarray(overflows),
    )


def with_fields(record: la.Record, **changes) -> la.Record:
    return dataclasses.replace(record, **changes)


def part(record: la.Record, *index) -> la.Record:
    """The same part of every array."""
    arrays = {f.name: getattr(record, f.name) for f in dataclasses.fields(la.Record)}
    return with_fields(
        record, **{k: v[index] for k, v in arrays.items() if isinstance(v, np.ndarray)}
    )
