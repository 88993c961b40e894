"""Comparing what two runs recorded."""

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
