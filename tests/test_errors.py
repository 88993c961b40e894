"""Errors: one form, parts that can be asked for, whole across processes."""

import copy
import pickle

import numpy as np
import pytest

import lava_async as la
from lava_async import errors
from lava_async.errors import GraphError, ProcessError, ValidationError

KINDS = [
    kind for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.LavaAsyncError)
]  # fmt: skip


def test_the_parts_are_those_of_the_message():
    with pytest.raises(GraphError) as caught:
        la.Dense(la.INPUT, 0, [[300]])
    error = caught.value
    assert (error.where, error.what, error.got) == ("dense -1->0", "weight[0, 0]", 300)
    assert error.expected == "an integer in -256..254"
    assert str(error) == (
        "dense -1->0: weight[0, 0]: expected an integer in -256..254 (got 300)"
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_survives_copies_and_pickles(kind):
    for error in (kind("here", "size", 3, (4, 5)), kind("it went wrong\n\ntraceback")):
        for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
            assert type(again) is kind and str(again) == str(error)
            assert (again.where, again.what) == (error.where, error.what)
            assert str(again.expected) == str(error.expected)
            assert str(again.got) == str(error.got)


def test_what_was_got_may_be_anything():
    array = np.zeros(2)
    error = ValidationError("here", "value", "a number", array)
    array[:] = 7  # the message tells of what it was
    assert str(error) == "here: value: expected a number (got [0. 0.])"
    local = ValidationError("here", "value", "a number", lambda: None)
    assert str(pickle.loads(pickle.dumps(local))) == str(local)


def test_the_message_is_one_line_and_a_plain_text_stays_what_it_is():
    assert str(GraphError("a", "b", "c", "d\ne")) == "a: b: expected c (got d e)"
    assert str(ProcessError("process p: died\n\ntraceback")).count("\n") == 2
    assert ProcessError("process p: died").where is None


def test_the_same_complaint_about_another_place():
    error = GraphError("a", "b", "c", "d").at("file", ValidationError)
    assert type(error) is ValidationError and str(error) == "file: b: expected c (got d)"
